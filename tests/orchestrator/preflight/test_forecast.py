"""What torch tells about a sweep before it runs: sizes of its networks, and time."""

from __future__ import annotations

import re

import pytest

from orchestrator import Sweep
from orchestrator.preflight.forecast import Steps, forecast
from orchestrator.preflight.plan import make_plan
from trials.data.sources.surveys import Survey
from trials.forecast import StepTimes

NODES = [{"CPU": 2.0, "GPU": 0.0}]


def small_sweep(**fields: object) -> Sweep:
    trial = {
        "space": {"cells": 3, "channels": 4, "nodes": 2},
        "data": {"name": "digits", "train_images": 100, "test_images": 50, "batch_size": 20},
        "search": {"epochs": 3},
        "train": {"epochs": 5},
        "ladder": {"threshold": [0.0, 0.1], "weight_bits": [32], "feature_map_bits": [8]},
    }
    return Sweep(**{"name": "test", "trial": trial, "sweep": {"space.splitting": [1, 2]}} | fields)


def test_the_time_is_that_of_all_steps_and_rungs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "trials.forecast.time_steps", lambda *arguments, **options: StepTimes(10.0, 100.0, 1.0)
    )
    sizes, time = forecast(make_plan(small_sweep(), None, NODES))
    # 90 training images: 2 steps an epoch of the search, 4 of the training; 10 + 50 + 90 images in two rungs.
    assert "a trial: search 1 min 00 s, training 33 min 20 s, ladder 5 min 00 s" in time
    assert time.startswith("time:       about 39 min 20 s ")  # two trials at a time
    assert re.fullmatch(r"networks:   smallest [\d,]+ macs, [\d,]+ params, [\d.]+ kB; largest .*", sizes)


def test_own_validation_images_take_none_of_the_training() -> None:
    survey = Survey((1, 8, 8), {"train": 100, "validation": 30, "test": 20}, ("a", "b"), None)
    config = small_sweep().trial
    data = config.data.model_copy(update={"train_images": None, "test_images": None})
    steps = Steps.of(config.model_copy(update={"data": data}), survey)
    assert steps == Steps(search=2, training=5, ladder_images=30 + 20 + 100)


def test_trials_on_gpus_are_not_timed_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    sweep = small_sweep(resources={"gpus_per_worker": 1})
    lines = list(forecast(make_plan(sweep, None, [{"CPU": 2.0, "GPU": 1.0}])))
    assert lines[1] == "time:       not estimated: trials use GPUs, and this machine has none"


def test_a_forecast_that_fails_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise MemoryError("too large")

    monkeypatch.setattr("trials.forecast.time_steps", fail)
    assert list(forecast(make_plan(small_sweep(), None, NODES)))[1] == (
        "note:       sizes and time are not known: too large"
    )
