"""Tables as people have them: Parquet files in the style of Hugging Face, and CSV lists of paths."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tests.trials.data import image_makers as make
from trials.config import DataConfig
from trials.data import load_images
from trials.data.sources import decoding, parquet, survey
from trials.data.sources.errors import DataError

CPU = torch.device("cpu")
PIXELS = [make.random_pixels(3, 6, 6, seed=i) for i in range(8)]
COLUMNS = {"image": "img", "label": "labels"}


def shard(path: Path, first: int, last: int, names: list[str] | None = None) -> None:
    """Write images ``first`` to ``last`` - 1 as a shard of Hugging Face, with classes 0 and 1 in turn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = range(first, last)
    table = pa.table(
        {
            "img": [{"bytes": make.encoded(PIXELS[i]), "path": f"{i}.png"} for i in rows],
            "labels": pa.array([i % 2 for i in rows], pa.int64()),
        }
    )
    if names:
        features = {"info": {"features": {"labels": {"names": names, "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(features)})
    pq.write_table(table, path)


def hugging_face(root: Path, names: list[str] | None = None, test: str = "test") -> DataConfig:
    shard(root / "train-00000-of-00002.parquet", 0, 3, names)
    shard(root / "train-00001-of-00002.parquet", 3, 6, names)
    shard(root / f"{test}-00000-of-00001.parquet", 6, 8, names)
    fields = {"name": "parquet", "path": str(root), "columns": COLUMNS, "validation_share": 0.0}
    return DataConfig.model_validate(fields)


def test_shards_in_the_style_of_hugging_face_are_one_data_set(tmp_path: Path) -> None:
    config = hugging_face(tmp_path / "data", ["cat", "dog"])
    images = load_images(config, 0, CPU)
    assert (images.class_names, images.classes, images.shape) == (("cat", "dog"), 2, (3, 6, 6))
    assert images.train.labels.tolist() == [0, 1, 0, 1, 0, 1]
    pixels, _ = next(images.train.stream(torch.arange(6), [slice(0, 6)]))
    np.testing.assert_array_equal(pixels.numpy(), np.stack(PIXELS[:6]))
    pattern = config.model_copy(update={"path": str(tmp_path / "data" / "t*.parquet")})
    assert survey(pattern).counts == {"train": 6, "validation": 0, "test": 2}


def test_folders_can_name_the_splits_too(tmp_path: Path) -> None:
    shard(tmp_path / "default" / "train" / "0000.parquet", 0, 6)
    shard(tmp_path / "default" / "test" / "0000.parquet", 6, 8)
    config = DataConfig.model_validate({"name": "parquet", "path": str(tmp_path), "columns": COLUMNS})
    assert survey(config).counts == {"train": 6, "validation": 0, "test": 2}


def test_validation_images_serve_as_test_images_where_there_are_none(tmp_path: Path) -> None:
    found = survey(hugging_face(tmp_path, test="validation"))
    assert found.counts == {"train": 6, "validation": 0, "test": 2}
    assert found.notes == ("the data set has no test images: its validation images are the test images",)


def test_only_the_images_that_are_used_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = hugging_face(tmp_path).model_copy(update={"train_images": 2, "test_images": 1})
    decoded: list[str] = []

    def counted(content: bytes, size: int | None, channels: int | None, where: str) -> make.Array:
        decoded.append(where)
        return decoding.decode(content, size, channels, where)

    monkeypatch.setattr(parquet, "decode", counted)
    images = load_images(config, 0, CPU)
    assert (len(images.train), len(images.test), len(decoded)) == (2, 1, 3)
    load_images(config, 0, CPU)
    assert len(decoded) == 3  # kept for the next trial
    full = load_images(config.model_copy(update={"train_images": None}), 0, CPU)
    kept, _ = next(images.train.stream(torch.arange(2), [slice(0, 2)]))
    everything, _ = next(full.train.stream(torch.arange(6), [slice(0, 6)]))
    assert all(any(torch.equal(image, other) for other in everything) for image in kept)


def test_rows_of_other_splits_are_not_looked_at(tmp_path: Path) -> None:
    good = [make.encoded(pixels) for pixels in PIXELS[:3]]
    path = make.parquet(
        tmp_path / "x.parquet",
        {
            "image": [*good, b"no image", None],
            "label": [0, 1, 0, None, -1],
            "split": ["train", "train", "test", "unsupervised", None],
        },
    )
    assert survey(DataConfig(name="parquet", path=str(path))).counts["train"] == 2


def test_the_fingerprint_is_that_of_images_and_labels_not_of_files(tmp_path: Path) -> None:
    shards = survey(hugging_face(tmp_path / "a"))
    shard(tmp_path / "b" / "train.parquet", 0, 6)
    shard(tmp_path / "b" / "test.parquet", 6, 8)
    one = DataConfig.model_validate({"name": "parquet", "path": str(tmp_path / "b"), "columns": COLUMNS})
    assert survey(one).fingerprint == shards.fingerprint
    shard(tmp_path / "b" / "test.parquet", 5, 7)
    assert survey(one).fingerprint != shards.fingerprint


def csv_list(tmp_path: Path, table: str, name: str = "labels.csv", **columns: str) -> DataConfig:
    (tmp_path / "images").mkdir(exist_ok=True)
    for i, pixels in enumerate(PIXELS):
        (tmp_path / "images" / f"{i}.png").write_bytes(make.encoded(pixels))
    (tmp_path / name).write_text(table)
    fields = {"name": "csv", "path": str(tmp_path / name), "columns": columns, "loader_workers": 0}
    return DataConfig.model_validate(fields)


def test_a_csv_lists_paths_and_classes(tmp_path: Path) -> None:
    rows = ["0.png;dog;train", "3.png;cat;train", "5.png;dog;val", "4.png;dog;test"]
    table = "\n".join(["\ufefffile;class;split", *(f"images/{row}" for row in rows), ""])
    images = load_images(csv_list(tmp_path, table, image="file", label="class"), 0, CPU)
    assert (images.class_names, images.train.labels.tolist()) == (("cat", "dog"), [1, 0])
    pixels, labels = next(images.test.stream(torch.arange(1), [slice(0, 1)]))
    assert labels.tolist() == [1]
    np.testing.assert_array_equal(pixels[0].numpy(), PIXELS[4])
    assert images.validation is not None  # images of its own, no share of the training images
    held_out, _ = next(images.validation.stream(torch.arange(1), [slice(0, 1)]))
    np.testing.assert_array_equal(held_out[0].numpy(), PIXELS[5])


def test_tables_may_be_the_splits(tmp_path: Path) -> None:
    csv_list(tmp_path, "image,label\nimages/0.png,1\nimages/1.png,2\n", "train.csv")
    config = csv_list(tmp_path, "image,label\nimages/2.png,2\n", "test.csv")
    found = survey(config.model_copy(update={"path": str(tmp_path)}))
    assert (found.counts["train"], found.counts["test"], found.class_names) == (2, 1, ("1", "2"))


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ("path,label,split\n", "{} must have a column `image` (name it in `data.columns`), but has `path`"),
        ("image,label\nimages/0.png,a\n", "{} must have a column `split` (name it in `data.columns`, or name"),
        ("image,label,split\n,a,train\n", "every image must be a path, but line 2 of {} has none"),
        ("image,label,split\nimages/0.png,,train\nimages/1.png,a,test\n", "every label must be a name like the others"),
        ("image,label,split\nimages/9.png,a,train\nimages/1.png,a,test\n", "images/9.png was listed, but cannot be"),
    ],
)  # fmt: skip
def test_what_a_csv_lacks_is_one_line(table: str, fault: str, tmp_path: Path) -> None:
    config = csv_list(tmp_path, table)
    with pytest.raises(DataError) as caught:
        survey(config)
    assert fault.format(config.path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_spaces_after_commas_are_no_part_of_a_table(tmp_path: Path) -> None:
    rows = ["0.png, a, train", "1.png, b, train", "2.png, a, test", "3.png, b, test"]
    config = csv_list(tmp_path, "\n".join(["image, label, split", *(f"images/{row}" for row in rows)]))
    found = survey(config)
    assert (found.class_names, found.notes) == (("a", "b"), ())


def test_rows_of_no_split_and_training_images_in_the_test_are_noted(tmp_path: Path) -> None:
    rows = ["0.png,a,train", "1.png,b,train", "2.png,a,test", "1.png,b,test", "3.png,a,tset", "4.png"]
    config = csv_list(tmp_path, "\n".join(["image,label,split", *(f"images/{row}" for row in rows)]))
    table = tmp_path / "labels.csv"
    assert survey(config).notes == (
        f"2 rows of {table} are left out, because they are of no known split: 1 of 'tset', 1 of none",
        f"1 training images are listed for validation or test as well, such as {tmp_path}/images/1.png",
    )
    table.write_text("image,label,split\nimages/0.png,a,train\nimages/1.png,a,tset\n")
    with pytest.raises(DataError, match=r"has no test images \(1 rows of .* are left out, .* 1 of 'tset'\)"):
        survey(config)
