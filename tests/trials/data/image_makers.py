"""Tiny image files of every source, made on the spot."""

from __future__ import annotations

import gzip
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from trials.data.sources.fashion_mnist import FASHION_MNIST


def random_pixels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(pixels: np.ndarray, form: str = "PNG") -> bytes:
    """Return [H, W] or [C, H, W] as the bytes of an image file."""
    image = Image.fromarray(pixels if pixels.ndim == 2 else pixels.transpose(1, 2, 0))
    out = io.BytesIO()
    image.save(out, form)
    return out.getvalue()


def idx(array: np.ndarray, magic: int | None = None) -> bytes:
    """Return a uint8 array in the IDX format, not yet gzipped."""
    header = [0x0800 + array.ndim if magic is None else magic, *array.shape]
    return np.array(header, dtype=">u4").tobytes() + array.tobytes()


def fashion_mnist(folder: Path, train: int = 20, test: int = 10) -> dict[str, np.ndarray]:
    """Write the four files; return the arrays by file name."""
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


def cifar10(folder: Path, images: int = 4) -> dict[str, np.ndarray]:
    """Write the six files; return the records [images, 3073] by file name."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    records = {name: random_pixels(images, 3073, seed=i) for i, name in enumerate(names)}
    for name, array in records.items():
        array[:, 0] %= 10
        (folder / name).write_bytes(array.tobytes())
    return records


def parquet(path: Path, columns: Mapping[str, Sequence[Any]]) -> Path:
    pq.write_table(pa.table({name: pa.array(values) for name, values in columns.items()}), path)
    return path


def rows(
    pixels: Sequence[np.ndarray], labels: Sequence[Any], splits: Sequence[str]
) -> dict[str, Sequence[Any]]:
    return {"image": [encoded(p) for p in pixels], "label": labels, "split": splits}


def image_folder(
    root: Path, classes: Mapping[str, int], shape: tuple[int, ...] = (3, 8, 8)
) -> dict[str, np.ndarray]:
    """Write so many PNG files for each ``split/class``; return the pixels by path."""
    made = {}
    for seed, (name, count) in enumerate(classes.items()):
        (root / name).mkdir(parents=True)
        for i in range(count):
            path = root / name / f"{i:03}.png"
            made[str(path)] = random_pixels(*shape, seed=1000 * seed + i)
            path.write_bytes(encoded(made[str(path)]))
    return made
