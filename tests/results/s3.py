"""A real S3 server on the loopback interface, of moto, that fails on demand."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from urllib.parse import quote
from wsgiref.types import StartResponse, WSGIEnvironment

import pyarrow.fs as pafs
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

Answer = Iterable[bytes]

USER, PASSWORD = "testing", "hush-hush"


class S3Server:
    """Serves S3 at ``endpoint``; ``requests`` holds the methods of all requests so far.

    ``fails(method, count)`` is called before each request, the ``count``-th of its method. It returns "no" (the request
    is served), "busy" (503, nothing is done), "lost" (done, but the answer is 503) or "cut" (the answer ends half-way).
    It may block: then the request is on its way. Without ``knows_conditions``, conditions of puts are not obeyed.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.fails: Callable[[str, int], str] = lambda method, count: "no"
        self.knows_conditions = True
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self._server = make_server("127.0.0.1", 0, self._serve, threaded=True, request_handler=_Quiet)
        self.endpoint = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def new_uri(self, path: str, password: str = PASSWORD) -> str:
        """Return the URI of ``path`` in a new bucket, credentials included. Any password is accepted."""
        bucket = f"bucket-{uuid.uuid4().hex[:12]}"
        options = f"scheme=http&region=us-east-1&endpoint_override={quote(self.endpoint, safe='')}"
        uri = f"s3://{USER}:{password}@{bucket}/{path}?{options}"
        filesystem, _ = pafs.FileSystem.from_uri(f"{uri}&allow_bucket_creation=true")
        filesystem.create_dir(bucket)
        return uri

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _serve(self, environ: WSGIEnvironment, start_response: StartResponse) -> Answer:
        method = environ["REQUEST_METHOD"]
        with self._lock:
            self.requests.append(method)
            count = self.requests.count(method)
        how = self.fails(method, count)
        if not self.knows_conditions:
            environ = {name: environ[name] for name in environ if not name.startswith("HTTP_IF_")}
        if how == "busy":
            return _slow_down(start_response)
        if how == "no":
            return self._moto(environ, start_response)
        head: list[tuple[str, list[tuple[str, str]]]] = []
        body = b"".join(self._moto(environ, lambda status, headers, *_: head.append((status, headers))))
        if how == "lost":
            return _slow_down(start_response)
        start_response(*head[0])
        return [body[: len(body) // 2]]


def _slow_down(start_response: StartResponse) -> Answer:
    start_response("503 Slow Down", [("Content-Type", "application/xml"), ("Content-Length", "0")])
    return [b""]


class _Quiet(WSGIRequestHandler):
    def log(self, *args: object) -> None:
        """Log nothing."""


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Serve S3 inside the ``with`` block."""
    server = S3Server()
    try:
        yield server
    finally:
        server.close()
