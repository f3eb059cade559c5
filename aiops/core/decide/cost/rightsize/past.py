"""What was used before the first look, as history tells it: put before what was seen since.

Sums of weights that fade are linear, so that many instants are taken in at once, day after day, and what was lived
through since is added to it. `tests/unit/test_rightsize_past.py` holds it against taking in one instant after another.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from aiops.core.decide.cost.rightsize.buckets import added, decayed
from aiops.core.decide.cost.rightsize.report import wished
from aiops.core.decide.cost.rightsize.scene import Scene
from aiops.core.decide.cost.rightsize.uses import (
    LATELY,
    THROTTLE_RATIO,
    WINDOW_S,
    Seen,
    Uses,
    fresh,
    packed,
    taken,
    throttled,
    turned,
    unpacked,
)
from aiops.core.model import F64, ContainerUse, Instant, RightsizeState, Rows, UsePast
from aiops.core.objects.bodies import at as within
from aiops.core.objects.bodies import instant as read_instant
from aiops.core.planning.cost_rightsize import CPU, MEMORY, THROTTLED, RightsizePolicy, Terms

_WORD = "[bcdfghjklmnpqrstvwxz2456789]"
"""What Kubernetes makes random names of: no vowels, and nothing that reads like one."""

_OF_DEPLOYMENT = re.compile(rf"(.+)-{_WORD}{{6,10}}-{_WORD}{{5}}")
_OF_DAEMON_SET = re.compile(rf"(.+)-{_WORD}{{5}}")
_OF_STATEFUL_SET = re.compile(r"(.+)-\d+")
_NAMED = (("DaemonSet", _OF_DAEMON_SET), ("StatefulSet", _OF_STATEFUL_SET), ("Deployment", _OF_DEPLOYMENT))

Series: TypeAlias = tuple[Sequence[Mapping[str, str]], F64]
"""Of a table: the labels of each series, and float64[s, t] on the grid that was asked for, NaN for no sample."""

Span: TypeAlias = tuple[Instant, Instant]

LEAST_S = 3600.0
"""A past that is shorter teaches nothing that is not lived through soon."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """Some days of history. times: float64[t], rising. rows: of the container, one for each of s pods.

    cores, bytes, throttled: float64[s, t], NaN where unknown; throttled is the share of periods.
    """

    times: F64
    rows: Rows
    cores: F64
    bytes: F64
    throttled: F64

    def seen(self, number: int) -> Seen:
        """Return what one of the instants shows."""
        at = float(self.times[number])
        return Seen(at=at, rows=self.rows, cores=self.cores[:, number], bytes=self.bytes[:, number])

    def part(self, first: int, end: int) -> Block:
        """Return the instants from `first` on before `end`."""
        return replace(
            self,
            times=self.times[first:end],
            cores=self.cores[:, first:end],
            bytes=self.bytes[:, first:end],
            throttled=self.throttled[:, first:end],
        )


# -- whose pods they were ------------------------------------------------------------------------------


@dataclass(slots=True)
class Pods:
    """Tells the row of a container from the names of a pod and of itself, also of pods that are gone.

    Those that are there are told by what their workload selects, the others by how Kubernetes names pods.
    """

    found: Scene
    _rows: dict[tuple[str, str], int] = field(init=False)
    _alive: dict[str, str] = field(init=False)
    _workloads: dict[tuple[str, str], str] = field(init=False)

    def __post_init__(self) -> None:
        every = enumerate(self.found.containers)
        self._rows = {(one.workload.ref.key, one.name): row for row, one in every}
        self._alive = {pod.ref.name: key for key, pods in self.found.pods.items() for pod in pods}
        refs = [one.ref for one in self.found.workloads.values()]
        self._workloads = {(ref.kind, ref.name): ref.key for ref in refs}

    def row(self, pod: str, container: str) -> int | None:
        """Return the row, None where it is nobody's that is sized."""
        owner = self._alive.get(pod) or max(self._named(pod), key=len, default="")
        return self._rows.get((owner, container))

    def _named(self, pod: str) -> Iterator[str]:
        for kind, pattern in _NAMED:
            match = pattern.fullmatch(pod)
            owner = None if match is None else self._workloads.get((kind, match[1]))
            if owner is not None:
                yield owner


def block(pods: Pods, times: F64, series: Mapping[str, Series]) -> Block:
    """Return what history told of the containers that are sized, by the names of tables; what is absurd is unknown."""
    rows: dict[tuple[str, str], int] = {}
    for labels, _ in series.values():
        for one in labels:
            key = (one.get("pod", ""), one.get("container", ""))
            row = rows.get(key, pods.row(*key))
            if row is not None:
                rows[key] = row
    places = {key: place for place, key in enumerate(rows)}

    def table(name: str) -> F64:
        made = np.full((len(places), len(times)), np.nan)
        labels, values = series.get(name, ((), made))
        for one, some in zip(labels, values, strict=False):
            place = places.get((one.get("pod", ""), one.get("container", "")))
            if place is not None:
                made[place] = np.where(np.isfinite(some) & (some >= 0.0), some, np.nan)
        return made

    return Block(
        times=times,
        rows=np.array(list(rows.values()), np.intp),
        cores=table(CPU),
        bytes=table(MEMORY),
        throttled=table(THROTTLED),
    )


# -- taking in -----------------------------------------------------------------------------------------


def lived(uses: Uses, block: Block, terms: Terms, limit_cores: F64, most_ratio: float) -> Uses:
    """Return what is known after all instants of a block, as `taken` and `throttled` have it one after the other.

    limit_cores: float64[n]; most_ratio: more of its periods than that are too many.
    """
    if not len(block.times):
        return uses
    n, times = len(uses), block.times
    uses = turned(uses, float(times[-1]))
    known = np.isfinite(block.cores)
    pods = np.zeros((n, len(times)))
    np.add.at(pods, block.rows, known)
    sampled = pods > 0
    some = sampled.any(axis=1)
    first = times[np.argmax(sampled, axis=1)]
    last = times[len(times) - 1 - np.argmax(sampled[:, ::-1], axis=1)]
    since = np.where(some, np.minimum(uses.since, first), uses.since)
    until = np.where(some, last, uses.until)
    pod, instant = np.nonzero(known)
    rows, cores = block.rows[pod], block.cores[pod, instant]
    shares, ages = 1.0 / pods[rows, instant], until[rows] - times[instant]
    passed_s = _passed(uses.until, until)

    def weighed(before: F64, half_life_s: float) -> F64:
        return added(decayed(before, passed_s, half_life_s), rows, cores, shares * 0.5 ** (ages / half_life_s))

    uses = replace(
        uses,
        cpu=weighed(uses.cpu, terms.half_life_s),
        lately=weighed(uses.lately, terms.half_life_s / LATELY),
        peaks=_peaks(uses, block),
        samples=uses.samples + sampled.sum(axis=1),
        since=since,
        until=until,
    )
    return _throttled(uses, block, limit_cores, most_ratio)


def _passed(before: F64, after: F64) -> F64:
    """Return float64[n]: the seconds between two instants, 0 where one of them is not known."""
    known = np.isfinite(before) & np.isfinite(after)
    return np.where(known, after, 0.0) - np.where(known, before, 0.0)


def _peaks(uses: Uses, block: Block) -> F64:
    peaks = uses.peaks.copy()
    pod, instant = np.nonzero(np.isfinite(block.bytes))
    column = peaks.shape[1] - 1 - (uses.window - (block.times[instant] // WINDOW_S).astype(np.intp))
    kept = column >= 0
    np.maximum.at(peaks, (block.rows[pod[kept]], column[kept]), block.bytes[pod, instant][kept])
    return peaks


def _throttled(uses: Uses, block: Block, limit_cores: F64, most_ratio: float) -> Uses:
    pod, instant = np.nonzero(np.nan_to_num(block.throttled) > most_ratio)
    at = np.full(len(uses), -np.inf)
    np.maximum.at(at, block.rows[pod], block.times[instant])
    hit = np.isfinite(at) & np.isfinite(limit_cores) & (limit_cores > 0)
    return replace(
        uses,
        floor_cores=np.where(hit, np.maximum(uses.floor_cores, limit_cores * THROTTLE_RATIO), uses.floor_cores),
        floor_cores_at=np.where(hit, at, uses.floor_cores_at),
    )


def told(policy: RightsizePolicy, found: Scene, blocks: Iterable[Block], end: Instant) -> dict[str, ContainerUse]:
    """Return what is known after all blocks, oldest first, of the containers of which something was seen.

    What of a request was too large is followed for as long before the end as it takes until something is lowered; the
    requests of then are taken to be those of now.
    """
    sizing, use = policy.sizing, policy.sizing.use
    limits = np.array([one.amount("limits", CPU) for one in found.containers])
    most_ratio = policy.trial.throttled_ratio
    uses: Uses | None = None
    for block in blocks:
        if uses is None:
            uses = fresh([one.key for one in found.containers], use, float(block.times[0]))
        late = int(np.searchsorted(block.times, end - sizing.lower_after_s - sizing.sample_s))
        uses = lived(uses, block.part(0, late), use, limits, most_ratio)
        for number in range(late, len(block.times)):
            at = float(block.times[number])
            uses = taken(uses, block.seen(number), use)
            slow = np.nan_to_num(block.throttled[:, number]) > most_ratio
            uses = throttled(uses, block.rows[slow], at, limits)
            uses = wished(policy, found, uses, at)[1].uses
    if uses is None:
        return {}
    seen = (uses.samples > 0) | (uses.peaks > 0).any(axis=1)
    return {key: one for (key, one), there in zip(packed(uses).items(), seen, strict=True) if there}


# -- before what was seen since ------------------------------------------------------------------------


def unread(policy: RightsizePolicy, found: Scene, memory: RightsizeState, now: Instant) -> dict[str, Span]:
    """Return of which containers the past was not read yet, and from when to when it would be.

    An object that was made since has no past of its own before.
    """
    first = now - policy.sizing.use.windows * WINDOW_S
    asked = {}
    for one in found.containers:
        if one.key in memory.read:
            continue
        kept = memory.uses.get(one.key)
        end = now if kept is None or not math.isfinite(kept.since) else kept.since
        made_at = read_instant(str(within(one.workload.body, "metadata", "creationTimestamp") or ""))
        # samples are as far apart as those that are looked at: the last comes so long before the first of these
        start = first if made_at is None else max(first, made_at)
        asked[one.key] = (start, end - policy.sizing.sample_s)
    return asked


def with_past(policy: RightsizePolicy, past: UsePast | None, memory: RightsizeState, now: Instant) -> RightsizeState:
    """Return the memory with what history told put before it; of what was read before nothing is taken twice."""
    if past is None:
        return memory
    uses, read = dict(memory.uses), dict(memory.read)
    for key, since in past.asked.items():
        before, kept = past.uses.get(key), uses.get(key)
        late = before is not None and kept is not None and before.until >= kept.since
        if key in read or late:
            continue
        read[key] = since
        if before is not None:
            uses[key] = joined(before, kept, policy.sizing.use, now)
    return replace(memory, uses=uses, read=read, unread=past.error)


def joined(before: ContainerUse, kept: ContainerUse | None, terms: Terms, now: Instant) -> ContainerUse:
    """Return what is known had the past been lived through before what was seen since, which must be all after it.

    Since when less would do is as the past has it, since the first looks without a past could not tell; the next
    report ends it where it is not so. Kills are those that the statuses of pods tell, which are looked at anyway.
    """
    if kept is None:
        return before
    old, new = (unpacked({"": one}, [""], terms, now) for one in (before, kept))
    passed_s = _passed(old.until, new.until)
    slow = new.floor_cores_at >= old.floor_cores_at
    made = replace(
        new,
        cpu=decayed(old.cpu, passed_s, terms.half_life_s) + new.cpu,
        lately=decayed(old.lately, passed_s, terms.half_life_s / LATELY) + new.lately,
        peaks=np.maximum(old.peaks, new.peaks),
        samples=old.samples + new.samples,
        since=np.minimum(old.since, new.since),
        until=np.maximum(old.until, new.until),
        floor_cores=np.maximum(old.floor_cores, new.floor_cores),
        floor_cores_at=np.where(slow, new.floor_cores_at, old.floor_cores_at),
        cpu_low_since=np.minimum(old.cpu_low_since, new.cpu_low_since),
        memory_low_since=np.minimum(old.memory_low_since, new.memory_low_since),
    )
    return packed(made)[""]


def how_far(memory: RightsizeState, found: Scene, now: Instant) -> str:
    """Return what is known of the time before the first look, '' where nobody asked."""
    keys = [one.key for one in found.containers]
    read = [key for key in keys if key in memory.read]
    some = [one for key in read if (one := memory.uses.get(key)) is not None and math.isfinite(one.since)]
    if memory.unread:
        left = len(keys) - len(read)
        return f"what {left} of {len(keys)} containers used before the first look is not known: {memory.unread}"
    if not read:
        return ""
    days = max((now - one.since for one in some), default=0.0) / 86_400.0
    return f"what {len(read)} of {len(keys)} containers used before the first look was read: {days:.1f} d are known"
