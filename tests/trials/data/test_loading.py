"""Loading of images: subsets, statistics, the cache, and real data sets."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trials.data import image_makers as make
from trials.config import DataConfig
from trials.data.image_set import statistics
from trials.data.loading import DataError, Images, ImageSet, load_images
from trials.data.sources.sources import image_shape, locate

CPU = torch.device("cpu")


def held(images: Images) -> tuple[ImageSet, ImageSet]:
    assert isinstance(images.train, ImageSet)
    assert isinstance(images.test, ImageSet)
    return images.train, images.test


def test_digits_are_held_on_the_device_as_bytes() -> None:
    images = load_images(DataConfig(validation_share=0.0), 0, CPU)
    train, test = held(images)
    assert (train.pixels.dtype, train.labels.dtype) == (torch.uint8, torch.int64)
    assert (len(train), len(test), images.classes, images.shape) == (1437, 360, 10, (1, 8, 8))


def test_a_training_subset_depends_on_the_seed_and_larger_ones_include_smaller_ones() -> None:
    def labels_and_pixels(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        train, _ = held(load_images(DataConfig(validation_share=0.0, train_images=count), seed, CPU))
        return train.labels, train.pixels

    small, large = labels_and_pixels(50, 3), labels_and_pixels(80, 3)
    assert torch.equal(small[0], large[0][:50])
    assert torch.equal(small[1], large[1][:50])
    assert not torch.equal(small[1], labels_and_pixels(50, 4)[1])


def test_a_test_subset_is_the_same_for_every_seed() -> None:
    first, second = (
        held(load_images(DataConfig(validation_share=0.0, test_images=50), seed, CPU))[1] for seed in (1, 2)
    )
    assert len(first) == 50
    assert torch.equal(first.pixels, second.pixels)
    assert torch.equal(first.labels, second.labels)


@pytest.mark.parametrize(("name", "available"), [("train_images", 1437), ("test_images", 360)])
def test_more_images_than_available_are_refused(name: str, available: int) -> None:
    config = DataConfig.model_validate({name: available + 1, "validation_share": 0})
    with pytest.raises(DataError) as caught:
        load_images(config, 0, CPU)
    assert (
        str(caught.value)
        == f"`data.{name}` must be at most the {available} there are, but got {available + 1}"
    )
    assert (
        len(load_images(DataConfig.model_validate({name: available, "validation_share": 0}), 0, CPU).train)
        == 1437
    )


def test_statistics_equal_the_plain_formula() -> None:
    pixels = make.random_pixels(300, 3, 5, 6)
    pixels[:, 1] = 7
    mean, std = statistics(torch.from_numpy(pixels))
    scaled = pixels / 255
    np.testing.assert_allclose(mean.numpy(), scaled.mean((0, 2, 3)), rtol=1e-13)
    expected = scaled.std((0, 2, 3))
    expected[1] = 1  # a constant channel is not divided by 0
    np.testing.assert_allclose(std.numpy(), expected, rtol=1e-12)


def test_images_are_read_once_and_again_after_their_files_change(tmp_path: Path) -> None:
    config = DataConfig(validation_share=0.0, name="fashion_mnist", path=str(tmp_path))
    make.fashion_mnist(tmp_path, train=20)
    first, again = (held(load_images(config, seed, CPU))[0] for seed in (0, 1))
    assert first.pixels.data_ptr() == again.pixels.data_ptr()
    make.fashion_mnist(tmp_path, train=30)
    assert len(load_images(config, 0, CPU).train) == 30


def real_data() -> Path:
    folder = os.environ.get("SHRINKSWEEP_DATA")
    if not folder:
        pytest.skip("SHRINKSWEEP_DATA is not set: no real data sets here")
    return Path(folder)


def test_the_real_fashion_mnist() -> None:
    real_data()
    config = DataConfig(validation_share=0.0, name="fashion_mnist")
    locate(config)
    images = load_images(config, 0, CPU)
    train, test = held(images)
    assert (train.pixels.shape, test.pixels.shape) == ((60000, 1, 28, 28), (10000, 1, 28, 28))
    assert torch.bincount(train.labels).tolist() == [6000] * 10
    assert images.mean.item() == pytest.approx(0.2860, abs=1e-4)
    assert images.std.item() == pytest.approx(0.3530, abs=1e-4)


@pytest.mark.slow
def test_the_real_cifar10_from_parquet() -> None:
    if not (real_data() / "cifar10_jpg.parquet").is_file():
        pytest.skip("SHRINKSWEEP_DATA has no cifar10_jpg.parquet")
    config = DataConfig(validation_share=0.0, name="parquet", path="cifar10_jpg.parquet", train_images=1000)
    locate(config)
    assert image_shape(config) == (3, 32, 32)
    images = load_images(config, 0, CPU)
    assert (len(images.train), len(images.test), images.classes) == (1000, 10000, 10)
    np.testing.assert_allclose(images.mean.numpy(), [0.491, 0.482, 0.447], atol=0.02)
