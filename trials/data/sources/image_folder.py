"""Image files in one folder per class: ``root/train/CLASS/*.png`` and ``root/test/CLASS/*.jpg``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trials.data.sources.arrays import Labels, Pixels, Shape
from trials.data.sources.decoding import check_shape, decode
from trials.data.sources.errors import DataError
from trials.data.sources.locations import require_path

SUFFIXES = (".png", ".jpg", ".jpeg")
SPLITS = ("train", "test")


@dataclass(frozen=True)
class FileList:
    """The files of an image folder, sorted by class and name, and their labels.

    Attributes:
        shape: [C, H, W] of every image.
        image_size: side to which images are resized, in pixels; None: original size.
    """

    train_files: tuple[str, ...]
    train_labels: Labels
    test_files: tuple[str, ...]
    test_labels: Labels
    class_names: tuple[str, ...]
    shape: Shape
    image_size: int | None

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)


@dataclass(frozen=True)
class ImageFolder:
    """The folder ``path``. Its classes are the subfolders of ``train``, sorted by name."""

    path: str | None
    image_size: int | None = None

    def locate(self) -> None:
        """Check that ``train`` and ``test`` hold a class with an image each.

        Raises:
            DataError: what is missing.
        """
        root = self._root()
        for split in SPLITS:
            _first_image(root, split)

    def image_shape(self) -> Shape:
        """Return [C, H, W] of the first training image, at ``image_size``."""
        file = _first_image(self._root(), "train")
        channels, height, width = decode_file(file, self.image_size, None).shape
        return channels, height, width

    def list_files(self) -> FileList:
        """Return all files and labels.

        Raises:
            DataError: a class without training images.
        """
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
        return require_path(
            self.path, "image_folder", "a folder with train/CLASS and test/CLASS", folder=True
        )


def decode_file(file: str, size: int | None, shape: Shape | None) -> Pixels:
    """Decode one file to uint8 [C, H, W].

    Raises:
        DataError: it cannot be read, is not an image, or does not have ``shape`` [C, H, W].
    """
    try:
        content = Path(file).read_bytes()
    except OSError as error:
        raise DataError(f"{file} was listed, but cannot be read: {error.strerror}") from error
    pixels = decode(content, size, shape[0] if shape else None, file)
    if shape:
        check_shape(pixels, shape, file)
    return pixels


def decode_files(files: list[str], size: int | None, shape: Shape) -> Pixels:
    """Decode files to uint8 [B, C, H, W]. Runs in a reader process."""
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
