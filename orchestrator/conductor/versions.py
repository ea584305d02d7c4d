"""The versions of the packages that decide a result: those of this launch, and those of earlier launches of its run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from importlib import metadata

PACKAGES = ("shrinksweep", "torch", "ray", "optuna", "numpy")

EARLIER = "earlier"
"""Field of a run's versions: those of its earlier launches that were others, oldest first, each with ``until``."""


def installed_versions() -> dict[str, str]:
    """Return the installed versions."""
    return {name: metadata.version(name) for name in PACKAGES}


def changes(stored: Mapping[str, object], versions: Mapping[str, str]) -> list[str]:
    """Return what has changed since the last launch of a run, such as ``torch 2.13.0 instead of 2.12.0``."""
    return [
        f"{name} {version} instead of {stored[name]}"
        for name, version in versions.items()
        if stored.get(name, version) != version
    ]


def with_history(
    stored: Mapping[str, object], versions: Mapping[str, str], now: datetime
) -> dict[str, object]:
    """Return the record of ``versions``, with those that are ``stored`` of the run if they are others.

    A run whose versions never changed has no history.
    """
    earlier = stored.get(EARLIER)
    history = list(earlier) if isinstance(earlier, list) else []
    if changes(stored, versions):
        last = {name: stored[name] for name in versions if name in stored}
        history.append({**last, "until": now.isoformat(timespec="seconds")})
    return {**versions, **({EARLIER: history} if history else {})}
