"""Who sizes a fleet: nobody, rules as others have them, one who knows the future, and the shipped estimator.

All of them act in place and on requests and limits alike, so that what differs is the sizes and nothing else.
"""

from __future__ import annotations

import numpy as np

from aiops.core.decide.cost.rightsize.buckets import CORES, Buckets, added, decayed, quantile
from aiops.core.decide.cost.rightsize.uses import Seen, floors, fresh, killed, taken, throttled
from aiops.core.decide.cost.rightsize.wishes import Held, wishes
from aiops.core.model import F64
from aiops.core.planning.cost_rightsize import Sizing
from simulators.sizing.fleet import DAY_STEPS, STEP_S, Fleet
from simulators.sizing.run import SIZED_EVERY, Shown, Sizes

DAY_S = 86_400.0
THROTTLED_RATIO = 0.05
RECONSIDERED_S = 12 * 3600.0


class Static:
    """What people requested once."""

    name = "static"

    def see(self, shown: Shown, sizes: Sizes) -> None:
        """Look away."""

    def decide(self, sizes: Sizes, at: float) -> Sizes:
        """Return what there is."""
        return sizes


def _kept(old: F64, limit: F64, new: F64) -> F64:
    """Return limits in the same ratio to the requests as before, as the VerticalPodAutoscaler keeps them."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(old > 0, limit / old * new, limit), np.float64)


class Vpa:
    """The VerticalPodAutoscaler: recommender and updater with their defaults, limits in proportion.

    CPU: the 90 % quantile of samples, each weighing as much as is requested, at least 0.1; memory: the 90 % quantile
    of the peaks of each day, one for each pod, with kills as peaks of 1.2 times the memory or 100 MiB more. Half-life
    24 h, margin 15 %, at least 25 m and 250 MiB a pod. A request outside of [50 %, 95 %] with their multipliers is
    changed at once, one that differs by 10 % when the pod is twelve hours old.
    """

    name = "vpa"

    def __init__(self, fleet: Fleet) -> None:
        n, pods = len(fleet.kinds), len(fleet.of)
        self._of = fleet.of
        self._cpu = np.zeros((n, CORES.count))
        self._memory = Buckets(first=1e7, count=240)
        self._peaks = np.zeros((n, self._memory.count))
        self._peak = np.zeros(pods)
        self._oom = np.zeros(pods)
        self._samples = 0
        self._changed_at = np.zeros(n)

    def see(self, shown: Shown, sizes: Sizes) -> None:
        """Take in samples, and the peaks of a day that is over."""
        if shown.step % DAY_STEPS == 0 and shown.step:
            self._close()
        weight = np.maximum(sizes.request_cores, 0.1)[shown.rows]
        aged = decayed(self._cpu, np.full(len(self._cpu), STEP_S), DAY_S)
        there = shown.alive
        self._cpu = added(aged, shown.rows[there], shown.cores[there], weight[there])
        self._peak = np.maximum(self._peak, shown.bytes)
        had = np.maximum(sizes.request_bytes[shown.rows], self._peak)
        self._oom = np.where(shown.killed, np.maximum(had * 1.2, had + 100.0 * 2**20), self._oom)
        self._samples += 1

    def _close(self) -> None:
        self._peaks = self._with_peaks() * 0.5
        self._peak[:], self._oom[:] = 0.0, 0.0

    def _with_peaks(self) -> F64:
        """Return the peaks with those of today, which are known as far as the day has gone."""
        made = self._peaks.copy()
        peak = np.maximum(self._peak, self._oom)
        np.add.at(made, (self._of, self._memory.of(peak)), (peak > 0.0) * 1.0)
        return made

    def decide(self, sizes: Sizes, at: float) -> Sizes:
        """Return sizes after one round of the updater."""
        days = self._samples * STEP_S / DAY_S  # one sample for each five minutes, as if it were one a minute
        above, below = 1.0 + 1.0 / days, (1.0 + 0.001 / days) ** -2.0
        peaks = self._with_peaks()
        cpu = [quantile(self._cpu, share) * 1.15 for share in (0.5, 0.9, 0.95)]
        memory = [self._quantile(peaks, share) * 1.15 for share in (0.5, 0.9, 0.95)]
        old = at - self._changed_at >= RECONSIDERED_S
        changed = np.zeros(len(old), np.bool_)
        targets = []
        for held, (low, target, high), least in (
            (sizes.request_cores, cpu, 0.025),
            (sizes.request_bytes, memory, 250.0 * 2**20),
        ):
            wished = np.maximum(target, least)
            outside = (held < np.maximum(low * below, least)) | (held > np.maximum(high * above, least))
            changed |= outside | (old & (np.abs(held - wished) / held >= 0.1))
            targets.append(wished)
        self._changed_at = np.where(changed, at, self._changed_at)
        cores = np.where(changed, targets[0], sizes.request_cores)
        size = np.where(changed, targets[1], sizes.request_bytes)
        return Sizes(
            request_cores=cores,
            request_bytes=size,
            limit_cores=_kept(sizes.request_cores, sizes.limit_cores, cores),
            limit_bytes=_kept(sizes.request_bytes, sizes.limit_bytes, size),
        )

    def _quantile(self, weights: F64, share: float) -> F64:
        reached = np.cumsum(weights, axis=1)
        place = np.argmax(reached >= (share * reached[:, -1])[:, None], axis=1)
        return np.asarray(self._memory.ends[place])


class Krr:
    """Krr's simple strategy, applied once a day by hand: 95 % of CPU without a limit, the peak of memory and 15 %.

    History 14 days, at least 100 points; memory's limit is its request.
    """

    name = "krr"
    days = 14

    def __init__(self, fleet: Fleet) -> None:
        self._of = fleet.of
        self._n = len(fleet.kinds)
        self._days: list[tuple[F64, F64]] = []
        self._cpu = np.zeros((self._n, CORES.count))
        self._peak = np.zeros(self._n)
        self._points = 0

    def see(self, shown: Shown, sizes: Sizes) -> None:
        """Take in samples."""
        there = shown.alive
        self._cpu = added(self._cpu, shown.rows[there], shown.cores[there], np.ones(int(there.sum())))
        np.maximum.at(self._peak, shown.rows, shown.bytes)
        self._points += 1

    def decide(self, sizes: Sizes, at: float) -> Sizes:
        """Return the new sizes once a day, of whole days."""
        if at % DAY_S or self._points < 100:
            return sizes
        self._days = [*self._days, (self._cpu, self._peak)][-self.days :]
        self._cpu, self._peak = np.zeros_like(self._cpu), np.zeros(self._n)
        cores = np.maximum(quantile(np.sum([day[0] for day in self._days], axis=0), 0.95), 0.01)
        size = np.maximum(np.max([day[1] for day in self._days], axis=0) * 1.15, 100.0 * 1e6)
        return Sizes(
            request_cores=cores,
            request_bytes=size,
            limit_cores=np.full(self._n, np.nan),
            limit_bytes=size,
        )


class Oracle:
    """Who knows each coming day: CPU that fits 99 % of it, memory that fits all of it; limits far away."""

    name = "oracle"

    def __init__(self, fleet: Fleet) -> None:
        days = fleet.steps // DAY_STEPS
        n = len(fleet.kinds)
        self._cores, self._bytes = np.zeros((days, n)), np.zeros((days, n))
        for day in range(days):
            piece = slice(day * DAY_STEPS, (day + 1) * DAY_STEPS)
            np.maximum.at(self._cores[day], fleet.of, np.quantile(fleet.cores[piece], 0.99, axis=0))
            np.maximum.at(self._bytes[day], fleet.of, (fleet.bytes[piece]).max(axis=0) + fleet.leak * 14 * DAY_STEPS)

    def see(self, shown: Shown, sizes: Sizes) -> None:
        """Know it all already."""

    def decide(self, sizes: Sizes, at: float) -> Sizes:
        """Return what the coming day needs."""
        if at % DAY_S:
            return sizes
        day = min(int(at // DAY_S), len(self._cores) - 1)
        none = np.full(len(sizes.request_cores), np.nan)
        return Sizes(request_cores=self._cores[day], request_bytes=self._bytes[day], limit_cores=none, limit_bytes=none)


class Ours:
    """The shipped estimator with the policy's defaults; limits stay, and move only where the request must be above.

    Of pods whose requests are their limits both move together (the class of their quality of service cannot change).
    """

    name = "ours"

    def __init__(self, fleet: Fleet, sizing: Sizing | None = None) -> None:
        self.sizing = Sizing() if sizing is None else sizing
        self._uses = fresh([str(row) for row in range(len(fleet.kinds))], self.sizing.use, 0.0)

    def see(self, shown: Shown, sizes: Sizes) -> None:
        """Take in samples, kills and throttling."""
        use, at = self.sizing.use, shown.at
        there = shown.alive
        seen = Seen(at=at, rows=shown.rows[there], cores=shown.cores[there], bytes=shown.bytes[there])
        self._uses = taken(self._uses, seen, use)
        n = len(self._uses)
        if shown.killed.any():
            when = np.full(n, -np.inf)
            when[shown.rows[shown.killed]] = at
            self._uses = killed(self._uses, when, sizes.limit_bytes, use)
        slow = np.zeros(n)
        np.maximum.at(slow, shown.rows, shown.throttled)
        rows = np.flatnonzero(slow > THROTTLED_RATIO)
        if len(rows):
            self._uses = throttled(self._uses, rows, at, sizes.limit_cores)

    def decide(self, sizes: Sizes, at: float) -> Sizes:
        """Return what is wished."""
        whole_cores = np.isclose(sizes.limit_cores, sizes.request_cores)
        held = Held(cores=sizes.request_cores, bytes=sizes.request_bytes, whole=whole_cores)
        made = wishes(self._uses, held, self.sizing, at)
        self._uses = made.uses
        floor_cores, _ = floors(self._uses, at, self.sizing.use)
        whole_bytes = np.isclose(sizes.limit_bytes, sizes.request_bytes)
        cores, size = made.cpu.wished, made.memory.wished
        return Sizes(
            request_cores=cores,
            request_bytes=size,
            limit_cores=np.where(whole_cores, cores, _raised(sizes.limit_cores, np.maximum(cores, floor_cores))),
            limit_bytes=np.where(whole_bytes, size, _raised(sizes.limit_bytes, size)),
        )


def _raised(limit: F64, least: F64) -> F64:
    """Return the limits, raised where there is one that is less."""
    return np.asarray(np.where(np.isnan(limit), limit, np.maximum(limit, least)), np.float64)


__all__ = ["SIZED_EVERY", "Krr", "Oracle", "Ours", "Static", "Vpa"]
