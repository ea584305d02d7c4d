"""Steps that are recorded as CUDA graphs: how often they run, and that they compute what eager steps do.

Without a GPU, a double stands for the recording. What a step may not do: ``test_on_a_gpu.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import MagicMock

import pytest
import torch

from tests.trials.tiny import tiny_config
from trials.data.loading import load_images
from trials.device.compute import Compute
from trials.device.graph import EAGER_STEPS, ReplayedStep, can_record
from trials.device.parallel import Mesh
from trials.search.search import Search


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
            try:
                yield
                if self.fault:
                    raise RuntimeError(f"{self.fault}\nand a stack")
            except RuntimeError as error:  # as at the end of a recording that has failed
                raise RuntimeError("operation failed due to a previous error during capture") from error
        finally:
            self.recording = False

    def replayed(self) -> None:
        raise NotImplementedError


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    double = Recorder()
    monkeypatch.setattr("torch.cuda.CUDAGraph", double.graph)
    monkeypatch.setattr("torch.cuda.graph", double.record)
    for name in ("Stream", "stream", "current_stream", "set_stream", "synchronize"):
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


@pytest.mark.parametrize(("rank", "lines"), [(0, 1), (1, 0)])
def test_ranks_that_communicate_over_gloo_run_eagerly_and_say_so_once(
    rank: int, lines: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = Compute(torch.device("cuda"), "float32", graph=True)
    assert can_record(compute, Mesh())
    monkeypatch.setattr("torch.distributed.get_backend", lambda group: "gloo")
    mesh = Mesh(rank, 2, MagicMock())
    assert not can_record(compute, mesh)
    assert [record.getMessage() for record in caplog.records] == [
        "steps run eagerly: ranks that share a GPU communicate over gloo, which no CUDA graph can hold"
    ] * lines


KINDS: dict[str, dict[str, dict[str, object]]] = {
    "first order": {},
    "second order": {"search": {"algorithm": "darts_second_order"}},
    "PC-DARTS": {"search": {"algorithm": "pc_darts", "partial_channels": 2, "alpha_warmup_epochs": 1}},
    "cost pressure": {"search": {"cost_pressure": 0.1}},
    "lambda": {"feature_maps": {"regularization": 0.01, "in_search": True}},
}


@pytest.mark.device
@pytest.mark.parametrize("kind", KINDS)
def test_recorded_steps_equal_eager_ones(kind: str, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--device") != "cuda":
        pytest.skip("only a GPU records steps: run pytest with --device cuda")
    states = []
    for graph in (False, True):
        data = {"batch_size": 8, "train_images": 128, "validation_share": 0, "crop_padding": 1}
        config = tiny_config(data=data, **KINDS[kind], device={"graph": graph, "deterministic": True})
        device = torch.device("cuda")
        with torch.device("cpu"):
            torch.manual_seed(0)
            images = load_images(config.data, config.seed, device)
            search = Search(config, images, Compute.of(config.device, device), Mesh())
            for epoch in range(2):  # with a learning rate each
                search.run_epoch(epoch)
        states.append(search.state_dict()["supernet"])
    for name, eager in states[0].items():
        assert torch.equal(eager, states[1][name]), name
