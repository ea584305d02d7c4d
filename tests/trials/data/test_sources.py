"""Every source on tiny files: images are read as they were written, and every error is one clear line."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from tests.trials.data import image_makers as make
from trials.config import DataConfig
from trials.data.sources.arrays import Arrays
from trials.data.sources.digits import _images_and_labels
from trials.data.sources.errors import DataError
from trials.data.sources.fashion_mnist import FashionMnist, read_idx
from trials.data.sources.file_list import FileSource
from trials.data.sources.held import held_images
from trials.data.sources.sources import image_shape, locate, source_of, survey

IMAGES, LABELS, TEST_IMAGES, TEST_LABELS = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


@pytest.fixture(autouse=True)
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set no data folder, an empty cache, and a mirror that does not answer."""
    monkeypatch.delenv("SHRINKSWEEP_DATA", raising=False)
    monkeypatch.setenv("SHRINKSWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SHRINKSWEEP_MIRROR", "http://127.0.0.1:9")


def read(config: DataConfig) -> Arrays:
    source = source_of(config)
    assert not isinstance(source, FileSource)
    locate(config)
    held = held_images(source)
    arrays = Arrays(
        held.pixels("train", None), held.labels["train"], held.pixels("test", None), held.labels["test"],
        len(held.survey.class_names), held.survey.class_names,
    )  # fmt: skip
    assert arrays.shape == image_shape(config) == held.survey.shape
    assert {array.dtype for array in (arrays.train_pixels, arrays.test_pixels)} == {np.dtype(np.uint8)}
    assert {array.dtype for array in (arrays.train_labels, arrays.test_labels)} == {np.dtype(np.int64)}
    return arrays


def fault_of(call: Callable[[], object]) -> str:
    with pytest.raises(DataError) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_sources_load_no_torch_until_images_are_read() -> None:
    code = (
        "import sys; from trials.config import DataConfig; from trials.data.sources import locate, image_shape; "
        "locate(DataConfig()); assert image_shape(DataConfig()) == (1, 8, 8); "
        "assert not {'torch', 'ray', 'pyarrow', 'sklearn', 'PIL', 'pooch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_file_of_the_digits_holds_what_its_package_loads() -> None:
    from sklearn.datasets import load_digits

    images, labels = _images_and_labels()
    assert np.array_equal(images, load_digits().images)
    assert np.array_equal(labels, load_digits().target)


def test_the_split_of_digits_is_fixed() -> None:
    arrays = read(DataConfig())
    assert arrays.train_pixels.shape == (1437, 1, 8, 8)
    assert arrays.test_pixels.shape == (360, 1, 8, 8)
    assert np.bincount(arrays.test_labels).tolist() == [36] * 10
    assert {0, 255} <= set(np.unique(arrays.train_pixels)) <= {round(i * 255 / 16) for i in range(17)}
    assert arrays.train_labels[:10].tolist() == read(DataConfig()).train_labels[:10].tolist()


def test_a_path_for_digits_is_refused() -> None:
    assert fault_of(lambda: locate(DataConfig(path="x"))) == (
        "`data.path` must be null for digits, which need no file, but got 'x'"
    )


def test_fashion_mnist_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = make.fashion_mnist(tmp_path / "somewhere")
    arrays = read(DataConfig(name="fashion_mnist", path=str(tmp_path / "somewhere")))
    np.testing.assert_array_equal(arrays.train_pixels[:, 0], made[IMAGES])
    np.testing.assert_array_equal(arrays.train_labels, made[LABELS])
    np.testing.assert_array_equal(arrays.test_pixels[:, 0], made[TEST_IMAGES])
    np.testing.assert_array_equal(arrays.test_labels, made[TEST_LABELS])
    assert arrays.classes == 10


def test_cifar10_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = make.cifar10(tmp_path / "cifar-10-batches-bin")
    arrays = read(DataConfig(name="cifar10", path=str(tmp_path)))
    train = np.concatenate([made[f"data_batch_{i}.bin"] for i in range(1, 6)])
    np.testing.assert_array_equal(arrays.train_labels, train[:, 0])
    np.testing.assert_array_equal(arrays.train_pixels[7, 2].ravel(), train[7, 1 + 2048 :])
    np.testing.assert_array_equal(arrays.test_pixels.reshape(4, -1), made["test_batch.bin"][:, 1:])


@pytest.mark.parametrize("folder", ["cifar10", "cifar-10-batches-bin", "cifar10/cifar-10-batches-bin"])
def test_cifar10_is_found_in_the_data_folder(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHRINKSWEEP_DATA", str(tmp_path))
    make.cifar10(tmp_path / folder)
    assert len(read(DataConfig(name="cifar10")).train_labels) == 20


def test_the_data_folder_comes_before_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make.fashion_mnist(tmp_path / "cache" / "fashion_mnist", train=3)
    assert len(read(DataConfig(name="fashion_mnist")).train_labels) == 3
    monkeypatch.setenv("SHRINKSWEEP_DATA", str(tmp_path / "data"))
    make.fashion_mnist(tmp_path / "data" / "fashion_mnist", train=5)
    assert len(read(DataConfig(name="fashion_mnist")).train_labels) == 5


def test_only_a_given_path_is_searched(tmp_path: Path) -> None:
    make.fashion_mnist(tmp_path / "cache" / "fashion_mnist")
    message = fault_of(lambda: locate(DataConfig(name="fashion_mnist", path=str(tmp_path / "empty"))))
    assert message.startswith(
        f"fashion_mnist needs {IMAGES}, {LABELS}, {TEST_IMAGES}, {TEST_LABELS} in one of: "
    )
    assert f"{tmp_path}/empty, {tmp_path}/empty/fashion_mnist;" in message
    assert "cache/" not in message


def test_the_error_for_a_missing_data_set_says_which_files_to_put_where(tmp_path: Path) -> None:
    config = DataConfig(name="fashion_mnist")
    for message in (fault_of(lambda: locate(config)), fault_of(lambda: FashionMnist().read())):
        assert f"in one of: {tmp_path}/cache/fashion_mnist; put them there, or set `data.path`" in message
        assert "SHRINKSWEEP_DATA" in message
        assert "refused" in message


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (make.idx(np.zeros(9, np.uint8)), "must start with 0x00000803, but {} starts with 0x00000801"),
        (b"", "must start with 0x00000803, but {} starts with 0x"),
        (make.idx(np.zeros((2, 27, 28), np.uint8)), "with N up to 1,000,000, but {} has [2, 27, 28]"),
        (make.idx(np.zeros((2, 28, 28), np.uint8))[:10], "must be N x 28 x 28 with N up to 1,000,000, but {} has [2]"),
        (make.idx(np.zeros((0, 28, 28), np.uint8)), "but {} has [0, 28, 28]"),
        (make.idx(np.zeros((2, 28, 28), np.uint8))[:-5], "{} must hold 1568 bytes after its header, but holds 1563"),
        (make.idx(np.zeros((2, 28, 28), np.uint8)) + b"x", "{} must hold 1568 bytes after its header, but holds more"),
    ],
)  # fmt: skip
def test_an_invalid_idx_file_is_refused(content: bytes, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(content))
    assert fault.format(path) in fault_of(lambda: read_idx(path, 28, 28))


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"no gzip " + b, lambda b: b[:-8] + b"x" * 8]
)
def test_a_damaged_gzip_file_is_refused(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(damage(gzip.compress(make.idx(make.random_pixels(2, 28, 28)))))
    message = fault_of(lambda: read_idx(path, 28, 28))
    assert message.startswith(f"an IDX file must be whole and gzipped, but {path} is not: ")


def test_fashion_mnist_labels_must_fit_the_images(tmp_path: Path) -> None:
    make.fashion_mnist(tmp_path)
    config = DataConfig(name="fashion_mnist", path=str(tmp_path))
    path = tmp_path / LABELS
    path.write_bytes(gzip.compress(make.idx(np.zeros(19, np.uint8))))
    assert (
        fault_of(lambda: read(config))
        == f"images and labels must be equally many, but got 20 and 19 in {path}"
    )
    path.write_bytes(gzip.compress(make.idx(np.full(20, 10, np.uint8))))
    assert fault_of(lambda: read(config)) == f"labels must be 0 to 9, but got 10 for image 0 of {path}"


def test_an_invalid_cifar10_file_is_refused(tmp_path: Path) -> None:
    made = make.cifar10(tmp_path)
    config = DataConfig(name="cifar10", path=str(tmp_path))
    path = tmp_path / "data_batch_3.bin"
    path.write_bytes(made[path.name].tobytes()[:-1])
    assert fault_of(lambda: read(config)) == (
        f"a CIFAR-10 file must be records of 3073 bytes, but {path} has 12291 bytes"
    )
    made[path.name][2, 0] = 200
    path.write_bytes(made[path.name].tobytes())
    assert fault_of(lambda: read(config)) == f"labels must be 0 to 9, but got 200 for image 2 of {path}"


COLOUR = [make.random_pixels(3, 6, 5, seed=i) for i in range(4)]
GREY = [make.random_pixels(6, 5, seed=i) for i in range(4)]
SPLITS = ["train", "test", "train", "train"]


Columns = dict[str, Sequence[object]]


def parquet(tmp_path: Path, columns: Columns, image_size: int | None = None) -> DataConfig:
    path = make.parquet(tmp_path / "x.parquet", columns)
    return DataConfig(name="parquet", path=str(path), image_size=image_size)


def test_parquet_bytes_and_structs_give_the_same_images(tmp_path: Path) -> None:
    columns = make.rows(COLOUR, [1, 0, 0, 1], SPLITS)
    arrays = read(parquet(tmp_path, columns))
    np.testing.assert_array_equal(arrays.train_pixels, np.stack([COLOUR[0], COLOUR[2], COLOUR[3]]))
    np.testing.assert_array_equal(arrays.test_pixels, COLOUR[1][None])
    assert (arrays.train_labels.tolist(), arrays.test_labels.tolist(), arrays.classes) == ([1, 0, 1], [0], 2)
    structs = columns | {"image": [{"bytes": image, "path": "x"} for image in columns["image"]]}
    np.testing.assert_array_equal(read(parquet(tmp_path, structs)).train_pixels, arrays.train_pixels)


def test_images_have_one_channel_unless_any_of_them_has_colour(tmp_path: Path) -> None:
    assert read(parquet(tmp_path, make.rows(GREY, [0] * 4, SPLITS))).shape == (1, 6, 5)
    for coloured in (0, 1, 3):  # also where it is a test image, or the last
        pixels = [COLOUR[i] if i == coloured else GREY[i] for i in range(4)]
        mixed = read(parquet(tmp_path, make.rows(pixels, [0] * 4, SPLITS)))
        assert mixed.shape == (3, 6, 5)
        expected = COLOUR[1] if coloured == 1 else np.stack([GREY[1]] * 3)
        np.testing.assert_array_equal(mixed.test_pixels[0], expected)


def test_the_configuration_can_ask_for_grey_or_for_colour(tmp_path: Path) -> None:
    config = parquet(tmp_path, make.rows([GREY[0], *COLOUR[1:]], [0] * 4, SPLITS))
    grey = config.model_copy(update={"channels": 1})
    assert read(grey).shape == (1, 6, 5)
    assert "3 of 4 images have colour, and become grey (`data.channels`)" in survey(grey).notes
    config = parquet(tmp_path, make.rows(GREY, [0] * 4, SPLITS)).model_copy(update={"channels": 3})
    assert read(config).shape == (3, 6, 5)
    assert "`data.channels` must be null for digits" in refusal(name="digits", channels=3)


def test_images_are_cropped_to_the_central_square_and_resized(tmp_path: Path) -> None:
    wide = np.zeros((3, 8, 24), np.uint8)
    wide[:, :, 8:16] = 255
    config = parquet(tmp_path, make.rows([wide] * 4, [0] * 4, SPLITS), image_size=4)
    arrays = read(config)
    assert arrays.shape == (3, 4, 4)
    assert (arrays.train_pixels[..., 1:3] == 255).all()
    assert (arrays.train_pixels > 200).all()  # the filter also reads pixels next to the square


def test_a_relative_path_is_also_searched_in_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    make.parquet(folder / "x.parquet", make.rows(GREY, [0] * 4, SPLITS))
    config = DataConfig(name="parquet", path="x.parquet")
    assert "but there is none at" in fault_of(lambda: locate(config))
    monkeypatch.setenv("SHRINKSWEEP_DATA", str(folder))
    assert image_shape(config) == (1, 6, 5)


def refusal(**fields: object) -> str:
    with pytest.raises(ValidationError) as caught:
        DataConfig.model_validate(fields)
    return str(caught.value)


def parquet_faults() -> list[tuple[Columns, str]]:
    images = [make.encoded(image) for image in COLOUR]
    good: Columns = {"image": images, "label": [1, 0, 0, 1], "split": SPLITS}
    other_size = make.encoded(make.random_pixels(3, 5, 6))
    return [
        (
            {"images": images, "label": [0] * 4, "split": SPLITS},
            "{} must have a column `image` (name it in `data.columns`), but has `images`, `label`, `split`; "
            "did you mean `images`?",
        ),
        (
            good | {"split": ["train"] * 4},
            "a data set must have train and test images, but {} has no test images",
        ),
        (
            good | {"split": ["test"] * 4},
            "a data set must have train and test images, but {} has no train images",
        ),
        (
            good | {"label": [0.0, 1.0, 0.5, 1.0]},
            "every label must be a whole number or a name, but row 2 of {} has 0.5",
        ),
        (
            good | {"label": [0, None, 1, 1]},
            "every label must be a whole number or a name, but row 1 of {} has None",
        ),
        (
            good | {"label": [0, 0, 3, 1]},
            "training labels must use every number from 0 to the largest, but {} has 3 and no 2",
        ),
        (
            good | {"label": [0, 0, -1, 1]},
            "training labels must use every number from 0 to the largest, but {} has -1 and no 0",
        ),
        (
            good | {"label": [0, 7, 0, 1]},
            "labels must be 0 to 1, but row 1 of {} has 7",
        ),
        (
            good | {"image": [None, *images[1:]]},
            "every image must be bytes, but row 0 of {} is NoneType",
        ),
        (good | {"image": ["x"] * 4}, "every image must be bytes, but row 0 of {} is str"),
        (
            good | {"image": [*images[:3], other_size]},
            "images must all be 3 x 6 x 5 like the others (or set `data.image_size`), but row 3 of {} is 3 x 5 x 6",
        ),
        (
            good | {"image": [*images[:2], images[2][:60], images[3]]},
            "images must be whole PNG, JPEG, WebP, BMP, GIF, TIFF or PPM files, but row 2 of {} is not: ",
        ),
        (
            good | {"image": [b"GIF89a"] * 4},
            "images must be whole PNG, JPEG, WebP, BMP, GIF, TIFF or PPM files, but row 0 of {} is not: ",
        ),
    ]


@pytest.mark.parametrize(("columns", "fault"), parquet_faults())
def test_every_fault_of_a_parquet_file_is_reported(columns: Columns, fault: str, tmp_path: Path) -> None:
    config = parquet(tmp_path, columns)
    assert fault_of(lambda: read(config)).startswith(fault.format(config.path))


def test_an_invalid_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1 and then nothing of the kind")
    message = fault_of(lambda: locate(DataConfig(name="parquet", path=str(path))))
    assert message.startswith(f"`data.path` must be a whole Parquet file, but {path} is not: ")
    assert fault_of(lambda: locate(DataConfig(name="parquet"))) == (
        "parquet needs `data.path`: a .parquet file, a folder of them, or a pattern such as 'data/train-*.parquet', "
        "but got null"
    )


def test_an_image_larger_than_pillow_allows_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = parquet(tmp_path, make.rows(COLOUR, [0] * 4, SPLITS))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 14)
    assert "exceeds limit of 28 pixels" in fault_of(lambda: read(config))


def test_sixteen_bit_images_are_refused(tmp_path: Path) -> None:
    deep = np.zeros((4, 4), np.uint16)
    config = parquet(tmp_path, {"image": [make.encoded(deep)] * 4, "label": [0] * 4, "split": SPLITS})
    assert "images must be 8-bit grey or colour, but row 0 of" in fault_of(lambda: read(config))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_eight_bit_mode_is_read(mode: str, tmp_path: Path) -> None:
    image = Image.fromarray(np.full((4, 4, 3), 255, np.uint8)).convert(mode)
    image.save(tmp_path / "x.png")
    content = (tmp_path / "x.png").read_bytes()
    arrays = read(parquet(tmp_path, {"image": [content] * 4, "label": [0] * 4, "split": SPLITS}))
    assert arrays.shape == (1 if mode in ("1", "L", "LA") else 3, 4, 4)
    assert (arrays.train_pixels == 255).all()


def test_a_standard_data_set_can_be_resized() -> None:
    original, half = read(DataConfig()), read(DataConfig(image_size=4))
    assert image_shape(DataConfig(image_size=4)) == half.shape == (1, 4, 4)
    assert np.array_equal(half.train_labels, original.train_labels)
    means = [arrays.test_pixels.mean((1, 2, 3)) for arrays in (original, half)]
    assert np.corrcoef(means[0], means[1])[0, 1] > 0.95
