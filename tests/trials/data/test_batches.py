"""Batches: a pure function of seed, epoch and step, whatever the ranks and wherever they are taken up again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trials.data.augmentation import Augmentation
from trials.data.batches import Batches, split_halves
from trials.data.image_set import ImageSet, statistics

Pairs = list[tuple[torch.Tensor, torch.Tensor]]
AUGMENTATION = Augmentation(crop_padding=2, flip=True, cutout=3)


def numbered(count: int = 50, size: int = 6) -> ImageSet:
    """Images whose label is their number."""
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


def pairs(batches: Batches, epoch: int, start: int = 0) -> Pairs:
    return list(batches.epoch(epoch, start))


def same(a: Pairs, b: Pairs) -> bool:
    return len(a) == len(b) and all(
        torch.equal(x, y) for p, q in zip(a, b, strict=True) for x, y in zip(p, q, strict=True)
    )


def test_an_epoch_is_the_same_whenever_it_is_run() -> None:
    batches = training()
    first, other = pairs(batches, 3), pairs(batches, 4)
    assert same(first, pairs(training(), 3))
    assert same(first, pairs(batches, 3))
    assert not same(first, other)
    assert not same(first, pairs(training(seed=6), 3))


def test_each_epoch_augments_an_image_anew() -> None:
    batches = Batches(
        numbered(), torch.arange(50), 50, 5, augmentation=AUGMENTATION, drop_last=True, shuffle=False
    )  # fmt: skip
    (first, labels), (second, same_labels) = (next(batches.epoch(epoch)) for epoch in (0, 1))
    assert torch.equal(labels, same_labels)
    changed = (first != second).flatten(1).any(1)
    assert changed.float().mean() > 0.9


def test_an_epoch_taken_up_at_any_step_continues_bit_for_bit() -> None:
    whole = pairs(training(), 2)
    for start in range(len(whole) + 1):
        assert same(pairs(training(), 2, start), whole[start:])


def test_an_epoch_that_is_left_early_changes_nothing() -> None:
    batches = training()
    next(batches.epoch(0))
    running, also_running = batches.epoch(0), batches.epoch(1)
    interleaved = [pair for _ in range(len(batches)) for pair in (next(running), next(also_running))]
    assert same(interleaved[::2], pairs(batches, 0))
    assert same(interleaved[1::2], pairs(batches, 1))


@pytest.mark.parametrize("world_size", [2, 4, 8])
def test_all_ranks_together_see_the_batch_of_one_rank(world_size: int) -> None:
    alone = pairs(training(), 1)
    ranks = [pairs(training(rank, world_size), 1) for rank in range(world_size)]
    for step, (images, labels) in enumerate(alone):
        shares = [rank[step] for rank in ranks]
        assert {len(share[1]) for share in shares} == {8 // world_size}
        assert torch.equal(torch.cat([share[0] for share in shares]), images)
        assert torch.equal(torch.cat([share[1] for share in shares]), labels)


def test_every_image_comes_once_an_epoch_when_nothing_is_dropped() -> None:
    batches = Batches(numbered(), torch.arange(50), 8, 0, drop_last=False, shuffle=True)
    labels = torch.cat([labels for _, labels in batches.epoch(0)])
    assert len(batches) == 7
    assert not torch.equal(labels, torch.arange(50))
    assert torch.equal(labels.sort().values, torch.arange(50))


def test_evaluation_keeps_the_order_and_takes_every_image_on_any_number_of_ranks() -> None:
    indices = torch.tensor([9, 3, 4, 40, 7, 1, 0, 2, 30])
    ranks = [
        list(Batches(numbered(), indices, 4, 0, rank, 4, drop_last=False, shuffle=False).epoch())
        for rank in range(4)
    ]
    seen = [torch.cat([rank[step][1] for rank in ranks]) for step in range(3)]
    assert torch.equal(torch.cat(seen), indices)
    assert [len(rank[2][1]) for rank in ranks] == [0, 0, 0, 1]
    assert ranks[0][2][0].shape == (0, 3, 6, 6)


def test_without_augmentation_the_images_are_normalized_only() -> None:
    images = numbered()
    batch, labels = next(Batches(images, torch.arange(50), 50, 0, drop_last=False, shuffle=False).epoch())
    mean, std = batch.double().mean((0, 2, 3)), batch.double().std((0, 2, 3), correction=0)
    torch.testing.assert_close(mean, torch.zeros(3, dtype=torch.float64), atol=1e-6, rtol=0)
    torch.testing.assert_close(std, torch.ones(3, dtype=torch.float64), atol=1e-6, rtol=0)
    assert batch.dtype == torch.float32
    assert torch.equal(labels, images.labels)


def test_images_come_in_the_dtype_that_was_asked_for() -> None:
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
def test_what_cannot_be_divided_is_refused_in_one_line(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=r"must|need") as caught:
        call()
    assert str(caught.value) == message
