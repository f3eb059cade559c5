"""Every watched series, in groups by detector, season and its clock: the half of the models that can be parted.

What is found of a row depends on that row, on its policy and on the instants at which it was seen; so rows may live in
one process or in many. Only a policy with a budget for all its series looks at them together.
"""

from __future__ import annotations

import contextlib
import math
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiops.core.detect import DETECTORS
from aiops.core.detect.elsewhere import NOTHING_CHANGED, Announced
from aiops.core.detect.group import WatchGroup
from aiops.core.detect.rejoined import chosen, joined, under
from aiops.core.detect.rules import group_name
from aiops.core.detect.sight import Look, Sight
from aiops.core.detect.together import Pair, Population
from aiops.core.model import F64, Finding, Frame, Instant, PolicyKey, Rows, SeriesIndex
from aiops.core.policies import WatchPolicy

Learnt = Mapping[str, NDArray[np.generic]]
_NO_SERIES = SeriesIndex(keys=(), labels=())


class Fleet:
    """Detectors of all series that some WatchPolicies watch; it owns their arrays.

    groups: by detector, season and its clock. index: of the rows that were in the frame last. at: when
    that was, -inf at first. bugs: the traceback of each policy of a group that met one at the last tick.
    """

    def __init__(self, watches: Sequence[WatchPolicy] = ()) -> None:
        self.groups: dict[str, WatchGroup] = {}
        self.index = _NO_SERIES
        self.at: Instant = -math.inf
        self.bugs: dict[PolicyKey, str] = {}
        self._lost: set[str] = set()
        self._watches: tuple[WatchPolicy, ...] = ()
        self._population: Population | None = None
        self.follow(watches)

    # -- the tick ------------------------------------------------------------------------------------

    def find(self, frame: Frame, changed: Announced = NOTHING_CHANGED) -> list[Finding]:
        """Score a frame, then learn from it; return the findings that are open, in the order of groups and rows.

        A bug in one group is told in `bugs`, and takes no other group's findings (S10).
        changed: workloads that are changed on purpose, now or as it was seen last.
        """
        if frame.index is not self.index:
            self._follow_rows(frame.index, frame.at)
        self.at = frame.at
        found, self.bugs = list[Finding](), {}
        for name, group in self.groups.items():
            try:
                self._seat(name, group, again=name in self._lost)
                found += group.detect(frame, changed)
            except Exception:
                self.bugs |= dict.fromkeys(group.policies, traceback.format_exc())
        return found

    @property
    def unseen(self) -> dict[PolicyKey, str]:
        """Return the policies of which nothing is known now as there was a bug, and which."""
        return {key: f"a bug: {trace.strip().splitlines()[-1]}" for key, trace in self.bugs.items()}

    @property
    def population(self) -> Population:
        """Return how often findings of the rows in the frame open by chance alone."""
        if self._population is None:
            self._population = Population.of(self.index, budgets(self._watches, self.index))
        return self._population

    def chances(self) -> Mapping[Pair, float]:
        """Return the same by label, for whoever puts shards together."""
        return self.population.per_s

    @property
    def sights(self) -> tuple[Sight, ...]:
        """Return what the detectors said of their rows at the last tick."""
        return tuple(group.sight for group in self.groups.values() if group.sight is not None)

    def look(self, key: str) -> Look | None:
        """Return what was said of one watched series at the last tick, None of one that was not in its frame."""
        return next((found for group in self.groups.values() if (found := group.look(key)) is not None), None)

    # -- learning from history -----------------------------------------------------------------------

    def learn_history(self, times: F64, values: F64, index: SeriesIndex) -> None:
        """Learn watched series from history; values: float64[n, t], keys of `index` as in frames."""
        if len(times) == 0:
            return
        for group in self.groups.values():
            keys = [key for key in index.keys if key.split("#", 1)[0] in group.policies]
            if keys:
                group.park(keys, float(times[-1]))
                group.learn_history(times, values, index.keys, self.at)

    # -- following policies and series -----------------------------------------------------------------

    def follow(self, watches: Sequence[WatchPolicy]) -> None:
        """Keep what is still asked for as it was; make anew what is asked for otherwise."""
        queries = {policy.key: policy.query.expr for policy in self._watches}
        self._regroup(watches, _changed(watches, queries, new=False))

    def _regroup(self, watches: Sequence[WatchPolicy], changed: frozenset[PolicyKey]) -> None:
        """Make one group for each detector and season; changed: policies whose series mean something else."""
        names = {policy.key: group_name(policy) for policy in watches}
        groups: dict[str, WatchGroup] = {}
        for name in sorted(set(names.values())):
            mine = [policy for policy in watches if names[policy.key] == name]
            groups[name] = WatchGroup(DETECTORS[mine[0].detector], mine)
            if name in self.groups:
                groups[name].adopt(self.groups[name], changed)
        self.groups, self._population, self._watches = groups, None, tuple(watches)
        if self.index is not _NO_SERIES:
            self._follow_rows(self.index, self.at)

    def _follow_rows(self, index: SeriesIndex, at: Instant) -> None:
        self.index, self._population, self.at = index, None, at
        for name, group in self.groups.items():
            with contextlib.suppress(Exception):  # it is tried again when it is asked, and told then
                self._seat(name, group, again=True)

    def _seat(self, name: str, group: WatchGroup, *, again: bool) -> None:
        """Let a group follow the rows; while that fails it is lost, and looks at nothing."""
        if again:
            self._lost.add(name)
            group.follow(self.index, self.at)
            self._lost.discard(name)

    # -- checkpoints -----------------------------------------------------------------------------------

    def about(self) -> dict[str, Any]:
        """Return what a checkpoint says of itself, as JSON can hold it."""
        return {
            "queries": {policy.key: policy.query.expr for policy in self._watches},
            "groups": {name: [group.detector.version, group.keys] for name, group in self.groups.items()},
            "levels": {name: group.levels.about() for name, group in self.groups.items() if group.levels.known},
        }

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Return everything that was learnt, by name, for a checkpoint."""
        groups = self.groups.items()
        return {f"watch/{name}/{key}": array for name, group in groups for key, array in group.arrays().items()}

    def restore(self, arrays: Learnt, about: Mapping[str, Any], at: Instant) -> list[str]:
        """Take a checkpoint of `at`, and return what of it did not fit, with the reason."""
        refused: list[str] = []
        for name, group in self.groups.items():
            version, keys = about["groups"].get(name, [None, []])
            try:
                expect(version, group.detector.version)
                group.restore(under(arrays, f"watch/{name}/"), keys, at)
                group.levels.restore(_levels(about, name))
            except ValueError as err:
                refused.append(f"watch {name}: {err}")
        self.at, self.index = at, _NO_SERIES
        self._regroup(self._watches, _changed(self._watches, about["queries"], new=True))
        return refused

    def rejoin(self, checkpoints: Sequence[tuple[Learnt, Mapping[str, Any]]], wanted: Callable[[str], bool]) -> None:
        """Take the rows with a wanted key out of several checkpoints; a key that is in many is the newest's.

        Rows of older ones are as if they had not been seen since. What does not fit, as it is of another version of a
        detector, is learnt again.
        """
        newest_first = sorted(checkpoints, key=lambda one: -float(one[1]["at"] or -math.inf))
        if not newest_first:
            return
        at = float(newest_first[0][1]["at"] or -math.inf)
        for name, group in self.groups.items():
            pieces, keys, taken = list[Learnt](), list[str](), set[str]()
            for arrays, about in newest_first:
                known: Sequence[str] = about["groups"].get(name, [None, []])[1]
                rows = chosen(known, wanted, taken)
                piece = _piece(group, name, (arrays, about), rows, at) if len(rows) else None
                if piece is not None:
                    pieces.append(piece)
                    own = frozenset(known[row] for row in rows)
                    group.levels.restore(_levels(about, name), own.__contains__)
                    keys += [known[row] for row in rows]
                    taken.update(known[row] for row in rows)
            if pieces:
                group.restore(joined(pieces, group.state_of), keys, at)
        queries = {key: expr for _, about in reversed(newest_first) for key, expr in about["queries"].items()}
        self.at, self.index = at, _NO_SERIES
        self._regroup(self._watches, _changed(self._watches, queries, new=True))

    def seat(self, index: SeriesIndex, at: Instant) -> None:
        """Follow rows before the frame that they are in is seen."""
        self._follow_rows(index, at)

    def stand(self, findings: Sequence[Finding]) -> None:
        """Let what was found of the rows until now be just these: what was learnt may be older than what was said."""
        for group in self.groups.values():
            group.stand([one for one in findings if one.policy in group.policies])


def _piece(
    group: WatchGroup, name: str, checkpoint: tuple[Learnt, Mapping[str, Any]], rows: Rows, at: Instant
) -> Learnt | None:
    """Return some rows of a group out of a checkpoint as they are at `at`, None where it does not fit."""
    arrays, about = checkpoint
    version, known = about["groups"][name]
    try:
        expect(version, group.detector.version)
        made = float(about["at"] or -math.inf)
        return group.caught_up(under(arrays, f"watch/{name}/"), known, rows, (made, at))
    except ValueError:
        return None


def _levels(about: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return what a checkpoint says of the levels of a group; one of before they were kept says nothing."""
    found: Mapping[str, Any] = about.get("levels", {}).get(name, {})
    return found


def expect(found: object, wanted: object) -> None:
    """Raise ValueError when a part of a checkpoint is not there, or by or for another one."""
    if found is None:
        raise ValueError("the checkpoint does not have it")
    if found != wanted:
        raise ValueError(f"the checkpoint was made by or for another one ({found}, not {wanted})")


def budgets(watches: Sequence[WatchPolicy], index: SeriesIndex) -> dict[PolicyKey, float]:
    """Return the false alarms a week of one series, by policy: its own, or its share of what all of them have."""
    rows = Counter(key.split("#", 1)[0] for key in index.keys)
    return {
        one.key: min(one.false_alarms_per_week, (one.budget_per_week or math.inf) / max(rows[one.key], 1))
        for one in watches
    }


def _changed(watches: Sequence[WatchPolicy], queries: Mapping[PolicyKey, str], *, new: bool) -> frozenset[PolicyKey]:
    """Return the policies whose query is not the one that is known. new: whether one that is not known is another."""
    known = ((one.key, one.query.expr, queries.get(one.key, "" if new else one.query.expr)) for one in watches)
    return frozenset(key for key, expr, before in known if expr != before)
