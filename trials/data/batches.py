"""Seeded batches for any number of ranks, which can resume at any step.

The images of a batch and their augmentation depend only on the seed, the epoch and the step.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from trials.data.augmentation import Augmentation, Normalization, augment
from trials.data.image_set import ImageReader
from trials.data.seeds import RandomStream, generator
from trials.heartbeat import beating

Batch = tuple[Tensor, Tensor]
"""Images [B, C, H, W] and labels int64 [B]."""

RawBatch = tuple[Tensor, Tensor, Tensor | None]
"""Images uint8 [B, C, H, W], labels int64 [B], and the random numbers of their augmentation int64 [B, 5], if any."""


class Batches:
    """The batches of one rank, like a ``DataLoader`` with a distributed sampler.

    Args:
        images: ``train`` or ``test`` of :func:`trials.data.load_images`.
        indices: int64 [n], the images to use.
        batch_size: images per step, summed over all ranks; every rank gets a slice of the same global batch.
        seed: of order and augmentation. Batches that are used side by side need different seeds.
        rank: this rank, 0 to ``world_size`` - 1.
        world_size: number of ranks.
        augmentation: None for evaluation.
        drop_last: drop the last batch of an epoch if it is incomplete.
        shuffle: use a new order every epoch; False: the order of ``indices``.
        dtype: of the images in the batches.

    Raises:
        ValueError: the batches do not divide evenly over the ranks, or there is no batch in an epoch.
    """

    def __init__(
        self,
        images: ImageReader,
        indices: Tensor,
        batch_size: int,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
        augmentation: Augmentation | None = None,
        *,
        drop_last: bool,
        shuffle: bool,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.images, self.indices, self.batch_size, self.seed = images, indices.cpu(), batch_size, seed
        self.rank, self.world_size, self.augmentation = rank, world_size, augmentation
        self.drop_last, self.shuffle = drop_last, shuffle
        self._normalize = Normalization(images.mean, images.std, dtype)
        self._check()

    def __len__(self) -> int:
        """Return the steps per epoch, the same on every rank."""
        full, rest = divmod(len(self.indices), self.batch_size)
        return full if self.drop_last or not rest else full + 1

    def epoch(self, epoch: int = 0, start: int = 0) -> Iterator[Batch]:
        """Yield this rank's batches of epoch ``epoch``, from step ``start`` on.

        Images are normalized, of ``dtype`` and channels-last. B is this rank's part of the global batch; without
        ``drop_last``, the parts of the last batch may differ by one image, or be empty.

        Raises:
            ValueError: ``start`` is not a step of the epoch, or ``epoch`` is negative.
        """
        return map(self.finish, self.raw(epoch, start))

    def raw(self, epoch: int = 0, start: int = 0) -> Iterator[RawBatch]:
        """Yield this rank's batches like :meth:`epoch`, before augmentation and normalization."""
        if not 0 <= start <= len(self):
            raise ValueError(f"`start` must be 0 to the {len(self)} steps of an epoch, but got {start}")
        order = self._order(epoch)
        steps = [self._slice(step) for step in range(start, len(self))]
        return self._batches(order, self._draws(epoch), steps)

    def finish(self, raw: RawBatch) -> Batch:
        """Augment and normalize the images of a batch."""
        pixels, labels, draws = raw
        if draws is None or self.augmentation is None:
            return self._normalize(pixels), labels
        return augment(pixels, draws, self.augmentation, self._normalize), labels

    @property
    def local_batch_size(self) -> int:
        """This rank's images of a full batch."""
        return self.batch_size // self.world_size

    def _batches(self, order: Tensor, draws: Tensor | None, steps: list[slice]) -> Iterator[RawBatch]:
        for step, (pixels, labels) in zip(steps, beating(self.images.stream(order, steps)), strict=True):
            yield pixels, labels, None if draws is None else draws[step]

    def _order(self, epoch: int) -> Tensor:
        """Return the indices of all images in the order of the epoch: int64 [n]."""
        if not self.shuffle:
            return self.indices
        permutation = generator(self.seed, RandomStream.ORDER, epoch).permutation(len(self.indices))
        return self.indices[torch.from_numpy(permutation)]

    def _draws(self, epoch: int) -> Tensor | None:
        """Return the random numbers of the augmentation for every position in the epoch: int64 [n, 5]."""
        if self.augmentation is None:
            return None
        random = generator(self.seed, RandomStream.AUGMENTATION, epoch)
        draws = self.augmentation.draw(len(self.indices), self.images.shape, random)
        return draws.to(self.images.labels.device)

    def _slice(self, step: int) -> slice:
        """Return this rank's positions of a step in the order of the epoch."""
        first = step * self.batch_size
        size = min(self.batch_size, len(self.indices) - first)
        return slice(
            first + size * self.rank // self.world_size, first + size * (self.rank + 1) // self.world_size
        )

    def _check(self) -> None:
        if not 0 <= self.rank < self.world_size:
            raise ValueError(f"`rank` must be 0 to {self.world_size - 1}, but got {self.rank}")
        if self.batch_size < 1 or self.batch_size % self.world_size:
            raise ValueError(
                f"`batch_size` must be a multiple of the {self.world_size} ranks, but got {self.batch_size}"
            )
        count, rest = len(self.indices), len(self.indices) % self.batch_size
        if not len(self):
            raise ValueError(f"`batch_size` must be at most the {count} images, but got {self.batch_size}")
        if self.shuffle and not self.drop_last and rest % self.world_size:
            raise ValueError(
                f"training needs equal shares on the {self.world_size} ranks, but the last batch has {rest} "
                f"images (`drop_last` leaves it out)"
            )


def split_halves(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Split 0 to ``n`` - 1 into two random halves, each sorted: images for the weights and for the alphas.

    If ``n`` is odd, the first half has one image more.

    Raises:
        ValueError: ``n`` is less than 2.
    """
    if n < 2:
        raise ValueError(f"two halves need at least 2 images, but got {n}")
    permutation = generator(seed, RandomStream.HALVES).permutation(n)
    first, second = np.split(permutation, [n - n // 2])
    return torch.from_numpy(np.sort(first)), torch.from_numpy(np.sort(second))
