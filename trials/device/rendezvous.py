"""Where the ranks of a trial meet: a file on their machine, or a port that opens only for those who know a secret.

The store of a process group (``torch.distributed.TCPStore``) asks nobody who he is, and listens on all interfaces. So
it listens on the loopback interface of rank 0 here. A door in front of it listens at the address of the node: it passes
a connection on after both sides have proved with HMAC-SHA256 that they know the secret, without sending it. What passes
is neither encrypted nor signed, and neither are the connections of gloo and NCCL: the network between the nodes must be
trusted not to change packets.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from urllib.parse import urlsplit

from torch.distributed import FileStore, Store, TCPStore  # type: ignore[attr-defined]

HANDSHAKE_S = 10.0
"""How long the other side may take to prove that it knows the secret."""

RETRY_S = 0.2
"""Pause before rank 0 is called again, which may not listen yet."""

NONCE_BYTES = 32

LOOPBACK = "127.0.0.1"


def new_address(host: str) -> str:
    """Return an address with a free port of this machine and a new secret, ``tcp://SECRET@HOST:PORT``."""
    with closing(socket.create_server((host, 0), family=_family(host))) as probe:
        port = probe.getsockname()[1]
    return f"tcp://{secrets.token_hex(32)}@{f'[{host}]' if ':' in host else host}:{port}"


@contextmanager
def meeting(rank: int, world_size: int, address: str, timeout_s: float) -> Iterator[Store]:
    """Yield the store through which the ranks find each other. It must be needed no longer after the ``with`` block.

    ``address`` is ``tcp://SECRET@HOST:PORT``, where HOST is the node of rank 0, or ``file://`` and the path of a file
    that does not exist yet, in a folder of this machine.
    """
    parts = urlsplit(address)
    if parts.scheme == "file":
        use_interface_of(LOOPBACK)
        yield FileStore(parts.path, world_size)
        return
    host, port, secret = parts.hostname or "", parts.port or 0, (parts.username or "").encode()
    if not secret:
        raise ValueError("ranks must meet at tcp://SECRET@HOST:PORT, but got an address without a secret")
    timeout = timedelta(seconds=timeout_s)
    if rank == 0:
        use_interface_of(host)
        inner = socket.create_server((LOOPBACK, 0))
        target = (LOOPBACK, int(inner.getsockname()[1]))
        store = TCPStore(
            *target, world_size, True, timeout, wait_for_workers=False, master_listen_fd=inner.detach()
        )
        outer = socket.create_server((host, port), family=_family(host))
        door = Door(outer, lambda: _call(target), lambda caller: knows_secret(caller, secret, server=True))
    else:
        use_interface_of(_own_address_towards(host, port))
        door = Door(socket.create_server((LOOPBACK, 0)), lambda: _call_until((host, port), secret, timeout_s))
        store = TCPStore(*door.address, world_size, False, timeout, wait_for_workers=False)
    with closing(door):
        yield store


class Door:
    """Passes the connections at a listening socket on, in threads of their own.

    Args:
        listening: the socket; it is closed with the door.
        connect: returns a connection to the other end.
        admits: whether a caller may pass; default: everybody.
    """

    def __init__(
        self,
        listening: socket.socket,
        connect: Callable[[], socket.socket],
        admits: Callable[[socket.socket], bool] = lambda caller: True,
    ) -> None:
        self._listening = listening
        self._connect = connect
        self._admits = admits
        self.address: tuple[str, int] = listening.getsockname()[:2]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept no more connections. Those that have been passed on last until one of their ends closes them."""
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # ends ``accept``
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                caller, _ = self._listening.accept()
                threading.Thread(target=self._pass_on, args=(caller,), daemon=True).start()

    def _pass_on(self, caller: socket.socket) -> None:
        with suppress(OSError), closing(caller):
            if not self._admits(caller):
                return
            with closing(self._connect()) as other:
                back = threading.Thread(target=_copy, args=(other, caller), daemon=True)
                back.start()
                _copy(caller, other)
                back.join()


def knows_secret(other: socket.socket, secret: bytes, *, server: bool) -> bool:
    """Whether the other end of a connection proves within ``HANDSHAKE_S`` that it knows the secret, as this end does.

    Raises:
        OSError: the connection is lost.
    """
    other.settimeout(HANDSHAKE_S)
    roles = (b"server", b"client") if server else (b"client", b"server")
    own = os.urandom(NONCE_BYTES)
    other.sendall(own)
    theirs = _receive(other, NONCE_BYTES)
    other.sendall(hmac.digest(secret, roles[0] + own + theirs, hashlib.sha256))
    proof = _receive(other, hashlib.sha256().digest_size)
    if not hmac.compare_digest(proof, hmac.digest(secret, roles[1] + theirs + own, hashlib.sha256)):
        return False
    other.settimeout(None)
    return True


def use_interface_of(address: str) -> None:
    """Make gloo listen at the interface of this machine that has ``address``, unless the user has named one."""
    import psutil  # a GPU machine that computes alone may lack it (docs/gpu.md)

    for name, addresses in psutil.net_if_addrs().items():
        if any(found.address == address for found in addresses):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)


def _call_until(server: tuple[str, int], secret: bytes, timeout_s: float) -> socket.socket:
    """Return a connection to rank 0 that it has admitted; it may not listen yet."""
    last = time.monotonic() + timeout_s
    while True:
        with suppress(OSError):
            connection = _call(server)
            if knows_secret(connection, secret, server=False):
                return connection
            connection.close()
        if time.monotonic() > last:
            raise TimeoutError(f"rank 0 must be reachable at {server[0]}:{server[1]}")
        time.sleep(RETRY_S)


def _call(server: tuple[str, int]) -> socket.socket:
    connection = socket.create_connection(server, HANDSHAKE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.settimeout(None)
    return connection


def _receive(other: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count:
        part = other.recv(count - len(received))
        if not part:
            raise ConnectionError("closed during the handshake")
        received += part
    return received


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Send what comes from ``source`` to ``target``, until it ends."""
    with suppress(OSError):
        while part := source.recv(1 << 16):
            target.sendall(part)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _own_address_towards(host: str, port: int) -> str:
    """Return the address of this machine from which packets to a host are sent."""
    with closing(socket.socket(_family(host), socket.SOCK_DGRAM)) as probe:
        probe.connect((host, port))  # sends nothing
        return str(probe.getsockname()[0])


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
