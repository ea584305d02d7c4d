"""Batches: a pure function of seed, epoch and step, for any number of ranks and wherever an epoch resumes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trials.data.augmentation import Augmentation
from trials.data.batches import Batch, Batches, split_halves
from trials.data.image_set import ImageSet, statistics

AUGMENTATION = Augmentation(crop_padding=2, flip=True, cutout=3)


def numbered(count: int = 50, size: int = 6) -> ImageSet:
    """Return images whose label is their index."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=generator)
    return ImageSet(pixels, torch.arange(count), *statistics(pixels))


def training(
    rank: int = 0, world_size: int = 1, batch_size: int = 8, seed: int = 5, count: int = 50
) -> Batches:
    return Batches(
        numbered(count), torch.arange(count), batch_size, seed, rank, world_size, AUGMENTATION,
        drop_last=True, shuffle=True,
    )  # fmt: skip


def pairs(batches: Batches, epoch: int, start: int = 0) -> list[Batch]:
    return list(batches.epoch(epoch, start))


def same(a: list[Batch], b: list[Batch]) -> bool:
    return len(a) == len(b) and all(
        torch.equal(x, y) for p, q in zip(a, b, strict=True) for x, y in zip(p, q, strict=True)
    )


def test_an_epoch_depends_only_on_its_number_and_the_seed() -> None:
    batches = training()
    first, other = pairs(batches, 3), pairs(batches, 4)
    assert same(first, pairs(training(), 3))
    assert same(first, pairs(batches, 3))
    assert not same(first, other)
    assert not same(first, pairs(training(seed=6), 3))


def test_each_epoch_augments_an_image_differently() -> None:
    batches = Batches(
        numbered(), torch.arange(50), 50, 5, augmentation=AUGMENTATION, drop_last=True, shuffle=False
    )  # fmt: skip
    (first, labels), (second, same_labels) = (next(batches.epoch(epoch)) for epoch in (0, 1))
    assert torch.equal(labels, same_labels)
    changed = (first != second).flatten(1).any(1)
    assert changed.float().mean() > 0.9


def test_an_epoch_resumes_at_any_step_bit_for_bit() -> None:
    complete = pairs(training(), 2)
    for start in range(len(complete) + 1):
        assert same(pairs(training(), 2, start), complete[start:])


def test_unfinished_and_interleaved_epochs_do_not_affect_each_other() -> None:
    batches = training()
    next(batches.epoch(0))
    running, also_running = batches.epoch(0), batches.epoch(1)
    interleaved = [pair for _ in range(len(batches)) for pair in (next(running), next(also_running))]
    assert same(interleaved[::2], pairs(batches, 0))
    assert same(interleaved[1::2], pairs(batches, 1))


@pytest.mark.parametrize("world_size", [2, 4, 8])
def test_the_batches_of_all_ranks_together_are_those_of_one_rank(world_size: int) -> None:
    alone = pairs(training(), 1)
    ranks = [pairs(training(rank, world_size), 1) for rank in range(world_size)]
    for step, (images, labels) in enumerate(alone):
        parts = [rank[step] for rank in ranks]
        assert {len(part[1]) for part in parts} == {8 // world_size}
        assert torch.equal(torch.cat([part[0] for part in parts]), images)
        assert torch.equal(torch.cat([part[1] for part in parts]), labels)


def test_without_drop_last_every_image_is_used_once_per_epoch() -> None:
    batches = Batches(numbered(), torch.arange(50), 8, 0, drop_last=False, shuffle=True)
    labels = torch.cat([labels for _, labels in batches.epoch(0)])
    assert len(batches) == 7
    assert not torch.equal(labels, torch.arange(50))
    assert torch.equal(labels.sort().values, torch.arange(50))


def test_evaluation_uses_every_image_in_order_on_any_number_of_ranks() -> None:
    indices = torch.tensor([9, 3, 4, 40, 7, 1, 0, 2, 30])
    ranks = [
        list(Batches(numbered(), indices, 4, 0, rank, 4, drop_last=False, shuffle=False).epoch())
        for rank in range(4)
    ]
    seen = [torch.cat([rank[step][1] for rank in ranks]) for step in range(3)]
    assert torch.equal(torch.cat(seen), indices)
    assert [len(rank[2][1]) for rank in ranks] == [0, 0, 0, 1]
    assert ranks[0][2][0].shape == (0, 3, 6, 6)


def test_without_augmentation_images_are_only_normalized() -> None:
    images = numbered()
    batch, labels = next(Batches(images, torch.arange(50), 50, 0, drop_last=False, shuffle=False).epoch())
    mean, std = batch.double().mean((0, 2, 3)), batch.double().std((0, 2, 3), correction=0)
    torch.testing.assert_close(mean, torch.zeros(3, dtype=torch.float64), atol=1e-6, rtol=0)
    torch.testing.assert_close(std, torch.ones(3, dtype=torch.float64), atol=1e-6, rtol=0)
    assert batch.dtype == torch.float32
    assert torch.equal(labels, images.labels)


def test_images_have_the_requested_dtype() -> None:
    batches = Batches(
        numbered(), torch.arange(50), 50, 0, drop_last=False, shuffle=False, dtype=torch.float64
    )
    assert next(batches.epoch())[0].dtype == torch.float64


@settings(max_examples=50, deadline=None)
@given(n=st.integers(2, 500), seed=st.integers(0, 2**40))
def test_halves_are_disjoint_and_complete(n: int, seed: int) -> None:
    first, second = split_halves(n, seed)
    assert len(first) - len(second) == n % 2
    assert torch.equal(torch.cat([first, second]).sort().values, torch.arange(n))
    assert all(torch.equal(a, b) for a, b in zip((first, second), split_halves(n, seed), strict=True))


def test_halves_differ_between_seeds() -> None:
    assert not torch.equal(split_halves(100, 0)[0], split_halves(100, 1)[0])


def make(
    count: int = 10, batch_size: int = 4, rank: int = 0, world_size: int = 1, drop_last: bool = True
) -> Batches:
    indices = torch.arange(count)
    return Batches(
        numbered(count), indices, batch_size, 0, rank, world_size, drop_last=drop_last, shuffle=True
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: make(batch_size=5, world_size=2),
            "`batch_size` must be a multiple of the 2 ranks, but got 5",
        ),
        (lambda: make(batch_size=0), "`batch_size` must be a multiple of the 1 ranks, but got 0"),
        (lambda: make(batch_size=11), "`batch_size` must be at most the 10 images, but got 11"),
        (lambda: make(rank=2, world_size=2), "`rank` must be 0 to 1, but got 2"),
        (
            lambda: make(count=11, world_size=2, drop_last=False),
            "training needs equal shares on the 2 ranks, but the last batch has 3 images "
            "(`drop_last` leaves it out)",
        ),
        (lambda: make().epoch(0, start=3), "`start` must be 0 to the 2 steps of an epoch, but got 3"),
        (lambda: make().epoch(-1), "`seed` and `epoch` must be at least 0, but got 0 and -1"),
        (lambda: split_halves(1, 0), "two halves need at least 2 images, but got 1"),
    ],
)
def test_invalid_arguments_are_refused_in_one_line(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=r"must|need") as caught:
        call()
    assert str(caught.value) == message
