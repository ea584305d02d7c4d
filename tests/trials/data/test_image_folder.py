"""Images in files: the same batches as from memory, and reader processes that exit with their parent."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trials.data import image_makers as make
from trials.config import DataConfig
from trials.data.augmentation import Augmentation
from trials.data.loading import Batches, DataError, ImageSet, load_images
from trials.data.sources.decoding import SUFFIXES
from trials.data.sources.readers import reader_pool
from trials.data.sources.sources import image_shape, locate
from trials.errors import TrialError

CPU = torch.device("cpu")
CLASSES = {"train/ant": 9, "train/bee": 7, "train/cat": 8, "test/ant": 3, "test/cat": 4}


def folder(tmp_path: Path, workers: int = 0) -> tuple[DataConfig, dict[str, make.Array]]:
    root = tmp_path / "images"
    made = make.image_folder(root, CLASSES)
    return DataConfig(validation_share=0.0, name="image_folder", path=str(root), loader_workers=workers), made


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_from_files_equal_batches_from_memory(workers: int, tmp_path: Path) -> None:
    config, made = folder(tmp_path, workers)
    images = load_images(config, 0, CPU)
    train = [path for path in made if "/train/" in path]
    pixels = torch.from_numpy(np.stack([made[path] for path in train]))
    held = ImageSet(pixels, images.train.labels, images.mean, images.std)
    for start in (0, 2):
        from_files, from_memory = (
            list(
                Batches(
                    source, torch.arange(24), 4, 1, rank=1, world_size=2, drop_last=True, shuffle=True,
                    augmentation=Augmentation(crop_padding=2, flip=True, cutout=3),
                ).epoch(3, start)
            )
            for source in (images.train, held)
        )  # fmt: skip
        assert len(from_files) == 6 - start
        for got, expected in zip(from_files, from_memory, strict=True):
            assert torch.equal(got[0], expected[0])
            assert torch.equal(got[1], expected[1])


def test_classes_are_the_sorted_training_folders(tmp_path: Path) -> None:
    config, _ = folder(tmp_path)
    locate(config)
    images = load_images(config, 0, CPU)
    assert (images.classes, images.shape, image_shape(config)) == (3, (3, 8, 8), (3, 8, 8))
    assert images.train.labels.tolist() == [0] * 9 + [1] * 7 + [2] * 8
    assert images.test.labels.tolist() == [0] * 3 + [2] * 4


def test_statistics_are_those_of_the_training_images(tmp_path: Path) -> None:
    config, made = folder(tmp_path)
    images = load_images(config, 0, CPU)
    train = np.stack([pixels for path, pixels in made.items() if "/train/" in path]) / 255
    np.testing.assert_allclose(images.mean.numpy(), train.mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(images.std.numpy(), train.std((0, 2, 3)), rtol=1e-12)


def test_readers_serve_several_image_sets_at_once_and_survive_an_unfinished_epoch(tmp_path: Path) -> None:
    config, _ = folder(tmp_path, workers=2)
    images = load_images(config, 0, CPU)
    halves = [
        Batches(images.train, torch.arange(first, first + 12), 2, 0, drop_last=True, shuffle=True)
        for first in (0, 12)
    ]
    next(halves[0].epoch(0))
    both = list(zip(halves[0].epoch(1), halves[1].epoch(1), strict=True))
    for side in (0, 1):
        for got, expected in zip((pair[side] for pair in both), halves[side].epoch(1), strict=True):
            assert torch.equal(got[0], expected[0])
    pool = reader_pool(2)
    assert load_images(config, 0, CPU).train.mean.equal(images.mean)
    assert reader_pool(2) is pool


def test_readers_load_no_torch() -> None:
    loaded = reader_pool(2).submit(
        eval, "[name for name in ('torch', 'ray') if name in __import__('sys').modules]"
    )
    assert loaded.result() == []


def test_an_invalid_file_is_a_one_line_error_from_a_reader_too(tmp_path: Path) -> None:
    config, made = folder(tmp_path, workers=2)
    images = load_images(config, 0, CPU)
    path = next(iter(made))
    for content, fault in (
        (
            b"no image",
            f"images must be whole PNG, JPEG, WebP, BMP, GIF, TIFF or PPM files, but {path} is not: ",
        ),
        (
            make.encoded(make.random_pixels(3, 4, 4)),
            f"images must all be 3 x 8 x 8 like the others (or set `data.image_size`), but {path} is 3 x 4 x 4",
        ),
    ):
        Path(path).write_bytes(content)
        with pytest.raises(DataError, match="images must") as caught:
            list(Batches(images.train, torch.arange(24), 4, 0, drop_last=True, shuffle=True).epoch())
        assert str(caught.value).startswith(fault)
        assert "\n" not in str(caught.value)
    Path(path).unlink()
    with pytest.raises(DataError, match="was listed, but cannot be read: No such file or directory"):
        next(Batches(images.train, torch.arange(24), 24, 0, drop_last=True, shuffle=True).epoch())


def test_a_reader_that_dies_is_an_error_and_the_next_epoch_starts_new_readers(tmp_path: Path) -> None:
    config, _ = folder(tmp_path, workers=1)
    images = load_images(config, 0, CPU)
    batches = Batches(images.train, torch.arange(24), 2, 0, drop_last=True, shuffle=True)
    expected = [labels.tolist() for _, labels in batches.epoch()]
    running = batches.epoch()
    next(running)
    for reader in list(reader_pool(1)._processes.values()):
        reader.kill()
    with pytest.raises(TrialError, match="reader processes must live as long as the trial, but one died"):
        list(running)
    assert [labels.tolist() for _, labels in batches.epoch()] == expected


SCRIPT = """
if __name__ == "__main__":
    import sys, time
    from pathlib import Path
    from trials.data.sources.readers import decode_batches, reader_pool

    files = [str(path) for path in Path(sys.argv[1]).rglob("*.png")]
    next(decode_batches(([file] for file in files), None, (3, 8, 8), workers=2))
    print(*reader_pool(2)._processes, flush=True)
    time.sleep(60)
"""


def test_readers_exit_when_their_trial_is_killed(tmp_path: Path) -> None:
    config, _ = folder(tmp_path)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    with subprocess.Popen(
        [sys.executable, script, str(config.path)], stdout=subprocess.PIPE, text=True
    ) as trial:
        assert trial.stdout is not None
        pids = [int(pid) for pid in trial.stdout.readline().split()]
        assert pids
        assert all(alive(pid) for pid in pids)
        trial.kill()
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline, "a reader is still running after its trial"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_missing_folders_and_classes_are_reported(tmp_path: Path) -> None:
    root = tmp_path / "images"
    config = DataConfig(validation_share=0.0, name="image_folder", path=str(root), loader_workers=0)
    kinds = f"{', '.join(SUFFIXES)} files, but there are none"
    expect(
        config,
        f"image_folder needs `data.path`: a folder with train/CLASS and test/CLASS, but there is none at {root}",
    )
    root.mkdir()
    expect(config, f"image_folder needs {root}/train/CLASS/ with {kinds}")
    make.image_folder(root, {"train/ant": 2})
    expect(config, f"image_folder needs {root}/test/CLASS/ with {kinds}")
    make.image_folder(root, {"test/bee": 1})
    expect_on_load(config, f"every class in {root}/test must be one in {root}/train, but 'bee' is not")
    (root / "train" / "bee").mkdir()
    expect_on_load(config, f"every class must have a training image, but {root}/train/bee has none")
    expect(
        DataConfig(validation_share=0.0, name="image_folder"),
        "image_folder needs `data.path`: a folder with train/CLASS and test/CLASS, but got null",
    )


def expect(config: DataConfig, message: str) -> None:
    with pytest.raises(DataError, match="image_folder needs") as caught:
        locate(config)
    assert str(caught.value) == message
    expect_on_load(config, message)


def expect_on_load(config: DataConfig, message: str) -> None:
    with pytest.raises(DataError, match=r"image_folder needs|every class") as caught:
        load_images(config, 0, CPU)
    assert str(caught.value) == message
