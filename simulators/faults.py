"""What goes wrong in a world, and when: values on the scenario's clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from aiops.core.model import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRelease:
    """A release that makes requests slower and fail until it is rolled back or the time is over."""

    service: str
    start: Instant
    end: Instant
    latency_factor: float = 1.0
    error_ratio: float = 0.0


class GapAnswer(StrEnum):
    """What the metrics source says of a service that it has stopped hearing from."""

    STALE = "stale"
    ABSENT = "absent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrapeGap:
    """Scrapes of a service are lost, all of them or a share, or seen late; requests are served all the same.

    answer: what the metrics source says while all are lost.
    """

    service: str
    start: Instant
    end: Instant
    answer: GapAnswer
    loss_ratio: float = 1.0
    lag_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PodLoss:
    """Ready pods die at once (a node is gone); the workload makes new ones, which take their start-up time."""

    service: str
    start: Instant
    count: int


Fault: TypeAlias = BadRelease | ScrapeGap | PodLoss


class Troubles:
    """The faults of one service as time goes by. `release` and `gap` are what is in force since the last `turn`."""

    def __init__(self, faults: Sequence[Fault], service: str) -> None:
        mine = [fault for fault in faults if fault.service == service]
        self._releases = [fault for fault in mine if isinstance(fault, BadRelease)]
        self._gaps = [fault for fault in mine if isinstance(fault, ScrapeGap)]
        self._losses = sorted((fault for fault in mine if isinstance(fault, PodLoss)), key=lambda loss: loss.start)
        self.release: BadRelease | None = None
        self.gap: ScrapeGap | None = None

    def turn(self, now: Instant) -> int:
        """Go to `now`, and return how many pods are lost since the last turn."""
        if self._releases:
            self.release = next((fault for fault in self._releases if fault.start <= now < fault.end), None)
        if self._gaps:
            self.gap = next((fault for fault in self._gaps if fault.start <= now < fault.end), None)
        lost = 0
        while self._losses and self._losses[0].start <= now:
            lost += self._losses.pop(0).count
        return lost

    def roll_back(self, now: Instant) -> bool:
        """End the bad release that is in force; return whether there was one."""
        if self.release is None:
            return False
        self._releases = [replace(r, end=min(r.end, now)) if r == self.release else r for r in self._releases]
        self.release = None
        return True
