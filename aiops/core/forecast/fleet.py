"""The live half: many series of one grid that learn a step at a time and foretell all distances at once.

`update` settles the promises that have come due, moves weights and intervals, and makes new promises. Nothing is fitted
here: `adopt` takes what `fit` returned, whoever ran it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from aiops.core.forecast import standing as st
from aiops.core.forecast.fitting import Fitted, normaliser
from aiops.core.forecast.grid import Grid
from aiops.core.forecast.members import MEMBERS, Member
from aiops.core.forecast.past import HOLIDAY_SEASONS, SEASONS, History, Past, past_of
from aiops.core.forecast.standing import QUANTILES, STANDING, Standing
from aiops.core.model import F64, Bools
from aiops.core.protocols import Arrays

Calendar = Callable[[int, int], Bools]
"""(first step, steps) -> bool[steps]: which steps since the epoch lie in a holiday, or in a day like one."""

ON, OFF = 0.02, -0.02
"""Skill at which a model starts and stops to act; between, it goes on as it did."""

_EPS = 1e-12


class Fleet:
    """State of n series; it owns its arrays and changes them in place.

    values: float64[n, size], the last `size` closed steps, NaN is a gap; `step` is the number of the next one.
    """

    def __init__(
        self,
        grid: Grid,
        series: int,
        *,
        history_steps: int,
        members: Sequence[Member] = MEMBERS,
        calendar: Calendar | None = None,
    ) -> None:
        self.grid = grid
        self._calendar = calendar
        self.members = tuple(members)
        self.size = max(history_steps, 2 * grid.season) + grid.tail + grid.ahead
        self.step = 0
        self.fitted: Fitted | None = None
        self.acts = np.zeros(series, np.bool_)
        self._room = self.size + max(self.size // 8, 64)
        self._store = np.full((series, self._room), np.nan)
        self._end = self.size
        self._lived = 0
        self._said: tuple[Past, F64] | None = None
        self._near = int(np.searchsorted(grid.knots, max(3600.0 / grid.step_s, 1.0), side="right"))
        self.voices = tuple(voice for member in self.members for voice in member.voices)
        self.standing = Standing.unknown(series, len(self.voices), grid)
        self._open_promises()

    # -- what is known ---------------------------------------------------------------------------------

    @property
    def series(self) -> int:
        """Return how many series there are."""
        return len(self._store)

    @property
    def values(self) -> F64:
        """Return the steps that are kept, oldest first; column j is step `step - size + j`."""
        return self._store[:, self._end - self.size : self._end]

    def history(self) -> History:
        """Return what is kept as a history to fit on, without the empty beginning."""
        known = np.isfinite(self.values).any(axis=0)
        first = int(known.argmax()) if known.any() else self.size
        return self._dated(self.values[:, first:].copy(), self.step - self.size + first)

    # -- learning --------------------------------------------------------------------------------------

    def load(self, values: F64, next_step: int) -> None:
        """Take values [n, t] of the steps before `next_step`; what was promised before is forgotten."""
        kept = values[:, -self.size :]
        self._store.fill(np.nan)
        self._end = self.size
        if kept.shape[1]:
            self._store[:, self._end - kept.shape[1] : self._end] = kept
        self.step = next_step
        self._said = None
        self._lived = 0
        self._open_promises()

    def adopt(self, fitted: Fitted) -> None:
        """Go on with what was fitted.

        What was lived through is trusted more than what the fit tried on the past, the longer it was: intervals and
        weights go over from the one to the other, so a refit does not undo what they have adapted to.
        """
        share = self._lived / (self._lived + self.grid.season) if self.fitted is not None else 0.0
        for name in STANDING:
            lived, tried = getattr(self.standing, name), getattr(fitted.start, name)
            setattr(self.standing, name, share * lived + (1.0 - share) * tried)
        self.fitted, self._said = fitted, None
        self._gate()

    def update(self, values: F64) -> None:
        """Close a step: values float64[n], NaN where nothing came."""
        self._push(values[:, None])
        if self.fitted is not None:
            self._settle(values)
            self._lived += 1
            self._promise(self.fitted)
            self._gate()

    def skip(self, steps: int) -> None:
        """Close so many steps in which nothing came, and forget what was promised for them."""
        for first in range(0, min(steps, self.size), self._room - self.size):
            width = min(self._room - self.size, min(steps, self.size) - first)
            self._push(np.full((self.series, width), np.nan))
        self.step += max(0, steps - self.size)
        self._open_promises()

    # -- foretelling -----------------------------------------------------------------------------------

    def predict(self, steps: int, provisional: F64 | None = None) -> F64:
        """Return float64[n, quantiles, steps]: the steps after the last closed one; NaN of what nothing is known of.

        provisional: [n, j], what is believed of j steps that are not closed yet; the answer begins after them, and is
        as unsure as one from before them.
        """
        fitted = self.fitted
        if fitted is None:
            return np.full((self.series, len(QUANTILES), steps), np.nan)
        older = 0 if provisional is None else provisional.shape[1]
        if provisional is None and self._said is not None:
            past, made = self._said
        else:
            past = self._recent(fitted, provisional)
            made = self._members_say(fitted, past)
        point, spread = self._weighed(past, made)
        path = np.maximum(_path(past, point, (spread, older), steps), fitted.floor[:, None, None])
        return np.asarray(np.where(self._heard()[:, None, None], path, np.nan))

    def skill(self) -> F64:
        """Return float64[n]: 1 - pinball / pinball of the last season's value, up to an hour ahead; NaN: unknown."""
        return self.standing.skill(self._near)

    def why(self, row: int) -> str:
        """Say why a series' model acts, or why not."""
        skill = float(self.skill()[row])
        if not np.isfinite(skill):
            return "too little is known to be judged by: no season was seen yet, or nothing came since"
        if self.acts[row]:
            return f"it beats the last season's value: skill {skill:.2f}"
        return f"it does not beat the last season's value: skill {skill:.2f}, {ON:g} is needed to start"

    # -- checkpoints -----------------------------------------------------------------------------------

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint; empty of coefficients while nothing was fitted."""
        out: dict[str, NDArray[np.generic]] = {
            "values": self.values.copy(),
            "step": np.array([self.step, self._lived]),
            "acts": self.acts,
            "made": self._made,
            "points": self._points,
            "norms": self._norms,
        }
        out |= {f"standing/{name}": array for name, array in self.standing.arrays().items()}
        if self.fitted is not None:
            out |= {f"fitted/{name}": array for name, array in self.fitted.arrays().items()}
        return out

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint; raise ValueError, and take nothing, when it does not fit."""
        mine = {name: array for name, array in self.arrays().items() if not name.startswith("fitted/")}
        for name, array in mine.items():
            if name not in arrays or arrays[name].shape != array.shape:
                raise ValueError(f"the checkpoint's {name} does not fit {array.shape}")
        found = {name.removeprefix("fitted/"): array for name, array in arrays.items() if name.startswith("fitted/")}
        fitted = Fitted.of(self.grid, self.series, found) if found else None
        self.load(np.array(arrays["values"], np.float64), int(arrays["step"][0]))
        self._lived = int(arrays["step"][1])
        self.fitted, self.acts = fitted, np.array(arrays["acts"], np.bool_)
        self._made, self._points = np.array(arrays["made"], np.float64), np.array(arrays["points"], np.float64)
        self._norms = np.array(arrays["norms"], np.float64)
        self.standing = Standing(**{name: np.array(arrays[f"standing/{name}"], np.float64) for name in STANDING})

    # -- inner -----------------------------------------------------------------------------------------

    def _recent(self, fitted: Fitted, provisional: F64 | None = None) -> Past:
        seasons = SEASONS[-1][0] if self._calendar is None else HOLIDAY_SEASONS[-1]
        look = min(self.size, seasons * self.grid.season + self.grid.tail)
        values = self.values[:, -look:]
        if provisional is not None:
            values = np.concatenate([values, provisional], axis=1)
        last = self.step + (0 if provisional is None else provisional.shape[1])
        return past_of(self._dated(values, last - values.shape[1]), fitted.norms, self.grid.tail)

    def _dated(self, values: F64, first_step: int) -> History:
        """Return a history with its calendar."""
        rest = None if self._calendar is None else self._calendar(first_step, values.shape[1] + self.grid.ahead)
        return History(grid=self.grid, values=values, first_step=first_step, rest=rest)

    def _members_say(self, fitted: Fitted, past: Past) -> F64:
        """Return float64[n, voices, knots] from the last column."""
        origin = _last(past)
        silent = np.full((self.series, 1, len(self.grid.knots)), np.nan)
        out = []
        for member in self.members:
            if member.name in fitted.coefficients:
                out.append(member.foretell(past, fitted.coefficients[member.name], origin)[..., 0])
            else:
                out += [silent] * len(member.voices)
        return np.concatenate(out, axis=1)

    def _weighed(self, past: Past, made: F64) -> tuple[F64, F64]:
        """Return (points [n, knots], what quantiles add to them [n, knots, quantiles])."""
        point = st.mixed(made, self.standing.weights(self.grid))
        norm = normaliser(past, point[:, :, None], _last(past))[:, :, 0]
        return point, np.sort(self.standing.spread[:, 0], axis=-1) * norm[:, :, None]

    def _heard(self) -> Bools:
        return np.asarray(np.isfinite(self.values).any(axis=1))

    def _promise(self, fitted: Fitted) -> None:
        """Note what is foretold now, at the knots whose turn it is."""
        grid, past = self.grid, self._recent(fitted)
        made = self._members_say(fitted, past)
        self._said = past, made
        point = st.mixed(made, self.standing.weights(grid))
        points = np.stack([point, made[:, 0]], axis=1)
        norm = np.stack(
            [normaliser(past, one[:, :, None], _last(past))[:, :, 0] for one in (point, made[:, 0])], axis=1
        )
        origin = self.step - 1
        turn = np.flatnonzero(origin % grid.strides == 0)
        slot = (origin // grid.strides[turn]) % grid.slots
        self._made[:, :, turn, slot] = made[:, :, turn]
        self._points[:, :, turn, slot] = points[:, :, turn]
        self._norms[:, :, turn, slot] = norm[:, :, turn]

    def _settle(self, values: F64) -> None:
        """Judge what was promised for the step just closed."""
        grid, now = self.grid, self.standing
        origin = self.step - 1 - grid.knots
        due = np.flatnonzero(origin % grid.strides == 0)
        stands = grid.strides[due].astype(np.float64)
        slot = (origin[due] // grid.strides[due]) % grid.slots
        fade = st.decay(grid, stands)
        errors = np.abs(values[:, None, None] - self._made[:, :, due, slot])
        there = np.isfinite(errors)
        forgotten = st.decay(grid, stands, st.WEIGHT_SEASONS)
        now.loss[:, :, due] = now.loss[:, :, due] * forgotten + np.where(there, errors, 0.0) * stands
        now.count[:, :, due] = now.count[:, :, due] * forgotten + there * stands
        norm = self._norms[:, :, due, slot]
        scores = (values[:, None, None] - self._points[:, :, due, slot]) / norm
        spread, size = now.spread[:, :, due], now.size[:, :, due]
        *sums, push = st.lived(spread, scores[None], norm[None])
        for name, one in zip(st.JUDGED, sums, strict=True):
            array = getattr(now, name)
            array[..., due] = array[..., due] * fade + one * stands
        pace = st.rate(grid, grid.strides.astype(np.float64))[due]
        now.spread[:, :, due] = spread + push * (size * pace)[..., None]
        drawn = np.where(np.isfinite(scores), np.abs(scores), size)
        now.size[:, :, due] = size + (1.0 - fade) * (drawn - size)
        self._made[:, :, due, slot] = np.nan
        self._points[:, :, due, slot] = np.nan

    def _gate(self) -> None:
        """Open where skill has come, close where it has gone; between the two marks, stay."""
        skill = self.skill()
        self.acts = np.where(skill >= ON, True, np.where(skill <= OFF, False, self.acts)) & np.isfinite(skill)

    def _push(self, columns: F64) -> None:
        width = columns.shape[1]
        if self._end + width > self._room:
            self._store[:, : self.size] = self.values.copy()
            self._end = self.size
        self._store[:, self._end : self._end + width] = columns
        self._end += width
        self.step += width
        self._said = None

    def _open_promises(self) -> None:
        knots = len(self.grid.knots)
        self._made = np.full((self.series, len(self.voices), knots, self.grid.slots), np.nan)
        self._points = np.full((self.series, 2, knots, self.grid.slots), np.nan)
        self._norms = np.ones((self.series, 2, knots, self.grid.slots))


def _last(past: Past) -> slice:
    return slice(past.length - 1, past.length, 1)


def _path(past: Past, point: F64, spread: tuple[F64, int], steps: int) -> F64:
    """Return quantile paths [n, quantiles, steps] from points at knots, and spreads there, so many steps old."""
    grid = past.grid
    last = past.length - 1
    seasonal = past.seasonal(slice(last, last + 1, 1))
    base = np.where(seasonal, past.profile, 0.0)
    off = (point - base[:, last + grid.knots]) @ grid.between(steps)
    wanted = np.arange(1, steps + 1)
    turns = -(-np.maximum(wanted - grid.ahead, 0) // grid.season)
    # further on the profile's last season comes again, from where the profile ends
    risen = base[:, last + grid.ahead] - base[:, last + grid.ahead - grid.season]
    path = base[:, last + wanted - grid.season * turns] + risen[:, None] * (turns > 0) + off
    wide = np.einsum("nkq,ks->nqs", spread[0], grid.between(steps + spread[1])[:, spread[1] :])
    return np.asarray(path[:, None, :] + wide)
