"""Ranks of several nodes meet behind a door: it listens at one address, and opens for those who know the secret."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import psutil
import pytest

from trials.device import rendezvous
from trials.device.rendezvous import Door, knows_secret, meeting, new_address

SECRET = b"hush"


@pytest.fixture
def echo() -> Iterator[socket.socket]:
    """A server that sends back what it gets; ``accepted`` connections end with it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    caller, _ = server.accept()
                    with caller:
                        while part := caller.recv(100):
                            caller.sendall(part)

        threading.Thread(target=serve, daemon=True).start()
        yield server
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def door(echo: socket.socket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """A door to the echo."""
    monkeypatch.setattr(rendezvous, "HANDSHAKE_S", 0.3)
    door = Door(
        socket.create_server(("127.0.0.1", 0)),
        lambda: socket.create_connection(echo.getsockname()),
        lambda caller: knows_secret(caller, SECRET, server=True),
    )
    yield door
    door.close()


def test_who_knows_the_secret_is_passed_on(door: Door) -> None:
    with socket.create_connection(door.address, 5) as caller:
        assert knows_secret(caller, SECRET, server=False)
        caller.sendall(b"hello" * 20)
        assert caller.recv(5, socket.MSG_WAITALL) == b"hello"


STRANGERS: dict[str, Callable[[socket.socket], None]] = {
    "another secret": lambda caller: assert_refused(caller, b"guess"),
    "garbage": lambda caller: caller.sendall(bytes(64)),
    "silence": lambda caller: None,
    "reflection": lambda caller: caller.sendall(caller.recv(32, socket.MSG_WAITALL) + b"x" * 32),
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_stranger_reaches_nothing_and_keeps_nobody_waiting(door: Door, stranger: str) -> None:
    with socket.create_connection(door.address, 5) as caller:
        STRANGERS[stranger](caller)
        test_who_knows_the_secret_is_passed_on(door)
        received = b""
        with suppress(ConnectionError):
            while part := caller.recv(1000):  # ends, because the door closes the connection
                received += part
        assert len(received) <= 64  # a nonce and a proof


def test_a_rank_does_not_trust_a_server_without_the_secret() -> None:
    server, caller = socket.socketpair()
    with server, caller:
        pretending = threading.Thread(target=lambda: server.sendall(bytes(64)))
        pretending.start()
        assert not knows_secret(caller, SECRET, server=False)
        pretending.join()


def test_only_the_door_listens_beyond_the_loopback_interface_and_only_while_the_ranks_meet() -> None:
    address = new_address("127.0.0.2")
    with meeting(0, 1, address, 5.0) as store:
        store.set("key", "value")
        found = {c.laddr.ip for c in psutil.Process().net_connections() if c.status == psutil.CONN_LISTEN}
        assert found >= {"127.0.0.1", "127.0.0.2"}
        assert not found & {"::", "0.0.0.0"}
    port = int(address.rpartition(":")[2])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), 5)
    assert address.count("@") == 1
    assert new_address("127.0.0.2").partition("@")[0] != address.partition("@")[0]


def test_an_address_without_a_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="without a secret"), meeting(0, 2, "tcp://127.0.0.1:1", 1.0):
        pass


def assert_refused(caller: socket.socket, secret: bytes) -> None:
    with suppress(ConnectionError):
        assert not knows_secret(caller, secret, server=False)
