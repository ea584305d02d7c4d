"""Images are decoded to what people see, and headers tell what is used in another way."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from trials.data.sources.decoding import decode, read_header
from trials.data.sources.errors import DataError

GRADIENT = Image.fromarray(np.tile(np.linspace(0, 255, 24, dtype=np.uint8)[:, None], (1, 16))).convert("RGB")
"""24 x 16 pixels, dark above."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How the stored pixels are turned against the seen ones, by orientation."""


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def with_orientation(image: Image.Image, orientation: int, form: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return saved(image, form, exif=exif)


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("orientation", TURNS)
def test_an_image_is_turned_as_its_metadata_say(form: str, orientation: int) -> None:
    content = with_orientation(GRADIENT.transpose(TURNS[orientation]), orientation, form)
    seen, expected = decode(content, None, None, "x"), np.asarray(GRADIENT).transpose(2, 0, 1)
    assert seen.shape == (3, 24, 16)
    assert np.abs(seen.astype(int) - expected).mean() < 3  # JPEG and WebP lose a little
    header = read_header(io.BytesIO(content), "x")
    assert (header.channels, header.height, header.width) == (3, 24, 16)
    small = decode(content, 8, None, "x").astype(int)
    assert small[:, 0].mean() < 100 < 150 < small[:, -1].mean()


@pytest.mark.parametrize(
    ("mode", "shown"), [("RGBA", (255, 255, 255)), ("LA", (255,)), ("P", (255, 255, 255))]
)
def test_transparent_pixels_are_white_whatever_lies_under_them(mode: str, shown: tuple[int, ...]) -> None:
    image = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
    content = saved(image.convert(mode), "PNG")
    assert (decode(content, None, None, "x")[:, 0, 0] == shown).all()
    assert any("transparent" in remark for remark in read_header(io.BytesIO(content), "x").remarks)


def test_half_transparent_pixels_are_mixed_with_white_and_turned() -> None:
    image = Image.new("RGBA", (6, 4), (0, 0, 0, 255))
    image.putpixel((0, 0), (0, 0, 0, 128))
    pixels = decode(with_orientation(image, 3, "PNG"), None, None, "x")
    assert pixels[:, 3, 5].tolist() == [127] * 3
    assert pixels[:, 0, 0].tolist() == [0] * 3


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM", "GIF", "WEBP", "JPEG"])
def test_every_format_is_read(form: str) -> None:
    pixels = decode(saved(GRADIENT, form), None, None, "x")
    assert pixels.shape[1:] == (24, 16)
    assert np.abs(pixels.astype(int) - np.asarray(GRADIENT).transpose(2, 0, 1)).mean() < 3


def test_what_a_viewer_shows_in_another_way_is_remarked() -> None:
    def remarks(content: bytes) -> str:
        return ", ".join(read_header(io.BytesIO(content), "x").remarks)

    other = Image.new("RGB", GRADIENT.size, "red")
    assert "several frames" in remarks(saved(GRADIENT, "GIF", save_all=True, append_images=[other]))
    assert "colour profile" in remarks(saved(GRADIENT, "PNG", icc_profile=b"Display P3"))
    assert "colour profile" in remarks(saved(GRADIENT.convert("CMYK"), "JPEG"))
    assert not remarks(saved(GRADIENT, "PNG", icc_profile="sRGB".encode("utf-16-be")))
    assert not remarks(saved(GRADIENT, "JPEG"))


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, b"RIFF\x10\0\0\0WEBPVP8 ", b"P6 9"]
)
def test_what_is_no_image_is_one_line_without_an_address(content: bytes) -> None:
    for look in (
        lambda: decode(content, None, None, "x.png"),
        lambda: read_header(io.BytesIO(content), "x.png"),
    ):
        with pytest.raises(DataError, match=r"but x\.png is not: ") as caught:
            look()
        assert "0x" not in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("orientation", [0, 9])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation: int) -> None:
    content = with_orientation(GRADIENT, orientation, "JPEG")
    header = read_header(io.BytesIO(content), "x")
    assert (header.channels, header.height, header.width) == decode(content, None, None, "x").shape
