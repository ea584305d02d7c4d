"""Decoding of a single image file, to the pixels that people see, up to pillow's limit on the number of pixels."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from trials.data.sources.arrays import Pixels, Shape
from trials.data.sources.errors import DataError

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
"""Formats by pillow's names."""
SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm",
)  # fmt: skip
GREY = {"1", "L", "LA"}
COLOUR = {"P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"}
ORIENTATION = 0x0112
"""Exif tag: how to turn the stored pixels."""
LYING = range(5, 9)
"""Orientations in which width and height are exchanged."""
SRGB_GAMMA = 0.45455


class Header(NamedTuple):
    """What the header of an image file tells."""

    channels: int
    """3 if the image has colour, else 1."""
    height: int
    width: int
    remarks: tuple[str, ...]
    """What its pixels do not show, such as ``has several frames, of which the first is used``."""


def decode(content: bytes, size: int | None, channels: int | None, where: str) -> Pixels:
    """Decode an image to uint8 [C, H, W] as it is shown: turned as its metadata says, transparent parts on white.

    Args:
        content: the image file.
        size: side in pixels, to which the largest central square is resized; None: original size.
        channels: 1 or 3, to which the image is converted; None: 3 if it has colour.
        where: the image's name in error messages.

    Raises:
        DataError: not such an image, or one with more pixels than pillow allows.
    """
    from PIL import Image, ImageOps, TiffImagePlugin, WebPImagePlugin  # noqa: F401 (the last two register formats)

    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            mode = "L" if (channels or _channels(image.mode, where)) == 1 else "RGB"
            if size is not None:
                image.draft(mode, (size, size))  # lets a JPEG be decoded at 1/2, 1/4 or 1/8 of its size
            image.load()
            flat = ImageOps.exif_transpose(_opaque(image)).convert(mode)
    except DataError:
        raise
    except Exception as fault:  # pillow raises whatever its parsers met
        raise _not_an_image(fault, where) from fault
    if size is not None:
        flat = ImageOps.fit(flat, (size, size), Image.Resampling.BILINEAR)
    array = np.asarray(flat)
    return array[None] if mode == "L" else array.transpose(2, 0, 1)


def read_header(file: BinaryIO, where: str) -> Header:
    """Read what the header of an image file tells, without decoding its pixels.

    Raises:
        DataError: not such an image, or one that cannot be used.
    """
    from PIL import Image, TiffImagePlugin, WebPImagePlugin  # noqa: F401 (the last two register formats)

    try:
        with Image.open(file, formats=FORMATS) as image:
            channels = _channels(image.mode, where)
            width, height = image.size
            if (
                _orientation(image) in LYING and image.format != "TIFF"
            ):  # pillow's TIFF reader turns them itself
                width, height = height, width
            return Header(channels, height, width, tuple(_remarks(image)))
    except DataError:
        raise
    except Exception as fault:  # pillow raises whatever its parsers met
        raise _not_an_image(fault, where) from fault


def check_shape(pixels: Pixels, shape: Shape, where: str) -> None:
    """Check that an image [C, H, W] has the shape of the others.

    Raises:
        DataError: it has another shape; ``where`` is the image's name in the message.
    """
    if pixels.shape != shape:
        raise other_size(shape, pixels.shape, where)


def other_size(expected: tuple[int, ...], found: tuple[int, ...], where: str) -> DataError:
    """Return the error for an image that does not have the shape of the others."""
    sizes = [" x ".join(map(str, shape)) for shape in (expected, found)]
    return DataError(
        f"images must all be {sizes[0]} like the others (or set `data.image_size`), but {where} is {sizes[1]}"
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


def _channels(mode: str, where: str) -> int:
    if mode not in GREY | COLOUR:
        raise DataError(f"images must be 8-bit grey or colour, but {where} has pillow's mode {mode}")
    return 1 if mode in GREY else 3


def _opaque(image: Image.Image) -> Image.Image:
    """Return the image without transparency, as a viewer shows it on white."""
    from PIL import Image

    if not image.has_transparency_data:
        return image
    shown = image.convert("RGBA")
    background = Image.new("RGBA", shown.size, "white")
    background.alpha_composite(shown)
    opaque = background.convert("RGB")
    opaque.info = {name: image.info[name] for name in ("exif",) if name in image.info}  # the orientation
    return opaque


def _orientation(image: Image.Image) -> int:
    """Return how the pixels have to be turned, 1 to 8. Not read from a PNG that holds it behind its pixels."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    value = image.getexif().get(ORIENTATION, 1)
    return value if value in range(1, 9) else 1


def _remarks(image: Image.Image) -> list[str]:
    remarks = []
    if image.format != "MPO" and getattr(image, "is_animated", False):
        remarks.append("have several frames, of which the first is used")
    if image.has_transparency_data:
        remarks.append("have transparent parts or an alpha channel, and are put on white")
    profile, gamma = image.info.get("icc_profile") or b"", image.info.get("gamma") or SRGB_GAMMA
    other_profile = profile and b"srgb" not in profile.replace(b"\0", b"").lower()
    if image.mode == "CMYK" or other_profile or abs(gamma - SRGB_GAMMA) > 0.02:
        remarks.append("have colours other than sRGB, and are used without their colour profile")
    return remarks


def _not_an_image(fault: Exception, where: str) -> DataError:
    reason = " ".join(str(fault).split())
    if "cannot identify image file" in reason:  # pillow names the object that it reads from
        reason = "no image of a known format, or only its beginning"
    return DataError(
        f"images must be whole PNG, JPEG, WebP, BMP, GIF, TIFF or PPM files, but {where} is not: {reason}"
    )
