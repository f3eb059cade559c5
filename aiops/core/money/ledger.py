"""The ledger: what each action that changes costs promised, and what came of it against the counterfactual.

A promise is a rate, since nobody knows beforehand for how long a change will stand. What was saved is the integral of
(reference - what ran) x price over the time for which it stood, in the exact arithmetic of `spend`. A saving is
realised only as far as it let go of node-hours; the rest is capacity freed. What has no known price saves
replica-hours alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from aiops.core.ids import digest
from aiops.core.model import Instant, PolicyKey
from aiops.core.money.chains import MOST_GONE, Link, folded
from aiops.core.money.spend import Meter, Reference, Row, Share, Subject, per_hour

MOST_NOTED = 2000
LONGEST_ID = 64
"""Characters, as the store has them."""


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
    was done, for people. links: which requests it changed, where it did.
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
    links: tuple[Link, ...] = ()

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


def name_in(plan: str, what: str) -> str:
    """Return what names one part of a plan: by a target or a node, or by its hash where that would be too long.

    >>> name_in("P1", "default/n0"), name_in("P1", "n" * 80)
    ('P1/default/n0', 'P1/218e89c3ba575968')
    """
    name = f"{plan}/{what}"
    return name if len(name) <= LONGEST_ID else f"{plan}/{digest(what)}"


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

    def fold(self, subject: Subject, forgotten: frozenset[str], at: Instant) -> None:
        """Let the two oldest changes of requests become one, of more than are told apart whose plans are forgotten."""
        mine = sorted((one for one in self.of(subject) if one.id in forgotten), key=lambda one: (one.opened_at, one.id))
        if len(mine) <= MOST_GONE:
            return
        first, second = mine[:2]
        note = f"{first.note}; then: {second.note}"[:MOST_NOTED]
        one = replace(first, links=folded(first.links, second.links), note=note)
        self.standing[first.id] = self.changed[first.id] = one
        self.close(second.id, at)

    def of(self, subject: Subject) -> list[Entry]:
        """Return what stands on a subject."""
        return [self.standing[key] for key in self._on.get(subject, ())]

    def count(self, subject: Subject, meter: Meter, span_ms: int, until: Instant) -> None:
        """Count a time in for whatever stands on a subject, each its part: together they are what the meter saves."""
        mine = self.of(subject)
        if not mine:
            return
        for name, part in parts(meter, mine):
            self.standing[name] = self.changed[name] = self.standing[name].counted(part, span_ms, until)


def parts(meter: Meter, standing: Sequence[Entry]) -> list[tuple[str, Meter]]:
    """Return the meter as one for each entry that brought something; what they save adds up to what it saves.

    First the replicas, at the price of before, each rest or move its own; then, of the replicas that run, one step of
    their price after the other. What no entry of these has is the doing of the newest that changed no requests.
    """
    known = {one.id for one in standing}
    newest = max(standing, key=lambda one: (not one.links, one.opened_at, one.id))
    mine = [one for one in meter.layers if one.entry in known and one.entry != newest.id]
    shares = [one for one in meter.shares if one.entry in known]
    if meter.price is None:
        return shared(replace(meter, shares=tuple(shares)), newest.id)
    if not (mine or shares):
        return [(newest.id, meter)]
    same = Reference(low=meter.replicas, middle=meter.replicas, high=meter.replicas)
    price = meter.price + sum(one.extra for one in mine)
    # the first part has all the rest: of the replicas, and of the price what no other entry took off
    made = shared(replace(meter, price=price, layers=(), shares=tuple(shares)), newest.id)
    for one in mine:
        step = replace(meter, price=price - one.extra, was_price=price, reference=same, layers=(), shares=())
        made.append((one.entry, replace(step, slo_broken=False, late=0.0)))
        price -= one.extra
    return _realised(made, meter)


def shared(meter: Meter, newest: str) -> list[tuple[str, Meter]]:
    """Return the meter as one for each of its shares, and one for the newest entry, which has what is left.

    Of what rests the reference is parted; of what was moved the replicas that run, too.
    """
    plain = replace(meter, shares=())
    reference = meter.reference
    if reference is None:
        return [(newest, plain)]
    base = 0 if meter.moved else meter.replicas
    levels = [reference.low, reference.middle, reference.high]
    lows, middles, highs = (stacked(meter.shares, meter.replicas if meter.moved else one - base) for one in levels)
    made = []
    for name, middle in middles.items():
        if name == newest or not (middle or lows[name] or highs[name]):
            continue
        own = Reference(low=lows[name], middle=middle, high=highs[name])
        part = replace(plain, replicas=middle if meter.moved else 0, reference=own, slo_broken=False, late=0.0)
        made.append((name, part))
    left = Reference(
        low=reference.low - sum(one.reference.low for _, one in made if one.reference is not None),
        middle=reference.middle - sum(one.reference.middle for _, one in made if one.reference is not None),
        high=reference.high - sum(one.reference.high for _, one in made if one.reference is not None),
    )
    runs = meter.replicas - sum(one.replicas for _, one in made)
    return [(newest, replace(plain, replicas=runs, reference=left)), *made]


def stacked(shares: Sequence[Share], total: int) -> dict[str, int]:
    """Return how much of a total each share has: what came last is the first that is given back, and to be missing.

    >>> a, b = Share(entry="a", replicas=4), Share(entry="b", replicas=2)
    >>> stacked([a, b], 6), stacked([a, b], 5), stacked([a, b], 3), stacked([a, b], -1)
    ({'a': 4, 'b': 2}, {'a': 4, 'b': 1}, {'a': 3, 'b': 0}, {'a': 0, 'b': 0})
    >>> stacked([a, b, Share(entry="c", replicas=-3)], 3)
    {'a': 3, 'b': 0, 'c': 0}
    """
    found: dict[str, int] = {}
    for one in shares:
        found[one.entry] = max(0, one.replicas)
        _given_back(found, max(0, -one.replicas))
    _given_back(found, max(0, sum(found.values()) - max(0, total)))
    return found


def _given_back(found: dict[str, int], replicas: int) -> None:
    for name in reversed(found):
        taken = min(found[name], replicas)
        found[name] -= taken
        replicas -= taken


def saved_rate(meter: Meter | None) -> int:
    """Return nano-USD per hour that a meter saves now; less than nothing where it costs more than its reference."""
    if meter is None or meter.reference is None or meter.price is None:
        return 0
    was = meter.price if meter.was_price is None else meter.was_price
    return meter.reference.middle * was - meter.replicas * meter.price


def _realised(made: list[tuple[str, Meter]], meter: Meter) -> list[tuple[str, Meter]]:
    """Return the parts with how much of each has let go of nodes: in all as much as of the meter.

    What costs more than its reference is paid in full, and takes that much less from what others realise.
    """
    saved = [saved_rate(one) for _, one in made]
    more, total = sum(one for one in saved if one > 0), sum(saved)
    ratio = min(max(meter.released_ratio, 0.0), 1.0)
    if total <= 0:
        ratio = 1.0
    elif total < more:
        ratio += (1.0 - ratio) * (more - total) / more
    return [(name, replace(one, released_ratio=ratio)) for name, one in made]


SCALING = frozenset({SavingKind.SCALE_IN, SavingKind.SCALE_OUT})
"""Of which the next one takes over from the one before."""
