"""Decoding of a single PNG or JPEG image, up to pillow's limit on the number of pixels."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np

from trials.data.sources.arrays import Pixels, Shape
from trials.data.sources.errors import DataError

FORMATS = ("PNG", "JPEG")
GREY = {"1", "L", "LA"}
COLOUR = {"P", "RGB", "RGBA", "CMYK", "YCbCr"}


def decode(content: bytes, size: int | None, channels: int | None, where: str) -> Pixels:
    """Decode an image to uint8 [C, H, W].

    Args:
        content: a PNG or JPEG file.
        size: side in pixels, to which the largest central square is resized; None: original size.
        channels: required channels, 1 or 3. Grey images are converted to colour, but not the reverse. None: any.
        where: the image's name in error messages.

    Raises:
        DataError: not such an image, or one with more pixels than pillow allows.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            mode = _mode(image.mode, channels, where)
            if size is not None:
                image.draft(mode, (size, size))  # lets a JPEG be decoded at 1/2, 1/4 or 1/8 of its size
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
    """Check that an image [C, H, W] has the shape of the first image.

    Raises:
        DataError: it has another shape; ``where`` is the image's name in the message.
    """
    if pixels.shape != shape:
        found, expected = (" x ".join(map(str, s)) for s in (pixels.shape, shape))
        raise DataError(
            f"images must all be {expected} like the first (or set `data.image_size`), but {where} is {found}"
        )


def content_of(value: object, where: str) -> bytes:
    """Return the file content in a cell of an image column: bytes, or a struct with a field ``bytes``.

    Raises:
        DataError: the cell holds no bytes.
    """
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
