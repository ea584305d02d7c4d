"""One compressed image to an array: PNG and JPEG only, within pillow's limit on the number of pixels."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from trials.data.sources.arrays import Pixels, Shape
from trials.data.sources.errors import DataError

FORMATS = ("PNG", "JPEG")
GREY = {"1", "L", "LA"}
COLOUR = {"P", "RGB", "RGBA", "CMYK", "YCbCr"}


def decode(content: bytes, size: int | None, channels: int | None, where: str) -> Pixels:
    """Return an image as uint8 [C, H, W].

    ``size``: pixels a side after shrinking or enlarging the largest square in the middle; None: as it is.
    ``channels``: 1 or 3, which the image has to have (grey becomes colour, colour never grey); None: its own.
    ``where`` names the image in errors. Raises DataError for what is no such image, or larger than pillow
    allows.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            mode = _mode(image.mode, channels, where)
            if size is not None:
                image.draft(mode, (size, size))  # a JPEG may be decoded at a half, a quarter, ... already
            flat = image.convert("RGBA") if image.mode == "P" else image
            flat = flat.convert(mode)
    except DataError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as fault:
        reason = " ".join(str(fault).split())
        raise DataError(f"images must be whole PNG or JPEG files, but {where} is not: {reason}") from fault
    if size is not None:
        flat = ImageOps.fit(flat, (size, size), Image.Resampling.BILINEAR)
    array = np.asarray(flat)
    return array[None] if mode == "L" else array.transpose(2, 0, 1)


def check_shape(pixels: Pixels, shape: Shape, where: str) -> None:
    """Raise DataError unless an image [C, H, W] has the size of the first one."""
    if pixels.shape != shape:
        found, expected = (" x ".join(map(str, s)) for s in (pixels.shape, shape))
        raise DataError(
            f"images must all be {expected} like the first (or set `data.image_size`), but {where} is {found}"
        )


def content_of(value: Any, where: str) -> bytes:
    """Return the bytes of an image cell: bytes, or a struct with ``bytes``; DataError where it is empty."""
    content = value.get("bytes") if isinstance(value, Mapping) else value
    if not isinstance(content, bytes):
        raise DataError(f"every image must be bytes, but {where} is {type(content).__name__}")
    return content


def _mode(mode: str, channels: int | None, where: str) -> str:
    if mode not in GREY | COLOUR:
        raise DataError(f"images must be 8-bit grey or colour, but {where} has pillow's mode {mode}")
    if mode in COLOUR and channels == 1:
        raise DataError(f"images must all be grey like the first, but {where} is colour")
    return "L" if mode in GREY and channels != 3 else "RGB"
