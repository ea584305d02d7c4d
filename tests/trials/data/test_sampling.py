"""Which images a trial is calibrated, validated and trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.trials.tiny import CPU, compute_of, images_of, tiny_config
from trials.config import DataConfig
from trials.data.image_set import Images, ImageSet
from trials.data.loading import load_images
from trials.data.sampling import balanced, stratified
from trials.points import calibration_batches

ORDERED = np.repeat(np.arange(10), 100)
"""Labels of files that are listed class by class."""


@pytest.mark.parametrize("sample", [balanced, stratified])
@pytest.mark.parametrize("count", [1, 10, 96, 1000])
def test_a_sample_of_images_in_file_order_holds_every_class_alike(sample: object, count: int) -> None:
    assert callable(sample)
    chosen = sample(ORDERED, count, np.random.default_rng(1))
    classes = np.bincount(ORDERED[chosen], minlength=10)
    assert len(np.unique(chosen)) == count
    assert classes.max() - classes.min() <= 1


def test_a_stratified_sample_keeps_the_share_of_every_class() -> None:
    labels = np.repeat([0, 1, 2], [700, 250, 50])
    shares = np.bincount(labels[stratified(labels, 100, np.random.default_rng(2))])
    assert shares.tolist() == [70, 25, 5]


def test_a_sample_depends_on_its_seed_alone() -> None:
    once, again, other = (balanced(ORDERED, 50, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(once, again)
    assert not np.array_equal(once, other)


def test_calibration_images_of_an_ordered_source_show_every_class() -> None:
    config = tiny_config()
    images = images_of(config)
    assert isinstance(images.train, ImageSet)
    order = images.train.labels.argsort()
    ordered = replace(images.train, pixels=images.train.pixels[order], labels=images.train.labels[order])
    many = replace(
        ordered, pixels=ordered.pixels.repeat(9, 1, 1, 1), labels=ordered.labels.repeat(9).sort()[0]
    )
    batches = calibration_batches(Images(many, images.test, 10), compute_of(config))
    classes = torch.cat([labels for _, labels in batches]).bincount(minlength=10)
    assert classes.sum() == 512
    assert classes.max() - classes.min() <= 1


def test_validation_images_are_held_out_of_the_training_images_and_the_same_for_every_seed() -> None:
    config = DataConfig(train_images=200, validation_share=0.25)
    first, second = (load_images(config, seed, CPU) for seed in (0, 1))
    assert first.validation is not None
    assert second.validation is not None
    assert (len(first.train), len(first.validation)) == (150, 50)
    assert first.validation.identity() == second.validation.identity()
    assert first.train.identity() != second.train.identity()
    for images in (first, second):
        seen, held_out = (_pictures(part) for part in (images.train, images.validation))
        assert len(seen & held_out) == 0
    assert first.validation.labels.bincount().tolist() == [5] * 10


def test_without_a_share_a_trial_has_the_training_images_that_older_versions_had() -> None:
    config = DataConfig(train_images=200, validation_share=0.0)
    images = load_images(config, 7, CPU)
    assert images.validation is None
    everything = load_images(DataConfig(validation_share=0.0), 7, CPU).train
    assert isinstance(everything, ImageSet)
    assert isinstance(images.train, ImageSet)
    chosen = np.random.default_rng([7, 2, 0]).permutation(len(everything))[:200]
    assert torch.equal(images.train.pixels, everything.pixels[torch.from_numpy(chosen)])


def _pictures(images: object) -> set[bytes]:
    assert isinstance(images, ImageSet)
    return {picture.numpy().tobytes() for picture in images.pixels}
