"""What policies look for beside the score of each sample: changes, drift, signals together, distributions.

Rows that ask for nothing cost nothing. Of the budget of a row each way in which it may be found odd has its share.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from aiops.core.detect.changes import LATELY, NEWER, Change, ChangeWatch
from aiops.core.detect.changes import TESTS as LOOKS_FOR_CHANGES
from aiops.core.detect.distributions import Apart, DistributionWatch, Histogram, evidence, histograms
from aiops.core.detect.drifts import TESTS as LOOKS_FOR_DRIFT
from aiops.core.detect.drifts import DriftWatch
from aiops.core.detect.joint import MOST_SIGNALS, JointWatch
from aiops.core.detect.named_rows import by_name
from aiops.core.detect.rules import WEEK_S, RowRules, usual
from aiops.core.detect.said import drift_said, joint_said, trend_said, variance_said
from aiops.core.detect.seats import Seats
from aiops.core.detect.wall_clock import UTC
from aiops.core.detect.wording import named
from aiops.core.model import F64, Bools, FindingKind, Instant, Rows
from aiops.core.policies import Beside, WatchPolicy
from aiops.core.protocols import Arrays, Scores

STAYS = 0.5
"""What is open stays so while its score is above half."""

NEIGHBOURS = 11.0
"""Samples that are one alarm, as in the signal tier: neighbours are smoothed together."""

MOST_SCORE = 1e3
_PARTS = ("changes", "drifts", "joint", "spread")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """What there is to see of all rows at one instant. live: how many of them are in the frame: the first ones.

    odd: rows whose own detector has a finding open. labels: of a row that is in the frame. quiet: rows of which
    nothing may be found now.
    """

    at: Instant
    values: F64
    learn: Bools
    scores: Scores
    live: int
    odd: Rows
    labels: Callable[[int], Mapping[str, str]]
    quiet: Bools | None = None

    def speaks(self, row: int) -> bool:
        """Return whether a finding of a row may be told, and people be called for it."""
        return row < self.live and (self.quiet is None or not self.quiet[row])

    def unread(self, rows: Rows) -> Bools:
        """Return which rows could not be read: what is open of them stays so."""
        return np.asarray(~self.learn[rows] & ~np.isfinite(self.values[rows]) & (rows < self.live))


@dataclass(frozen=True, slots=True, kw_only=True)
class Odd:
    """One finding. row: of the series, or the first of several, whose key and labels are `series` and `labels` then."""

    row: int
    kind: FindingKind
    since: Instant
    score: float
    p_value: float
    value: float
    band: tuple[float, float, float]
    reason: str
    alarm: bool
    evidence: Mapping[str, float] = field(default_factory=dict)
    series: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


class Kinds:
    """Watches of those of n rows that ask for them."""

    def __init__(self, season_s: float, zone: str = UTC) -> None:
        self._season_s = season_s
        self.changes = Seats(lambda rows: ChangeWatch(rows, season_s, zone), NEWER)
        self.drifts = Seats(lambda rows: DriftWatch(rows, season_s))
        self.joint = Seats(lambda rows: JointWatch(rows, season_s, zone))
        self.spread = Seats(DistributionWatch)
        self._trending = self._varying = np.zeros(0, np.bool_)
        self._groups: list[tuple[str, Rows]] = []
        self._histograms: list[Histogram] = []
        self._rules = usual(0, season_s)
        self._least = np.zeros(0)
        self.silent: Rows = np.zeros(0, np.intp)

    # -- following rows --------------------------------------------------------------------------------

    def follow(self, policies: Sequence[WatchPolicy], owner: Rows, keys: Sequence[str], rules: RowRules) -> None:
        """Know what policies ask of their rows, where row i, of key `keys[i]`, belongs to `policies[owner[i]]`."""
        self._rules = rules
        self._trending, self._varying, drifting = (
            np.array([kind in one.beside for one in policies], np.bool_)[owner] for kind in Beside
        )
        self._least = np.array([one.ignore_below for one in policies])[owner]
        asked = {kind for one in policies for kind in one.beside}
        self.changes.seat(np.flatnonzero(self._trending | self._varying), kept=bool(asked - {Beside.DRIFT}))
        self.drifts.seat(np.flatnonzero(drifting), kept=Beside.DRIFT in asked)
        self._groups, self._histograms, silent = [], [], []
        for number, one in enumerate(policies):
            mine = np.flatnonzero(owner == number)
            if one.joint is not None:
                found = by_name(keys, mine, one.joint).items()
                self._groups += [(f"{one.key}#{name}", rows) for name, rows in found if 2 <= len(rows) <= MOST_SIGNALS]
            if one.distribution is not None:
                silent.append(mine)
                budget = one.false_alarms_per_week / one.ways, (one.budget_per_week or math.inf) / one.ways
                self._histograms += histograms(keys, mine, one.distribution, budget)
        self.silent = np.sort(np.concatenate([*silent, np.zeros(0, np.intp)]))
        joint = np.sort(np.concatenate([*(rows for _, rows in self._groups), np.zeros(0, np.intp)]))
        self.joint.seat(joint, kept=any(one.joint is not None for one in policies))
        self._regroup()
        self.spread.seat(self.silent, kept=any(one.distribution is not None for one in policies))

    def take(self, rows: Rows) -> None:
        """Follow rows that move; -1 starts afresh. What is asked of them is to be said anew."""
        for name in _PARTS:
            getattr(self, name).take(rows)
        self._groups, self._histograms = [], []

    def begin_anew(self, rows: Rows) -> None:
        """Forget what was usual of rows that were moved on purpose; a distribution goes on with its reference."""
        for seats in (self.changes, self.drifts, self.joint):
            seats.forget(rows)
        self._regroup()

    def arrays(self, rows: int) -> Arrays:
        """Return the state of so many rows for a checkpoint."""
        found = {name: getattr(self, name).arrays(rows) for name in _PARTS}
        return {f"{name}/{key}": array for name, arrays in found.items() for key, array in arrays.items()}

    def restore(self, arrays: Arrays, rows: int) -> None:
        """Take the state of so many rows; raise ValueError when it does not fit."""
        for name in _PARTS:
            mine = {key.removeprefix(f"{name}/"): one for key, one in arrays.items() if key.startswith(f"{name}/")}
            getattr(self, name).restore(mine, rows)
        self._regroup()

    def _regroup(self) -> None:
        self.joint.watch.group([np.searchsorted(self.joint.rows, rows) for _, rows in self._groups])

    # -- the tick --------------------------------------------------------------------------------------

    @property
    def asked(self) -> bool:
        """Return whether anything is looked for."""
        return any(len(getattr(self, name)) for name in _PARTS)

    def past(self, at: Instant, values: F64, learn: Bools) -> None:
        """Learn from history; drift is of what a detector said, which history does not know."""
        for seats in (self.changes, self.joint):
            if len(seats):
                seats.watch.look(at, values[seats.rows], learn[seats.rows])
        if len(self.spread):
            self.spread.watch.learn(at, values[self.spread.rows], learn[self.spread.rows])

    def look(self, scene: Scene) -> list[Odd]:
        """Take values in and return what is open."""
        if not self.asked:
            return []
        return [*self._changed(scene), *self._drifted(scene), *self._apart(scene), *self._spread(scene)]

    # -- trend and variance ------------------------------------------------------------------------------

    def _changed(self, scene: Scene) -> list[Odd]:
        seats, watch = self.changes, self.changes.watch
        if not len(seats):
            return []
        rows = seats.rows
        ended = watch.look(scene.at, scene.values[rows], scene.learn[rows])
        if ended is not None:
            self._note("trend", ended.trend, self._trending[rows], scene)
            self._note("variance", ended.variance, self._varying[rows], scene)
        found = [self._change_of(place, scene, trend=True) for place in watch.standing["trend"].rows.tolist()]
        found += [self._change_of(place, scene, trend=False) for place in watch.standing["variance"].rows.tolist()]
        return [one for one in found if one is not None]

    def _allowed(self, rows: Rows, looks: float) -> F64:
        """Return how surprising a look must be for the budgets of rows; looks: in a season."""
        budget = np.maximum(self._rules.false_alarms_per_week[rows], 1e-9)
        return np.asarray(np.log10(np.maximum(looks * WEEK_S / self._season_s / budget, 1.0)))

    def _note(self, name: str, change: Change, asked: Bools, scene: Scene) -> None:
        rows = self.changes.rows
        score = np.exp2(np.minimum(np.nan_to_num(change.surprise) - self._allowed(rows, LOOKS_FOR_CHANGES), 9.0))
        counts = asked & np.isfinite(change.surprise) & self._matters(name, change, scene)
        over, near = counts & (score > 1.0), counts & (score > STAYS)
        unread = scene.unread(rows)
        self.changes.watch.standing[name].note(scene.at, over, near, runs=(1, 2), unread=unread)

    def _matters(self, name: str, change: Change, scene: Scene) -> Bools:
        """Return which changes are on a side that counts, large enough, and of values that are not too small."""
        rules, rows = self._rules, self.changes.rows
        above, below = rules.above[rows], rules.below[rows]
        with np.errstate(invalid="ignore"):
            counts = ((change.much > 0) & above) | ((change.much < 0) & below)
            counts &= ~(np.fmax(np.abs(scene.values[rows]), np.abs(change.usual)) < self._least[rows])
            if name == "trend":
                moved = np.abs(change.much) * LATELY * self.changes.watch.blocks.block_s
                least = np.fmax(rules.min_deviation[rows], rules.min_deviation_ratio[rows] * np.abs(change.usual))
                counts &= moved >= least
        return np.asarray(counts, np.bool_)

    def _change_of(self, place: int, scene: Scene, *, trend: bool) -> Odd | None:
        watch, row = self.changes.watch, int(self.changes.rows[place])
        if not scene.speaks(row):
            return None
        one = watch.last.trend if trend else watch.last.variance
        standing = watch.standing["trend" if trend else "variance"]
        much, usual, deviation = float(one.much[place]), float(one.usual[place]), float(one.deviation[place])
        surprise, allowed = float(one.surprise[place]), float(self._allowed(np.array([row]), LOOKS_FOR_CHANGES)[0])
        if not math.isfinite(surprise) or not math.isfinite(much):
            return None
        value, name = float(scene.values[row]), named(scene.labels(row))
        if not math.isfinite(value):  # a gap: what was seen last
            value = float(watch.blocks.last[0, place])
        if trend:
            far = 3.0 * deviation * LATELY * watch.blocks.block_s
            band = (usual - far, usual, usual + far)
            reason = trend_said(name, value, much * 3600.0, deviation * 3600.0)
            numbers = {"slope_change_per_hour": much * 3600.0, "usual_per_hour": deviation * 3600.0}
        else:
            usually = float(watch.level.at(int(watch.blocks.number))[place])
            band = (usually, usually, usually)
            reason = variance_said(name, value, math.exp(much), math.exp(2.0 * deviation))
            numbers = {"movement_ratio": math.exp(much), "movement_usual": usual}
        return Odd(
            row=row,
            kind=FindingKind.TREND if trend else FindingKind.VARIANCE,
            since=float(standing.since[place]),
            score=min(2.0 ** (surprise - allowed), MOST_SCORE),
            p_value=10.0**-surprise,
            value=value,
            band=band,
            reason=reason,
            alarm=standing.calls(place, scene.at),
            evidence={**numbers, "change_surprise": surprise, "change_allowed": allowed},
        )

    # -- drift of what was learnt ------------------------------------------------------------------------

    def _drifted(self, scene: Scene) -> list[Odd]:
        seats, watch = self.drifts, self.drifts.watch
        if not len(seats):
            return []
        rows = seats.rows
        scores = Scores(**{name: getattr(scene.scores, name)[rows] for name in Scores.__slots__})
        delta = 10.0 ** -self._allowed(rows, LOOKS_FOR_DRIFT)
        read = scene.learn[rows] | (rows >= scene.live)
        seen = watch.look(scene.at, scene.values[rows], read, scores, delta)
        there = np.isfinite(seen.since)
        watch.standing.note(scene.at, there, there, runs=(1, 1))
        out = []
        for place in watch.standing.rows.tolist():
            row = int(rows[place])
            if not scene.speaks(row):
                continue
            error, wide = float(seen.errors[0, place]), float(seen.errors[1, place])
            was, narrow = float(seen.before[0, place]), float(seen.before[1, place])
            value, expected = float(scene.values[row]), float(scores.expected[place])
            times = error / was if was > 0 else MOST_SCORE
            out.append(
                Odd(
                    row=row,
                    kind=FindingKind.DRIFT,
                    since=float(watch.standing.since[place]),
                    score=min(max(1.0, times), MOST_SCORE),
                    p_value=float(delta[place]),
                    value=value,
                    band=(float(scores.lower[place]), expected, float(scores.upper[place])),
                    reason=drift_said(named(scene.labels(row)), times, wide, narrow),
                    alarm=watch.standing.calls(place, scene.at),
                    evidence={"error": error, "error_before": was, "outside": wide, "outside_before": narrow},
                )
            )
        return out

    # -- signals together --------------------------------------------------------------------------------

    def _apart(self, scene: Scene) -> list[Odd]:
        seats, watch = self.joint, self.joint.watch
        if not len(seats):
            return []
        rows = seats.rows
        seen = watch.look(scene.at, scene.values[rows], scene.learn[rows])
        budget = np.array([self._rules.false_alarms_per_week[mine].sum() for _, mine in self._groups])
        looks = WEEK_S / max(watch.step_s, 1.0) / NEIGHBOURS
        allowed = np.log10(np.maximum(looks / np.maximum(budget, 1e-9), 1.0))
        score = np.exp2(np.minimum(np.nan_to_num(seen.surprise) - allowed, 9.0))
        # what is odd alone is said of itself
        alone = np.array([np.isin(mine, scene.odd).any() for _, mine in self._groups], np.bool_)
        first = watch.members[:, 0]
        over, near = (np.zeros(len(rows), np.bool_) for _ in range(2))
        over[first], near[first] = (score > 1.0) & ~alone, score > STAYS
        unread = np.zeros(len(rows), np.bool_)
        unread[first] = [scene.unread(mine).any() for _, mine in self._groups]
        watch.standing.note(scene.at, over, near, runs=(2, 4), unread=unread)
        out = []
        for number, (name, mine) in enumerate(self._groups):
            place = int(first[number])
            told = np.isfinite(watch.standing.since[place]) and np.isfinite(scene.values[mine]).any()
            if told and all(scene.speaks(row) for row in mine.tolist()):
                numbers = (float(seen.surprise[number]), float(score[number]), float(allowed[number]))
                out.append(self._joint_of(place, (name, mine), numbers, (scene, seen.pull[number])))
        return out

    def _joint_of(
        self, place: int, group: tuple[str, Rows], told: tuple[float, float, float], seen: tuple[Scene, F64]
    ) -> Odd:
        watch, (name, mine), (scene, pull) = self.joint.watch, group, seen
        surprise, score, allowed = told
        worst = int(np.argmax(np.where(np.isfinite(scene.values[mine]), np.abs(pull[: len(mine)]), -1.0)))
        row, value = int(mine[worst]), float(scene.values[mine[worst]])
        wanted, scale = watch.expected(int(watch.members[self._groups.index(group), worst]), float(pull[worst]), value)
        every = [scene.labels(int(one)) for one in mine]
        common = {label: one for label, one in every[0].items() if all(other.get(label) == one for other in every)}
        others = [
            (named(_own(labels, common)), float(scene.values[one])) for labels, one in zip(every, mine, strict=True)
        ]
        return Odd(
            row=row,
            kind=FindingKind.JOINT,
            since=float(watch.standing.since[place]),
            score=score,
            p_value=10.0 ** -(surprise if math.isfinite(surprise) else 0.0),
            value=value,
            band=(wanted - 3.0 * scale, wanted, wanted + 3.0 * scale),
            reason=joint_said(named(common), others, worst, wanted),
            alarm=watch.standing.calls(place, scene.at),
            evidence={
                "joint_surprise": surprise if math.isfinite(surprise) else 0.0,
                "joint_allowed": allowed,
                "signals": float(len(mine)),
                "deviations_off": float(pull[worst]),
            },
            series=name,
            labels=common,
        )

    # -- distributions -----------------------------------------------------------------------------------

    def _spread(self, scene: Scene) -> list[Odd]:
        seats, watch = self.spread, self.spread.watch
        if not len(seats):
            return []
        placed = [_placed(one, seats.rows) for one in self._histograms]
        values, learn = scene.values[seats.rows], scene.learn[seats.rows]
        found = watch.look(scene.at, values, placed)
        watch.learn(scene.at, values, learn)
        over, near = np.zeros(len(seats), np.bool_), np.zeros(len(seats), np.bool_)
        for one in found:
            over[one.one.row] = one.drifted
            near[one.one.row] = one.drifted or one.psi > STAYS * one.one.asks.psi + one.by_chance
        watch.standing.note(scene.at, over, near, runs=(3, 4), unread=scene.unread(seats.rows))
        out = [self._spread_of(one, scene) for one in found if np.isfinite(watch.standing.since[one.one.row])]
        return [one for one in out if one is not None]

    def _spread_of(self, one: Apart, scene: Scene) -> Odd | None:
        place = one.one.row
        row = int(self.spread.rows[place])
        if not scene.speaks(row):
            return None
        labels = {name: value for name, value in scene.labels(row).items() if name != "le"}
        standing = self.spread.watch.standing
        return Odd(
            row=row,
            kind=FindingKind.DRIFT,
            since=float(standing.since[place]),
            score=min(one.psi / (one.one.asks.psi + one.by_chance), MOST_SCORE),
            p_value=one.p_value,
            value=one.psi,
            band=(0.0, one.by_chance, one.one.asks.psi + one.by_chance),
            reason=one.sentence(named(labels)),
            alarm=standing.calls(place, scene.at),
            evidence=evidence(one),
            series=one.one.name,
            labels=labels,
        )


def _placed(one: Histogram, rows: Rows) -> Histogram:
    return replace(one, rows=np.searchsorted(rows, one.rows), reference=np.searchsorted(rows, one.reference))


def _own(labels: Mapping[str, str], common: Mapping[str, str]) -> dict[str, str]:
    """Return what names a series among others."""
    return {name: value for name, value in labels.items() if name not in common} or dict(labels)
