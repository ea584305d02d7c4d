"""The Slurm script for real: Slurm's two commands are played by short scripts, Ray and the sweep are themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

from results import open_run

pytestmark = pytest.mark.slow

SWEEP = {
    "name": "slurm",
    "trial": {
        "space": {"cells": 3, "channels": 4, "nodes": 2},
        "data": {"name": "digits", "train_images": 128, "test_images": 64},
        "search": {"epochs": 1},
        "train": {"epochs": 20},
        "ladder": {"threshold": [0.0, 0.1]},
    },
    "sweep": {"space.splitting": [1, 2]},
    "strategy": {"searcher": "grid"},
}
SRUN = """#!/usr/bin/env bash
# srun OPTIONS COMMAND: runs the command here, once.
while [[ $1 == --* ]]; do shift; done
exec "$@"
"""
SCONTROL = """#!/usr/bin/env bash
# scontrol show hostnames A,B / scontrol requeue JOB
if [[ $1 == show ]]; then tr , '\\n' <<<"$3"; else echo "$*" >>"$SCONTROL_LOG"; fi
"""


def test_a_slurm_job_whose_time_is_over_queues_itself_again_and_goes_on(tmp_path: Path) -> None:
    job = str(os.getpid())
    log = tmp_path / "scontrol.log"
    environment = environment_of(job, tmp_path, log)
    sweep, run = tmp_path / "sweep.yaml", tmp_path / "run"
    sweep.write_text(yaml.safe_dump(SWEEP))
    command = ["bash", "deploy/shrinksweep.sbatch", str(sweep), str(run)]

    first = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(list((run / "progress").glob("*.parquet"))) < 2:
        assert first.poll() is None
        assert time.monotonic() < deadline, "the trials did not start"
        time.sleep(0.2)
    first.send_signal(signal.SIGTERM)
    assert first.wait(60) == 0
    assert log.read_text() == f"requeue {job}\n"
    assert processes_of(job) == []
    done = open_run(run).progress()
    assert not open_run(run).trials()["state"].eq("finished").all()

    second = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, timeout=200)
    assert second.returncode == 0
    assert processes_of(job) == []
    after = open_run(run)
    assert after.trials()["state"].eq("finished").all()
    again = after.progress().merge(done, on=["trial_key", "step"])
    repeated = again[again["at_x"] != again["at_y"]]
    assert not repeated.duplicated("trial_key").any()  # each trial repeats at most the epoch that it was in


def environment_of(job: str, folder: Path, log: Path) -> dict[str, str]:
    """Return the environment of a Slurm job of two nodes with one CPU each; both are this machine."""
    tools = folder / "tools"
    tools.mkdir()
    for name, content in {"srun": SRUN, "scontrol": SCONTROL}.items():
        (tools / name).write_text(content)
        (tools / name).chmod(0o755)
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    slurm = {"SLURM_JOB_ID": job, "SLURM_JOB_NODELIST": "one,two", "SLURM_CPUS_PER_TASK": "1"}
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    return {**inherited, **slurm, "PATH": path, "PYTHONPATH": os.getcwd(), "SCONTROL_LOG": str(log)}


def processes_of(job: str) -> list[str]:
    """Return the command lines of the processes that this job's Ray has left."""
    lines = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if f"/tmp/ray-{job}" in line:
            lines.append(line)
    return lines
