"""What a launch prints while it runs."""

from __future__ import annotations

import io

import pyarrow as pa
import pytest
from rich.console import Console

from orchestrator.conductor.monitor import Monitor, Running
from orchestrator.status.opening import open_view
from orchestrator.status.views import LINE_EVERY_S, LiveView, PlainView, Silent


def test_a_terminal_gets_the_live_view_a_pipe_plain_lines_and_no_console_nothing() -> None:
    monitor = Monitor()
    live = open_view(monitor, Console(file=io.StringIO(), force_terminal=True))
    live.close()
    assert isinstance(live, LiveView)
    assert isinstance(open_view(monitor, Console(file=io.StringIO())), PlainView)
    assert isinstance(open_view(monitor, None), Silent)


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


def test_plain_lines_come_with_every_event_and_every_few_seconds(output: io.StringIO) -> None:
    now = 100.0
    monitor = Monitor(name="digits", total=3)
    view = PlainView(monitor, Console(file=output), clock=lambda: now)

    def printed() -> list[str]:
        view.refresh()
        lines = output.getvalue().splitlines()
        output.seek(0)
        output.truncate()
        return lines

    assert printed() == []
    monitor.events.append("trial 0 failed")
    assert printed() == ["trial 0 failed"]
    now += 1.0
    monitor.running[1] = Running(1, epochs=3, step=2, phase="train")
    assert printed() == ["digits: 0 of 3 trials finished, 1 running [1: train 2/3]"]
    now += LINE_EVERY_S - 0.1
    assert printed() == []
    now += 0.1
    assert len(printed()) == 1
    monitor.finished(1)
    now += 0.5
    assert printed() == []
    now += 0.5
    assert printed() == ["digits: 1 of 3 trials finished, 0 running"]
    view.close()
    assert output.getvalue() == ""  # it has been said
    monitor.front = pa.table({"point": ["a-00"]})
    view.close()
    assert output.getvalue() == "digits: 1 of 3 trials finished, 0 running, 1 points on the front\n"


def test_a_launch_that_never_began_has_no_headline(output: io.StringIO) -> None:
    for console in (Console(file=output), Console(file=output, force_terminal=True)):
        open_view(Monitor(), console).close()
    assert "0 of 0" not in output.getvalue()


def test_the_live_view_leaves_the_events_and_the_headline(output: io.StringIO) -> None:
    monitor = Monitor(name="digits", total=3)
    view = open_view(monitor, Console(file=output, force_terminal=True, width=100))
    view.say("starting Ray")
    monitor.events.append("trial 0 failed")
    view.refresh()
    view.close()
    event, line = output.getvalue().splitlines()[-2:]
    assert event.endswith("trial 0 failed")  # after the control codes that erase the live part
    assert line == "digits: 0 of 3 trials finished, 0 running"
