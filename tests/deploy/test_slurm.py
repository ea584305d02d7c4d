"""The Slurm script, with short scripts in the place of Slurm's two commands: once with the real Ray and sweep."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from results import open_run

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy" / "shrinksweep.sbatch"
SWEEP = {
    "name": "slurm",
    "trial": {
        "space": {"cells": 3, "channels": 4, "nodes": 2},
        "data": {"name": "digits", "train_images": 128, "test_images": 64},
        "search": {"epochs": 1},
        "train": {"epochs": 200},
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
if [[ $1 == show ]]; then tr , '\\n' <<<"$3"; else echo "$*" >>"$LOG"; fi
"""
NO_RAY = {
    "ray": '#!/usr/bin/env bash\necho "ray $*" >>"$LOG"\nexec sleep "9$SLURM_JOB_ID"\n',
    "python": "#!/usr/bin/env bash\necho 192.0.2.1\n",
    "shrinksweep": """#!/usr/bin/env bash
until [[ $(grep -c "^ray " "$LOG") == 2 ]]; do sleep 0.1; done
echo "shrinksweep $*" >>"$LOG"
exit 1
""",
}
"""Programs in the place of Ray and of the sweep: they write down how they were called."""

LONG_LAUNCH = """#!/usr/bin/env bash
trap 'echo TERM >>"$LOG"; kill $!; exit 1' TERM
until [[ $(grep -c "^ray " "$LOG") == 2 ]]; do sleep 0.1; done
sleep "9$SLURM_JOB_ID" &
echo launched >>"$LOG"
wait
"""
"""A launch that ends when it is asked to."""


@pytest.fixture
def job() -> Iterator[str]:
    """A job's number, whose Ray leaves its logs under /tmp."""
    number = str(os.getpid())
    yield number
    shutil.rmtree(f"/tmp/ray-{number}", ignore_errors=True)


def test_the_job_has_the_exit_status_of_its_launch_and_ends_what_it_started(job: str, tmp_path: Path) -> None:
    environment = environment_of(job, tmp_path, NO_RAY)
    command = ["bash", str(SCRIPT), "sweep.yaml", "/shared/run", "--trials", "9"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, timeout=60)  # no .venv there
    assert done.returncode == 1
    # They run side by side, and write in any order.
    head, worker, launch = sorted((tmp_path / "log").read_text().splitlines(), key=rank_in_job)
    address = f"192.0.2.1:{20000 + int(job) % 20000}"
    assert head.startswith("ray start --block --num-cpus=1 ")
    assert f" --head --node-ip-address=192.0.2.1 --port={address.split(':')[1]} " in head
    assert worker.startswith("ray start --block --num-cpus=1 ")
    assert worker.endswith(f"--address={address}")
    assert f" --temp-dir=/tmp/ray-{job}/r " in head
    assert Path(f"/tmp/ray-{job}").stat().st_mode & 0o077 == 0
    assert launch == f"shrinksweep launch sweep.yaml --run-dir /shared/run --address {address} --trials 9"
    assert processes_with(f"sleep 9{job}") == []


@pytest.mark.parametrize(
    ("number", "status", "log"),
    [(signal.SIGUSR1, 0, ["TERM", "requeue {job}"]), (signal.SIGTERM, 143, ["TERM"])],
)
def test_a_time_limit_queues_a_job_again_and_scancel_does_not(
    number: signal.Signals, status: int, log: list[str], job: str, tmp_path: Path
) -> None:
    environment = environment_of(job, tmp_path, {**NO_RAY, "shrinksweep": LONG_LAUNCH})
    started = subprocess.Popen(
        ["bash", str(SCRIPT), "sweep.yaml", "/shared/run"], cwd=tmp_path, env=environment
    )
    file = tmp_path / "log"
    deadline = time.monotonic() + 60
    while not (file.exists() and "launched" in file.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    started.send_signal(number)
    assert started.wait(60) == status
    lines = [line for line in file.read_text().splitlines() if not line.startswith(("ray ", "launched"))]
    assert lines == [line.format(job=job) for line in log]
    assert processes_with(f"sleep 9{job}") == []


@pytest.mark.slow
def test_a_job_whose_time_is_over_ends_its_ray_and_queues_itself_again(job: str, tmp_path: Path) -> None:
    environment = environment_of(job, tmp_path, {})
    sweep, run = tmp_path / "sweep.yaml", tmp_path / "run"
    sweep.write_text(yaml.safe_dump(SWEEP))
    command = ["bash", str(SCRIPT), str(sweep), str(run)]
    started = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list((run / "progress").glob("*.parquet")):
        assert started.poll() is None
        assert time.monotonic() < deadline, "no trial has started"
        time.sleep(0.2)
    started.send_signal(signal.SIGUSR1)
    assert started.wait(60) == 0
    assert (tmp_path / "log").read_text() == f"requeue {job}\n"
    assert processes_with(f"/tmp/ray-{job}") == []
    assert set(open_run(run).trials()["state"]) <= {"running", "proposed"}


def rank_in_job(line: str) -> tuple[bool, bool]:
    """Return what sorts the command lines of a job: the Ray head, its worker, the launch."""
    return not line.startswith("ray "), " --head " not in line


def environment_of(job: str, folder: Path, programs: dict[str, str]) -> dict[str, str]:
    """Return the environment of a Slurm job of two nodes with one CPU each; both are this machine."""
    tools = folder / "tools"
    tools.mkdir()
    for name, content in {"srun": SRUN, "scontrol": SCONTROL, **programs}.items():
        (tools / name).write_text(content)
        (tools / name).chmod(0o755)
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    slurm = {"SLURM_JOB_ID": job, "SLURM_JOB_NODELIST": "one,two", "SLURM_CPUS_PER_TASK": "1"}
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    return {**inherited, **slurm, "PATH": path, "PYTHONPATH": os.getcwd(), "LOG": str(folder / "log")}


def processes_with(words: str) -> list[str]:
    """Return the command lines of the processes that have these words in theirs."""
    lines = []
    for process in psutil.process_iter():
        try:
            lines.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return [line for line in lines if words in line]
