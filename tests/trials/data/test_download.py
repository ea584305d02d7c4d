"""Downloads of standard data sets, from a local server: once, verified, and never incomplete."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from tests.trials.data import image_makers as make
from trials.config import DataConfig
from trials.data.sources import cifar10, fashion_mnist
from trials.data.sources.cifar10 import CIFAR10, Cifar10
from trials.data.sources.errors import DataError
from trials.data.sources.fashion_mnist import FASHION_MNIST, FashionMnist
from trials.data.sources.sources import locate


@dataclass
class Server:
    """Serves ``files`` (content by path) and records the requests."""

    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def downloads(self) -> list[str]:
        return [line.removeprefix("GET ") for line in self.requests if line.startswith("GET ")]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(b"")

        def do_GET(self) -> None:
            self.answer(state.files.get(self.path, b""))

        def answer(self, content: bytes) -> None:
            state.requests.append(f"{self.command} {self.path}")
            self.send_response(200 if self.path in state.files else 404)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.delenv("SHRINKSWEEP_DATA", raising=False)
    monkeypatch.setenv("SHRINKSWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SHRINKSWEEP_MIRROR", f"http://127.0.0.1:{web.server_port}/")
    yield state
    web.shutdown()
    web.server_close()
    thread.join()


@pytest.fixture
def small_fashion_mnist(server: Server, monkeypatch: pytest.MonkeyPatch) -> dict[str, make.Array]:
    """Serve a Fashion-MNIST of 3 + 2 images with its checksums; return its arrays by file name."""
    arrays = {
        "train-images-idx3-ubyte.gz": make.random_pixels(3, 28, 28),
        "train-labels-idx1-ubyte.gz": np.array([1, 2, 3], np.uint8),
        "t10k-images-idx3-ubyte.gz": make.random_pixels(2, 28, 28),
        "t10k-labels-idx1-ubyte.gz": np.array([4, 5], np.uint8),
    }
    contents = {name: gzip.compress(make.idx(array)) for name, array in arrays.items()}
    server.files.update({f"/fashion_mnist/{name}": content for name, content in contents.items()})
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(fashion_mnist, "FASHION_MNIST", replace(FASHION_MNIST, downloads=sums))
    return arrays


def small_cifar10(server: Server, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, make.Array]:
    records = make.cifar10(folder)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        tar.add(folder, arcname="cifar-10-batches-bin")
    server.files["/cifar10/cifar-10-binary.tar.gz"] = out.getvalue()
    sums = {"cifar-10-binary.tar.gz": hashlib.sha256(out.getvalue()).hexdigest()}
    monkeypatch.setattr(cifar10, "CIFAR10", replace(CIFAR10, downloads=sums))
    return records


def test_missing_files_are_downloaded_once(
    server: Server, small_fashion_mnist: dict[str, make.Array]
) -> None:
    locate(DataConfig(name="fashion_mnist"))
    assert not server.downloads()
    for _ in range(2):
        arrays = FashionMnist().read()
        np.testing.assert_array_equal(
            arrays.train_pixels[:, 0], small_fashion_mnist["train-images-idx3-ubyte.gz"]
        )
        assert arrays.test_labels.tolist() == [4, 5]
    assert sorted(server.downloads()) == sorted(server.files)


def test_concurrent_trials_download_once(server: Server, small_fashion_mnist: dict[str, make.Array]) -> None:
    threads = [threading.Thread(target=FashionMnist().files) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(server.downloads()) == sorted(server.files)


def test_a_file_with_a_wrong_checksum_is_not_kept(
    server: Server, small_fashion_mnist: dict[str, make.Array], tmp_path: Path
) -> None:
    damaged = "/fashion_mnist/t10k-labels-idx1-ubyte.gz"
    intact = server.files[damaged]
    server.files[damaged] = intact[:-1] + b"?"
    for _ in range(2):  # the second time, three of four files exist
        with pytest.raises(DataError, match="the download failed: SHA256 hash of downloaded file") as caught:
            FashionMnist().read()
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "cache" / "fashion_mnist" / "t10k-labels-idx1-ubyte.gz").exists()
    server.files[damaged] = intact
    assert FashionMnist().read().test_labels.tolist() == [4, 5]


def test_a_missing_download_is_reported_with_the_search_path(server: Server, tmp_path: Path) -> None:
    for call in (FashionMnist().locate, FashionMnist().read):
        with pytest.raises(DataError, match=r"fashion_mnist needs .* in one of: ") as caught:
            call()
        assert "404" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert f"{tmp_path}/cache/fashion_mnist;" in str(caught.value)


def test_cifar10_is_extracted_from_its_archive(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = small_cifar10(server, tmp_path / "made", monkeypatch)
    Cifar10().locate()
    for _ in range(2):
        arrays = Cifar10().read()
        np.testing.assert_array_equal(arrays.test_labels, records["test_batch.bin"][:, 0])
        assert len(arrays.train_labels) == 20
    assert server.downloads() == ["/cifar10/cifar-10-binary.tar.gz"]
    files = sorted(path.name for path in (tmp_path / "cache" / "cifar-10-batches-bin").iterdir())
    assert files == sorted(records)


def test_checksums_are_sha256() -> None:
    for standard in (FASHION_MNIST, CIFAR10):
        for sha256 in standard.downloads.values():
            assert len(bytes.fromhex(sha256)) == 32
