"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("untimed", deadline=None)  # a machine that others use, too, is no fault of an example
settings.load_profile("untimed")
