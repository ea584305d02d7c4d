"""Seeded batches for any number of ranks, which can be taken up again at any step.

Which images step b of epoch e holds, and what augmentation does to them, is a function of the seed, e and b
alone.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from trials.data.augmentation import Augmentation, Normalization, augment
from trials.data.image_set import ImageReader
from trials.data.seeds import Purpose, generator

Batch = tuple[Tensor, Tensor]
"""Images [B, C, H, W] and labels [B]."""


class Batches:
    """One rank's share of the batches of some images.

    Args:
        images: what is read; ``images.train`` or ``images.test`` of :func:`trials.data.load_images`.
        indices: int64 [n], the images that take part.
        batch_size: images a step over all ranks; every rank gets its slice of the same global batch.
        seed: of order and augmentation; give two sets that are used side by side different ones.
        rank: this process, 0 to ``world_size`` - 1.
        world_size: number of ranks.
        augmentation: None for evaluation.
        drop_last: leave out the last batch of an epoch where it is not full.
        shuffle: a new order each epoch; False: the order of ``indices``.
        dtype: of the images that come out.

    Raises:
        ValueError: a batch that does not divide evenly over the ranks, or an epoch without any batch.
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
        """Steps an epoch, the same on every rank."""
        full, rest = divmod(len(self.indices), self.batch_size)
        return full if self.drop_last or not rest else full + 1

    def epoch(self, epoch: int = 0, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (images [B, C, H, W], labels int64 [B]) of epoch ``epoch``, from step ``start`` on.

        Images are normalized, of ``dtype``, channels-last. B is this rank's share of the batch; in evaluation
        the shares of the last batch may differ by one image, or be empty.
        """
        if not 0 <= start <= len(self):
            raise ValueError(f"`start` must be 0 to the {len(self)} steps of an epoch, but got {start}")
        order = self._order(epoch)
        steps = [self._share(step) for step in range(start, len(self))]
        return self._batches(order, self._draws(epoch), steps)

    def _batches(
        self, order: Tensor, draws: Tensor | None, steps: list[slice]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        for step, (pixels, labels) in zip(steps, self.images.stream(order, steps), strict=True):
            if draws is None or self.augmentation is None:
                yield self._normalize(pixels), labels
            else:
                yield augment(pixels, draws[step], self.augmentation, self._normalize), labels

    def _order(self, epoch: int) -> Tensor:
        if not self.shuffle:
            return self.indices
        permutation = generator(self.seed, Purpose.ORDER, epoch).permutation(len(self.indices))
        return self.indices[torch.from_numpy(permutation)]

    def _draws(self, epoch: int) -> Tensor | None:
        """Return the augmentation's random numbers for every place in the epoch: int64 [n, 5]."""
        if self.augmentation is None:
            return None
        numbers = generator(self.seed, Purpose.AUGMENTATION, epoch)
        draws = self.augmentation.draw(len(self.indices), self.images.shape, numbers)
        return draws.to(self.images.labels.device)

    def _share(self, step: int) -> slice:
        """Return this rank's places of a step in the epoch's order."""
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
    """Return two random halves of 0 to ``n`` - 1, each sorted: one for the weights, one for the alphas.

    Where ``n`` is odd, the first half has one image more. Raises ValueError for fewer than 2 images.
    """
    if n < 2:
        raise ValueError(f"two halves need at least 2 images, but got {n}")
    permutation = generator(seed, Purpose.HALVES).permutation(n)
    first, second = np.split(permutation, [n - n // 2])
    return torch.from_numpy(np.sort(first)), torch.from_numpy(np.sort(second))
