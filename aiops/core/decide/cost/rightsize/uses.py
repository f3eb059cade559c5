"""What many containers were seen to use, as arrays: taken in sample by sample, kept in bounded size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from aiops.core.decide.cost.rightsize.buckets import CORES, FORGOTTEN, added, decayed
from aiops.core.model import F64, Bools, ContainerUse, Instant, Rows, Weights
from aiops.core.planning.cost_rightsize import DAY_S, Terms

WINDOW_S = DAY_S
"""Memory is remembered as the peak of each such window."""

LATELY = 16.0
"""The shorter memory of CPU forgets so much faster."""

OOM_RATIO, OOM_LEAST_BYTES = 1.2, 100.0 * 2**20
"""After a kill the container needs so much more than it had, as the VerticalPodAutoscaler has it."""

MOST_KILLS = 3
"""So many kills in the history raise the floor; one that is killed on and on leaks, and more would not help."""

THROTTLE_RATIO = 1.2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """What one instant shows. rows: of the container, one for each pod; cores, bytes: float64[k], NaN where unknown."""

    at: Instant
    rows: Rows
    cores: F64
    bytes: F64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Uses:
    """n containers; see ContainerUse. cpu, lately: float64[n, buckets]. peaks: float64[n, windows], 0 for none.

    window: the number of the newest column of `peaks`. The other arrays are float64[n].
    """

    keys: tuple[str, ...]
    cpu: F64
    lately: F64
    peaks: F64
    window: int
    since: F64
    until: F64
    samples: F64
    floor_bytes: F64
    floor_bytes_at: F64
    floor_cores: F64
    floor_cores_at: F64
    kills: F64
    killed_at: F64
    cpu_low_since: F64
    memory_low_since: F64

    def __len__(self) -> int:
        return len(self.keys)


_PLAIN = (
    "since",
    "until",
    "floor_bytes",
    "floor_bytes_at",
    "floor_cores",
    "floor_cores_at",
    "killed_at",
    "cpu_low_since",
    "memory_low_since",
)


def unpacked(kept: Mapping[str, ContainerUse], keys: Sequence[str], terms: Terms, now: Instant) -> Uses:
    """Return what is known of these containers, of those that are new nothing."""
    every = [kept.get(key, ContainerUse()) for key in keys]
    n, window = len(every), int(now // WINDOW_S)
    cpu, lately = np.zeros((n, CORES.count)), np.zeros((n, CORES.count))
    peaks = np.zeros((n, terms.windows))
    for row, one in enumerate(every):
        for into, some in ((cpu, one.cpu), (lately, one.lately)):
            into[row, some.first : some.first + len(some.weights)] = some.weights
        for number, size in one.peaks:
            column = terms.windows - 1 - (window - number)
            if 0 <= column < terms.windows:
                peaks[row, column] = size
    plain = {name: np.array([getattr(one, name) for one in every], np.float64) for name in _PLAIN}
    return Uses(
        keys=tuple(keys),
        cpu=cpu,
        lately=lately,
        peaks=peaks,
        window=window,
        samples=np.array([one.samples for one in every], np.float64),
        kills=np.array([one.kills for one in every], np.float64),
        **plain,
    )


def packed(uses: Uses) -> dict[str, ContainerUse]:
    """Return what is remembered, by key; of weights what weighs something, to four digits."""
    made = {}
    first = uses.window - uses.peaks.shape[1] + 1
    for row, key in enumerate(uses.keys):
        peaks = tuple((first + column, float(size)) for column, size in enumerate(uses.peaks[row]) if size > 0.0)
        made[key] = ContainerUse(
            samples=int(uses.samples[row]),
            kills=int(uses.kills[row]),
            cpu=_weights(uses.cpu[row]),
            lately=_weights(uses.lately[row]),
            peaks=peaks,
            **{name: float(getattr(uses, name)[row]) for name in _PLAIN},
        )
    return made


def _weights(row: F64) -> Weights:
    total = float(row.sum())
    heavy = np.flatnonzero(row > FORGOTTEN * total)
    if not len(heavy):
        return Weights()
    first, last = int(heavy[0]), int(heavy[-1])
    return Weights(first=first, weights=tuple(float(f"{one:.4g}") for one in row[first : last + 1]))


def fresh(keys: Sequence[str], terms: Terms, now: Instant) -> Uses:
    """Return containers of which nothing is known."""
    return unpacked({}, keys, terms, now)


# -- taking in ---------------------------------------------------------------------------------------


def taken(uses: Uses, seen: Seen, terms: Terms) -> Uses:
    """Return what is known after one more instant: each container's pods together weigh as much as one sample."""
    uses = turned(uses, seen.at)
    n = len(uses)
    known = np.isfinite(seen.cores)
    pods = np.bincount(seen.rows[known], minlength=n).astype(np.float64)
    sampled = pods > 0
    age_s = np.where(sampled & np.isfinite(uses.until), seen.at - uses.until, 0.0)
    rows, cores = seen.rows[known], seen.cores[known]
    shares = 1.0 / pods[rows]
    sized = np.isfinite(seen.bytes)
    peaks = uses.peaks.copy()
    np.maximum.at(peaks, (seen.rows[sized], peaks.shape[1] - 1), seen.bytes[sized])
    return replace(
        uses,
        cpu=added(decayed(uses.cpu, age_s, terms.half_life_s), rows, cores, shares),
        lately=added(decayed(uses.lately, age_s, terms.half_life_s / LATELY), rows, cores, shares),
        peaks=peaks,
        samples=uses.samples + sampled,
        since=np.where(sampled, np.minimum(uses.since, seen.at), uses.since),
        until=np.where(sampled, seen.at, uses.until),
    )


def turned(uses: Uses, at: Instant) -> Uses:
    """Return the uses with the window of `at` as the newest."""
    window = int(at // WINDOW_S)
    ahead = min(max(0, window - uses.window), uses.peaks.shape[1])
    if not ahead:
        return uses
    peaks = np.zeros_like(uses.peaks)
    peaks[:, : peaks.shape[1] - ahead] = uses.peaks[:, ahead:]
    return replace(uses, peaks=peaks, window=window)


def killed(uses: Uses, at: F64, limit_bytes: F64, terms: Terms) -> Uses:
    """Return the uses after kills for memory: `at` float64[n] is the newest of each row, -inf for none.

    What it had is its limit, or the peak where there is none. A kill that was counted before counts no more.
    """
    new = at > uses.killed_at
    held_s = terms.windows * WINDOW_S
    standing = uses.floor_bytes_at > at - held_s
    kills = np.where(standing, uses.kills, 0.0)
    had = np.where(np.isfinite(limit_bytes) & (limit_bytes > 0), limit_bytes, uses.peaks[:, -1])
    had = np.maximum(had, uses.peaks[:, -1])
    needed = np.maximum(had * OOM_RATIO, had + OOM_LEAST_BYTES)
    raised = new & (kills < MOST_KILLS) & (had > 0)
    return replace(
        uses,
        killed_at=np.where(new, at, uses.killed_at),
        kills=np.where(new, kills + 1.0, uses.kills),
        floor_bytes=np.where(raised, np.maximum(uses.floor_bytes * standing, needed), uses.floor_bytes),
        floor_bytes_at=np.where(new, at, uses.floor_bytes_at),
    )


def throttled(uses: Uses, rows: Rows, at: Instant, limit_cores: F64) -> Uses:
    """Return the uses after rows were throttled more than may be: they need more than their limit, float64[n]."""
    hit = np.zeros(len(uses), np.bool_)
    hit[rows] = True
    hit &= np.isfinite(limit_cores) & (limit_cores > 0)
    return replace(
        uses,
        floor_cores=np.where(hit, np.maximum(uses.floor_cores, limit_cores * THROTTLE_RATIO), uses.floor_cores),
        floor_cores_at=np.where(hit, at, uses.floor_cores_at),
    )


# -- what is known -----------------------------------------------------------------------------------


def history_days(uses: Uses, sample_s: float) -> F64:
    """Return float64[n]: days of history as the VerticalPodAutoscaler counts them, 0 without any.

    The time between the first and the last sample, and no more than there are samples of `sample_s` each.
    """
    with np.errstate(invalid="ignore"):
        span = np.where(uses.samples > 0, uses.until - uses.since, 0.0)
    return np.minimum(span, uses.samples * sample_s) / DAY_S


def floors(uses: Uses, now: Instant, terms: Terms) -> tuple[F64, F64]:
    """Return the floors of cores and of bytes that still stand: for as long as peaks are remembered."""
    since = now - terms.windows * WINDOW_S
    cores = np.where(uses.floor_cores_at > since, uses.floor_cores, 0.0)
    return cores, np.where(uses.floor_bytes_at > since, uses.floor_bytes, 0.0)


def leaking(uses: Uses, now: Instant, terms: Terms) -> Bools:
    """Return bool[n]: killed so often that more memory would only put the next kill off."""
    standing = uses.floor_bytes_at > now - terms.windows * WINDOW_S
    return np.asarray(standing & (uses.kills > MOST_KILLS))
