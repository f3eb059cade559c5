"""What drives replicas in a contest: one sample in, one number of replicas out, every 15 seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from aiops.core.model import F64

SYNC_S = 15.0
"""How often an autoscaler is asked."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The newest scraped step. A value that was not scraped is NaN.

    t: when it ended, seconds. rps: requests that came, per second. util: use of the ready replicas over what they can
    do. p95: seconds. inflight: requests in the system on average, waiting ones included. dropped: requests that were
    given up in the step. backlog: requests left waiting at its end. ready: replicas that served.
    """

    t: float
    rps: float
    util: float
    p95: float
    inflight: float
    dropped: float
    backlog: float
    ready: int


@runtime_checkable
class Autoscaler(Protocol):
    """One autoscaler of one workload. It is asked every `SYNC_S` and keeps what it needs between the calls."""

    name: str

    def fit(self, history_rps: F64, step_s: float, startup_s: float, slo_p95_s: float) -> None:
        """Take what is known before the start: float64[h] load in steps of `step_s`, and how long a replica starts."""
        ...

    def decide(self, sample: Sample, ready: int, current: int) -> int:
        """Return the new spec.replicas. ready: replicas that are Ready now; current: spec.replicas."""
        ...


class Clock:
    """Seconds since the first call, one `SYNC_S` a call: a source that stands still does not stop time."""

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now = -SYNC_S

    def tick(self) -> float:
        """Return the time of this call."""
        self.now += SYNC_S
        return self.now


_LEARNT_FROM = 20
_LEAST_USE, _MOST_USE = 0.05, 0.9


class Carried:
    """What one fully used replica carries, as somebody who writes a threshold reads it off a dashboard, once.

    The median of the first 20 samples in which replicas were neither idle nor overloaded; unchanged from then on. Until
    the first of them, what the newest sample seems to say: too much under overload, so that more replicas are made and
    a better sample comes. `rps`: requests per second; `slots`: requests at a time. NaN before anything was served.
    """

    __slots__ = ("_seen", "rps", "slots")

    def __init__(self) -> None:
        self.rps = self.slots = math.nan
        self._seen: list[tuple[float, float]] = []

    @property
    def sure(self) -> bool:
        """Return whether there was a sample to trust."""
        return len(self._seen) > 0

    def note(self, sample: Sample) -> None:
        """Learn from a sample, while there is something to learn."""
        seen = self._seen
        used = sample.util * sample.ready
        if len(seen) >= _LEARNT_FROM or not (used > 0.0 and sample.rps > 0.0 and sample.inflight > 0.0):
            return
        if _LEAST_USE <= sample.util <= _MOST_USE and sample.backlog <= 0.0:
            seen.append((sample.rps / used, sample.inflight / used))
            middle = (len(seen) - 1) // 2
            self.rps = sorted(rps for rps, _ in seen)[middle]
            self.slots = sorted(slots for _, slots in seen)[middle]
        elif not seen:
            self.rps, self.slots = sample.rps / used, sample.inflight / used
