"""Images as files, one folder a class: ``root/train/CLASS/*.png`` and ``root/test/CLASS/*.jpg``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trials.data.sources.arrays import Labels, Pixels, Shape
from trials.data.sources.decoding import check_shape, decode
from trials.data.sources.errors import DataError
from trials.data.sources.places import existing

SUFFIXES = (".png", ".jpg", ".jpeg")
SPLITS = ("train", "test")


@dataclass(frozen=True)
class FileList:
    """The files of an image folder, sorted by class and name, and how they are decoded."""

    train_files: tuple[str, ...]
    train_labels: Labels
    test_files: tuple[str, ...]
    test_labels: Labels
    class_names: tuple[str, ...]
    shape: Shape
    image_size: int | None

    @property
    def classes(self) -> int:
        """K."""
        return len(self.class_names)


@dataclass(frozen=True)
class ImageFolder:
    """The folder ``path``; its classes are the sub-folders of ``train`` in the order of their names."""

    path: str | None
    image_size: int | None = None

    def locate(self) -> None:
        """Check that there are train and test folders with a class and an image each."""
        root = self._root()
        for split in SPLITS:
            _first_image(root, split)

    def image_shape(self) -> Shape:
        """Return [C, H, W]: ``image_size``, or the size of the first training image."""
        file = _first_image(self._root(), "train")
        channels, height, width = decode_file(file, self.image_size, None).shape
        return channels, height, width

    def list_files(self) -> FileList:
        """Return the files and labels; DataError where a test class has no training images."""
        root = self._root()
        self.locate()
        names = _class_names(root / "train")
        unknown = [name for name in _class_names(root / "test") if name not in names]
        if unknown:
            raise DataError(
                f"every class in {root / 'test'} must be one in {root / 'train'}, but {unknown[0]!r} is not"
            )
        train_files, train_labels = _files(root / "train", names)
        test_files, test_labels = _files(root / "test", names)
        return FileList(
            train_files, train_labels, test_files, test_labels, names, self.image_shape(), self.image_size
        )

    def _root(self) -> Path:
        return existing(self.path, "image_folder", "a folder with train/CLASS and test/CLASS", folder=True)


def decode_file(file: str, size: int | None, shape: Shape | None) -> Pixels:
    """Return one file as uint8 [C, H, W]; DataError where it is no image, or not of ``shape``."""
    try:
        content = Path(file).read_bytes()
    except OSError as fault:
        raise DataError(f"{file} was listed, but cannot be read: {fault.strerror}") from fault
    pixels = decode(content, size, shape[0] if shape else None, file)
    if shape:
        check_shape(pixels, shape, file)
    return pixels


def decode_files(files: list[str], size: int | None, shape: Shape) -> Pixels:
    """Return files as uint8 [B, C, H, W]; what a reader process runs."""
    pixels = np.empty((len(files), *shape), dtype=np.uint8)
    for i, file in enumerate(files):
        pixels[i] = decode_file(file, size, shape)
    return pixels


def _first_image(root: Path, split: str) -> str:
    folder = root / split
    if folder.is_dir():
        for name in _class_names(folder):
            images = _images(folder / name)
            if images:
                return images[0]
    raise DataError(
        f"image_folder needs {folder}/CLASS/ with {', '.join(SUFFIXES)} files, but there are none"
    )


def _files(folder: Path, names: tuple[str, ...]) -> tuple[tuple[str, ...], Labels]:
    files: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        images = _images(folder / name) if (folder / name).is_dir() else []
        if not images and folder.name == "train":
            raise DataError(f"every class must have a training image, but {folder / name} has none")
        files += images
        labels += [label] * len(images)
    return tuple(files), np.array(labels, dtype=np.int64)


def _class_names(folder: Path) -> tuple[str, ...]:
    with os.scandir(folder) as entries:
        return tuple(sorted(entry.name for entry in entries if entry.is_dir() and entry.name[0] != "."))


def _images(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if entry.name.lower().endswith(SUFFIXES)]
    return [os.path.join(folder, name) for name in sorted(names) if name[0] != "."]
