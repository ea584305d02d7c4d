"""Steps that are recorded as CUDA graphs: how often they run, and what they may not do.

The recording itself needs a GPU (``benchmarks.gpu_day``); here, a double stands for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import MagicMock

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from typing_extensions import override

from tests.trials.tiny import CONVOLUTIONS, compute_of, images_of, tiny_config
from trials.device.graph import EAGER_STEPS, ReplayedStep
from trials.device.parallel import Mesh
from trials.search.search import Search
from trials.train.training import Training


class Recorder:
    """Stands for torch.cuda: a recorded step runs only when it is replayed."""

    def __init__(self, fault: str = "") -> None:
        self.recording, self.fault, self.recordings = False, fault, 0

    def graph(self) -> MagicMock:
        graph = MagicMock()
        graph.replay.side_effect = lambda: self.replayed()
        return graph

    @contextmanager
    def record(self, graph: object, capture_error_mode: str) -> Iterator[None]:
        assert capture_error_mode == "thread_local"
        self.recording, self.recordings = True, self.recordings + 1
        try:
            yield
            if self.fault:
                raise RuntimeError(f"{self.fault}\nand a stack")
        finally:
            self.recording = False

    def replayed(self) -> None:
        raise NotImplementedError


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    double = Recorder()
    monkeypatch.setattr("torch.cuda.CUDAGraph", double.graph)
    monkeypatch.setattr("torch.cuda.graph", double.record)
    for name in ("Stream", "stream", "current_stream", "synchronize"):
        monkeypatch.setattr(f"torch.cuda.{name}", MagicMock())
    return double


def counted(recorder: Recorder) -> tuple[Callable[[], None], list[str]]:
    """Return a step, and the list of how it ran."""
    ran: list[str] = []
    recorder.replayed = lambda: ran.append("replayed")  # type: ignore[method-assign]
    return lambda: None if recorder.recording else ran.append("eager"), ran


def test_every_call_is_one_step_eager_at_first_and_replayed_later(recorder: Recorder) -> None:
    step, ran = counted(recorder)
    replayed = ReplayedStep(step, record=True)
    for _ in range(EAGER_STEPS + 4):
        replayed()
    assert ran == ["eager"] * EAGER_STEPS + ["replayed"] * 4
    assert recorder.recordings == 1


def test_a_forgotten_recording_is_made_again(recorder: Recorder) -> None:
    step, ran = counted(recorder)
    replayed = ReplayedStep(step, record=True)
    for _ in range(EAGER_STEPS + 1):
        replayed()
    replayed.forget()
    for _ in range(EAGER_STEPS + 1):
        replayed()
    assert ran == (["eager"] * EAGER_STEPS + ["replayed"]) * 2
    assert recorder.recordings == 2


def test_without_recording_every_call_is_eager(recorder: Recorder) -> None:
    step, ran = counted(recorder)
    replayed = ReplayedStep(step, record=False)
    for _ in range(EAGER_STEPS + 4):
        replayed()
    assert ran == ["eager"] * (EAGER_STEPS + 4)


def test_a_step_that_cannot_be_recorded_runs_eagerly_and_says_why_once(
    recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    recorder.fault = "operation not permitted when stream is capturing"
    step, ran = counted(recorder)
    replayed = ReplayedStep(step, record=True)
    for _ in range(EAGER_STEPS + 4):
        replayed()
    assert ran == ["eager"] * (EAGER_STEPS + 4)
    assert [record.getMessage() for record in caplog.records] == [
        "steps run eagerly: this one cannot be recorded as a CUDA graph: "
        "operation not permitted when stream is capturing"
    ]


class OnDevice(TorchDispatchMode):
    """Refuses operators that read a value back to Python, or bring values from Python as a tensor."""

    FORBIDDEN = frozenset({"_local_scalar_dense", "lift_fresh", "nonzero", "is_nonzero", "equal"})

    @override
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func.overloadpacket.__name__ not in self.FORBIDDEN, func
        return func(*args, **(kwargs or {}))


def test_reading_a_value_back_is_noticed() -> None:
    with pytest.raises(AssertionError, match="_local_scalar_dense"), OnDevice():
        float(torch.ones(()).sum())


@pytest.mark.parametrize(
    "blocks",
    [
        {},
        {"device": {"precision": "bf16"}},
        {"search": {"algorithm": "pc_darts", "partial_channels": 2, "alpha_warmup_epochs": 1}},
        {"search": {"cost_pressure": 0.1, "recompute": True}},
    ],
    ids=["first order", "bf16", "PC-DARTS with warm-up", "cost pressure and recomputation"],
)
def test_a_search_step_copies_nothing_from_the_host_and_reads_nothing_back(
    blocks: dict[str, dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    augmented = {"name": "digits", "batch_size": 16, "train_images": 32, "crop_padding": 1, "cutout": 2}
    config = tiny_config(data=augmented, **blocks)
    search = Search(config, images_of(config), compute_of(config), Mesh())
    search.run_epoch(0)  # moves the tables of the cost to the device
    for optimizer in (search.alpha_optimizer, search.weight_optimizer):  # on a GPU, updates are fused kernels
        monkeypatch.setattr(optimizer, "step", lambda: None)
    for step in (search.warmup_step, search.step):
        with OnDevice():
            step()


def test_a_training_step_copies_nothing_from_the_host_and_reads_nothing_back() -> None:
    config = tiny_config(data={"batch_size": 16, "train_images": 16}, train={"drop_path": 0.2})
    training = Training(config, CONVOLUTIONS, images_of(config), compute_of(config), Mesh())
    training.run_epoch(1)
    with OnDevice():
        training.step()
