"""In a notebook, a launch keeps one output up to date."""

from __future__ import annotations

from orchestrator.conductor.monitor import Monitor, Running
from orchestrator.status.notebook_view import Bundle, NotebookView


class Output:
    """An output that remembers what it showed."""

    def __init__(self) -> None:
        self.shown: list[Bundle] = []

    def update(self, content: Bundle, /, *, raw: bool) -> None:
        assert raw
        self.shown.append(content)


def test_one_output_is_brought_up_to_date_once_a_second() -> None:
    now, output = [0.0], Output()
    monitor = Monitor(clock=lambda: now[0], total=4, finished_count=1, name="<digits>")
    monitor.running[2] = Running(2, epochs=6, step=3, phase="search")
    monitor.events.append("trial 1 failed and is tried again: <no reason>")
    view = NotebookView(monitor, lambda: output, lambda: now[0])
    view.say("starting Ray")
    for now[0] in (0.0, 0.4, 0.9, 1.1):
        view.refresh()
    view.close()
    assert [bundle["text/plain"].partition(":")[0] for bundle in output.shown] == ["starting Ray"] + 3 * [
        "<digits>"
    ]
    page = output.shown[-1]["text/html"]
    assert "1 of 4 trials finished, 1 running" in page
    assert '<progress value="3" max="6"></progress> trial 2, search, 3 of 6 epochs' in page
    assert "&lt;no reason&gt;" in page
    assert "<digits>" not in page


def test_what_was_said_stays_where_a_launch_ends_before_it_begins() -> None:
    output = Output()
    view = NotebookView(Monitor(), lambda: output)
    view.say("starting Ray")
    view.close()
    assert len(output.shown) == 1
