"""Image files in one folder per class: ``root/train/CLASS/*.png`` and ``root/test/CLASS/*.jpg``."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from typing_extensions import override

from trials.data.sources.arrays import Labels
from trials.data.sources.decoding import SUFFIXES
from trials.data.sources.errors import DataError
from trials.data.sources.file_list import FileList, FileSource
from trials.data.sources.labels import Classes, normal_name
from trials.data.sources.locations import require_path
from trials.data.sources.splits import Split, split_called, with_test


@dataclass(frozen=True)
class ImageFolder(FileSource):
    """The folder ``path``. Its classes are the subfolders of ``train``, sorted by name; they may have subfolders.

    ``val`` holds images for validation. Where there is no ``test``, it is the test.
    """

    @override
    def list_files(self) -> FileList:
        what = "a folder with train/CLASS and test/CLASS"
        root = require_path(self.path, "image_folder", what, folder=True)
        folders, beside = _split_folders(root)
        parts = {split: _Part.of(folder) for split, folder in folders.items()}
        filled = {split: part for split, part in parts.items() if any(part.images.values())}
        for split in ("train", "test"):
            if split not in filled and not (split == "test" and "validation" in filled):
                kinds = ", ".join(SUFFIXES)
                raise DataError(
                    f"image_folder needs {root}/{split}/CLASS/ with {kinds} files, but there are none"
                )
        used, notes = with_test(filled, str(root))
        names = tuple(sorted(used["train"].images))
        classes = Classes(names, {split: used[split].labels(names, used["train"]) for split in used})
        files = {split: used[split].files(names) for split in used}
        others = (
            [f"{len(beside)} folders in {root} are no split, and are left out: {', '.join(beside[:4])}"]
            if beside
            else []
        )
        return FileList(
            files, classes, (*notes, *others, *(note for part in used.values() for note in part.notes()))
        )


@dataclass(frozen=True)
class _Part:
    """The folder of a split."""

    folder: Path
    images: Mapping[str, list[str]]
    """Paths by class name in one form of Unicode."""
    left_out: Counter[str]
    """Number of files that are no images, or of no class, by suffix."""

    @staticmethod
    def of(folder: Path) -> _Part:
        images: dict[str, list[str]] = {}
        left_out: Counter[str] = Counter()
        for entry in _visible(folder):
            if not entry.is_dir():
                left_out[
                    _kind(entry.name) + " outside of a class" if _is_image(entry.name) else _kind(entry.name)
                ] += 1
                continue
            found = images.setdefault(normal_name(entry.name), [])
            for path in _files_below(entry.path):
                if _is_image(path):
                    found.append(path)
                else:
                    left_out[_kind(path)] += 1
        return _Part(folder, images, left_out)

    def labels(self, names: tuple[str, ...], train: _Part) -> Labels:
        """Return the labels of all images, in the order of ``files``."""
        unknown = [name for name, images in self.images.items() if images and name not in names]
        if unknown:
            raise DataError(
                f"every class in {self.folder} must be one in {train.folder}, but {unknown[0]!r} is not"
            )
        empty = [name for name in names if not train.images[name]]
        if empty:
            raise DataError(f"every class must have a training image, but {train.folder / empty[0]} has none")
        counts = [len(self.images.get(name, ())) for name in names]
        return np.repeat(np.arange(len(names), dtype=np.int64), counts)

    def files(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(path for name in names for path in self.images.get(name, ()))

    def notes(self) -> list[str]:
        count = self.left_out.total()
        if not count:
            return []
        total = count + sum(map(len, self.images.values()))
        kinds = ", ".join(f"{number:,} {kind}" for kind, number in self.left_out.most_common(4))
        return [f"{count:,} of {total:,} files in {self.folder} are left out: {kinds}"]


def _split_folders(root: Path) -> tuple[dict[Split, Path], list[str]]:
    """Return the folder of each split, and the names of the other folders.

    Raises:
        DataError: two folders are the same split.
    """
    found: dict[Split, Path] = {}
    others: list[str] = []
    for entry in _visible(root):
        if not entry.is_dir():
            continue
        split = split_called(entry.name)
        if split is None:
            others.append(entry.name)
            continue
        if split in found:
            raise DataError(f"a split must have one folder, but got {found[split]} and {entry.path}")
        found[split] = Path(entry.path)
    return found, others


def _visible(folder: Path | str) -> list[os.DirEntry[str]]:
    """Return the entries of a folder by name, without hidden ones."""
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if entry.name[0] != "."), key=lambda entry: entry.name)


def _files_below(folder: str, inside: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the files of a folder, then those of its subfolders.

    A link to a folder that this one is ``inside`` of is not followed.
    """
    real = os.path.realpath(folder)
    if real in inside:
        return
    entries = _visible(folder)
    yield from (entry.path for entry in entries if not entry.is_dir())
    for entry in entries:
        if entry.is_dir():
            yield from _files_below(entry.path, (*inside, real))


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES)


def _kind(name: str) -> str:
    return os.path.splitext(name)[1].lower() or "files without a suffix"
