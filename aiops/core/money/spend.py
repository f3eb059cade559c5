"""What was spent, as exact integers: milliseconds times replicas times billionths of a USD per hour.

A price is read as a whole number of billionths (nano-USD per hour), which is exact for every price of nine decimals or
fewer. Times are whole milliseconds. Products and sums of whole numbers are exact, whatever their order; the one
division, by the milliseconds of an hour, is made once for each row of an hour, and rounds by half a billionth at most.
A thousand targets over a year are 8.8 million rows, so that all of it together is out by less than half a cent.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from aiops.core.model import Instant, PolicyKey

NANO = 1_000_000_000
HOUR_MS = 3_600_000
DAY_S = 86_400
HOUR_S = 3600
GAP_TICKS = 3
"""So many ticks without a look are a gap: what was spent in it is not known."""

LEAST_GAP_S = 60.0


def nano(usd: float) -> int:
    """Return an amount as whole billionths, by the decimal digits that people read.

    >>> nano(0.042), nano(0.1) * 3 == nano(0.3)
    (42000000, True)
    """
    return int((Decimal(repr(float(usd))) * NANO).to_integral_value())


def usd(nanos: int) -> float:
    """Return billionths as USD.

    >>> usd(42_000_000)
    0.042
    """
    return nanos / NANO


def ms(at: Instant) -> int:
    """Return an instant as whole milliseconds; differences of them add up to the difference of the ends."""
    return round(at * 1000.0)


def per_hour(product: int) -> int:
    """Return nano-USD of a product of milliseconds and nano-USD per hour, rounded half to even: once for a row.

    >>> per_hour(3_600_000 * 42), per_hour(1_800_000), per_hour(5_400_000)
    (42, 0, 2)
    """
    whole, rest = divmod(product, HOUR_MS)
    half = HOUR_MS // 2
    return whole + (rest > half or (rest == half and whole % 2 == 1))


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Subject:
    """On whose account something is spent. labels: of the policy's metadata, sorted.

    target: a `TargetRef.key`, or `LOOP` for the watching itself, or `nodes/CLUSTER` for the nodes of a cluster.
    """

    target: str
    policy: PolicyKey = ""
    namespace: str = ""
    labels: tuple[tuple[str, str], ...] = ()

    @property
    def team(self) -> str:
        """Return the team that the policy names, '' for none."""
        return dict(self.labels).get("team", "")

    @property
    def is_target(self) -> bool:
        """Return whether it is a workload: neither the watching nor the nodes under all of them."""
        return self != LOOP and not self.target.startswith(NODES)


LOOP = Subject(target="loop")
NODES = "nodes/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The replicas that there would have been without what was done, and an 80 % interval of them."""

    low: int
    middle: int
    high: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """What one entry of the ledger takes off the price of a replica, nano-USD per hour."""

    entry: str
    extra: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How many replicas one entry of the ledger let rest, or moved to where they cost less; below none: gave back."""

    entry: str
    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """What is true of one subject from one look to the next.

    price: nano-USD per replica and hour, None while it is not known. was_price: what a replica of the reference costs,
    None for the same (with other requests it costs another amount). cost: nano-USD per hour in all, in place of price
    times replicas (of nodes, which cost different amounts). use_ratio: how much of the replicas is used, idle: whether
    none of it, None while that is not known. late: requests per second that break the SLO. released_ratio: how much of
    what is saved has let go of nodes. shares: of rests on top of each other, or of moves, who did how much, oldest
    first; moved: what they are of runs, and costs less.
    """

    replicas: int
    price: int | None = None
    was_price: int | None = None
    cost: int | None = None
    reference: Reference | None = None
    use_ratio: float | None = None
    idle: bool = False
    slo_broken: bool = False
    late: float = 0.0
    released_ratio: float = 0.0
    layers: tuple[Layer, ...] = ()
    shares: tuple[Share, ...] = ()
    moved: bool = False


@dataclass(slots=True)
class Row:
    """Sums over a span of one subject. What ends in `_ms` is milliseconds (of `replica_ms`: times replicas).

    unpriced_ms: replicas at a price that is not known. compared_ms: replicas while there was a reference. money, saved,
    realised: products of nano-USD per hour and milliseconds. peak: the most replicas that the reference had.
    use_known_ms, used_ms, idle_ms: replicas of which the use is known, in use, and idle. late: requests.
    """

    seen_ms: int = 0
    gap_ms: int = 0
    replica_ms: int = 0
    unpriced_ms: int = 0
    money: int = 0
    compared_ms: int = 0
    reference_ms: int = 0
    reference_low_ms: int = 0
    reference_high_ms: int = 0
    saved: int = 0
    saved_low: int = 0
    saved_high: int = 0
    realised: int = 0
    peak: int = 0
    use_known_ms: int = 0
    used_ms: int = 0
    idle_ms: int = 0
    slo_ms: int = 0
    late: float = 0.0

    def add(self, meter: Meter, span_ms: int) -> None:
        """Count what was true for a time."""
        replicas = meter.replicas * span_ms
        self.seen_ms += span_ms
        self.replica_ms += replicas
        if meter.cost is not None:
            self.money += meter.cost * span_ms
        elif meter.price is not None:
            self.money += meter.price * replicas
        else:
            self.unpriced_ms += replicas
        if meter.reference is not None:
            self._compare(meter, meter.reference, span_ms)
        if meter.use_ratio is not None:
            self.use_known_ms += replicas
            self.used_ms += round(replicas * min(max(meter.use_ratio, 0.0), 1.0))
            self.idle_ms += replicas if meter.idle else 0
        if meter.slo_broken:
            self.slo_ms += span_ms
            self.late += meter.late * span_ms / 1000.0

    def _compare(self, meter: Meter, reference: Reference, span_ms: int) -> None:
        self.compared_ms += meter.replicas * span_ms
        self.reference_ms += reference.middle * span_ms
        self.reference_low_ms += reference.low * span_ms
        self.reference_high_ms += reference.high * span_ms
        self.peak = max(self.peak, reference.middle)
        if meter.price is None:
            return  # a saving at a price that is not known is no money
        was = meter.price if meter.was_price is None else meter.was_price
        runs = meter.replicas * meter.price
        saved = (reference.middle * was - runs) * span_ms
        self.saved += saved
        self.saved_low += (reference.low * was - runs) * span_ms
        self.saved_high += (reference.high * was - runs) * span_ms
        # what costs more than the reference is paid in full; what saves is realised where it let go of nodes
        self.realised += saved if saved <= 0 else math.floor(saved * min(max(meter.released_ratio, 0.0), 1.0))


@dataclass(slots=True)
class Accounts:
    """The rows of the hours that are not written yet; owned by one thread.

    rows: by subject and the hour's beginning in seconds. touched: those that changed since they were last taken.
    """

    step_s: float = 15.0
    rows: dict[tuple[Subject, int], Row] = field(default_factory=dict)
    touched: set[tuple[Subject, int]] = field(default_factory=set)
    _last: dict[Subject, Meter | None] = field(default_factory=dict)
    _last_at: Instant = -math.inf

    def note(self, at: Instant, meters: dict[Subject, Meter | None]) -> list[tuple[Subject, Meter, int, int]]:
        """Count the time since the last look by what was true then; return (subject, meter, from, to) in milliseconds.

        meters: what is true now, None of what should be seen and is not: that is a gap until it is seen again. A look
        that comes late leaves a gap of all, which no row holds: the watching's own rows tell of it.
        """
        counted: list[tuple[Subject, Meter, int, int]] = []
        limit_s = max(LEAST_GAP_S, GAP_TICKS * self.step_s)
        if 0.0 < at - self._last_at <= limit_s:
            start, end = ms(self._last_at), ms(at)
            for subject, meter in self._last.items():
                self._count(subject, meter, start, end)
                if meter is not None:
                    counted.append((subject, meter, start, end))
        self._last, self._last_at = {LOOP: Meter(replicas=0, price=0), **meters}, at
        return counted

    def _count(self, subject: Subject, meter: Meter | None, start: int, end: int) -> None:
        for hour, span_ms in hours(start, end):
            key = (subject, hour)
            row = self.rows.get(key)
            if row is None:
                row = self.rows[key] = Row()
            if meter is None:
                row.gap_ms += span_ms
            else:
                row.add(meter, span_ms)
            self.touched.add(key)

    def taken(self) -> list[tuple[Subject, int, Row]]:
        """Return the rows that changed since they were last written."""
        return [(subject, hour, self.rows[subject, hour]) for subject, hour in self.touched]

    def written(self, at: Instant) -> None:
        """Forget that rows changed, and those of hours that are over: they are stored."""
        self.touched = set()
        self.rows = {key: row for key, row in self.rows.items() if key[1] + HOUR_S > at}

    def adopt(self, subject: Subject, hour: int, row: Row) -> None:
        """Go on with a row of an hour that is not over, as it was stored."""
        self.rows[subject, hour] = row


def hours(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the hours of a time in milliseconds: (the hour's beginning in seconds, milliseconds of it).

    >>> list(hours(3_599_000, 7_200_000 + 5))
    [(0, 1000), (3600, 3600000), (7200, 5)]
    """
    while start < end:
        hour = start // HOUR_MS
        until = min(end, (hour + 1) * HOUR_MS)
        yield hour * HOUR_S, until - start
        start = until
