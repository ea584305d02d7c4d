"""Training images a second out of the data pipeline: no step should wait for its images.

Images that lie on the device (3x32x32 bytes) go through crop, mirror, cutout and normalization a batch at a time, on
one CPU thread, and on the GPU if there is one. ``per_image`` does the same one image at a time, as most loaders do.
``readers`` decodes JPEG files in two processes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks import harness
from benchmarks.harness import Figure, Measured, interleaved
from trials.config import DataConfig
from trials.data.augmentation import (
    CROP_COLUMN,
    CROP_ROW,
    CUTOUT_COLUMN,
    CUTOUT_ROW,
    MIRRORED,
    Augmentation,
    Normalization,
    augment,
)
from trials.data.batches import Batches
from trials.data.image_set import ImageSet, statistics
from trials.data.loading import load_images

SHAPE = (3, 32, 32)
AUGMENTATION = Augmentation(crop_padding=4, flip=True, cutout=16)
BATCH_SIZES = (64, 256)
TARGET = 20_000.0
"""Images a second on one CPU thread: hundreds of times as many as the training of a supernet takes."""
READERS = 2
FILE_CLASSES = 4


def measure(quick: bool) -> Measured:
    """Measure images a second out of the augmentation and out of the reader processes."""
    count, rounds = (2048, 3) if quick else (10_240, 9)
    with harness.one_thread():
        check()
        figures = [*_held(count, rounds, torch.device("cpu")), *_readers(512 if quick else 4096, rounds)]
    gpu = torch.cuda.is_available()
    for batch_size in BATCH_SIZES:
        value = _epochs(count, batch_size, rounds, torch.device("cuda")) if gpu else None
        figures.append(Figure(f"cuda_images_per_s_b{batch_size}", value, "images/s"))
    configuration = {
        "shape": list(SHAPE), "images": count, "rounds": rounds, "threads": 1, "readers": READERS,
        "crop_padding": AUGMENTATION.crop_padding, "flip": AUGMENTATION.flip, "cutout": AUGMENTATION.cutout,
    }  # fmt: skip
    return Measured(figures, configuration)


def check() -> None:
    """Assert that a batch is augmented as one image at a time is."""
    images = held(64, torch.device("cpu"))
    draws = AUGMENTATION.draw(64, SHAPE, np.random.default_rng(0))
    normalize = Normalization(images.mean, images.std, torch.float32)
    torch.testing.assert_close(
        augment(images.pixels, draws, AUGMENTATION, normalize), per_image(images, images.pixels, draws)
    )


def held(count: int, device: torch.device) -> ImageSet:
    """Return ``count`` random images that lie on a device."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, *SHAPE), dtype=torch.uint8, generator=generator).to(device)
    return ImageSet(pixels, torch.zeros(count, dtype=torch.int64, device=device), *statistics(pixels))


def per_image(images: ImageSet, pixels: Tensor, draws: Tensor) -> Tensor:
    """Return uint8 [B, C, H, W] augmented and normalized one image at a time."""
    mean, std = (value.float().view(-1, 1, 1) for value in (images.mean, images.std))
    return torch.stack(
        [_one_image(image, draw, mean, std) for image, draw in zip(pixels, draws.tolist(), strict=True)]
    )


def _one_image(image: Tensor, draw: list[int], mean: Tensor, std: Tensor) -> Tensor:
    _, height, width = image.shape
    padded = torch.nn.functional.pad(image, (AUGMENTATION.crop_padding,) * 4)
    top, left = draw[CROP_ROW], draw[CROP_COLUMN]
    crop = padded[:, top : top + height, left : left + width]
    crop = crop.flip(2) if draw[MIRRORED] else crop
    result = (crop.float() / 255 - mean) / std
    top, left = (draw[column] - AUGMENTATION.cutout // 2 for column in (CUTOUT_ROW, CUTOUT_COLUMN))
    square = slice(max(top, 0), top + AUGMENTATION.cutout), slice(max(left, 0), left + AUGMENTATION.cutout)
    result[:, square[0], square[1]] = 0
    return result


def _held(count: int, rounds: int, device: torch.device) -> Iterator[Figure]:
    images = held(count, device)
    draws = AUGMENTATION.draw(256, SHAPE, np.random.default_rng(0))
    candidates: dict[str, Callable[[], object]] = {
        f"b{size}": _epoch(images, size, AUGMENTATION) for size in BATCH_SIZES
    }
    candidates["plain"] = _epoch(images, 256, None)
    candidates["per_image"] = lambda: per_image(images, images.pixels[:256], draws)
    timings = interleaved(candidates, rounds)
    for size in BATCH_SIZES:
        yield Figure(f"images_per_s_b{size}", count / timings.median(f"b{size}"), "images/s", TARGET)
    yield Figure("images_per_s_not_augmented_b256", count / timings.median("plain"), "images/s")
    ratio = timings.median_ratio("per_image", "b256") * count / 256
    yield Figure("speedup_to_per_image_b256", ratio, "x")


def _epochs(count: int, batch_size: int, rounds: int, device: torch.device) -> float:
    epoch = _epoch(held(count, device), batch_size, AUGMENTATION)
    return count / interleaved({"epoch": epoch}, rounds).median("epoch")


def _epoch(images: ImageSet, batch_size: int, augmentation: Augmentation | None) -> Callable[[], object]:
    batches = Batches(
        images, torch.arange(len(images)), batch_size, 0, augmentation=augmentation, drop_last=True, shuffle=True
    )  # fmt: skip
    return lambda: _exhaust(batches)


def _exhaust(batches: Batches) -> None:
    for _ in batches.epoch():
        pass


def _readers(count: int, rounds: int) -> Iterator[Figure]:
    """Decode 3x32x32 JPEG files in reader processes that have started before."""
    with tempfile.TemporaryDirectory() as folder:
        _write_files(Path(folder), count)
        config = DataConfig(name="image_folder", path=folder, loader_workers=READERS)
        images = load_images(config, 0, torch.device("cpu"))
        batches = Batches(
            images.train, torch.arange(count), 64, 0, augmentation=AUGMENTATION, drop_last=True, shuffle=True
        )  # fmt: skip
        timings = interleaved({"readers": lambda: _exhaust(batches)}, rounds)
    yield Figure(f"readers_images_per_s_w{READERS}", count / timings.median("readers"), "images/s")


def _write_files(root: Path, count: int) -> None:
    pixels = held(count, torch.device("cpu")).pixels.permute(0, 2, 3, 1).numpy()
    for i, image in enumerate(pixels):
        for split in ("train", "test") if i < FILE_CLASSES else ("train",):
            path = root / split / str(i % FILE_CLASSES) / f"{i:06}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path, quality=90)


if __name__ == "__main__":
    harness.main("data_pipeline", measure)
