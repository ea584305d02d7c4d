"""A batch in tensors that stay where they are, as a recorded step needs.

B images of a batch, C channels, H x W pixels.
"""

from __future__ import annotations

import torch

from trials.data.batches import Batch, Batches, RawBatch


class StaticBatch:
    """The batch of the current step of ``batches``, each of which has the same size.

    Args:
        batches: where the batches come from, with ``drop_last``.
    """

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        device, images = batches.images.labels.device, batches.local_batch_size
        self._pixels = torch.empty(images, *batches.images.shape, dtype=torch.uint8, device=device)
        self._labels = torch.empty(images, dtype=torch.int64, device=device)
        self._draws = None if batches.augmentation is None else batches.augmentation.no_draws(images, device)

    def fill(self, raw: RawBatch) -> None:
        """Copy the pixels, labels and random numbers of a step into place."""
        pixels, labels, draws = raw
        self._pixels.copy_(pixels)
        self._labels.copy_(labels)
        if self._draws is not None and draws is not None:
            self._draws.copy_(draws)

    def batch(self) -> Batch:
        """Return the augmented, normalized images and their labels."""
        return self._batches.finish((self._pixels, self._labels, self._draws))
