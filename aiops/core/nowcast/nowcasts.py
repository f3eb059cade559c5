"""The rows of the nowcast: levels, seasons, mixes and spreads, moved on by `learn` and read by `ahead`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aiops.core.model import F64, Bools, Instant, Rows
from aiops.core.nowcast.falls import Falls
from aiops.core.nowcast.regression import NAMES, REFIT_STEPS, TAUS_STEPS, Levels, Mix, features
from aiops.core.nowcast.season import KEPT, SEASONS, Seasons
from aiops.core.nowcast.spread import Spans, Spread
from aiops.core.protocols import Arrays

STEP_S = 15.0
MINUTE_S = 60.0
NEAR_STEPS = 3
"""A sample is a step old when it is seen, and the next step is being served: what cannot be changed any more."""

MOST_STEPS = 240
"""The farthest horizon: an hour."""

LONG_GAP_STEPS = 240
"""After an hour without a sample the levels of before say nothing: they begin anew."""

FLOOR_RATIO = 0.02
"""Demand below this share of its usual level counts as it: logarithms of near nothing mean nothing."""

AROUND_MINUTES = 2
AHEAD_MINUTES = MOST_STEPS // 4 + 2
SURGE_SCALES = 3.0
"""Two samples in a row so many scales above the near forecast begin a surge."""

SURGE_STEPS = 8.0
"""A surge is followed in a straight line for so long, and lasts so long after the last sample beyond."""

MOST_SURGE = math.log(2.0)
"""A straight line never more than doubles demand."""

STEADY_RATIO = 0.15
"""A lead time that moves by less is the same one."""

GATE = 0.05
"""Skill below minus this closes the gate; above 0, or above this in the last hour, opens it again."""

MOST_OFF_SCALES = 3.0
"""Farther off than so many scales counts as that far: an outage does not say what a forecast is worth after it."""

LEARNED_STEPS = 240.0
_RING = MOST_STEPS + 1
_BASE, _SAID, _SCALE = range(3)
_SIDES = np.arange(2)[:, None]
_AXIS = dict.fromkeys(("steps", "seen", "base", "said", "scales", "rivals", "errors", "off", "recent"), 1)
_LAG = tuple(1.0 / (1.0 - math.exp(-1.0 / tau)) - 1.0 for tau in TAUS_STEPS)
"""By how many steps each level lags behind a straight line."""

_USUAL, _RECENT = 1.0 - math.exp(-1.0 / 5760.0), 1.0 - math.exp(-1.0 / LEARNED_STEPS)
_INSTEAD = {"recent": "off"}
"""What a checkpoint from before has in place of what it lacks."""

_EDGE_MINUTES = np.array([[0.0], [2.0], [4.0]])
"""A season's edge is averaged over some minutes: what it will be soon is no less usual than what it is."""

_SINCE = ("fallen", "fallen_from", "fallen_top", "below")
"""What a checkpoint from before may lack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """What is ahead, float64[2, n] each: near, then lead. log_demand: the forecast; scale: of its error, in logarithms.

    skill: float64[n], of the lead. acts: bool[n], whether a row has seen an hour of its own errors and has skill.
    log_kept, kept_s: float64[n], demand that is gone and still kept for, NaN where none is, and for how long.
    """

    log_demand: F64
    scale: F64
    skill: F64
    acts: Bools
    log_kept: F64
    kept_s: F64


def lead_steps(lead_s: F64) -> Rows:
    """Return the horizon in steps of pods that take `lead_s` to start: the sample's age, the step, the start-up."""
    steps = NEAR_STEPS - 1 + np.ceil(np.maximum(lead_s, 0.0) / STEP_S - 1e-9)
    return np.asarray(np.clip(steps, NEAR_STEPS, MOST_STEPS).astype(np.int64))


class Nowcasts:
    """Changed in place. season_s: float64[n]; history_s: how much of past seasons is kept.

    judged: the errors of the lead that the last step has shown, in logarithms, and what was told as their scale.
    """

    version = 1

    def __init__(self, season_s: F64, history_s: float) -> None:
        rows = len(season_s)
        self._rows = np.arange(rows)
        self.levels = Levels(rows)
        minutes = int(history_s / MINUTE_S) + 2 * AROUND_MINUTES + 2
        self.season = Seasons(
            (season_s / MINUTE_S).astype(np.int64), minutes, around=AROUND_MINUTES, ahead=AHEAD_MINUTES, weights=SEASONS
        )
        # near and lead are rows of one array, so that a step is half as many calls; `mixes` and `spreads` see each
        self._mix, self._spread = Mix(2 * rows), Spread(np.tile(season_s, 2), history_s)
        self.usual = np.full(rows, np.nan)
        self.steps = np.stack([np.full(rows, NEAR_STEPS), np.full(rows, NEAR_STEPS)])
        self.slot = -1
        self.last = np.full(rows, np.nan)
        self.quiet = np.zeros(rows)
        # what was seen and foretold at past slots, to be judged when its time has come
        self._seen = np.full((2, rows, _RING, len(NAMES)), np.nan, np.float32)
        self._told = np.full((3, 2, rows, _RING), np.nan)
        self._rivals = np.full((2, rows, _RING), np.nan)
        self.scaled_errors = np.full((2, rows), np.nan)
        self.judged = np.full(rows, np.nan), np.ones(rows)
        self.off, self.recent = np.zeros((3, rows)), np.zeros((3, rows))
        self.surge = np.zeros(rows)
        self._beyond = np.zeros(rows, np.bool_)
        self.falls = Falls(rows)
        self._open = np.ones(rows, np.bool_)

    @property
    def mixes(self) -> tuple[Mix, Mix]:
        """Return the mixes of near and lead; what is changed in them is changed here."""
        near, lead = self._halves
        return self._mix.part(near), self._mix.part(lead)

    @property
    def spreads(self) -> tuple[Spans, Spans]:
        """Return the errors of near and lead."""
        near, lead = self._halves
        return self._spread.part(near), self._spread.part(lead)

    @property
    def _halves(self) -> tuple[slice, slice]:
        rows = len(self._rows)
        return slice(0, rows), slice(rows, 2 * rows)

    def learn(self, at: Instant, demand: F64, whole: Bools, lead_s: F64) -> None:
        """Take one sample of each row (NaN: none) and foretell; more in one slot are let be.

        whole: where the sample is all that was asked for. One that is less moves the levels, and teaches nothing (S1).
        lead_s: the start-up lead times, NaN where not known now: then the one of before stands.
        """
        slot = int(at // STEP_S)
        gap = slot - self.slot if self.slot >= 0 else 1
        if gap <= 0:
            return
        given = np.isfinite(lead_s)
        self._aim(np.where(given, lead_steps(np.where(given, lead_s, 0.0)), self.steps[1]))
        before = self.last
        if 1 < gap <= LONG_GAP_STEPS:
            for missing in range(1, gap):
                # a few missing samples are bridged where both ends are known
                share = missing / gap
                bridged = before + (demand - before) * share if gap <= NEAR_STEPS + 1 else np.full_like(demand, np.nan)
                self._step(self.slot + 1, bridged, whole, heard=False)
        elif gap > LONG_GAP_STEPS:
            self._forget_promises()
            self.falls = Falls(len(self._rows))
            self.quiet.fill(LONG_GAP_STEPS)
        self.slot = slot if gap > LONG_GAP_STEPS else self.slot
        self._step(slot, demand, whole)

    def _aim(self, steps: Rows) -> None:
        """Follow lead times that have truly changed: promises for another horizon are forgotten."""
        moved = np.abs(steps - self.steps[1]) > np.maximum(STEADY_RATIO * self.steps[1], 1.0)
        if moved.any():
            self.steps[1] = np.where(moved, steps, self.steps[1])
            self._seen[1, moved], self._told[_SAID, 1, moved] = np.nan, np.nan

    def _step(self, slot: int, demand: F64, whole: Bools, *, heard: bool = True) -> None:
        at = slot * STEP_S
        known = np.where(np.isfinite(demand), np.maximum(demand, 0.0), np.nan)
        started = np.isfinite(self.usual)
        usual = np.where(started, self.usual + _USUAL * (known - self.usual), known)
        self.usual = np.where(np.isfinite(usual), usual, self.usual)
        log_demand = self._log(known)
        then = (slot - self.steps) % _RING
        told = self._told[:, _SIDES, self._rows, then]
        self._watch_surge(log_demand, told[:, 0])
        if heard:
            ended = self._watch_falls(np.where(whole, log_demand, np.nan), at, told[_SCALE, 1])
            told[_SAID][:, ended] = np.nan
        else:
            self.falls.wait()
        learnt = whole & ~self.falls.fallen
        self._judge(slot, np.where(learnt, log_demand, np.nan), then, told)
        self._hush(known)
        self.levels.follow(log_demand)
        self.season.add(int(at // MINUTE_S), np.where(whole, known, np.nan))
        self.last = np.where(np.isfinite(known), known, self.last)
        self.slot = slot
        self._promise(slot, at)
        if slot % REFIT_STEPS == 0:
            self._mix.refit()

    def _hush(self, known: F64) -> None:
        """Forget the levels of rows that were silent for a long gap."""
        gone = self.quiet >= LONG_GAP_STEPS
        if gone.any():
            self.levels.values[gone], self.last[gone] = np.nan, np.nan
        self.quiet = np.where(np.isfinite(known), 0.0, self.quiet + 1.0)

    def _watch_surge(self, log_demand: F64, told: F64) -> None:
        """Note rows that have left behind what was foretold for them, and keep at it: no mix has learnt such a rise.

        told: float64[3, n], what was told of the near horizon.
        """
        beyond = (log_demand - told[_SAID]) / told[_SCALE] > SURGE_SCALES
        self.surge = np.where(beyond & self._beyond, SURGE_STEPS, np.maximum(self.surge - 1.0, 0.0))
        self._beyond = beyond

    def _watch_falls(self, log_demand: F64, at: Instant, scale: F64) -> Bools:
        """Note rows whose demand is gone at once, and return those of which that ends; these begin with new levels."""
        seasons = self.season.at(at / MINUTE_S - 0.5 + _EDGE_MINUTES * np.ones(len(self._rows)))
        due = self._log(np.fmin.reduce(seasons))
        due = np.fmin(np.where(np.isfinite(due), due, self._log(self.usual)), self.levels.values[:, -1])
        seen = np.where(self.spreads[1].count >= LEARNED_STEPS, scale, np.nan)
        lead = self.steps[1].astype(np.float64)
        ended, stage = self.falls.watch(log_demand, due, seen, lead, self.surge >= SURGE_STEPS)
        if ended.any():
            self._seen[:, ended], self._told[_SAID][:, ended], self._rivals[:, ended] = np.nan, np.nan, np.nan
        anew = (ended | stage) & np.isfinite(log_demand)
        self.levels.values[anew], self.surge[ended] = log_demand[anew, None], 0.0
        return ended

    def _surging(self, said: F64) -> F64:
        """Return the forecasts, for rows in a surge at least its straight line for so long as a surge lasts.

        The line of demand that comes back ends at what it was.
        """
        last, levels = self._log(self.last), self.levels.values
        slope = np.maximum((last - levels[:, 0]) / _LAG[0], (levels[:, 0] - levels[:, 1]) / (_LAG[1] - _LAG[0]))
        reach = np.minimum(np.minimum(self.steps, SURGE_STEPS) * np.maximum(slope, 0.0), MOST_SURGE)
        return np.where(self.surge > 0.0, np.fmax(said, np.fmin(last + reach, self.falls.before)), said)

    def ahead(self) -> Views:
        """Return what is ahead of the last slot."""
        told = self._told[:, :, :, self.slot % _RING]
        return Views(
            log_demand=self._surging(told[_SAID]),
            scale=told[_SCALE].copy(),
            skill=self.skill,
            acts=self.acts,
            log_kept=self.falls.before.copy(),
            kept_s=self.falls.kept_steps * STEP_S,
        )

    @property
    def acts(self) -> Bools:
        """Return which rows may be acted on: an hour of their own errors is known, and they have skill."""
        return np.asarray((self.spreads[1].count >= LEARNED_STEPS) & self._open)

    def told_mix(self, row: int) -> list[str]:
        """Return what a row trusts when it looks one lead time ahead, in words."""
        return [f"{name} {weight:.2f}" for name, weight in zip(NAMES, self.mixes[1].weights[row].tolist(), strict=True)]

    def _log(self, demand: F64) -> F64:
        return np.log(np.maximum(demand, np.maximum(FLOOR_RATIO * self.usual, 1e-9)))

    def _judge(self, slot: int, log_demand: F64, then: Rows, told: F64) -> None:
        """Compare what came with what was foretold for it, and learn from both.

        then: int64[2, n], where that stands. told: float64[3, 2, n], of it the level, the forecast and its scale.
        """
        errors, scales = log_demand - told[_SAID], told[_SCALE]
        self.scaled_errors[:] = errors / scales
        self._spread.follow(slot * STEP_S, errors.ravel())
        seen = self._seen[_SIDES, self._rows, then].astype(np.float64).reshape(-1, len(NAMES))
        self._mix.learn(seen, (log_demand - told[_BASE]).ravel())
        self.judged = errors[1], scales[1]
        self._compare(log_demand, then[1], told[:, 1])

    def _compare(self, log_demand: F64, then: Rows, told: F64) -> None:
        """Follow how far the lead's forecast and its rivals were off, and open or close the gate (hysteresis)."""
        off = np.empty((3, len(log_demand)))
        off[0], off[1:] = told[_SAID], self._rivals[:, self._rows, then]
        off = np.minimum(np.abs(log_demand - off), MOST_OFF_SCALES * told[_SCALE])
        known = np.isfinite(off[:2]).all(axis=0)
        off[2] = np.where(np.isfinite(off[2]), off[2], off[1])
        first = 1.0 / (self._spread.count[len(self._rows) :] + 1.0)
        self.off += np.where(known, np.maximum(_USUAL, first) * (off - self.off), 0.0)
        self.recent += np.where(known, np.maximum(_RECENT, first) * (off - self.recent), 0.0)
        skill = self.skill
        opened = (skill > 0.0) | (_skill(self.recent) > GATE)
        self._open = np.where(opened, True, np.where(skill < -GATE, False, self._open))

    @property
    def skill(self) -> F64:
        """Return 1 - mean absolute error / that of the better of the last value and the season's value; 0 unknown."""
        return _skill(self.off)

    def _promise(self, slot: int, at: Instant) -> None:
        place, rows = slot % _RING, len(self.last)
        levels, ahead_s = self.levels.values, self.steps * STEP_S
        minutes = np.full((3, rows), at / MINUTE_S - 0.5)
        minutes[1:] += ahead_s / MINUTE_S
        usual = np.empty((4, rows))
        usual[0], usual[1:] = self.last, self.season.at(minutes)
        usual = self._log(usual)
        seen = features(usual[0], levels, usual[1], usual[2:])
        self._seen[:, :, place] = seen
        told, moves = self._told[:, :, :, place], self._mix.ahead(seen.reshape(2 * rows, len(NAMES)))
        told[_BASE], told[_SAID] = levels[:, 1], levels[:, 1] + moves.reshape(2, rows)
        told[_SCALE] = self._spread.scale((at + ahead_s).ravel()).reshape(2, rows)
        self._rivals[0, :, place], self._rivals[1, :, place] = usual[0], usual[3]

    def _forget_promises(self) -> None:
        for array in (self._seen, self._told, self._rivals):
            array.fill(np.nan)

    # -- checkpoints and new rows ------------------------------------------------------------------------

    def begin(self, now: Instant) -> None:
        """Say that the first sample comes at about `now`, so that history can be laid beneath it."""
        self.season.bin = int(now // MINUTE_S)

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        parts: dict[str, NDArray[np.generic]] = {"clock": np.array([self.slot])}
        for name, array in self._own():
            parts[name] = array
        for name, seasons, first in self._seasons():
            own = seasons.arrays(slice(first, first + len(self._rows)))
            parts |= {f"{name}.{key}": array for key, array in own.items()}
        return parts

    def take(self, arrays: Arrays, mine: Rows, theirs: Rows) -> None:
        """Let rows `mine` go on where rows `theirs` of a checkpoint stood; raise ValueError when it does not fit."""
        for name, array in self._own():
            other = arrays.get(name, arrays.get(_INSTEAD.get(name, name)))
            axis = _AXIS.get(name, 0)
            if other is None and name in _SINCE:
                continue
            if other is None or np.delete(other.shape, axis).tolist() != np.delete(array.shape, axis).tolist():
                raise ValueError(f"the checkpoint's {name} does not fit {array.shape}")
            if axis:
                array[:, mine] = other[:, theirs]
            else:
                array[mine] = other[theirs]
        for name, seasons, first in self._seasons():
            seasons.take({key: arrays[f"{name}.{key}"] for key in KEPT}, mine + first, theirs)
        self.slot = int(arrays["clock"][0])

    def _own(self) -> list[tuple[str, NDArray[Any]]]:
        named: list[tuple[str, NDArray[Any]]] = [
            ("levels", self.levels.values),
            ("usual", self.usual),
            ("last", self.last),
            ("quiet", self.quiet),
            ("steps", self.steps),
            ("seen", self._seen),
            ("base", self._told[_BASE]),
            ("said", self._told[_SAID]),
            ("scales", self._told[_SCALE]),
            ("rivals", self._rivals),
            ("errors", self.scaled_errors),
            ("off", self.off),
            ("recent", self.recent),
            ("open", self._open),
            ("surge", self.surge),
            ("beyond", self._beyond),
            ("fallen", self.falls.left),
            ("fallen_from", self.falls.before),
            ("fallen_top", self.falls.top),
            ("below", self.falls.below),
        ]
        for side, (mix, spread) in enumerate(zip(self.mixes, self.spreads, strict=True)):
            named += [(f"mix{side}.{key}", getattr(mix, key)) for key in ("weights", "gram", "moment")]
            named += [(f"spread{side}.{key}", getattr(spread, key)) for key in ("hour", "day", "count")]
        return named

    def _seasons(self) -> list[tuple[str, Seasons, int]]:
        """Return where seasons are kept: by what name, in which rings, and from which row on."""
        errors = self._spread.season
        return [("season", self.season, 0), ("errors0", errors, 0), ("errors1", errors, len(self._rows))]


def _skill(off: F64) -> F64:
    """Return float64[n], 1 - what the forecast was off over what the better of its rivals was; 0 unknown."""
    best = off[1:].min(axis=0)
    return np.asarray(1.0 - np.divide(off[0], best, out=np.ones_like(best), where=best > 0))
