"""The machine and the versions that the figures of a report were measured with."""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import NotRequired, TypedDict

PACKAGES = ("shrinksweep", "torch", "ray", "numpy", "numba", "pandas", "pyarrow", "optuna", "moocore")
"""Packages whose versions a report holds, if they are installed."""


class Machine(TypedDict):
    """The machine of a report."""

    cpu: str
    cores: int
    """Cores that the process may use."""
    python: str
    os: str
    date: str
    """UTC, ISO 8601."""
    gpu: NotRequired[str | None]
    """Present if torch is loaded; None without a GPU."""


def describe() -> Machine:
    """Return this machine, and the time."""
    out: Machine = {
        "cpu": _cpu(),
        "cores": _cores(),
        "python": platform.python_version(),
        "os": f"{platform.system()} {platform.machine()}",
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        out["gpu"] = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return out


def versions() -> dict[str, str]:
    """Return the versions of ``PACKAGES``, and the commit; a ``+`` after the commit marks local changes."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    commit = _commit()
    return found | ({"commit": commit} if commit else {})


def slug(machine: Machine) -> str:
    """Return the hardware for use in a file name, such as ``amd-epyc-2-cores``."""
    hardware = machine.get("gpu") or f"{machine['cpu']} {machine['cores']} cores"
    return re.sub(r"[^a-z0-9]+", "-", hardware.lower()).strip("-")


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE)
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _commit() -> str | None:
    folder = Path(__file__).parent
    try:
        answers = [
            subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout
            for words in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "-uno"])
        ]
    except (OSError, subprocess.CalledProcessError):
        return None
    return answers[0].strip() + ("+" if answers[1].strip() else "")
