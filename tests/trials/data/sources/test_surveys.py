"""A survey finds what would fail every trial, and says what is left out or changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.trials.data import image_makers as make
from trials.config import DataConfig
from trials.data.sources import survey, survey_cache
from trials.data.sources.errors import DataError

CLASSES = {"train/ant": 3, "train/bee": 2, "test/ant": 1, "test/bee": 1}


def folder(root: Path, classes: dict[str, int] | None = None) -> DataConfig:
    make.image_folder(root, classes or CLASSES, (8, 8))
    return DataConfig(name="image_folder", path=str(root), loader_workers=0)


def fault(config: DataConfig) -> str:
    with pytest.raises(DataError) as caught:
        survey(config)
    return str(caught.value)


def test_the_whole_data_set_decides_on_the_channels(tmp_path: Path) -> None:
    config = folder(tmp_path)
    assert survey(config).shape == (1, 8, 8)
    (tmp_path / "test" / "bee" / "last.jpg").write_bytes(make.encoded(make.random_pixels(3, 8, 8), "JPEG"))
    found = survey(config)
    assert found.shape == (3, 8, 8)
    assert found.notes == ("7 of 8 images are grey, and become colour like the others",)


def test_every_image_counts_whatever_its_format_and_subfolder(tmp_path: Path) -> None:
    config = folder(tmp_path)
    below = tmp_path / "train" / "ant" / "2024" / "may"
    below.mkdir(parents=True)
    for name, form in (("a.webp", "WEBP"), ("b.BMP", "BMP"), ("c.jfif", "JPEG"), ("d.tif", "TIFF")):
        (below / name).write_bytes(make.encoded(make.random_pixels(8, 8), form))
    assert survey(config).counts == {"train": 9, "validation": 0, "test": 2}


def test_files_that_are_left_out_are_counted(tmp_path: Path) -> None:
    config = folder(tmp_path)
    train = tmp_path / "train"
    (train / "ant" / "notes.txt").write_text("x")
    (train / "bee" / "a.heic").write_text("x")
    (train / ".DS_Store").write_text("x")
    (train / "b.png").write_text("x")
    found = survey(config)
    assert found.counts["train"] == 5
    left_out = "1 .txt, 1 .png outside of a class, 1 .heic"
    assert found.notes == (f"3 of 8 files in {train} are left out: {left_out}",)


def test_images_for_validation_are_the_test_where_there_is_none(tmp_path: Path) -> None:
    config = folder(tmp_path, {"train/ant": 3, "train/bee": 2, "val/ant": 1, "val/bee": 1})
    found = survey(config)
    assert found.counts == {"train": 5, "validation": 0, "test": 2}
    assert found.notes == ("the data set has no test images: its validation images are the test images",)
    make.image_folder(tmp_path, {"test/bee": 2}, (8, 8))
    found = survey(config)
    assert found.counts == {"train": 5, "validation": 2, "test": 2}
    assert found.notes == ("1 of 2 classes have no test image, such as ant",)


def test_folders_that_are_no_split_and_a_single_class_are_noted(tmp_path: Path) -> None:
    config = folder(tmp_path, {"train/pets/ant": 2, "test/pets/bee": 1, "extra/ant": 1})
    assert survey(config).notes == (
        f"1 folders in {tmp_path} are no split, and are left out: extra",
        "all images are of one class, pets: there is nothing to learn",
    )


def test_a_link_to_a_folder_around_it_is_not_followed(tmp_path: Path) -> None:
    config = folder(tmp_path)
    (tmp_path / "train" / "bee" / "again").symlink_to(tmp_path / "train" / "bee")
    assert survey(config).counts["train"] == 5


def test_equal_names_of_classes_in_two_forms_of_unicode_are_one_class(tmp_path: Path) -> None:
    config = folder(tmp_path, {"train/K\u00e4se": 2, "train/b": 1, "test/Ka\u0308se": 1})
    assert survey(config).class_names == ("K\u00e4se", "b")


def test_an_image_of_another_size_is_named(tmp_path: Path) -> None:
    config = folder(tmp_path)
    first = tmp_path / "train" / "ant" / "000.png"
    first.write_bytes(make.encoded(make.random_pixels(8, 7)))
    assert fault(config) == (
        f"images must all be 1 x 8 x 8 like the others (or set `data.image_size`), but {first} is 1 x 8 x 7"
    )
    square = config.model_copy(update={"image_size": 4})
    assert survey(square).shape == (1, 4, 4)
    assert survey(square).notes == (
        "1 of 7 images are not square, and lose their margins (`data.image_size`)",
    )


def test_images_that_cannot_be_used_are_found_before_they_are_decoded(tmp_path: Path) -> None:
    config = folder(tmp_path)
    whole = make.encoded(make.random_pixels(3, 64, 64), "JPEG")
    for name, content in (("x.png", b"no image"), ("y.jpg", whole[: len(whole) // 2])):
        (tmp_path / "test" / "ant" / name).write_bytes(content)
    found = fault(config)
    assert f"{tmp_path}/test/ant/x.png is not: no image of a known format" in found
    assert found.endswith("(and 1 more)")


def test_the_fingerprint_follows_pixels_and_labels_but_not_names(tmp_path: Path) -> None:
    config = folder(tmp_path / "a")
    first = survey(config).fingerprint
    assert survey(folder(tmp_path / "b")).fingerprint == first
    image = tmp_path / "a" / "train" / "ant" / "002.png"
    content, times = image.read_bytes(), image.stat()
    image.rename(image.with_name("003.png"))
    assert survey(config).fingerprint == first
    image.with_name("003.png").rename(tmp_path / "a" / "train" / "bee" / "000a.png")
    assert survey(config).fingerprint != first
    (tmp_path / "a" / "train" / "bee" / "000a.png").unlink()
    image.write_bytes(make.encoded(make.random_pixels(8, 8, seed=99)))
    assert survey(config).fingerprint != first
    image.write_bytes(content)
    os.utime(image, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert survey(config).fingerprint == first


def test_a_survey_of_many_images_is_kept_in_the_cache_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHRINKSWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(survey_cache, "KEPT_FROM", 5)
    config = folder(tmp_path / "images")
    first = survey(config)
    survey_cache._known.clear()
    monkeypatch.setattr("trials.data.sources.file_list.examine", None)  # nothing is looked at again
    assert survey(config) == first
    [kept] = (tmp_path / "cache" / "surveys").iterdir()
    kept.write_text("{}")
    survey_cache._known.clear()
    with pytest.raises(TypeError):  # a damaged file is no survey
        survey(config)
