"""Fashion-MNIST: 60,000 training and 10,000 test images of 28x28 pixels, in the authors' gzipped IDX files."""

from __future__ import annotations

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from typing_extensions import override

from trials.data.sources.arrays import Arrays, ArraySource, Known, Labels, Pixels, Shape, check_labels
from trials.data.sources.errors import DataError
from trials.data.sources.standard import StandardDataSet

CLASSES = 10
SIDE = 28
MAX_IMAGES = 1_000_000
"""A header with more images is corrupt. Without this limit, it could exhaust the memory."""

FASHION_MNIST = StandardDataSet(
    name="fashion_mnist",
    files=(
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    ),
    folders=("fashion_mnist",),
    base_url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    downloads={
        "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
)


CLASS_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


@dataclass(frozen=True)
class FashionMnist(ArraySource):
    """The four IDX files, in the folder ``path`` or a default folder. Other files of the same format work too."""

    path: str | None = None

    @override
    def locate(self) -> None:
        FASHION_MNIST.locate(self.path)

    @override
    def image_shape(self) -> Shape:
        return 1, SIDE, SIDE

    @override
    def files(self) -> tuple[Path, ...]:
        folder = FASHION_MNIST.folder(self.path)
        return tuple(folder / file for file in FASHION_MNIST.files)

    @override
    def known(self) -> Known | None:
        return None if FASHION_MNIST.on_disk(self.path) else Known(60_000, 10_000, CLASS_NAMES)

    @override
    def read(self) -> Arrays:
        train_images, train_labels, test_images, test_labels = self.files()
        train = _read_split(train_images, train_labels)
        test = _read_split(test_images, test_labels)
        names = CLASS_NAMES if FASHION_MNIST.is_published(train_labels) else ()  # MNIST has the same format
        return Arrays(*train, *test, classes=CLASSES, names=names)


def _read_split(images: Path, labels: Path) -> tuple[Pixels, Labels]:
    pixels = read_idx(images, SIDE, SIDE)
    numbers = read_idx(labels).astype(np.int64)
    if len(numbers) != len(pixels):
        raise DataError(
            f"images and labels must be equally many, but got {len(pixels)} and {len(numbers)} in {labels}"
        )
    check_labels(numbers, CLASSES, str(labels))
    return pixels[:, None], numbers  # [N, 1, H, W]


def read_idx(path: Path, *sides: int) -> Pixels:
    """Read a gzipped IDX file as uint8 [N, *sides].

    The format is a magic number, one size per dimension, and the bytes: http://yann.lecun.com/exdb/mnist.

    Raises:
        DataError: not such a file, or one that is too short or too long.
    """
    try:
        with gzip.open(path) as file:
            sizes = _sizes(file.read(4 + 4 * (1 + len(sides))), sides, path)
            expected = math.prod(sizes)
            content = bytearray(file.read(expected + 1))  # one more byte: detects a file that is too long
    except (EOFError, zlib.error, gzip.BadGzipFile) as fault:
        raise DataError(f"an IDX file must be whole and gzipped, but {path} is not: {fault}") from fault
    if len(content) != expected:
        held = "more" if len(content) > expected else str(len(content))
        raise DataError(f"{path} must hold {expected} bytes after its header, but holds {held}")
    return np.frombuffer(content, dtype=np.uint8).reshape(sizes)


def _sizes(header: bytes, sides: tuple[int, ...], path: Path) -> tuple[int, ...]:
    dimensions = 1 + len(sides)
    magic = bytes([0, 0, 0x08, dimensions])  # 0x08: unsigned bytes
    if header[:4] != magic:
        raise DataError(
            f"an IDX file of {dimensions} dimensions must start with 0x{magic.hex()}, but {path} starts with "
            f"0x{header[:4].hex()}"
        )
    sizes = tuple(int(size) for size in np.frombuffer(header[4 : len(header) // 4 * 4], dtype=">u4"))
    if len(sizes) < dimensions or not 0 < sizes[0] <= MAX_IMAGES or sizes[1:] != sides:
        rule = " x ".join(["N", *map(str, sides)])
        raise DataError(
            f"the sizes in an IDX header must be {rule} with N up to {MAX_IMAGES:,}, but {path} has {list(sizes)}"
        )
    return sizes
