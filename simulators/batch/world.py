"""The world of batch work: Jobs that were made suspended, whoever begins them, and how long they take."""

from __future__ import annotations

from dataclasses import dataclass, field

from aiops.core.model import Instant

KEPT_S = 3600.0
"""A Job that is done stays so long (ttlSecondsAfterFinished)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One Job. takes_s: how long it runs, which nobody knows beforehand. within_s, by: the deadline that it says."""

    name: str
    sort: str
    cron_job: bool
    made_at: Instant
    takes_s: float
    cores: float
    within_s: float | None = None
    by: Instant | None = None

    def deadline(self, within_s: float) -> Instant:
        """Return by when it is to be done. within_s: what counts where it says nothing itself."""
        if self.by is not None:
            return self.by
        return self.made_at + (within_s if self.within_s is None else self.within_s)


@dataclass(slots=True)
class World:
    """work: in the order in which Jobs are made. begun: when each was begun, by its name. step_s: between two turns."""

    work: tuple[Work, ...]
    now: Instant
    step_s: float
    begun: dict[str, Instant] = field(default_factory=dict)
    there: dict[str, Work] = field(default_factory=dict)
    _next: int = 0

    def step(self) -> None:
        """Let a step go by: Jobs are made, and those that are long done go."""
        self.now += self.step_s
        while self._next < len(self.work) and self.work[self._next].made_at <= self.now:
            self.there[self.work[self._next].name] = self.work[self._next]
            self._next += 1
        gone = [name for name in self.there if (done := self.done_at(name)) is not None and done + KEPT_S <= self.now]
        for name in gone:
            del self.there[name]

    def start(self, name: str) -> bool:
        """Begin a Job now; return whether it was there and waited."""
        if name not in self.there or name in self.begun:
            return False
        self.begun[name] = self.now
        return True

    def done_at(self, name: str) -> Instant | None:
        """Return when a Job is done that is there and was begun, though that may be later than now."""
        begun = self.begun.get(name)
        return None if begun is None else begun + self.there[name].takes_s

    @property
    def over(self) -> bool:
        """Return whether every Job was made and begun."""
        return self._next == len(self.work) and len(self.begun) == len(self.work)
