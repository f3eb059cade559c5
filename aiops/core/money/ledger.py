"""The ledger: what each action that changes costs promised, and what came of it against the counterfactual.

A promise is a rate, since nobody knows beforehand for how long a change will stand. What was saved is the integral of
(reference - what ran) x price over the time for which it stood, in the exact arithmetic of `spend`. A saving is
realised only as far as it let go of node-hours; the rest is capacity freed. What has no known price saves
replica-hours alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from aiops.core.model import Instant, PolicyKey
from aiops.core.money.spend import Meter, Reference, Row, Subject, per_hour


class SavingKind(StrEnum):
    """What kind of action it was."""

    SCALE_IN = "scale-in"
    SCALE_OUT = "scale-out"
    SLEEP = "sleep"
    RIGHTSIZE = "rightsize"
    PACK = "pack"
    SPOT = "spot"
    DEFER = "defer"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What was expected to be saved, in nano-USD per hour, with an 80 % interval."""

    middle: int
    low: int
    high: int

    @classmethod
    def of(cls, reference: Reference | None, replicas: int, price: int | None) -> Promise | None:
        """Return what so many replicas save against a reference, None where either or the price is not known."""
        if reference is None or price is None:
            return None
        saved = ((one - replicas) * price for one in (reference.middle, reference.low, reference.high))
        middle, low, high = saved
        return cls(middle=middle, low=low, high=high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One action in the ledger. until: it has been counted up to then; closed_at: when it ceased to stand, or None.

    dry_run: nothing was done, so that nothing can come of it. saved, realised: products, as in `spend.Row`. note: what
    was done, for people.
    """

    id: str
    kind: SavingKind
    policy: PolicyKey
    subject: Subject
    opened_at: Instant
    note: str
    promise: Promise | None = None
    until: Instant = 0.0
    closed_at: Instant | None = None
    dry_run: bool = False
    seen_ms: int = 0
    replica_ms: int = 0
    unpriced_ms: int = 0
    saved: int = 0
    saved_low: int = 0
    saved_high: int = 0
    realised: int = 0
    slo_ms: int = 0
    late: float = 0.0

    def counted(self, meter: Meter, span_ms: int, until: Instant) -> Entry:
        """Return the entry with what was true for a time counted in."""
        row = Row()
        row.add(meter, span_ms)
        unpriced = row.reference_ms - row.compared_ms if meter.price is None else 0
        return replace(
            self,
            until=until,
            seen_ms=self.seen_ms + row.seen_ms,
            replica_ms=self.replica_ms + row.reference_ms - row.compared_ms,
            unpriced_ms=self.unpriced_ms + unpriced,
            saved=self.saved + row.saved,
            saved_low=self.saved_low + row.saved_low,
            saved_high=self.saved_high + row.saved_high,
            realised=self.realised + row.realised,
            slo_ms=self.slo_ms + row.slo_ms,
            late=self.late + row.late,
        )

    @property
    def promised(self) -> int | None:
        """Return the nano-USD that the promised rate comes to over the time for which it was seen to stand."""
        return None if self.promise is None else per_hour(self.promise.middle * self.seen_ms)


@dataclass(slots=True)
class Ledger:
    """The entries that stand, and those that changed since they were last written; owned by one thread."""

    standing: dict[str, Entry] = field(default_factory=dict)
    changed: dict[str, Entry] = field(default_factory=dict)
    _on: dict[Subject, list[str]] = field(default_factory=dict)

    def open(self, entry: Entry) -> None:
        """Begin an entry, once: one of the same id goes on as it is. One of a dry run is closed at once."""
        if entry.id in self.standing:
            return
        self.changed[entry.id] = entry
        self.stand(entry)

    def stand(self, entry: Entry) -> None:
        """Go on with an entry that stands, as it was stored."""
        if not entry.dry_run and entry.closed_at is None:
            self.standing[entry.id] = entry
            self._on.setdefault(entry.subject, []).append(entry.id)

    def close(self, entry_id: str, at: Instant) -> None:
        """End an entry that stands."""
        entry = self.standing.pop(entry_id, None)
        if entry is not None:
            self._on[entry.subject].remove(entry_id)
            self.changed[entry_id] = replace(entry, closed_at=at)

    def close_of(self, subject: Subject, kinds: frozenset[SavingKind], at: Instant) -> None:
        """End what stands of these kinds on a subject: the next action of a policy takes over from the one before."""
        for one in self.of(subject):
            if one.kind in kinds:
                self.close(one.id, at)

    def of(self, subject: Subject) -> list[Entry]:
        """Return what stands on a subject."""
        return [self.standing[key] for key in self._on.get(subject, ())]

    def count(self, subject: Subject, meter: Meter, span_ms: int, until: Instant) -> None:
        """Count a time in for whatever stands on a subject: where several stand, what was done last is what counts."""
        mine = self.of(subject)
        if not mine:
            return
        newest = max(mine, key=lambda one: (one.opened_at, one.id))
        self.standing[newest.id] = self.changed[newest.id] = newest.counted(meter, span_ms, until)


SCALING = frozenset({SavingKind.SCALE_IN, SavingKind.SCALE_OUT})
"""Of which the next one takes over from the one before."""
