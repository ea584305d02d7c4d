"""TensorBoard: a folder of event files for each trial, with hyperparameters."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from typing_extensions import override

from results.errors import ResultsError
from results.sinks.sink import Scalar, Sink, TagStep, Trial
from results.states import TrialState

_STATUS: dict[TrialState, int] = {
    "finished": api_pb2.STATUS_SUCCESS,
    "failed": api_pb2.STATUS_FAILURE,
    "stopped": api_pb2.STATUS_SUCCESS,
    "infeasible": api_pb2.STATUS_SUCCESS,
}


class TensorBoard(Sink):
    """Event files in ``folder``, one subfolder a trial, such as ``000042-0123abcd``. ``begin`` reads them back."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = Path(folder)
        self._writers: dict[str, EventFileWriter] = {}
        self._ended: set[str] = set()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResultsError(
                f"--tensorboard must be a folder that can be written to, but got {folder}: {error.strerror}"
            ) from None

    @override
    def begin(self, trial: Trial) -> set[TagStep]:
        written = {(value.tag, event.step) for event, value in self._values(trial)}
        if (metadata.SESSION_END_INFO_TAG, 0) in written:
            self._ended.add(trial.key)
        if (metadata.SESSION_START_INFO_TAG, 0) not in written:
            start = plugin_data_pb2.SessionStartInfo(group_name=trial.key)
            for name, value in trial.parameters.items():
                field, content = _hyperparameter(value)
                setattr(start.hparams[name], field, content)
            data = plugin_data_pb2.HParamsPluginData(
                version=metadata.PLUGIN_DATA_VERSION, session_start_info=start
            )
            self._add(trial, [_session_event(metadata.SESSION_START_INFO_TAG, data)])
        return written

    @override
    def write(self, trial: Trial, scalars: Sequence[Scalar]) -> None:
        self._add(trial, [_scalar_event(scalar) for scalar in scalars])

    @override
    def finish(self, trial: Trial, state: TrialState, reason: str | None) -> None:
        if trial.key not in self._ended:
            end = plugin_data_pb2.SessionEndInfo(status=_STATUS[state])
            data = plugin_data_pb2.HParamsPluginData(
                version=metadata.PLUGIN_DATA_VERSION, session_end_info=end
            )
            self._add(trial, [_session_event(metadata.SESSION_END_INFO_TAG, data)])
            self._ended.add(trial.key)
        if trial.key in self._writers:
            self._writers.pop(trial.key).close()

    @override
    def close(self) -> None:
        while self._writers:
            self._writers.popitem()[1].close()

    def _path(self, trial: Trial) -> Path:
        return self._folder / f"{trial.index:06d}-{trial.key[:8]}"

    def _add(self, trial: Trial, events: Sequence[Event]) -> None:
        """Add events to a new file of this process: a file that a killed writer truncated is never appended to."""
        if trial.key not in self._writers:
            self._writers[trial.key] = EventFileWriter(str(self._path(trial)))
        writer = self._writers[trial.key]
        for event in events:
            writer.add_event(event)
        writer.flush()

    def _values(self, trial: Trial) -> Iterator[tuple[Event, Summary.Value]]:
        for file in sorted(self._path(trial).glob("events.out.tfevents.*")):
            for event in EventFileLoader(str(file)).Load():
                for value in event.summary.value:
                    yield event, value


def _scalar_event(scalar: Scalar) -> Event:
    value = Summary.Value(tag=scalar.tag, simple_value=scalar.value)
    return Event(wall_time=scalar.at, step=scalar.step, summary=Summary(value=[value]))


def _session_event(tag: str, data: plugin_data_pb2.HParamsPluginData) -> Event:
    """Return the event that the HPARAMS tab reads the start or the end of a trial from."""
    described = metadata.create_summary_metadata(data)
    return Event(
        summary=Summary(value=[Summary.Value(tag=tag, metadata=described, tensor=metadata.NULL_TENSOR)])
    )


def _hyperparameter(value: object) -> tuple[str, bool | float | str]:
    """Return the field of a protobuf ``Value`` that holds ``value``, and its content."""
    if isinstance(value, bool):
        return "bool_value", value
    if isinstance(value, int | float):
        return "number_value", value
    return "string_value", value if isinstance(value, str) else json.dumps(value)
