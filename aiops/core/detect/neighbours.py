"""What a row has been through, and how far from all of it the newest sample lies: three distances to what is nearest.

value: to the nearest earlier value. shape: of the last four samples to the nearest four in a row (sum of absolute
differences, not normalised, so that a level counts as much as a form). context: to the nearest value that came at this
time of another season. Nearest-neighbour distances as a measure of how strange a stretch is: Burnaev and Ishimtsev,
"Conformalized density- and distance-based anomaly detection in time-series data", 2016.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from aiops.core.detect.rebasing import Shifts
from aiops.core.model import F64, Bools, Instant, Rows
from aiops.core.protocols import Arrays

SHAPE = 4
KEPT = 4096
"""How many stretches of a row are remembered: two weeks of one in five minutes."""

APART_S = 300.0
"""Stretches are remembered no closer together than this, however often a row is sampled."""

DELAY_S, DELAY_SAMPLES = 1800.0, 4.0
"""What is new becomes an example of what is usual after so long: an anomaly does not excuse itself at once."""

EPISODES = 2
"""What was extreme is an example once it has come so many times: one anomaly does not excuse the next."""

EPISODE_S, STANDS_S, STANDS_SAMPLES = 3600.0, 3600.0, 8.0
"""Extremes closer than this are one episode; what stands for so long, and so many samples, is the new usual."""

CONTEXT_SHARE = 1.0 / 48.0
"""What came within this share of a season from the same time of it is its context."""

RESOLUTION = 1e-4
"""Distances below this share of the value are none."""

LEAST_VALUES, LEAST_CONTEXT = 8, 3
_WIDTHS = np.array([1.0, SHAPE, 1.0])
_GAP_STEPS = 3.5
_FIRST_ROOM = 64
_NEVER = -1e18
_RINGS = ("_times", "_phases", "_episodes")
_ROWS = ("_windows", *_RINGS, "_count", "_recent", "_last_at", "_extreme")
_NUMBER, _BEGAN, _NEWEST, _SAMPLES = range(4)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Near:
    """What lies nearest to a sample. distances: float64[3] of value, shape and context, NaN where that is unknown.

    usual: the values that it is compared with, of its context where that is known.
    """

    distances: F64
    usual: F64


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How time passes in the rows: seconds between samples, the length of a season, and how far its clock is ahead."""

    step_s: float
    season_s: float
    ahead_s: float = 0.0

    def phase(self, at: Instant) -> float:
        """Return how far into a season an instant is."""
        return (at + self.ahead_s) % self.season_s

    @property
    def delay_s(self) -> float:
        """Return how long ago something must be to count as an example."""
        return max(DELAY_S, DELAY_SAMPLES * self.step_s) * 0.99

    @property
    def context_s(self) -> float:
        """Return how far from the same time of a season its context reaches."""
        return max(CONTEXT_SHARE * self.season_s, self.step_s)


class Neighbours:
    """Arrays over n rows, changed in place. windows: float64[n, 4, room], a ring of stretches.

    times, phases: float64[n, room], when they ended, and how far into a season that was. episodes: int64[n, room], of
    what was extreme, 0 for the usual. count: how many were ever remembered. recent: float64[n, 3], the samples before
    the next one. extreme: float64[n, 4], the episode that a row is in: number, beginning, newest, samples.
    """

    def __init__(self, rows: int) -> None:
        self._windows = np.full((rows, SHAPE, _FIRST_ROOM), np.nan)
        self._times, self._phases = np.full((rows, _FIRST_ROOM), _NEVER), np.zeros((rows, _FIRST_ROOM))
        self._episodes = np.zeros((rows, _FIRST_ROOM), np.int64)
        self._count = np.zeros(rows, np.int64)
        self._recent = np.full((rows, SHAPE - 1), np.nan)
        self._last_at = np.full(rows, _NEVER)
        self._extreme = np.tile(np.array([0.0, _NEVER, _NEVER, 0.0]), (rows, 1))

    def near(self, row: int, at: Instant, value: float, pace: Pace) -> Near:
        """Return what of the past of a row lies nearest to a value at `at`."""
        kept, old, context = self._examples(row, at, pace)
        windows = self._windows[row, :, :kept]
        values = windows[-1]
        before = self._before(row, at, pace)
        with np.errstate(over="ignore", invalid="ignore"):
            away = np.abs(values - value)
            shape = away.copy()
            for lag, sample in enumerate(before.tolist()):
                shape += np.abs(windows[lag] - sample)
        episodes = self._episodes[row, :kept] if math.isfinite(value) else np.zeros(kept, np.int64)
        distances = np.array(
            [
                _least(away, old, episodes, LEAST_VALUES),
                _least(shape, old & ~np.isnan(shape), episodes, LEAST_VALUES),
                _least(away, context, episodes, LEAST_CONTEXT),
            ]
        )
        distances[distances <= RESOLUTION * abs(value) * _WIDTHS] = 0.0
        return Near(distances=distances, usual=values[_usual(old, context)])

    def usual(self, row: int, at: Instant, pace: Pace) -> F64:
        """Return the values that a sample at `at` is compared with: of its context where that is known."""
        kept, old, context = self._examples(row, at, pace)
        return self._windows[row, -1, :kept][_usual(old, context)]

    def move(self, row: int, shifts: Shifts, place: int) -> None:
        """Let what a row has been through move; where something may have been added or multiplied, every other each.

        What came since the change began moves only where it lies nearer to the old level. Shapes begin anew.
        """
        kept, level, by = min(int(self._count[row]), self._times.shape[1]), shifts.level[place], shifts.by[place]
        windows = self._windows[row, :, :kept]
        before = self._times[row, :kept] < shifts.began[place]
        with np.errstate(over="ignore"):
            before |= np.abs(windows[-1] - level) <= np.abs(windows[-1] - (level + by))
        added, multiplied = shifts.moved(windows, np.full(windows.shape, place))
        moved = np.where(np.arange(kept) % 2 == 1, multiplied, added)
        np.copyto(windows, moved, where=before & ~(np.isfinite(windows) & ~np.isfinite(moved)))
        self._last_at[row], self._recent[row], self._extreme[row, _NEWEST] = _NEVER, np.nan, _NEVER

    def one_sided(self, row: int) -> bool:
        """Return whether no value of a row ever lay on the other side of zero."""
        values = self._windows[row, -1, : min(int(self._count[row]), self._times.shape[1])]
        return bool((values >= 0).all() or (values <= 0).all())

    def remember(self, row: int, at: Instant, value: float, pace: Pace) -> None:
        """Remember a value of another time, without the samples before it."""
        self._put(row, at, np.append(np.full(SHAPE - 1, np.nan), value), pace, 0)

    def note(self, row: int, at: Instant, value: float, pace: Pace, *, extreme: bool = False) -> None:
        """Remember a sample of a row; `extreme` ones are no examples of the usual until they come again, or stand."""
        episode = self._episode(row, at) if extreme else 0
        window = np.append(self._before(row, at, pace), value)
        self._last_at[row] = at
        self._recent[row] = window[1:]
        count, room = int(self._count[row]), self._times.shape[1]
        newest = self._times[row, (count - 1) % room] if count else _NEVER
        if at - newest < APART_S * 0.99 and count:
            return
        self._put(row, at, window, pace, episode)

    def take(self, rows: Rows) -> None:
        """Become the memory of other rows; -1 starts afresh."""
        fresh, old = Neighbours(len(rows)), rows >= 0
        while fresh._times.shape[1] < self._times.shape[1]:
            fresh._grow()
        for name in _ROWS:
            getattr(fresh, name)[old] = getattr(self, name)[rows[old]]
        self.__dict__.update(fresh.__dict__)

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        return {name[1:]: getattr(self, name) for name in _ROWS}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint; raise ValueError when it does not fit."""
        rows, room = len(self._count), np.shape(arrays.get("times", np.zeros((0, 0))))[-1]
        shapes = {"windows": (rows, SHAPE, room), "recent": (rows, SHAPE - 1), "extreme": (rows, 4)}
        shapes |= {name[1:]: (rows, room) for name in _RINGS}
        for name in _ROWS:
            if name[1:] not in arrays or arrays[name[1:]].shape != shapes.get(name[1:], (rows,)):
                raise ValueError(f"the checkpoint's {name[1:]} does not fit {rows} rows")
        for name in _ROWS:
            setattr(self, name, np.array(arrays[name[1:]], getattr(self, name).dtype))

    # -- inner ---------------------------------------------------------------------------------------

    def _examples(self, row: int, at: Instant, pace: Pace) -> tuple[int, Bools, Bools]:
        """Return how much of a row is remembered, what of it is old enough, and what came at this time of a season."""
        kept = min(int(self._count[row]), self._times.shape[1])
        age, phase = at - self._times[row, :kept], np.abs(self._phases[row, :kept] - pace.phase(at))
        context = (np.minimum(phase, pace.season_s - phase) <= pace.context_s) & (age >= 0.5 * pace.season_s)
        return kept, age >= pace.delay_s, context

    def _put(self, row: int, at: Instant, window: F64, pace: Pace, episode: int) -> None:
        count, room = int(self._count[row]), self._times.shape[1]
        if count == room and room < KEPT:
            self._grow()
            room = self._times.shape[1]
        self._windows[row, :, count % room] = window
        self._times[row, count % room] = at
        self._phases[row, count % room] = pace.phase(at)
        self._episodes[row, count % room] = episode
        self._count[row] = count + 1

    def _before(self, row: int, at: Instant, pace: Pace) -> F64:
        """Return the three samples before one at `at`; NaN when there was a gap."""
        whole = at - self._last_at[row] <= _GAP_STEPS * pace.step_s
        return self._recent[row] if whole else np.full(SHAPE - 1, np.nan)

    def _episode(self, row: int, at: Instant) -> int:
        """Return the number of the episode that an extreme sample belongs to, 0 when that has become the new usual."""
        state = self._extreme[row]
        if at - state[_NEWEST] > EPISODE_S:
            state[:] = state[_NUMBER] + 1.0, at, at, 0.0
        state[_NEWEST] = at
        state[_SAMPLES] += 1.0
        stands = at - state[_BEGAN] >= STANDS_S and state[_SAMPLES] >= STANDS_SAMPLES
        return 0 if stands else int(state[_NUMBER])

    def _grow(self) -> None:
        """Double the room; rings that were full go on behind what they hold."""
        rows, room = self._times.shape
        self._windows = np.concatenate([self._windows, np.full((rows, SHAPE, room), np.nan)], axis=2)
        self._times = np.concatenate([self._times, np.full((rows, room), _NEVER)], axis=1)
        self._phases = np.concatenate([self._phases, np.zeros((rows, room))], axis=1)
        self._episodes = np.concatenate([self._episodes, np.zeros((rows, room), np.int64)], axis=1)


def _usual(old: Bools, context: Bools) -> Bools:
    """Return which examples a sample is compared with."""
    return context if np.count_nonzero(context) >= LEAST_CONTEXT else old


def _least(distances: F64, counts: Bools, episodes: Rows, least: int) -> float:
    """Return the distance to the nearest of those that count, or to the second episode of extremes; NaN of too few."""
    if np.count_nonzero(counts) < least:
        return math.nan
    usual = counts & (episodes == 0)
    nearest = float(distances[usual].min(initial=math.inf))
    extremes = counts & (episodes > 0)
    if extremes.any():
        numbers, places = np.unique(episodes[extremes], return_inverse=True)
        by_episode = np.full(len(numbers), math.inf)
        np.minimum.at(by_episode, places, distances[extremes])
        if len(numbers) >= EPISODES:
            nearest = min(nearest, float(np.partition(by_episode, EPISODES - 1)[EPISODES - 1]))
    return nearest if math.isfinite(nearest) else math.nan
