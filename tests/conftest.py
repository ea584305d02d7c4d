"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile(
    "patient", deadline=None
)  # how long an example takes says nothing on a busy machine
settings.load_profile("patient")
