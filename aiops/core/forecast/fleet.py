"""The live half: many series of one grid that learn a step at a time and foretell all distances at once.

`update` settles the promises that have come due, moves weights and intervals, and makes new promises. Nothing is fitted
here: `adopt` takes what `fit` returned, whoever ran it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from aiops.core.forecast import standing as st
from aiops.core.forecast.fitted import Fitted
from aiops.core.forecast.fitting import normaliser
from aiops.core.forecast.grid import Grid
from aiops.core.forecast.members import MEMBERS, Member
from aiops.core.forecast.past import HOLIDAY_SEASONS, SEASONS, History, Past, past_of
from aiops.core.forecast.paths import path
from aiops.core.forecast.promises import note, settle
from aiops.core.forecast.standing import QUANTILES, STANDING, Standing
from aiops.core.forecast.state import NEVER, Shape, State
from aiops.core.model import F64, Bools, Rows
from aiops.core.protocols import Arrays

Calendar = Callable[[int, int], Bools]
"""(first step, steps) -> bool[steps]: which steps since the epoch lie in a holiday, or in a day like one."""

ON, OFF = 0.02, -0.02
"""Skill at which a model starts and stops to act; between, it goes on as it did."""

_ALL = slice(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origin:
    """Between which steps a row was fitted, on which members, and why others were left out."""

    steps: tuple[int, int]
    members: frozenset[str]
    left_out: Mapping[str, str]


class Fleet:
    """State of n series; it owns its arrays and changes them in place. No row has a say in another one.

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
        self.members = tuple(members)
        self.voices = tuple(voice for member in self.members for voice in member.voices)
        self.size = max(history_steps, 2 * grid.season) + grid.tail + grid.ahead
        self.step = 0
        self.fitted: Fitted | None = None
        self._room = self.size + max(self.size // 8, 64)
        self._shape = Shape(grid=grid, voices=len(self.voices), room=self._room)
        self._state = State.blank(series, self._shape)
        self._calendars: list[Calendar | None] = [calendar] * series
        self._origins: list[_Origin | None] = [None] * series
        self._end = self.size
        self._said: tuple[Past, F64] | None = None
        self._mix: F64 | None = None
        self._skills: F64 | None = None
        self._near = int(np.searchsorted(grid.knots, max(3600.0 / grid.step_s, 1.0), side="right"))

    # -- what is known ---------------------------------------------------------------------------------

    @property
    def series(self) -> int:
        """Return how many series there are."""
        return len(self._state.store)

    @property
    def values(self) -> F64:
        """Return the steps that are kept, oldest first; column j is step `step - size + j`."""
        return self._state.store[:, self._end - self.size : self._end]

    @property
    def standing(self) -> Standing:
        """Return how members and intervals stand."""
        return self._state.standing

    @property
    def acts(self) -> Bools:
        """Return which rows' models may act: bool[n]."""
        return self._state.acts

    def history(self, rows: slice = _ALL) -> History:
        """Return what is kept of some rows as a history to fit on, without the empty beginning."""
        values = self.values[rows]
        known = np.isfinite(values).any(axis=0)
        first = int(known.argmax()) if known.any() else self.size
        return self._dated(values[:, first:].copy(), self.step - self.size + first, rows)

    def learnt(self, row: int) -> Fitted | None:
        """Return what was fitted of a row, as views; None before anything was."""
        origin = self._origins[row]
        if origin is None or self.fitted is None:
            return None
        part = self.fitted.part(slice(row, row + 1))
        return replace(
            part,
            first_step=origin.steps[0],
            last_step=origin.steps[1],
            coefficients={name: some for name, some in part.coefficients.items() if name in origin.members},
            left_out=origin.left_out,
        )

    # -- rows that come and go -------------------------------------------------------------------------

    def resize(self, series: int) -> None:
        """Make room for more rows, of which nothing is known; those that are there stay where they are."""
        more = series - self.series
        self._state = self._state.resized(series, self._shape)
        self.fitted = None if self.fitted is None else self.fitted.resized(series)
        self._calendars += [None] * more
        self._origins += [None] * more
        self._said = self._mix = self._skills = None

    def clear(self, row: int, calendar: Calendar | None = None) -> None:
        """Forget everything of a row; from now on it is another series, with its own calendar."""
        self._state.put(slice(row, row + 1), State.blank(1, self._shape))
        if self.fitted is not None:
            self.fitted = self.fitted.put(row, self.fitted.blank(1))
        self._calendars[row], self._origins[row] = calendar, None
        self._said = self._mix = self._skills = None

    # -- learning --------------------------------------------------------------------------------------

    def load(self, values: F64, next_step: int, rows: slice = _ALL) -> None:
        """Take values [n, t] of the steps before `next_step`; what was promised before is forgotten.

        Raises ValueError for some of the rows and another step than the fleet's.
        """
        if rows == _ALL:
            self._end, self.step = self.size, next_step
        elif next_step != self.step:
            raise ValueError(f"rows of a fleet at step {self.step} cannot begin at {next_step}")
        kept, state = values[:, -self.size :], self._state
        state.store[rows] = np.nan
        if kept.shape[1]:
            state.store[rows, self._end - kept.shape[1] : self._end] = kept
        state.lived[rows] = 0
        state.newest[rows] = self._newest(state.store[rows, self._end - self.size : self._end])
        state.forget_promises(rows)
        self._said = None

    def adopt(self, fitted: Fitted, row: int | None = None) -> None:
        """Go on with what was fitted of all rows, or of one; raise ValueError where that is of another shape.

        What was lived through is trusted more than what the fit tried on the past, the longer it was: intervals and
        weights go over from the one to the other, so a refit does not undo what they have adapted to.
        """
        rows, state = _ALL if row is None else slice(row, row + 1), self._state
        share = np.where(state.fitted, state.lived / (state.lived + self.grid.season), 0.0)[rows]
        self._know(fitted, row)
        for name in STANDING:
            lived, tried = getattr(state.standing, name), getattr(fitted.start, name)
            own = share.reshape(-1, *[1] * (lived.ndim - 1))
            lived[rows] = own * lived[rows] + (1.0 - own) * tried
        self._mix = None
        self._gate()

    def _know(self, fitted: Fitted, row: int | None) -> None:
        """Keep what was fitted, and of which members."""
        if row is None:
            self.fitted, rows = fitted, _ALL
        else:
            room = fitted.blank(self.series) if self.fitted is None else self.fitted
            self.fitted, rows = room.put(row, fitted), slice(row, row + 1)
        steps, heard = (fitted.first_step, fitted.last_step), frozenset(fitted.coefficients)
        origin = _Origin(steps=steps, members=heard, left_out=fitted.left_out)
        self._origins[rows] = [origin] * len(self._origins[rows])
        self._state.fitted[rows] = True
        self._state.silent[rows] = [one.name not in heard for one in self.members for _ in one.voices]
        self._said = None

    def update(self, values: F64) -> None:
        """Close a step: values float64[n], NaN where nothing came."""
        self._push(values[:, None])
        if self.fitted is not None:
            settle(self._state, self.grid, self.step - 1, values)
            self._state.lived += self._state.fitted
            self._promise(self.fitted)
            self._gate()

    def skip(self, steps: int) -> None:
        """Close so many steps in which nothing came, and forget what was promised for them."""
        for first in range(0, min(steps, self.size), self._room - self.size):
            width = min(self._room - self.size, min(steps, self.size) - first)
            self._push(np.full((self.series, width), np.nan))
        self.step += max(0, steps - self.size)
        self._state.forget_promises(_ALL)

    # -- foretelling -----------------------------------------------------------------------------------

    def predict(self, steps: int, provisional: F64 | None = None, rows: slice = _ALL) -> F64:
        """Return float64[n, quantiles, steps]: the steps after the last closed one; NaN of what nothing is known of.

        provisional: [n, j], what is believed of j steps that are not closed yet; the answer begins after them, and is
        as unsure as one from before them. rows: of these alone, [rows, quantiles, steps].
        """
        if self.fitted is None:
            return np.full((len(self._state.lived[rows]), len(QUANTILES), steps), np.nan)
        fitted = self.fitted.part(rows)
        older = 0 if provisional is None else provisional.shape[1]
        if provisional is None and rows == _ALL and self._said is not None:
            past, made = self._said
        else:
            past = self._recent(fitted, rows, provisional)
            made = self._members_say(fitted, past, rows)
        point, spread = self._weighed(past, made, rows)
        told = np.maximum(path(past, point, (spread, older), steps), fitted.floor[:, None, None])
        return np.asarray(np.where(self._heard(rows)[:, None, None], told, np.nan))

    def skill(self, rows: slice = _ALL) -> F64:
        """Return float64[n]: 1 - pinball / pinball of the last season's value, up to an hour ahead; NaN: unknown."""
        if self._skills is None:
            self._skills = self.standing.skill(self._near)
        return np.asarray(self._skills[rows])

    def why(self, row: int) -> str:
        """Say why a series' model acts, or why not."""
        skill = float(self.skill(slice(row, row + 1))[0])
        if not np.isfinite(skill):
            return "too little is known to be judged by: no season was seen yet, or nothing came since"
        if self.acts[row]:
            return f"it beats the last season's value: skill {skill:.2f}"
        return f"it does not beat the last season's value: skill {skill:.2f}, {ON:g} is needed to start"

    # -- checkpoints -----------------------------------------------------------------------------------

    def arrays(self, row: int | None = None) -> Arrays:
        """Return the state of all rows, or of one, for a checkpoint; without coefficients while nothing was fitted."""
        rows, state = _ALL if row is None else slice(row, row + 1), self._state
        out: dict[str, NDArray[np.generic]] = {
            "values": self.values[rows].copy(),
            "step": np.array([self.step, *state.lived[rows]]),
            "acts": state.acts[rows].copy(),
            "made": state.made[rows].copy(),
            "points": state.points[rows].copy(),
            "norms": state.norms[rows].copy(),
        }
        out |= {f"standing/{name}": array.copy() for name, array in state.standing.part(rows).arrays().items()}
        learnt = self.fitted if row is None else self.learnt(row)
        if learnt is not None:
            out |= {f"fitted/{name}": array.copy() for name, array in learnt.arrays().items()}
        return out

    def restore(self, arrays: Arrays, row: int | None = None) -> None:
        """Take the state of all rows, or of one; raise ValueError, and take nothing, when it does not fit."""
        rows, state = _ALL if row is None else slice(row, row + 1), self._state
        mine = {name: array for name, array in self.arrays(row).items() if not name.startswith("fitted/")}
        for name, array in mine.items():
            if name not in arrays or arrays[name].shape != array.shape:
                raise ValueError(f"the checkpoint's {name} does not fit {array.shape}")
        found = {name.removeprefix("fitted/"): array for name, array in arrays.items() if name.startswith("fitted/")}
        series = len(mine["acts"])
        fitted = Fitted.of(self.grid, series, found) if found else None
        if fitted is not None and row is not None and self.fitted is not None:
            self.fitted.check(fitted)
        self.load(np.array(arrays["values"], np.float64), int(arrays["step"][0]), rows)
        self._forget_fit(row)
        if fitted is not None:
            self._know(fitted, row)
        state.lived[rows] = np.asarray(arrays["step"][1:], np.intp)
        for name in ("acts", "made", "points", "norms"):
            getattr(state, name)[rows] = arrays[name]
        for name in STANDING:
            getattr(state.standing, name)[rows] = arrays[f"standing/{name}"]
        self._mix = self._skills = None

    # -- inner -----------------------------------------------------------------------------------------

    def _forget_fit(self, row: int | None) -> None:
        rows = _ALL if row is None else slice(row, row + 1)
        self.fitted = None if row is None else self.fitted
        self._origins[rows] = [None] * len(self._origins[rows])
        self._state.fitted[rows], self._state.silent[rows] = False, True

    def _newest(self, values: F64) -> Rows:
        """Return the step of the last value of each row [n, size]."""
        there = np.isfinite(values)
        last = self.step - 1 - np.argmax(there[:, ::-1], axis=1)
        return np.asarray(np.where(there.any(axis=1), last, NEVER), np.intp)

    def _recent(self, fitted: Fitted, rows: slice = _ALL, provisional: F64 | None = None) -> Past:
        dated = any(calendar is not None for calendar in self._calendars[rows])
        seasons = HOLIDAY_SEASONS[-1] if dated else SEASONS[-1][0]
        look = min(self.size, seasons * self.grid.season + self.grid.tail)
        more = 0 if provisional is None else provisional.shape[1]
        if self._end + more > self._room:
            self._compact()
        stop = self._end + more
        if provisional is not None and more <= self._room - self.size:
            # beyond the end there is room that nobody reads before it is written again
            self._state.store[rows, self._end : stop] = provisional
            values = self._state.store[rows, self._end - look : stop]
        elif provisional is not None:
            values = np.concatenate([self._state.store[rows, self._end - look : self._end], provisional], axis=1)
        else:
            values = self._state.store[rows, self._end - look : stop]
        return past_of(self._dated(values, self.step + more - values.shape[1], rows), fitted.norms, self.grid.tail)

    def _dated(self, values: F64, first_step: int, rows: slice) -> History:
        """Return a history with its calendars: one for all rows, or of each its own."""
        calendars, steps = self._calendars[rows], values.shape[1] + self.grid.ahead
        rest: Bools | None = None
        if any(calendar is not None for calendar in calendars):
            none = np.zeros(steps, np.bool_)
            masks = [none if calendar is None else calendar(first_step, steps) for calendar in calendars]
            rest = masks[0] if len(masks) == 1 else np.stack(masks)
        return History(grid=self.grid, values=values, first_step=first_step, rest=rest)

    def _members_say(self, fitted: Fitted, past: Past, rows: slice = _ALL) -> F64:
        """Return float64[n, voices, knots] from the last column."""
        origin, silent = _last(past), self._state.silent[rows]
        nothing = np.full((len(silent), 1, len(self.grid.knots)), np.nan)
        out = []
        for member in self.members:
            if member.name in fitted.coefficients:
                out.append(member.foretell(past, fitted.coefficients[member.name], origin)[..., 0])
            else:
                out += [nothing] * len(member.voices)
        made = np.concatenate(out, axis=1)
        made[silent] = np.nan
        return made

    def _weighed(self, past: Past, made: F64, rows: slice = _ALL) -> tuple[F64, F64]:
        """Return (points [n, knots], what quantiles add to them [n, knots, quantiles])."""
        if self._mix is None:
            self._mix = self.standing.weights(self.grid)
        point = st.mixed(made, self._mix[rows])
        norm = normaliser(past, point[:, :, None], _last(past))[:, :, 0]
        return point, np.sort(self.standing.spread[rows, 0], axis=-1) * norm[:, :, None]

    def _heard(self, rows: slice) -> Bools:
        newest = self._state.newest[rows]
        return np.asarray((newest != NEVER) & (newest >= self.step - self.size))

    def _promise(self, fitted: Fitted) -> None:
        """Note what is foretold now, at the knots whose turn it is."""
        grid, past, state = self.grid, self._recent(fitted), self._state
        made = self._members_say(fitted, past)
        self._said = past, made
        self._mix = self.standing.weights(grid)
        point = st.mixed(made, self._mix)
        points = np.stack([point, made[:, 0]], axis=1)
        norm = np.stack(
            [normaliser(past, one[:, :, None], _last(past))[:, :, 0] for one in (point, made[:, 0])], axis=1
        )
        note(state, grid, self.step - 1, (made, points, norm))

    def _gate(self) -> None:
        """Open where skill has come, close where it has gone; between the two marks, stay."""
        self._skills = None
        skill, acts = self.skill(), self._state.acts
        acts[:] = np.where(skill >= ON, True, np.where(skill <= OFF, False, acts)) & np.isfinite(skill)

    def _push(self, columns: F64) -> None:
        width, state = columns.shape[1], self._state
        if self._end + width > self._room:
            self._compact()
        state.store[:, self._end : self._end + width] = columns
        self._end += width
        self.step += width
        there = np.isfinite(columns)
        last = self.step - 1 - np.argmax(there[:, ::-1], axis=1)
        state.newest = np.where(there.any(axis=1), last, state.newest)
        self._said = None

    def _compact(self) -> None:
        """Move what is kept to the beginning of its room."""
        self._state.store[:, : self.size] = self.values.copy()
        self._end = self.size


def _last(past: Past) -> slice:
    return slice(past.length - 1, past.length, 1)
