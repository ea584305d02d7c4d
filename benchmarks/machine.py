"""What a report says of the machine and of the versions that its figures were measured with."""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("shrinksweep", "torch", "ray", "numpy", "numba", "pandas", "pyarrow", "optuna", "moocore")
"""Packages whose version a report holds, where they are installed."""


def describe() -> dict[str, Any]:
    """Return cpu, cores (usable by this process), python, os, date (UTC); and gpu where torch is loaded."""
    out: dict[str, Any] = {
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
    """Return the versions of the packages that count and the commit (``+`` marks local changes)."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    commit = _commit()
    return found | ({"commit": commit} if commit else {})


def slug(machine: Mapping[str, Any]) -> str:
    """Return the hardware as a part of a file name, such as ``amd-epyc-2-cores``."""
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
