"""Members that other libraries fit, for the few signals that policies name: never on a tick, a library at a time.

Each library only finds parameters; they are kept as arrays, and foretelling from them is plain numpy. So a checkpoint
holds no object of theirs, and what is foretold does not depend on their versions. They are imported inside `fit`.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from aiops.core.forecast.members.harmonic import Harmonic
from aiops.core.forecast.members.member import Coefficients
from aiops.core.forecast.past import Past
from aiops.core.model import F64

ROWS = 2016
_LEAST_ROWS = 48
_WARM_UP = 64
_SMOOTHED = 256
"""Steps from which a level and a trend are smoothed: what is older counts as the oldest of them."""

_EPS = 1e-12


class OutOfTime(Exception):
    """A fit has used the time it was given."""


def _no_clock() -> float:
    return 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a fit may take: iterations of an optimiser, and seconds by a clock that is handed in.

    Without a clock, the same history gives the same fit, however slow the machine.
    """

    iterations: int = 50
    within_s: float = math.inf
    elapsed_s: Callable[[], float] = _no_clock

    def check(self) -> None:
        """Raise OutOfTime when the seconds are used up."""
        if self.elapsed_s() > self.within_s:
            raise OutOfTime(f"not fitted within {self.within_s:g} s")


class Outside:
    """A member that another library fits: within limits, which whoever runs the fit may narrow."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def within(self, limits: Limits) -> Self:
        """Return it with other limits."""
        made = copy.copy(self)
        made._limits = limits
        return made

    def _stop(self, *_: object) -> None:
        """Raise OutOfTime; called by an optimiser after each iteration."""
        self._limits.check()


class Smoothing(Outside):
    """Exponential smoothing with a damped trend, ETS(A,Ad,N), of deviations from the seasonal profile; by statsmodels.

    Hyndman, Koehler, Ord and Snyder, "Forecasting with Exponential Smoothing", 2008. The season is the profile's, as in
    an STL decomposition, so that a season of 1,440 steps costs no more than one of 24.
    """

    name = "ets"
    voices = ("ets",)

    def fit(self, past: Past, ends: Sequence[int]) -> tuple[Coefficients, ...]:
        """Return {"ets": float64[n, 3]} (level, trend, damping) of the first end for all ends; NaN where none is."""
        from statsmodels.tsa.exponential_smoothing.ets import ETSModel

        found = np.full((len(past.values), 3), np.nan)
        for row, values in enumerate(_latest(past, ends[0])):
            self._limits.check()
            if len(values) < _LEAST_ROWS or not np.ptp(values) > 0:
                continue
            with _quiet():
                model = ETSModel(values, error="add", trend="add", damped_trend=True)
                result = model.fit(disp=False, maxiter=self._limits.iterations, callback=self._stop)
            found[row] = [result.alpha, result.beta, result.phi]
        return tuple({"ets": found} for _ in ends)

    def foretell(self, past: Past, coefficients: Coefficients, origins: slice) -> F64:
        """Return float64[n, 1, knots, o]; NaN while there is no season or no parameters."""
        levels, trends = _smoothed(past.dev, coefficients["ets"], origins)
        run = np.stack([_damped(coefficients["ets"][:, 2], knot) for knot in past.grid.knots.tolist()], axis=1)
        dev = levels[:, None, :] + run[:, :, None] * trends[:, None, :]
        return _on_profile(past, dev, origins)


class ArmaHarmonic(Outside):
    """Dynamic harmonic regression with ARMA(1,1) errors; waves by least squares, errors by statsmodels.

    The likelihood is that of the innovations algorithm (Brockwell and Davis, "Introduction to Time Series and
    Forecasting", 2016, section 5.2): the parameters of a state space's, to three digits, in a tenth of the time.
    Hyndman and Athanasopoulos, "Forecasting: Principles and Practice", 3rd ed., section 10.5.
    """

    name = "harmonic-arma"
    voices = ("harmonic-arma",)

    def __init__(self, limits: Limits) -> None:
        super().__init__(limits)
        self._waves = Harmonic()

    def fit(self, past: Past, ends: Sequence[int]) -> tuple[Coefficients, ...]:
        """Return the waves of each end and {"arma": float64[n, 2]} of the first; NaN where nothing is found."""
        from statsmodels.tsa.arima.estimators.innovations import innovations_mle

        sets = self._waves.fit(past, ends)
        first = max(0, ends[0] - ROWS)
        left = self._waves.left(past, sets[0], slice(first, ends[0], 1))
        found = np.full((len(left), 2), np.nan)
        for row, values in enumerate(left):
            self._limits.check()
            if len(values) < _LEAST_ROWS or not np.isfinite(values).all() or not np.ptp(values) > 0:
                continue
            options = {"options": {"maxiter": self._limits.iterations}, "callback": self._stop}
            with _quiet():
                result, _ = innovations_mle(
                    values / values.std(), order=(1, 0, 1), demean=False, minimize_kwargs=options
                )
            found[row] = np.clip([result.ar_params[0], result.ma_params[0]], -0.9999, 0.9999)
        return tuple({**one, "arma": found} for one in sets)

    def foretell(self, past: Past, coefficients: Coefficients, origins: slice) -> F64:
        """Return float64[n, 1, knots, o]: waves, and errors that fade."""
        keep, echo = coefficients["arma"][:, :1], coefficients["arma"][:, 1:]
        # a shock is what is left of an error after what the error before had foretold of it
        oldest, width = min(_WARM_UP, origins.start), _last(origins) + 1 - origins.start
        left = self._waves.left(past, coefficients, slice(origins.start - oldest, origins.start + width, 1))
        before = left[:, : width : origins.step]
        shock = np.zeros_like(before)
        for first in range(1, oldest + 1):
            error = left[:, first : first + width : origins.step]
            shock, before = error - keep * before - echo * shock, error
        next_error = keep * before + echo * shock
        fading = keep[:, :, None] ** (past.grid.knots[:, None] - 1) * next_error[:, None, :]
        return np.asarray(self._waves.ahead(past, coefficients, origins) + fading)[:, None]


class Online(Outside):
    """Bayesian linear regression learnt sample by sample by river, of deviations on recent deviations.

    Its forgetting makes it follow a changing series. What was learnt is read off by asking for unit vectors, as
    weights. The time-series models of river are not used: on development traces SNARIMAX with gradient descent diverged
    on half of the series, and HoltWinters starts its season as a ratio to the level, which explodes on centred data.
    """

    name = "online"
    voices = ("online",)
    _lags = ((0, 1), (1, 2), (2, 4), (4, 8), (8, 16))

    def __init__(self, limits: Limits, *, keep: float = 0.999) -> None:
        super().__init__(limits)
        self._keep = keep

    def fit(self, past: Past, ends: Sequence[int]) -> tuple[Coefficients, ...]:
        """Return {"online": float64[n, features, knots]} of each end; learning goes on from one end to the next."""
        from river.linear_model import BayesianLinearRegression

        knots = past.grid.knots.tolist()
        out = [{"online": np.full((len(past.values), len(self._lags), len(knots)), np.nan)} for _ in ends]
        rows = slice(max(past.grid.tail, ends[-1] - ROWS), ends[-1], 1)
        if rows.stop <= rows.start:
            return tuple(out)
        # in units of usual deviations, as the learner's prior wants
        scale = np.sqrt(np.mean(past.dev[:, : ends[0]] ** 2, axis=1)) + _EPS
        design = self._design(past, rows) / scale[:, None, None]
        usable = past.seasonal(rows)
        for row in range(len(design)):
            for place, knot in enumerate(knots):
                learner: Any = BayesianLinearRegression(smoothing=self._keep)
                done = rows.start
                for number, end in enumerate(ends):
                    for column in range(done, end - knot, max(1, knot // 4)):
                        if usable[row, column - rows.start] and past.real[row, column + knot]:
                            features = dict(enumerate(design[row, :, column - rows.start].tolist()))
                            learner.learn_one(features, past.dev[row, column + knot] / scale[row])
                    done = max(done, end - knot)
                    self._limits.check()
                    out[number]["online"][row, :, place] = _weights(learner.predict_one, len(self._lags))
        return tuple(out)

    def foretell(self, past: Past, coefficients: Coefficients, origins: slice) -> F64:
        """Return float64[n, 1, knots, o]."""
        dev = np.matmul(coefficients["online"].transpose(0, 2, 1), self._design(past, origins))
        return _on_profile(past, dev, origins)

    def _design(self, past: Past, rows: slice) -> F64:
        return np.stack([past.mean_dev(rows, young, old) for young, old in self._lags], axis=1)


def _weights(predict: Callable[[dict[int, float]], float], features: int) -> F64:
    """Return the weights of a linear learner."""
    units = np.eye(features)
    return np.array([float(predict(dict(enumerate(unit.tolist())))) for unit in units])


def _last(origins: slice) -> int:
    return int(range(origins.start, origins.stop, origins.step)[-1])


def _latest(past: Past, end: int) -> F64:
    return past.dev[:, max(0, end - ROWS) : end]


def _smoothed(values: F64, parameters: F64, origins: slice) -> tuple[F64, F64]:
    """Return the levels and trends [n, o] of exponential smoothing at origins, from `_SMOOTHED` steps before each.

    parameters: float64[n, 3]: of the level, of the trend, and damping. The recursion is linear in what came, so what it
    comes to is a weighted sum: its weights are powers of one matrix, which are found by doubling.
    """
    smooth, lean, damping = parameters.T
    oldest = min(_SMOOTHED, origins.start)
    power = np.stack([1.0 - smooth, damping * (1.0 - smooth), -lean, damping * (1.0 - lean)], axis=1).reshape(-1, 2, 2)
    weights = np.stack([smooth, lean], axis=1)[:, :, None]
    while weights.shape[2] < oldest:
        weights = np.concatenate([weights, np.matmul(power, weights)], axis=2)
        power = np.matmul(power, power)
    columns = np.arange(origins.start, origins.stop, origins.step)
    begun = values[:, columns - oldest]
    newer = values[:, columns[:, None] - np.arange(oldest)] - begun[:, :, None]
    state = np.matmul(newer, weights[:, :, :oldest].transpose(0, 2, 1))
    return begun + state[:, :, 0], np.asarray(state[:, :, 1])


def _damped(damping: F64, steps: int) -> F64:
    """Return damping + damping**2 + ... + damping**steps."""
    near_one = np.abs(1.0 - damping) < 1e-9
    safe = np.where(near_one, 0.5, damping)
    return np.asarray(np.where(near_one, float(steps), safe * (1.0 - safe**steps) / (1.0 - safe)))


def _on_profile(past: Past, dev: F64, origins: slice) -> F64:
    """Return [n, 1, knots, o]: deviations put on the profile; NaN while there is no season."""
    out = np.stack(
        [dev[:, place] + past.at(past.profile, origins, knot) for place, knot in enumerate(past.grid.knots.tolist())],
        axis=1,
    )
    out.transpose(0, 2, 1)[~past.seasonal(origins)] = np.nan
    return out[:, None]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep a library's warnings to itself: parameters that did not converge are judged by what they foretell."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
