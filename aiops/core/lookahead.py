"""The next minutes of every policy that is steered by its SLO: nowcasts, margins and learnt capacities, row by row.

One row a policy. Everything is arrays over rows, so that a thousand policies cost little more than one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aiops.core.capacity import NOTHING, Capacities, CapacitiesApart, Demand, Startups, about_of, load_of, told
from aiops.core.detect.rejoined import under
from aiops.core.lineage.next_minutes import NextMinutes
from aiops.core.lineage.trials import Trials
from aiops.core.model import F64, Capacity, Instant, Nowcast, PolicyKey
from aiops.core.money.newsvendor import LEAST_SHORT_RATIO, TAIL_SCALES, Stakes, steepness
from aiops.core.nowcast import LEARNED_STEPS, LONG_GAP_STEPS, NEAR_STEPS, STEP_S, Jumps, Margins, Nowcasts, first_margin
from aiops.core.policies import PolicySet, ScalingPolicy
from aiops.core.protocols import Arrays
from aiops.core.versions import kin

REPLAYED_S = 86_400.0
"""So much of a history is lived through again, sample by sample; what is older is the season's only."""

_WARM_STEPS = 1440
_BRIDGED_S = 300.0
"""A history's samples that are farther apart have a gap between them."""


class Seen(NamedTuple):
    """What comes of one look: by policy key."""

    nowcasts: Mapping[PolicyKey, Nowcast]
    capacities: Mapping[PolicyKey, Capacity]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """What a row is learnt for; a row that is asked for otherwise begins anew."""

    key: PolicyKey
    signal: str
    query: str
    season_s: float
    slo_s: float
    allowed: float
    kin: str = ""
    per_replica: float = 0.0
    step_ratio: float = 0.0

    @property
    def asked(self) -> list[str | float]:
        return [self.signal, self.query, self.season_s, self.slo_s]


class Lookahead:
    """Changed in place. `rows` are the policies that ask for it, in the order of the policy set.

    startups: of the policies' targets. code: the program's version, for the lineage of rows. follows_drift: whether
    drift makes new versions of them.
    """

    version = 2

    def __init__(self, code: str = "", *, follows_drift: bool = False) -> None:
        self._terms = code, follows_drift
        self._rows: tuple[_Row, ...] = ()
        self._history_s, self._jumps = 0.0, Jumps()
        self._apart, self.startups = CapacitiesApart(), Startups()
        self._make(())

    def _make(self, rows: tuple[_Row, ...], history_s: float = 0.0) -> None:
        self._rows, self._history_s = rows, history_s
        self.nowcasts = self._nowcasts()
        self.margins = Margins(np.array([row.allowed for row in rows], np.float64))
        self.capacities = Capacities(np.array([row.slo_s for row in rows], np.float64))
        self._ready = np.zeros(len(rows))
        self._slot = -1
        self.trials = self._trials()

    def _trials(self) -> Trials:
        seasons_s = {row.key: row.season_s for row in self._rows}
        return Trials(seasons_s, self._history_s, lambda: self.nowcasts, self._terms)

    def _nowcasts(self) -> Nowcasts:
        return Nowcasts(np.array([row.season_s for row in self._rows], np.float64), self._history_s)

    def follow(self, policies: PolicySet) -> None:
        """Have a row for each policy that is steered by its SLO; what is still asked for as it was goes on."""
        self._apart.follow(policies)
        self.startups.follow(policy.target.key for policy in policies.scaling)
        asking = [policy for policy in policies.scaling if policy.by_slo]
        rows = tuple(_row(policy) for policy in asking)
        history_s = max((policy.forecast.history_s for policy in asking if policy.forecast), default=0.0)
        if (rows, history_s) == (self._rows, self._history_s):
            return
        before, arrays = self._rows, self.arrays()
        self._make(rows, history_s)
        self._resume(before, arrays)

    def _resume(self, before: Sequence[_Row], arrays: Arrays) -> list[PolicyKey]:
        """Let rows go on where the same rows stood before; return those that could not."""
        places = {row.key: place for place, row in enumerate(before)}
        learnt = {(row.kin, *row.asked): place for place, row in enumerate(before) if row.kin}
        pairs: list[tuple[int, int]] = []
        for number, row in enumerate(self._rows):
            own = places.get(row.key)
            # what another version of a policy has learnt of the same is known to this one, too
            place = own if own is not None and before[own].asked == row.asked else learnt.get((row.kin, *row.asked))
            if place is not None:
                pairs.append((number, place))
        if pairs:
            mine, theirs = np.array([a for a, _ in pairs]), np.array([b for _, b in pairs])
            try:
                self._take(arrays, mine, theirs)
                # versions of a policy's row are its own, also where another policy has learnt the same
                self._resume_trials(arrays, [self._rows[a].key for a, b in pairs if before[b].key == self._rows[a].key])
            except (ValueError, KeyError, IndexError):
                self._make(self._rows, self._history_s)
                pairs = []
        kept = {mine for mine, _ in pairs}
        return [row.key for mine, row in enumerate(self._rows) if mine not in kept]

    def _resume_trials(self, arrays: Arrays, own: Sequence[PolicyKey]) -> None:
        if found := under(arrays, "trials/"):
            self.trials.restore(found, own)

    # -- the tick ------------------------------------------------------------------------------------

    def look(self, at: Instant, demands: Mapping[PolicyKey, Demand]) -> Seen:
        """Return nowcasts and capacities at `at`: judge what was said, learn, then look ahead again."""
        apart = self._apart.look(int(at // STEP_S), demands)
        if not self._rows:
            return Seen({}, apart)
        self._learn(at, [demands.get(row.key, NOTHING) for row in self._rows])
        nowcasts, capacities = self._said(at)
        return Seen(nowcasts, {**capacities, **apart})

    def _learn(self, at: Instant, seen: Sequence[Demand]) -> None:
        slot = int(at // STEP_S)
        doubted = self._jumps.doubted(slot, self._slot)
        if not doubted and slot < self._slot - LONG_GAP_STEPS:
            # the clock was far ahead: what was learnt by it lies at times that are not
            self.nowcasts, self._slot = self._nowcasts(), -1
            self.trials = self._trials()
        if doubted or slot <= self._slot:
            return
        self._slot = slot
        value = np.array([one.value for one in seen])
        whole = np.array([one.whole for one in seen])
        load = load_of(seen, self._ready)
        self._ready, latency = load.ready, load.p95_s
        self.capacities.learn(load)
        leads_s = np.array([one.lead_s for one in seen])
        self.nowcasts.learn(at, value, whole, leads_s)
        self.trials.step(at, (value, whole, leads_s))
        heavy = np.clip(value / np.maximum(self.nowcasts.usual, 1e-9), 0.2, 3.0)
        told = np.isfinite(latency) & ~self.nowcasts.falls.fallen
        broken = np.where(told, (latency > self.capacities.slo_s) * heavy, np.nan)
        self.margins.worth, self.margins.grain = self._worth(seen), self._grain()
        self.margins.follow(self.nowcasts.scaled_errors[1], broken)

    def _worth(self, seen: Sequence[Demand]) -> F64:
        """Return float64[n], the share of the time in which it pays to be short; NaN while that is not known."""
        worth = np.full(len(seen), np.nan)
        requests = np.array([one.worth_requests for one in seen])
        if not np.isfinite(requests).any():
            return worth
        each, views = self._each(), self.nowcasts.ahead()
        demand = np.exp(views.log_demand[1])
        tail = TAIL_SCALES * views.scale[1] * demand
        for row in np.flatnonzero(np.isfinite(requests)).tolist():
            carried = float(each[row])
            if not math.isfinite(carried + demand[row] + tail[row]):
                continue
            stakes = Stakes(
                replica_usd_per_hour=float(requests[row]),
                violated_usd=1.0,
                carried=carried,
                steepness=steepness(float(demand[row]), carried, float(tail[row])),
            )
            worth[row] = max(stakes.short_ratio, LEAST_SHORT_RATIO)
        return worth

    def _each(self) -> F64:
        """Return float64[n], what one of the replicas carries within the SLO; NaN while that is not known."""
        learnt = self.capacities
        carried = learnt.busy * learnt.full_ratio(np.maximum(self._ready, 1.0))
        given = np.array([row.per_replica for row in self._rows])
        return np.where(given > 0.0, given, np.where(learnt.learned, carried, np.nan))

    def _grain(self) -> F64:
        """Return float64[n], what one step is of the demand ahead, in scales of its error; NaN while not known."""
        views, each = self.nowcasts.ahead(), self._each()
        demand = np.exp(views.log_demand[1])
        ratio = np.array([row.step_ratio for row in self._rows])
        step = np.maximum(np.floor(ratio * demand / each), 1.0)
        return np.asarray(step * each / (demand * views.scale[1]))

    def _said(self, at: Instant) -> Seen:
        views, near_s = self.nowcasts.ahead(), NEAR_STEPS * STEP_S
        demand = np.exp(views.log_demand)
        acts = views.acts & np.isfinite(demand).all(axis=0) & (int(at // STEP_S) == self._slot)
        # whole arrays at once: a thousand rows picked number by number cost more than everything else here
        forecasts = zip(
            (self.nowcasts.steps[1] * STEP_S).tolist(),
            demand.T.tolist(),
            views.scale.T.tolist(),
            self.margins.values.tolist(),
            views.skill.tolist(),
            acts.tolist(),
            np.nan_to_num(np.exp(views.log_kept)).tolist(),
            views.kept_s.tolist(),
            strict=True,
        )
        nowcasts = {
            row.key: Nowcast(
                policy=row.key,
                at=at,
                horizons_s=(near_s, lead_s),
                demand=(near, lead),
                error_ratio=(near_error, lead_error),
                margin=margin,
                skill=skill,
                acts=acting,
                kept=kept,
                kept_s=kept_s,
            )
            for row, (lead_s, (near, lead), (near_error, lead_error), margin, skill, acting, kept, kept_s) in zip(
                self._rows, forecasts, strict=True
            )
        }
        return Seen(nowcasts, told([row.key for row in self._rows], self.capacities))

    @property
    def learned(self) -> bool:
        """Return whether every row has seen enough of its own errors."""
        return bool((self.nowcasts.spreads[1].count >= LEARNED_STEPS).all())

    # -- learning from history -------------------------------------------------------------------------

    def adopt(self, learnt: Lookahead) -> None:
        """Take the rows of another that has seen more of them, in history; what was learnt of capacities stays."""
        if (learnt._rows, learnt._history_s) != (self._rows, self._history_s) or not self._rows:
            return
        mine, theirs = self.nowcasts, learnt.nowcasts
        if mine.slot < 0:
            self.nowcasts, self.margins.errors = theirs, learnt.margins.errors
            self._note_learnt(np.flatnonzero(theirs.spreads[1].count > 0))
            return
        # both to one time: what was lived through ends when it was asked for, and the loop went on
        nothing = np.full(len(self._rows), np.nan)
        for one in (mine, theirs):
            one.learn(max(mine.slot, theirs.slot) * STEP_S, nothing, np.isfinite(nothing), nothing)
        more = np.flatnonzero(theirs.spreads[1].count > mine.spreads[1].count)
        mine.take(theirs.arrays(), more, more)
        self.margins.errors[more] = learnt.margins.errors[more]
        self._note_learnt(more)

    def _note_learnt(self, rows: NDArray[np.int64]) -> None:
        self.trials.learnt(rows.tolist(), self.nowcasts.slot * STEP_S)

    @property
    def lineages(self) -> dict[PolicyKey, NextMinutes]:
        """Return the versions of each policy's row, by their own name."""
        return {one.policy: one for one in self.trials.every.values()}

    def learn_history(
        self, histories: Mapping[PolicyKey, tuple[F64, F64]], now: Instant, leads_s: Mapping[PolicyKey, float]
    ) -> None:
        """Learn what was before: seasons from all of it, mixes, errors and margins by living the last days again.

        To be called before the first `look`. histories: times (increasing seconds) and values (NaN is a gap); one
        without values teaches nothing.
        """
        places = {row.key: place for place, row in enumerate(self._rows)}
        told = {places[key]: past for key, past in histories.items() if key in places and np.isfinite(past[1]).any()}
        if not told or self._slot >= 0:
            return
        earliest = min(float(times[np.isfinite(values)][0]) for times, values in told.values())
        start = math.floor(max(now - REPLAYED_S, min(earliest, now)) / 60.0) * 60.0
        self.nowcasts.begin(start)
        for place, (times, values) in told.items():
            minutes, means = _by_minute(times, values)
            self.nowcasts.season.put(place, minutes, means)
        self.nowcasts.season.refresh()
        self._replay(told, np.arange(start, now - STEP_S, STEP_S), leads_s)

    def _replay(self, told: Mapping[int, tuple[F64, F64]], grid: F64, leads_s: Mapping[PolicyKey, float]) -> None:
        lived = np.full((len(grid), len(self._rows)), np.nan)
        for place, (times, values) in told.items():
            lived[:, place] = _on_grid(grid, times, values)
        errors = np.full_like(lived, np.nan)
        whole = np.ones(len(self._rows), np.bool_)
        leads = np.array([leads_s.get(row.key, 0.0) for row in self._rows])
        for step, at in enumerate(grid.tolist()):
            self.nowcasts.learn(at, lived[step], whole, leads)
            errors[step] = self.nowcasts.scaled_errors[1]
        warm = errors[min(_WARM_STEPS, len(grid) // 3) :]
        for place in told:
            margin = first_margin(warm[:, place], self.margins.exceeded_share[place])
            self.margins.start(place, margin)

    # -- checkpoints -----------------------------------------------------------------------------------

    def arrays(self) -> Arrays:
        """Return everything that was learnt, by name, for a checkpoint."""
        about = {
            "version": self.version,
            "slot": self._slot,
            "rows": [[r.key, r.signal, r.query, r.season_s, r.slo_s, r.allowed, r.kin] for r in self._rows],
        }
        out: dict[str, NDArray[np.generic]] = {"about": np.frombuffer(json.dumps(about).encode(), np.uint8)}
        for name, part in (("nowcast", self.nowcasts), ("margin", self.margins), ("capacity", self.capacities)):
            out |= {f"{name}/{key}": array for key, array in part.arrays().items()}
        out |= {f"trials/{key}": array for key, array in self.trials.arrays().items()}
        out |= {f"apart/{key}": array for key, array in self._apart.arrays().items()}
        return out | {f"startups/{key}": array for key, array in self.startups.arrays().items()}

    def restore(self, arrays: Arrays) -> tuple[str, ...]:
        """Take a checkpoint and return what of it did not fit, with the reason."""
        lost = (*self._restore_steered(arrays), *self._apart.restore(under(arrays, "apart/")))
        return (*lost, *self.startups.restore(under(arrays, "startups/")))

    def _restore_steered(self, arrays: Arrays) -> tuple[str, ...]:
        if not self._rows:
            return ()
        try:
            about = about_of(arrays, self.version)
            before = [_Row(**dict(zip(_Row.__slots__, fields, strict=False))) for fields in about["rows"]]
        except (KeyError, TypeError, ValueError) as err:
            return (f"the next minutes of every policy: {err}",)
        return tuple(f"the next minutes of {key}: nothing that fits" for key in self._resume(before, arrays))

    def _take(self, arrays: Arrays, mine: NDArray[np.int64], theirs: NDArray[np.int64]) -> None:
        for name, part in (("nowcast", self.nowcasts), ("margin", self.margins), ("capacity", self.capacities)):
            part.take(under(arrays, f"{name}/"), mine, theirs)
        self._slot = self.nowcasts.slot


def _row(policy: ScalingPolicy) -> _Row:
    slo, forecast = policy.objective.slo, policy.forecast
    if slo is None or forecast is None:
        raise ValueError(f"{policy.key} is steered by an SLO that it does not have")
    return _Row(
        key=policy.key,
        signal=policy.objective.demand,
        query=policy.signals[policy.objective.demand].query.expr,
        season_s=forecast.season_s,
        slo_s=slo.at_most,
        allowed=1.0 - slo.target_ratio,
        kin=kin(policy),
        per_replica=policy.objective.per_replica or 0.0,
        step_ratio=policy.step_ratio,
    )


def _on_grid(grid: F64, times: F64, values: F64) -> F64:
    """Return the values at the instants of a grid, linear in between; NaN outside of them and in gaps."""
    there = np.isfinite(values)
    times, values = times[there], values[there]
    right = np.searchsorted(times, grid)
    apart = times[np.minimum(right, len(times) - 1)] - times[np.maximum(right - 1, 0)]
    lived = np.interp(grid, times, values, left=np.nan, right=np.nan)
    return np.where(apart <= _BRIDGED_S, lived, np.nan)


def _by_minute(times: F64, values: F64) -> tuple[NDArray[np.int64], F64]:
    """Return the minutes that have values, and their means."""
    there = np.isfinite(values)
    minutes, which = np.unique((times[there] // 60.0).astype(np.int64), return_inverse=True)
    return minutes, np.bincount(which, values[there]) / np.bincount(which)
