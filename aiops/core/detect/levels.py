"""Levels that announced changes bring: what rows do while one settles, and what becomes their usual level after it.

A row is in an episode from the first sight of a change of its workload until that has been over for as long as its
policy waits (`settle`). Until then what is odd in it is not learnt, so that it is measured against what was usual
before. Then the level of the second half of that time becomes what is usual, where its policy says so (`newLevel`): of
any size, at once. Rows out of an episode cost nothing, and rows of policies that do not ask for it are never in one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from aiops.core.detect.elsewhere import Announced
from aiops.core.detect.rebasing import (
    AWAY,
    COUNT,
    FIELDS,
    LAST,
    LAST_AT,
    LAST_AWAY,
    LATE,
    LEAST_SLOTS,
    MOST_ACROSS,
    ODD,
    ODD_SHARE,
    SLOTS,
    VALUE,
    WIDTH,
    Found,
    Shifts,
    Usual,
    across,
    settled,
    shifts,
    without,
)
from aiops.core.detect.rules import WEEK_S
from aiops.core.detect.settling import TWICE, Thing, things
from aiops.core.detect.sight import Rebased
from aiops.core.model import F64, Bools, Instant, Rows
from aiops.core.policies import NewLevel, WatchPolicy
from aiops.core.protocols import Scores

BACK_WITHIN = 0.25
"""A level is the one before the last change again when it lies so near to it: as shares of it, and of the move."""

EXACT = 1e-9
"""A level of nothing is held to be the same within so much of the move: sums of numbers are no more exact."""

BACK_FOR_S = WEEK_S
"""A release is rolled back within so long; what is where a level was before that is a level of its own."""

_TOLD = ("told", "moved")
_BEGAN, _SEEN, _SETTLE, _LEVEL, _MIDDLE = range(5)
_ODD_BEFORE = "it was odd before the change: that may be why something was changed"
_RESTLESS = "changes came one after another for twice as long as its policy waits: nothing has settled"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Near:
    """What is around a change. labels: makes those of the rows in the frame, which are the first of all.

    odd: bool[n], which rows have a finding open.
    """

    labels: Callable[[], Sequence[Mapping[str, str]]]
    odd: Bools


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ended:
    """Episodes that are over. rows, began: of those in which findings were excused, and since when.

    shifts: of the rows whose level becomes what is usual.
    """

    rows: Rows
    began: F64
    shifts: Shifts


class Placed(Protocol):
    """What says what is usual of some rows now, without their newest sample."""

    def usual(self, at: Instant, rows: Rows) -> Usual:
        """Return what is usual of some rows at an instant."""
        ...


class Levels:
    """Episodes of m rows, by key, and what became of earlier ones.

    numbers: float64[m, 5], when the change was seen first and last, how long its policy waits, and where the row was
    when it began: its level, and the middle of that time of the season. slots: float64[m, 8, 16], see
    `rebasing`. told: by key, what became of the last level that a change moved; moved: the last that became usual.
    """

    def __init__(self) -> None:
        self.asked = False
        self.told: dict[str, Rebased] = {}
        self.moved: dict[str, Rebased] = {}
        self._keys: list[str] = []
        self._why: list[str] = []
        self._barred: list[str] = []
        self._numbers, self._slots = np.zeros((0, 5)), np.zeros((0, FIELDS, SLOTS))
        self._rows: Rows = np.zeros(0, np.intp)
        self._of: dict[Thing, list[int]] | None = None
        self._specs: Sequence[WatchPolicy] = ()
        self._owner: Rows = np.zeros(0, np.intp)
        self._all: Sequence[str] = ()

    @property
    def rows(self) -> Rows:
        """Return the rows that are in an episode."""
        return self._rows

    @property
    def known(self) -> bool:
        """Return whether there is anything to keep."""
        return bool(self._keys or self.told)

    # -- following rows --------------------------------------------------------------------------------

    def follow(self, specs: Sequence[WatchPolicy], owner: Rows, keys: Sequence[str]) -> None:
        """Know rows and policies, where row i, of key `keys[i]`, belongs to `specs[owner[i]]`; forget what is gone."""
        self.asked = any(_takes(one) is not NewLevel.NONE for one in specs)
        self._specs, self._owner, self._all, self._of = specs, owner, keys, None
        if not self._keys and not self.told:
            return
        place = {key: row for row, key in enumerate(keys)}
        self.told, self.moved = ({k: one for k, one in each.items() if k in place} for each in (self.told, self.moved))
        allowed = [key in place and _takes(specs[owner[place[key]]]) is not NewLevel.NONE for key in self._keys]
        self._keep(np.array(allowed, np.bool_))
        self._rows = np.array([place[key] for key in self._keys], np.intp)

    # -- the tick --------------------------------------------------------------------------------------

    def ended(self, at: Instant, detector: Placed) -> Ended | None:
        """End the episodes that have settled before `at`, and return which these are, None where there are none.

        To be asked before the sample of `at` is scored: what is odd then is told.
        """
        self._set_back(at)
        due = at - self._numbers[:, _SEEN] > self._numbers[:, _SETTLE]
        if not due.any():
            return None
        places = np.flatnonzero(due)
        rows, slots = self._rows[places], self._slots[places]
        found, taken = settled(slots), np.zeros(len(places), np.bool_)
        other = across(slots, found.by)
        other[[_takes(self._specs[self._owner[row]]) is NewLevel.BOTH for row in rows.tolist()]] = False
        one_sided = detector.usual(at, rows).one_sided
        moves = shifts(rows, without(slots, other), self._numbers[places, _BEGAN], one_sided)
        for number, place in enumerate(places.tolist()):
            key, by, level = self._keys[place], float(found.by[number]), float(found.level[number])
            if found.odd[number] < ODD_SHARE and found.seen[number] >= LEAST_SLOTS:
                continue  # it is where it was
            both_ways = int(other[number].sum()) > MOST_ACROSS
            refused = self._refusal(place, at, found.of(number), both_ways=both_ways)
            taken[number] = not refused
            self.told[key] = Rebased(at=at, level=level, by=by, why=self._why[place], refused=refused)
            if not refused:
                self.moved[key] = self.told[key]
        free = np.array([not self._barred[place] for place in places.tolist()], np.bool_)
        over = Ended(rows=rows[free], began=moves.began[free], shifts=moves.only(taken))
        self._keep(~due)
        return over

    def changing(self, at: Instant, changed: Announced, near: Near, detector: Placed) -> None:
        """Take what is being changed now."""
        if self._of is None:
            self._of = self._by_thing(near.labels())
        touched = {row: why for thing, why in changed.why.items() for row in self._of.get(thing, ())}
        if not touched:
            return
        known = {row: place for place, row in enumerate(self._rows.tolist())}
        for row, why in touched.items():
            place = known.get(row)
            if place is not None and changed.at > self._numbers[place, _SEEN]:  # it settles from then on
                self._numbers[place, _SEEN], self._slots[place], self._why[place] = changed.at, 0.0, why
        rows = np.array(sorted(row for row in touched if row not in known), np.intp)
        usual = detector.usual(at, rows)
        there = np.isfinite(usual.level)
        rows = rows[there]
        waits = [_settle_s(self._specs[self._owner[row]]) for row in rows.tolist()]
        first = np.full(len(rows), changed.at)
        numbers = np.stack([first, first, np.array(waits, np.float64), usual.level[there], usual.middle[there]], axis=1)
        self._numbers = np.concatenate([self._numbers, numbers])
        self._slots = np.concatenate([self._slots, np.zeros((len(rows), FIELDS, SLOTS))])
        self._rows = np.concatenate([self._rows, rows])
        self._keys += [self._all[row] for row in rows.tolist()]
        self._why += [touched[row] for row in rows.tolist()]
        self._barred += [_ODD_BEFORE if one else "" for one in near.odd[rows].tolist()]

    def taught(self, at: Instant, values: F64, learn: Bools, scores: Scores, detector: Placed) -> Bools:
        """Note samples of rows in an episode, and return which rows may be learnt from: none that is odd in one."""
        if not len(self._rows):
            return learn
        for place in np.flatnonzero(at - self._numbers[:, _BEGAN] > TWICE * self._numbers[:, _SETTLE]).tolist():
            self._barred[place] = self._barred[place] or _RESTLESS
        free = np.array([not why for why in self._barred], np.bool_)
        places = np.flatnonzero(free & learn[self._rows] & np.isfinite(values[self._rows]))
        rows = self._rows[places]
        usual, sample = detector.usual(at, rows), values[rows]
        with np.errstate(over="ignore", invalid="ignore"):
            moved = np.nan_to_num(usual.middle - self._numbers[places, _MIDDLE], posinf=0.0, neginf=0.0)
            away = sample - (self._numbers[places, _LEVEL] + moved)
            width = 0.5 * usual.high - 0.5 * usual.low
        odd = (scores.score[rows] > 1.0) | (sample < usual.low) | (sample > usual.high)
        wait = np.maximum(self._numbers[places, _SETTLE], 1e-9)
        slot = np.clip(SLOTS * (at - self._numbers[places, _SEEN]) / wait, 0, SLOTS - 1).astype(np.intp)
        with np.errstate(over="ignore", invalid="ignore"):
            for field, number in ((COUNT, 1.0), (VALUE, sample), (AWAY, away), (ODD, odd)):
                self._slots[places, field, slot] += number
        for field, last in ((LAST, sample), (LAST_AWAY, away), (LAST_AT, at), (WIDTH, width)):
            self._slots[places, field, slot] = last
        held = rows[scores.score[rows] > 1.0]
        if not len(held):
            return learn
        out = learn.copy()
        out[held] = False
        return out

    # -- checkpoints -----------------------------------------------------------------------------------

    def about(self) -> dict[str, Any]:
        """Return what a checkpoint keeps, as JSON can hold it."""
        every = zip(self._keys, self._why, self._barred, self._numbers.tolist(), self._slots.tolist(), strict=True)
        return {
            **{name: {key: asdict(one) for key, one in getattr(self, name).items()} for name in _TOLD},
            "episodes": {key: [why, barred, numbers, slots] for key, why, barred, numbers, slots in every},
        }

    def restore(self, about: Mapping[str, Any], wanted: Callable[[str], bool] = lambda key: True) -> None:
        """Take what a checkpoint kept of the keys that are wanted, beside what is known; `follow` says their rows.

        Raises ValueError when it is none.
        """
        try:
            told, moved = (
                {key: Rebased(**one) for key, one in about.get(name, {}).items() if wanted(key)} for name in _TOLD
            )
            every = [(key, *one) for key, one in about.get("episodes", {}).items() if wanted(key)]
            numbers = np.array([one[3] for one in every], np.float64).reshape(len(every), 5)
            slots = np.array([one[4] for one in every], np.float64).reshape(len(every), FIELDS, SLOTS)
        except (AttributeError, TypeError, ValueError, IndexError) as err:
            raise ValueError(f"what the checkpoint says of levels is none: {err}") from err
        self.told, self.moved = self.told | told, self.moved | moved
        self._keys += [str(one[0]) for one in every]
        self._why += [str(one[1]) for one in every]
        self._barred += [str(one[2]) for one in every]
        self._numbers, self._slots = np.concatenate([self._numbers, numbers]), np.concatenate([self._slots, slots])
        self._rows = np.concatenate([self._rows, np.full(len(every), -1, np.intp)])

    # -- inner -----------------------------------------------------------------------------------------

    def _by_thing(self, labels: Sequence[Mapping[str, str]]) -> dict[Thing, list[int]]:
        """Return the rows of each workload whose policies let it bring a new level."""
        asks = [_takes(one) is not NewLevel.NONE for one in self._specs]
        found: dict[Thing, list[int]] = {}
        for row, (own, owner) in enumerate(zip(labels, self._owner.tolist(), strict=False)):
            if asks[owner]:
                for thing in things(self._specs[owner].key, own):
                    found.setdefault(thing, []).append(row)
        return found

    def _refusal(self, place: int, at: Instant, found: Found, *, both_ways: bool) -> str:
        """Return why a level does not become what is usual, '' when it does."""
        takes = _takes(self._specs[self._owner[self._rows[place]]])
        if self._barred[place]:
            return self._barred[place]
        if found.seen < LEAST_SLOTS:
            seen = f"{found.seen} of {SLOTS - LATE} parts were seen"
            return f"of the second half of that time {seen}, {LEAST_SLOTS} are enough"
        if not np.isfinite(found.by) or not np.isfinite(found.level):
            return "its values are too large to be told apart"
        if both_ways:
            return f"the policy's newLevel is {takes.value}, and it went both ways"
        if takes.takes(found.by) or self._back(self._keys[place], at, found):
            return ""
        return f"the policy's newLevel is {takes.value}, and it went {'up' if found.by > 0 else 'down'}"

    def _back(self, key: str, at: Instant, found: Found) -> bool:
        """Return whether a level is the one again that was usual before the last change, as far as its noise tells."""
        last = self.moved.get(key)
        if last is None or found.by * last.by >= 0 or at - last.at > BACK_FOR_S:
            return False
        most = BACK_WITHIN * abs(last.by)
        near = min(max(BACK_WITHIN * abs(last.level), found.spread, EXACT * abs(last.by)), most)
        return abs(found.level + found.by - last.level) <= near

    def _set_back(self, at: Instant) -> None:
        """Take it that the clock was ahead: no change was announced later than now."""
        self._keep(self._numbers[:, _BEGAN] <= at)
        np.minimum(self._numbers[:, _SEEN], at, out=self._numbers[:, _SEEN])

    def _keep(self, kept: Bools) -> None:
        if kept.all():
            return
        places = np.flatnonzero(kept).tolist()
        self._keys, self._why, self._barred = (
            [one[k] for k in places] for one in (self._keys, self._why, self._barred)
        )
        self._numbers, self._slots, self._rows = self._numbers[kept], self._slots[kept], self._rows[kept]


def _takes(policy: WatchPolicy) -> NewLevel:
    return NewLevel.NONE if policy.rollouts is None else policy.rollouts.new_level


def _settle_s(policy: WatchPolicy) -> float:
    return 0.0 if policy.rollouts is None else policy.rollouts.settle_s
