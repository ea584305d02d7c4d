"""TensorBoard: a folder of event files for each trial, hyper-parameters included."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from results.errors import ResultsError
from results.sinks.follower import Scalar, Trial

_STATES = {
    "finished": api_pb2.STATUS_SUCCESS,
    "failed": api_pb2.STATUS_FAILURE,
    "stopped": api_pb2.STATUS_SUCCESS,
    "infeasible": api_pb2.STATUS_SUCCESS,
}


class TensorBoard:
    """Event files below ``folder``, a folder a trial: ``000042-0123abcd``. What they hold is read back from them."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)
        self._writers: dict[str, Any] = {}
        self._ended: set[str] = set()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResultsError(
                f"--tensorboard must be a folder that can be written to, but got {folder}: {error.strerror}"
            ) from None

    def begin(self, trial: Trial) -> set[tuple[str, int]]:
        known = {(value.tag, event.step) for event, value in self._values(trial)}
        if (metadata.SESSION_END_INFO_TAG, 0) in known:
            self._ended.add(trial.key)
        if (metadata.SESSION_START_INFO_TAG, 0) not in known:
            start = plugin_data_pb2.SessionStartInfo(group_name=trial.key)
            for name, value in trial.parameters.items():
                _set(start.hparams[name], value)
            self._add(trial, [_about(metadata.SESSION_START_INFO_TAG, session_start_info=start)])
        return known

    def write(self, trial: Trial, scalars: Sequence[Scalar]) -> None:
        self._add(trial, [_event(scalar) for scalar in scalars])

    def finish(self, trial: Trial, state: str, reason: str | None) -> None:
        if trial.key not in self._ended:
            end = plugin_data_pb2.SessionEndInfo(status=_STATES[state])
            self._add(trial, [_about(metadata.SESSION_END_INFO_TAG, session_end_info=end)])
            self._ended.add(trial.key)
        if trial.key in self._writers:
            self._writers.pop(trial.key).close()

    def close(self) -> None:
        while self._writers:
            self._writers.popitem()[1].close()

    def _place(self, trial: Trial) -> Path:
        return self._folder / f"{trial.index:06d}-{trial.key[:8]}"

    def _add(self, trial: Trial, events: Sequence[Any]) -> None:
        """Add events to a file of this process: one that a killed writer cut off is never gone on with."""
        if trial.key not in self._writers:
            self._writers[trial.key] = EventFileWriter(str(self._place(trial)))
        writer = self._writers[trial.key]
        for event in events:
            writer.add_event(event)
        writer.flush()

    def _values(self, trial: Trial) -> Iterator[tuple[Any, Any]]:
        for file in sorted(self._place(trial).glob("events.out.tfevents.*")):
            for event in EventFileLoader(str(file)).Load():
                for value in event.summary.value:
                    yield event, value


def _event(scalar: Scalar) -> Any:
    value = Summary.Value(tag=scalar.tag, simple_value=scalar.value)
    return Event(wall_time=scalar.at, step=scalar.step, summary=Summary(value=[value]))


def _about(tag: str, **content: Any) -> Any:
    data = plugin_data_pb2.HParamsPluginData(version=metadata.PLUGIN_DATA_VERSION, **content)
    described = metadata.create_summary_metadata(data)
    return Event(
        summary=Summary(value=[Summary.Value(tag=tag, metadata=described, tensor=metadata.NULL_TENSOR)])
    )


def _set(slot: Any, value: Any) -> None:
    if isinstance(value, bool):
        slot.bool_value = value
    elif isinstance(value, int | float):
        slot.number_value = value
    else:
        slot.string_value = value if isinstance(value, str) else json.dumps(value)
