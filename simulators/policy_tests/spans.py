"""Intervals of a test in virtual time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Generic, TypeVar

from aiops.core.model import Instant
from aiops.policy.testing.surroundings import Span

S = TypeVar("S", bound=Span)


class Spans(Generic[S]):
    """The intervals of a list, `to` not included."""

    def __init__(self, spans: Sequence[S], start: datetime) -> None:
        begun = start.timestamp()
        self._spans = [
            (
                begun + (0.0 if one.from_ is None else one.from_.after(start)) - 1e-6,
                math.inf if one.to is None else begun + one.to.after(start) - 1e-6,
                one,
            )
            for one in spans
        ]

    def active(self, at: Instant) -> list[tuple[Instant, Instant, S]]:
        """Return what is in force at an instant, each with its beginning and end."""
        return [one for one in self._spans if one[0] <= at < one[1]] if self._spans else []

    def any(self, at: Instant) -> bool:
        """Return whether one is in force."""
        return bool(self._spans) and bool(self.active(at))
