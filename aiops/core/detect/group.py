"""The rows of a fleet that one detector watches, and the findings that it makes of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from aiops.core.detect.asked import Asked
from aiops.core.detect.elsewhere import NOTHING_CHANGED, Announced
from aiops.core.detect.exhaustion import Exhausted, Exhaustion
from aiops.core.detect.kinds import Kinds, Odd, Scene
from aiops.core.detect.levels import Levels, Near
from aiops.core.detect.rejoined import under
from aiops.core.detect.rest import Rest
from aiops.core.detect.rules import DAY_S, RowRules, RuledDetector, of_policies
from aiops.core.detect.sight import Look, Sight
from aiops.core.detect.tracker import Tracker
from aiops.core.detect.wording import named, sentence
from aiops.core.model import F64, Bools, Finding, FindingKind, Frame, Instant, Rows, SeriesIndex
from aiops.core.policies import WatchPolicy
from aiops.core.protocols import Arrays, Scores

PARK_S = 86_400.0
"""What was learnt of a series is kept for a day after it has left the frame: it may come back."""

_ENDS = frozenset({FindingKind.EXHAUSTION, FindingKind.SATURATION})
_BESIDE = frozenset({FindingKind.TREND, FindingKind.VARIANCE, FindingKind.DRIFT, FindingKind.JOINT})

COMMON = 2.0
"""A value that lies so far from others (-log10 p) or less is common: the gaps between those that are kept go so far."""

PARKED_MOST = 1000
"""How many more rows than there are in the frame may be kept so."""


class WatchGroup:
    """Rows that share a detector, a season and its clock: those of the frame first, then those that have left it.

    keys: of all rows. places: intp[m], the frame's rows of the first m. left_at: float64[n], +inf while in the frame.
    """

    def __init__(self, make: Callable[[RowRules], RuledDetector], policies: Sequence[WatchPolicy]) -> None:
        self._make = make
        self.policies = {policy.key: place for place, policy in enumerate(policies)}
        self._specs = tuple(policies)
        self.keys: tuple[str, ...] = ()
        self._places = np.zeros(0, np.intp)
        self._left_at = np.zeros(0)
        self._whole = False
        self.detector = make(of_policies(self._specs, np.zeros(0, np.intp)))
        self.tracker = Tracker(0, self.detector.open_hits)
        self.rest = Rest(0)
        self.exhaustion = Exhaustion(0)
        self.kinds = _kinds(self._specs)
        self.levels = Levels()
        self._asked = Asked((), np.zeros(0, np.intp))
        self._sight: Sight | None = None

    # -- the tick ------------------------------------------------------------------------------------

    def detect(self, frame: Frame, changed: Announced = NOTHING_CHANGED) -> list[Finding]:
        """Score a frame, then learn from it; return the findings that are open."""
        if not self.keys:
            return []
        values, learn = self._rows_of(frame)
        learn = self._asked.learns(frame.at, learn)
        if self.levels.asked:
            self._rebase(frame, changed)
        scores = self._asked.judged(frame.at, values, self.detector.score(frame.at, values))
        scores = _unsaid(scores, self.kinds.silent)
        self._sight = Sight(at=frame.at, index=frame.index, places=self._places, values=values, scores=scores)
        rows = self._asked.speaks(frame.at, self.tracker.track(frame.at, values, learn, scores))
        if len(self.kinds.silent):
            rows = np.setdiff1d(rows, self.kinds.silent)
        found: list[Finding] = []
        if len(rows):
            rows = rows[rows < len(self._places)]
            p_values = self.detector.p_values(scores, values, rows)
            for row, p_value in zip(rows.tolist(), p_values.tolist(), strict=True):
                found.append(self._finding(row, p_value, frame, scores))
            standing = np.array([one.score for one in found])
            raised = self.rest.alarms(frame.at, rows, standing, self.detector.step_s)
            found = [replace(one, alarm=True) if now else one for one, now in zip(found, raised.tolist(), strict=True)]
        for one in self.exhaustion.look(frame.at, values, learn):
            if one.row < len(self._places):
                found.append(self._ends(one, frame))
        if self.kinds.asked:
            found += self._beside(Scene(
                at=frame.at, values=values, learn=learn, scores=scores, live=len(self._places), odd=rows,
                labels=lambda row: frame.index.labels[int(self._places[row])], quiet=self._asked.quiet(frame.at),
            ))  # fmt: skip
        taught = self.levels.taught(frame.at, values, learn, scores, self.detector)
        self.detector.learn(frame.at, values, taught)
        return found

    def _rebase(self, frame: Frame, changed: Announced) -> None:
        """Let what has settled be what is usual, and know what is being changed now."""
        over = self.levels.ended(frame.at, self.detector)
        if over is not None:
            self.rest.forget(over.rows, over.began)  # nobody was called
        if over is not None and len(over.shifts.rows):
            self.detector.rebase(frame.at, over.shifts)
            self.tracker.close(over.shifts.rows)
            self.kinds.begin_anew(over.shifts.rows)
        if changed.why:
            odd = self.tracker.open & (self.tracker.since < changed.at)
            near = Near(labels=lambda: [frame.index.labels[place] for place in self._places.tolist()], odd=odd)
            self.levels.changing(frame.at, changed, near, self.detector)

    @property
    def sight(self) -> Sight | None:
        """Return what was said of the rows at the last tick, None before the first."""
        return self._sight

    def look(self, key: str) -> Look | None:
        """Return what was said of one series at the last tick, None of one that was not in its frame."""
        sight = self._sight
        row = self.keys.index(key) if key in self.keys else len(self._places)
        if sight is None or row >= len(sight.places) or sight.places is not self._places:
            return None
        scores, place = sight.scores, int(sight.places[row])
        expected, lower, upper, score = (
            float(array[row]) for array in (scores.expected, scores.lower, scores.upper, scores.score)
        )
        return Look(
            series=key,
            labels=sight.index.labels[place],
            at=sight.at,
            value=float(sight.values[row]),
            expected=expected,
            lower=lower,
            upper=upper,
            score=score,
            learned=bool(scores.learned[row]),
            evidence=self._evidence(row),
            rebased=self.levels.told.get(key),
        )

    def learn_history(self, times: F64, values: F64, keys: Sequence[str], known_until: Instant) -> None:
        """Learn columns of values[n, t], whose rows are `keys`, in order.

        What has been learnt already (until `known_until`) is not learnt twice; a row that is still young learns it all.
        """
        place = {key: row for row, key in enumerate(self.keys)}
        there = [row for row, key in enumerate(keys) if key in place]
        rows = np.array([place[keys[row]] for row in there], np.intp)
        nothing = np.full(len(self.keys), np.nan)
        known = self.detector.score(float(times[-1]), nothing).learned[rows]
        source = np.arange(len(self.keys))
        source[rows[~known]] = -1
        self._take(source)
        self._rule()
        frame, own = nothing.copy(), values[there]
        held = np.intersect1d(rows[known], self.levels.rows)  # what an announced change does to them is not learnt yet
        for column, at in enumerate(times.tolist()):
            frame[rows] = own[:, column]
            if at <= known_until:
                frame[rows[known]] = np.nan
            frame[held] = np.nan
            finite = np.isfinite(frame)
            self.detector.learn(at, frame, finite)
            self.tracker.note(at, frame, finite, whole=False)
            self.kinds.past(at, frame, finite)

    # -- following the frame ---------------------------------------------------------------------------

    def follow(self, index: SeriesIndex, at: Instant) -> None:
        """Let every row go on where its series was, whichever row that had; park what has left the frame."""
        policies = self.policies
        places = [row for row, key in enumerate(index.keys) if key.split("#", 1)[0] in policies]
        keys = [index.keys[row] for row in places]
        now = set(keys)
        old = {key: row for row, key in enumerate(self.keys)}
        left = np.where(np.isfinite(self._left_at), self._left_at, at)
        parked = [
            row
            for row, key in enumerate(self.keys)
            if key not in now and at - left[row] <= PARK_S and key.split("#", 1)[0] in policies
        ]
        parked = sorted(parked, key=lambda row: -float(left[row]))[: PARKED_MOST + len(keys)]
        self._take(np.array([*(old.get(key, -1) for key in keys), *parked], np.intp))
        self.keys = (*keys, *(self.keys[row] for row in parked))
        self._left_at = np.concatenate([np.full(len(keys), np.inf), left[parked]])
        self._places = np.array(places, np.intp)
        self._whole = not parked and len(places) == len(index)
        self._rule()

    def adopt(self, other: WatchGroup, forget: frozenset[str]) -> None:
        """Take over what another group of this kind has learnt, but not what it knows of the policies in `forget`."""
        kept = [row for row, key in enumerate(other.keys) if key.split("#", 1)[0] not in forget]
        kept = [row for row in kept if other.keys[row].split("#", 1)[0] in self.policies]
        self.keys = tuple(other.keys[row] for row in kept)
        self.detector, self.tracker, self.rest = other.detector, other.tracker, other.rest
        self.exhaustion, self.kinds, self.levels = other.exhaustion, other.kinds, other.levels
        self._left_at = other._left_at[kept]
        self._places, self._whole = np.zeros(0, np.intp), False
        self._take(np.array(kept, np.intp))
        self._rule()

    def park(self, keys: Sequence[str], at: Instant) -> None:
        """Make rows for series that have not been in a frame yet."""
        known = set(self.keys)
        new = [key for key in keys if key not in known and key.split("#", 1)[0] in self.policies]
        if new:
            self._take(np.concatenate([np.arange(len(self.keys)), np.full(len(new), -1)]))
            self.keys = (*self.keys, *new)
            self._left_at = np.concatenate([self._left_at, np.full(len(new), at)])
            self._whole = False
            self._rule()

    # -- checkpoints -----------------------------------------------------------------------------------

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint; the keys are the bank's to keep."""
        detector = {f"detector/{name}": array for name, array in self.detector.arrays().items()}
        tracker = {f"tracker/{name}": array for name, array in self.tracker.arrays().items()}
        ends = {f"exhaustion/{name}": array for name, array in self.exhaustion.arrays().items()}
        kinds = {f"kinds/{name}": array for name, array in self.kinds.arrays(len(self.keys)).items()}
        return detector | tracker | ends | kinds | {f"rest/{name}": array for name, array in self.rest.arrays().items()}

    def restore(self, arrays: Arrays, keys: Sequence[str], at: Instant) -> None:
        """Take a checkpoint of `keys`, all out of the frame since `at`; raise ValueError when it does not fit."""
        rows = np.full(len(keys), -1, np.intp)
        owner = np.array([self.policies.get(key.split("#", 1)[0], 0) for key in keys], np.intp)
        detector, rest = self._make(of_policies(self._specs, owner)), Rest(len(rows))
        tracker = Tracker(len(rows), detector.open_hits)
        detector.restore(under(arrays, "detector/"))
        tracker.restore(under(arrays, "tracker/"))
        rest.restore(under(arrays, "rest/"))
        exhaustion = Exhaustion(len(rows))
        exhaustion.restore(under(arrays, "exhaustion/"))
        kinds = _kinds(self._specs)
        kinds.follow(self._specs, owner, keys, detector.rules)
        kinds.restore(under(arrays, "kinds/"), len(rows))
        self.exhaustion, self.kinds = exhaustion, kinds
        self.keys, self.detector, self.tracker, self.rest = tuple(keys), detector, tracker, rest
        self._left_at = np.full(len(keys), at)
        self._places, self._whole = np.zeros(0, np.intp), False

    def caught_up(self, arrays: Arrays, keys: Sequence[str], rows: Rows, times: tuple[Instant, Instant]) -> Arrays:
        """Return the state of some rows of a checkpoint of `keys` as it is when they were not seen since.

        times: of the checkpoint, and until when nothing was seen. Raises ValueError when it does not fit.
        """
        made, now = times
        scratch = WatchGroup(self._make, self._specs)
        scratch.restore(arrays, keys, made)
        scratch._take(rows)
        scratch.keys = tuple(keys[row] for row in rows.tolist())
        scratch._rule()
        if now > made:
            scratch.detector.learn(now, np.full(len(rows), np.nan), np.zeros(len(rows), np.bool_))
        return scratch.arrays()

    def state_of(self, rows: int) -> Arrays:
        """Return the state of so many new rows, as `arrays` has it."""
        fresh = WatchGroup(self._make, self._specs)
        # of the policy that asks for most: what a row keeps for another is a part of that
        asks = max(self._specs, key=lambda one: (one.ways, one.distribution is not None, one.exhaustion is not None))
        fresh.park([f"{asks.key}#{row}" for row in range(rows)], 0.0)
        fresh._rule()
        return fresh.arrays()

    def stand(self, findings: Sequence[Finding]) -> None:
        """Let these findings of its rows be open, and no others; alarms that were raised are not raised again."""
        place = {key: row for row, key in enumerate(self.keys)}
        known = {place[one.series]: one for one in findings if one.series in place and one.kind not in _ENDS | _BESIDE}
        self.tracker.stand(known)
        self.exhaustion.since[:] = np.nan
        for one in findings:
            if one.kind in _ENDS and one.series in place:
                self.exhaustion.since[place[one.series]] = one.since
        for row, one in known.items():
            told = {"alarm_at": one.at, "alarm_score": one.score} if one.alarm else one.evidence
            if "alarm_at" in told:
                self.rest.raised_at[row], self.rest.raised[row] = told["alarm_at"], told["alarm_score"]

    # -- inner ---------------------------------------------------------------------------------------

    def _rows_of(self, frame: Frame) -> tuple[F64, Bools]:
        if self._whole:
            return frame.values, frame.learn
        values, learn = np.full(len(self.keys), np.nan), np.zeros(len(self.keys), np.bool_)
        there = len(self._places)
        values[:there], learn[:there] = frame.values[self._places], frame.learn[self._places]
        return values, learn

    def _take(self, rows: Rows) -> None:
        if len(rows) == len(self.keys) and np.array_equal(rows, np.arange(len(rows))):
            return
        self.detector.take(rows)
        self.tracker.take(rows)
        self.rest.take(rows)
        self.exhaustion.take(rows)
        self.kinds.take(rows)

    def _rule(self) -> None:
        owner = np.array([self.policies[key.split("#", 1)[0]] for key in self.keys], np.intp)
        self.detector.follow(of_policies(self._specs, owner, len(self._places) or None))
        self.exhaustion.follow(self._specs, owner)
        self.kinds.follow(self._specs, owner, self.keys, self.detector.rules)
        self.levels.follow(self._specs, owner, self.keys)
        self._asked = Asked(self._specs, owner)

    def _beside(self, scene: Scene) -> list[Finding]:
        """Return the findings of what is looked for beside the score, of rows of which anything may be found now."""
        return [self._odd(one, scene) for one in self.kinds.look(scene)]

    def _odd(self, one: Odd, scene: Scene) -> Finding:
        budget = float(self.detector.rules.false_alarms_per_week[one.row])
        return Finding(
            policy=self.keys[one.row].split("#", 1)[0],
            series=one.series or self.keys[one.row],
            labels=one.labels if one.series else scene.labels(one.row),
            kind=one.kind,
            at=scene.at,
            since=one.since,
            score=round(one.score, 6),
            p_value=one.p_value,
            value=one.value,
            lower=one.band[0],
            expected=one.band[1],
            upper=one.band[2],
            reason=one.reason,
            alarm=one.alarm,
            evidence={**one.evidence, "budget_per_week": budget},
        )

    def _ends(self, one: Exhausted, frame: Frame) -> Finding:
        """Return the finding of a row that reaches its bound."""
        labels, value = frame.index.labels[int(self._places[one.row])], float(frame.values[self._places[one.row]])
        spans = zip(("left_s", "soonest_s", "latest_s"), one.left_s, strict=True)
        return Finding(
            policy=self.keys[one.row].split("#", 1)[0],
            series=self.keys[one.row],
            labels=labels,
            kind=one.kind,
            at=frame.at,
            since=one.since,
            score=round(one.score, 6),
            p_value=one.p_value,
            value=value,
            expected=one.level,
            lower=min(one.level, one.bound),
            upper=max(one.level, one.bound),
            reason=one.sentence(named(labels), value),
            alarm=one.since == frame.at,
            evidence={"bound": one.bound, "per_hour": one.per_hour, **{k: v for k, v in spans if np.isfinite(v)}},
        )

    def _finding(self, row: int, p_value: float, frame: Frame, scores: Scores) -> Finding:
        place = int(self._places[row])
        labels: Mapping[str, str] = frame.index.labels[place]
        kind, since, score = self.tracker.finding(row, frame.at, scores)
        told = self._evidence(row)
        if kind is FindingKind.POINT and told.get("surprise_context", 0.0) > max(1.0, told.get("surprise_shape", 0.0)):
            # one that is common among all values, and odd at this time
            common = min(COMMON, 0.5 * told["surprise_context"])
            kind = FindingKind.CONTEXTUAL if told.get("surprise_value", math.inf) < common else kind
        value = float(frame.values[place])
        lower, expected, upper = (float(array[row]) for array in (scores.lower, scores.expected, scores.upper))
        return Finding(
            policy=self.keys[row].split("#", 1)[0],
            series=self.keys[row],
            labels=labels,
            kind=kind,
            at=frame.at,
            since=since,
            score=round(score, 6),
            p_value=p_value if np.isfinite(value) else 0.0,
            value=value,
            expected=expected,
            lower=lower,
            upper=upper,
            reason=sentence(named(labels), kind, value, (lower, expected, upper), frame.at - since),
            evidence=told,
        )

    def _evidence(self, row: int) -> dict[str, float]:
        """Return the detector's numbers of a row, its budget, and when people were last called for it."""
        budget = float(self.detector.rules.false_alarms_per_week[row])
        own = {"budget_per_week": budget, "step_s": self.detector.step_s}
        return {**self.detector.evidence(row), **own, **self.rest.evidence(row)}


def _kinds(policies: Sequence[WatchPolicy]) -> Kinds:
    """Return what watches for other kinds, in the season that all these policies have."""
    return Kinds(policies[0].season_s, policies[0].time_zone) if policies else Kinds(DAY_S)


def _unsaid(scores: Scores, rows: Rows) -> Scores:
    """Return scores where nothing is said of some rows."""
    if not len(rows):
        return scores
    score = scores.score.copy()
    score[rows] = np.nan
    return replace(scores, score=score)
