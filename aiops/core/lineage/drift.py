"""Whether the errors of a model are not what they were: ADWIN on their size, and the coverage of its intervals.

ADWIN (Bifet and Gavalda, SIAM Data Mining 2007; river's) keeps a window of errors for as long as its older and its
newer part have one mean. It is given one error in five minutes, as neighbours are alike, in shares of what is usual, as
its bound is for values of about one. What ADWIN sees first is small; so the errors of the hour after it saw that are
compared with what was usual before, and only an error that grew is drift: a model that got better needs no fit.

Drift stands until errors are as they were, or for a day after it was found last: they are what is usual by then.
"""

from __future__ import annotations

import base64
import math
from array import array
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from aiops.core.lineage.contest import KEPT, Record
from aiops.core.model import Instant

EVERY_MIN = 5
DELTA, CLOCK = 0.002, 6
USUAL_OF, LEAST_SEEN = 288, 24
"""What is usual is the mean of about a day's errors, and is known after two hours."""

MOST_TIMES, GREW, CONFIRMED_BY = 10.0, 1.5, 12
RETURNED = 1.25
"""Errors of an hour below so many times the usual end drift."""

STANDS_S = 86_400.0
MOST_ERRORS = 2016
"""Errors that ADWIN's window may have seen: a week's. With one more it begins anew from the newer half."""

NOMINAL = 0.8
COVERED_MIN = 360
"""Minutes over which coverage is looked at."""

_ALIKE_MIN = 30.0
_LEAST_MIN = 180
_Z, _Z_OVER, _RARE = 3.09, 1.64, 0.001
"""One in a thousand, one-sided; drift of coverage is over when it is no rarer than one in twenty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drifted:
    """Errors that are not what they were. since: when that was seen first. until: when it is over, unless seen again.

    seen, usual: mean losses of an hour now and of a day before; or the shares of values that lie in the 80 % interval,
    and that should. lower, upper: between which `seen` is no drift. times: how many times as large errors are, or as
    many values lie outside. p_value: of chance alone.
    """

    since: Instant
    until: Instant
    why: str
    seen: float
    usual: float
    lower: float
    upper: float
    times: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """How many values of the last hours lay in the 80 % interval, as a share. hours: of minutes that were judged."""

    share: float
    hours: float

    def below(self, z: float) -> bool:
        """Return whether it is z standard errors below what it should be; half an hour's errors count as one."""
        return self.share < self.least(z)

    def least(self, z: float) -> float:
        """Return the share that lies z standard errors below what it should be."""
        free = self.hours * 60.0 / _ALIKE_MIN
        return NOMINAL - z * math.sqrt(NOMINAL * (1.0 - NOMINAL) / free)

    @property
    def why(self) -> str:
        """Return why that is drift, '' while intervals cover what they should; too wide ones are no reason."""
        if not self.below(_Z):
            return ""
        return f"{self.share:.0%} of the values lay in the 80 % interval for {self.hours:.0f} h"


def cover(record: Record, minute: int) -> Cover | None:
    """Return the coverage of the hours until a minute, None while too little of them was judged."""
    order = np.arange(minute + 1 - COVERED_MIN, minute + 1) % KEPT
    known = record.inside[order]
    known = known[np.isfinite(known)]
    return None if len(known) < _LEAST_MIN else Cover(share=float(known.mean()), hours=len(known) / 60.0)


class Drift:
    """Follows the errors of one model, and whether they have drifted. Changed in place."""

    def __init__(self) -> None:
        self._window: Window | None = None
        self._usual, self._seen = 0.0, 0
        self._before = self._mean = 0.0
        self._after: list[float] | None = None
        self._hour: list[float] = []
        self._open: dict[str, Drifted] = {}

    @property
    def stands(self) -> Drifted | None:
        """Return what is so now, the worst of it, since the first of it was; None while nothing is."""
        if not self._open:
            return None
        worst = max(self._open.values(), key=lambda one: one.times)
        return replace(worst, since=min(one.since for one in self._open.values()))

    def look(self, at: Instant, minute: int, loss: float, covered: Cover | None) -> str:
        """Learn the loss of a minute and how much was covered until it; return why that is drift, '' while it is none.

        covered: None where nobody looked, or too little is known.
        """
        why = self.errors(minute, loss)
        if why:
            self._put("errors", self._grew(at, why))
            self._hour = []
        elif "errors" in self._open:
            self._grown_still(minute, loss)
        if covered is not None:
            why = why or covered.why
            if covered.why:
                self._put("coverage", _uncovered(at, covered))
            elif not covered.below(_Z_OVER):
                self._open.pop("coverage", None)
        self._open = {name: one for name, one in self._open.items() if at < one.until}
        return why

    def errors(self, minute: int, loss: float) -> str:
        """Learn the loss of a minute; return why that is drift, '' while it is none."""
        if minute % EVERY_MIN or not math.isfinite(loss) or loss < 0.0:
            return ""
        self._seen += 1
        self._usual += (loss - self._usual) / min(self._seen, USUAL_OF)
        if self._seen <= LEAST_SEEN or self._usual <= 0.0:
            return ""
        if self._window is None:
            self._window = Window()
        drifted = self._window.add(min(loss / self._usual, MOST_TIMES))
        if self._after is not None:
            self._after.append(loss)
        elif drifted:
            self._before, self._after = self._usual, []
        return self._grown()

    def set_back(self, at: Instant) -> None:
        """Take it that the clock was ahead: nothing stands since, or for, longer than it could."""
        self._open = {
            name: replace(one, since=min(one.since, at), until=min(one.until, at + STANDS_S))
            for name, one in self._open.items()
        }

    # -- inner ---------------------------------------------------------------------------------------------

    def _grown(self) -> str:
        if self._after is None or len(self._after) < CONFIRMED_BY:
            return ""
        self._mean, self._after = sum(self._after) / len(self._after), None
        times = self._mean / self._before
        return f"errors are {times:.1f} times what was usual (ADWIN)" if times >= GREW else ""

    def _grown_still(self, minute: int, loss: float) -> None:
        """Follow errors that have grown, an hour at a time, until they are as they were."""
        if minute % EVERY_MIN or not math.isfinite(loss):
            return
        self._hour.append(loss)
        if len(self._hour) < CONFIRMED_BY:
            return
        mean, self._hour = sum(self._hour) / len(self._hour), []
        one = self._open["errors"]
        if mean < RETURNED * one.usual:
            del self._open["errors"]
        else:
            self._open["errors"] = replace(one, seen=mean, times=mean / one.usual)

    def _grew(self, at: Instant, why: str) -> Drifted:
        seen, usual = self._mean, self._before
        return Drifted(
            since=at,
            until=at + STANDS_S,
            why=why,
            seen=seen,
            usual=usual,
            lower=0.0,
            upper=GREW * usual,
            times=seen / usual,
            p_value=DELTA,
        )

    def _put(self, name: str, one: Drifted) -> None:
        known = self._open.get(name)
        self._open[name] = one if known is None else replace(one, since=known.since)

    # -- checkpoints ---------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint, as JSON has it."""
        return {
            "usual": [self._usual, self._seen],
            "after": None if self._after is None else [self._before, *self._after],
            "hour": self._hour,
            "window": "" if self._window is None else self._window.state(),
            "open": {name: asdict(one) for name, one in self._open.items()},
        }

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Drift:
        """Return what a checkpoint has; raise KeyError, TypeError or ValueError when it is none."""
        made = cls()
        made._usual, made._seen = float(state["usual"][0]), int(state["usual"][1])
        if state["after"] is not None:
            made._before, *after = map(float, state["after"])
            made._after = after
        made._hour = [float(one) for one in state["hour"]]
        if state["window"]:
            made._window = Window.of(str(state["window"]))
        made._open = {str(name): Drifted(**fields) for name, fields in state["open"].items()}
        return made


def _uncovered(at: Instant, covered: Cover) -> Drifted:
    return Drifted(
        since=at,
        until=at + STANDS_S,
        why=covered.why,
        seen=covered.share,
        usual=NOMINAL,
        lower=covered.least(_Z),
        upper=1.0,
        times=(1.0 - covered.share) / (1.0 - NOMINAL),
        p_value=_RARE,
    )


class Window:
    """ADWIN's window, and the errors that it has seen since it began: who is given the same ones is in its state.

    Of the newer half of `MOST_ERRORS` a second one is kept, which goes on when the first has seen them all: nothing is
    given again in one turn, and thousands of windows that began together end together.
    """

    def __init__(self) -> None:
        self._cut, self._given = adwin(), array("f")
        self._younger: Callable[[float], bool] | None = None
        self._young_since = 0

    def add(self, error: float) -> bool:
        """Add an error; return whether the window was cut: then what was seen before has no say in what is next."""
        if len(self._given) >= MOST_ERRORS and self._younger is not None:
            self._cut, self._given, self._younger = self._younger, self._given[self._young_since :], None
        self._given.append(error)
        return self._see(self._given[-1])

    def _see(self, error: float) -> bool:
        """Give both windows the newest error, in single precision as it is kept."""
        if self._cut(error):
            self._given, self._younger = array("f"), None
            return True
        if len(self._given) > MOST_ERRORS // 2:
            if self._younger is None:
                self._younger, self._young_since = adwin(), len(self._given) - 1
            if self._younger(error):
                self._young_since = len(self._given)
        return False

    def state(self) -> str:
        """Return the state for a checkpoint, as text."""
        return base64.b64encode(np.array(self._given, "<f4").tobytes()).decode()

    @classmethod
    def of(cls, state: str) -> Window:
        """Return the window of a checkpoint; raise ValueError when it is none."""
        made = cls()
        for one in np.frombuffer(base64.b64decode(state, validate=True), "<f4").tolist():
            made.add(one)
        return made


def adwin() -> Callable[[float], bool]:
    """Return what is given one error after the other, and says whether the window was cut: river's ADWIN.

    The package around it imports scipy's statistics for its other detectors: 65 MB and a second that nothing here uses.
    So its engine is taken by itself, where this version of river has it.
    """
    usual: dict[str, Any] = {"max_buckets": 5, "min_window_length": 5, "grace_period": 10}
    settings: dict[str, Any] = {"delta": DELTA, "clock": CLOCK, **usual}
    try:
        from river._river_rust.drift import AdaptiveWindowing
    except ImportError:
        return _of_package(settings)
    window: list[AdaptiveWindowing] = [AdaptiveWindowing(**settings)]

    def cut(error: float) -> bool:
        drifted = bool(window[0].update(error))
        if drifted:  # what was seen before has no say in what is found next
            window[0] = AdaptiveWindowing(**settings)
        return drifted

    return cut


def _of_package(settings: dict[str, Any]) -> Callable[[float], bool]:
    from river.drift import ADWIN

    window = ADWIN(**settings)  # type: ignore[no-untyped-call]

    def cut(error: float) -> bool:
        window.update(error)  # type: ignore[no-untyped-call]
        return bool(window.drift_detected)

    return cut
