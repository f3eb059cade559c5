"""A compiled cost policy that begins batch work when it is cheap."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from aiops.core.model import Instant
from aiops.core.planning.saving import SavingPolicy
from aiops.core.protocols import Schedule

SLOT_S = 300.0
"""How finely times are told apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceHours:
    """A price while a schedule is active."""

    schedule: Schedule
    price: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """Prices by the clock. Of several that are active the first counts, `base` where none is."""

    base: float
    hours: tuple[PriceHours, ...] = ()

    def at(self, now: Instant) -> float:
        """Return the price at an instant."""
        return next((one.price for one in self.hours if one.schedule.active_until(now) is not None), self.base)

    def slots(self, start: Instant, end: Instant) -> Iterator[tuple[Instant, float]]:
        """Yield the price of each slot from `start` on that begins before `end`."""
        for number in range(math.ceil(max(0.0, end - start) / SLOT_S)):
            at = start + number * SLOT_S
            yield at, self.at(at)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeferPolicy(SavingPolicy):
    """A compiled CostPolicy with `defer`. tariff: prices by the clock; else `signal` says what it costs now.

    duration_s: how long work takes until that was seen. within_s: how long after it was made work must be done, where
    it says nothing itself. late_runs: being late is as bad as so many runs cost. at_once: how many may run at a time;
    a deadline asks nobody.
    """

    tariff: Tariff | None = None
    signal: str = ""
    duration_s: float = 1800.0
    within_s: float = 43_200.0
    late_runs: float = 20.0
    at_once: int = 5
