"""Tiny image files for every source."""

from __future__ import annotations

import gzip
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from trials.data.sources.fashion_mnist import FASHION_MNIST

Array = NDArray[np.uint8]


def random_pixels(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(pixels: NDArray[np.uint8 | np.uint16], form: str = "PNG") -> bytes:
    """Return pixels [H, W] or [C, H, W] as the content of an image file."""
    image = Image.fromarray(pixels if pixels.ndim == 2 else pixels.transpose(1, 2, 0))
    out = io.BytesIO()
    image.save(out, form)
    return out.getvalue()


def idx(array: Array, magic: int | None = None) -> bytes:
    """Return an array in IDX format, not gzipped."""
    header = [0x0800 + array.ndim if magic is None else magic, *array.shape]
    return np.array(header, dtype=">u4").tobytes() + array.tobytes()


def fashion_mnist(folder: Path, train: int = 20, test: int = 10) -> dict[str, Array]:
    """Write the four files; return their arrays by file name."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {}
    for count, seed, (images, labels) in zip(
        (train, test), (1, 2), (FASHION_MNIST.files[:2], FASHION_MNIST.files[2:]), strict=True
    ):
        arrays[images] = random_pixels(count, 28, 28, seed=seed)
        arrays[labels] = np.arange(count, dtype=np.uint8) % 10
    for name, array in arrays.items():
        (folder / name).write_bytes(gzip.compress(idx(array), 1))
    return arrays


def cifar10(folder: Path, images: int = 4) -> dict[str, Array]:
    """Write the six files; return the records [images, 3073] by file name."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    records = {name: random_pixels(images, 3073, seed=i) for i, name in enumerate(names)}
    for name, array in records.items():
        array[:, 0] %= 10
        (folder / name).write_bytes(array.tobytes())
    return records


def parquet(path: Path, columns: Mapping[str, Sequence[object]]) -> Path:
    pq.write_table(pa.table({name: pa.array(values) for name, values in columns.items()}), path)
    return path


def rows(
    pixels: Sequence[Array], labels: Sequence[object], splits: Sequence[str]
) -> dict[str, Sequence[object]]:
    return {"image": [encoded(p) for p in pixels], "label": labels, "split": splits}


def image_folder(
    root: Path, classes: Mapping[str, int], shape: tuple[int, ...] = (3, 8, 8)
) -> dict[str, Array]:
    """Write PNG files, a number for each ``split/class``; return their pixels by path."""
    made = {}
    for seed, (name, count) in enumerate(classes.items()):
        (root / name).mkdir(parents=True)
        for i in range(count):
            path = root / name / f"{i:03}.png"
            made[str(path)] = random_pixels(*shape, seed=1000 * seed + i)
            path.write_bytes(encoded(made[str(path)]))
    return made
