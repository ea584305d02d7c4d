"""The helper that other tests wait with."""

from __future__ import annotations

import signal

import pytest

from tests.doubles.waiting import python_program, wait_for


def test_the_first_true_value_is_returned() -> None:
    values = iter([0, 0, 3, 4])
    assert wait_for(lambda: next(values), "a value is there") == 3


def test_a_timeout_names_what_was_waited_for() -> None:
    with pytest.raises(TimeoutError, match=r"^waited 0\.1 s in vain until the moon rises$"):
        wait_for(lambda: False, "the moon rises", timeout_s=0.1)


def test_the_early_death_of_the_process_is_reported_with_its_output() -> None:
    program = "import sys; print('half way', flush=True); sys.exit('no disk')"
    with python_program("-c", program) as process, pytest.raises(ChildProcessError) as raised:
        wait_for(lambda: False, "its file is there", process=process)
    assert str(raised.value) == (
        "the process must run until its file is there, but it ended with status 1:\nhalf way\nno disk\n"
    )


def test_a_program_that_still_runs_is_killed_in_the_end() -> None:
    with python_program("-c", "import time; time.sleep(1000)") as process:
        assert process.poll() is None
    assert process.poll() == -signal.SIGKILL
