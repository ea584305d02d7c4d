"""Augmentation of a batch, compared with one image at a time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from tests.oracles.plain_augmentation import plain_augmentation
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

MEAN = torch.tensor([0.4, 0.5, 0.3], dtype=torch.float64)
STD = torch.tensor([0.2, 0.3, 0.25], dtype=torch.float64)


def images(count: int, channels: int = 3, height: int = 7, width: int = 10) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, channels, height, width), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize(
    ("padding", "flip", "cutout"), list(itertools.product((0, 2, 9), (False, True), (0, 3, 4)))
)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_batch_is_augmented_like_single_images(
    padding: int, flip: bool, cutout: int, channels: int
) -> None:
    augmentation = Augmentation(crop_padding=padding, flip=flip, cutout=cutout)
    pixels, mean, std = images(12, channels), MEAN[:channels], STD[:channels]
    draws = augmentation.draw(12, (channels, 7, 10), np.random.default_rng(3))
    got = augment(pixels, draws, augmentation, Normalization(mean, std, torch.float64))
    for image, draw, result in zip(pixels.numpy(), draws.tolist(), got.numpy(), strict=True):
        expected = plain_augmentation(
            image,
            crop=(draw[CROP_ROW], draw[CROP_COLUMN]),
            mirrored=draw[MIRRORED] == 1,
            centre=(draw[CUTOUT_ROW], draw[CUTOUT_COLUMN]),
            padding=padding,
            cutout=cutout,
            mean=mean.numpy(),
            std=std.numpy(),
        )
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12)


def test_random_numbers_are_uniform_over_their_ranges() -> None:
    augmentation = Augmentation(crop_padding=2, flip=True, cutout=3)
    draws = augmentation.draw(5000, (3, 7, 10), np.random.default_rng(0))
    assert draws.dtype == torch.int64
    for column, values in {
        CROP_ROW: 5,
        CROP_COLUMN: 5,
        MIRRORED: 2,
        CUTOUT_ROW: 7,
        CUTOUT_COLUMN: 10,
    }.items():
        counts = torch.bincount(draws[:, column], minlength=values)
        assert len(counts) == values
        assert counts.min() > 0.8 * 5000 / values


def test_cutout_sets_exactly_the_mean() -> None:
    augmentation = Augmentation(cutout=20)
    draws = augmentation.draw(3, (3, 7, 10), np.random.default_rng(0))
    got = augment(images(3), draws, augmentation, Normalization(MEAN, STD, torch.float32))
    assert (got == 0).all()


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 1e-6), (torch.bfloat16, 2e-2)]
)
def test_normalization_gives_every_dtype_and_channels_last(dtype: torch.dtype, tolerance: float) -> None:
    pixels = images(4)
    got = Normalization(MEAN, STD, dtype)(pixels)
    expected = (pixels.double() / 255 - MEAN.view(3, 1, 1)) / STD.view(3, 1, 1)
    assert got.dtype == dtype
    assert got.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=tolerance)


def test_augmentation_does_not_modify_its_input() -> None:
    pixels = images(6)
    before = pixels.clone()
    augmentation = Augmentation(crop_padding=1, flip=True, cutout=4)
    draws = augmentation.draw(6, (3, 7, 10), np.random.default_rng(0))
    augment(pixels, draws, augmentation, Normalization(MEAN, STD, torch.float32))
    assert torch.equal(pixels, before)


def test_the_augmentation_of_a_configuration_is_none_if_all_is_off() -> None:
    assert Augmentation.of(DataConfig()) is None
    assert Augmentation.of(DataConfig(crop_padding=4, flip=True)) == Augmentation(crop_padding=4, flip=True)
    assert Augmentation.of(DataConfig(cutout=16)) == Augmentation(cutout=16)
