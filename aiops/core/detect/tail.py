"""How far a row may stray before that spends its budget of false alarms: a tail by row, calibrated on its own record.

Peaks over a threshold: u follows the deviation that one sample in fifty begins to exceed; beyond it they are taken as
Weibull-tailed, z(p) = u (log p / log p_u)^theta, which holds for normal (theta 1/2), exponential (1) and, nearly,
log-normal noise; theta follows the mean of log(peak / u) (Gardes and Girard, "Estimating extreme quantiles of Weibull
tail distributions", 2005). One peak is learnt of each excursion. What the model gets wrong, a slow controller makes up:
each alarm raises the row's limit, and time lowers it by as much as its budget allows.
"""

from __future__ import annotations

import math

import numpy as np

from aiops.core.detect.rules import WEEK_S
from aiops.core.model import F64, Rows
from aiops.core.protocols import Arrays

TAIL_SHARE = 0.02
_LOG_SHARE = -math.log(TAIL_SHARE)
_MEAN_OF_UNIT = 0.2107
"""The mean of log(1 + E / 3.912) for a standard exponential E: what log(peak / u) averages where theta is 1."""

_U_FIRST, _THETA_FIRST = 3.0, 0.8
_U_LEAST, _U_MOST = 1.5, 30.0
_THETA_LEAST, _THETA_MOST = 0.4, 2.5
_PEAK_MOST = 1.2
"""A peak counts up to this many times the limit: beyond, it is an anomaly and no news of the tail."""

_GAIN_FIRST, _GAIN_LEAST = 0.05, 0.015
_FULL_PEAKS = 60.0
_ALARM_STEP = 0.15
_EASE_LEAST, _EASE_MOST = math.log(0.85), math.log(3.0)
_ROWS = ("_log_u", "_theta", "_peaks", "_ease", "limit")


class Tail:
    """Arrays over n rows in units of the rows' scale, changed in place. limit: float64[n], beyond it is an alarm."""

    def __init__(self, rows: int) -> None:
        self._log_u = np.full(rows, math.log(_U_FIRST))
        self._theta = np.full(rows, _THETA_FIRST)
        self._peaks = np.zeros(rows)
        self._ease = np.zeros(rows)
        self.limit = np.full(rows, np.nan)
        self.u = np.exp(self._log_u)

    def refresh(self, budgets: F64, step_s: float, margin: F64, passed: F64) -> None:
        """Make limits anew. budgets: false alarms a week; margin: at least 1; passed: samples learnt since the last."""
        self._log_u -= self._gain() * TAIL_SHARE * passed
        self._ease -= _ALARM_STEP * budgets * (step_s / WEEK_S) * passed
        np.clip(self._log_u, math.log(_U_LEAST), math.log(_U_MOST), out=self._log_u)
        np.clip(self._ease, _EASE_LEAST, _EASE_MOST, out=self._ease)
        self.u = np.exp(self._log_u)
        wanted = np.minimum(budgets * (step_s / WEEK_S), 0.5 * TAIL_SHARE)
        self.limit = self._reach() * (-np.log(wanted) / _LOG_SHARE) ** self._theta * margin

    def begun(self, rows: Rows) -> None:
        """Note excursions beyond u that begin."""
        self._log_u[rows] += self._gain()[rows]

    def ended(self, rows: Rows, peaks: F64) -> None:
        """Note excursions that ended, and how far each went."""
        self._peaks[rows] += 1.0
        most = np.fmax(_PEAK_MOST * self.limit[rows] / self.u[rows], 2.0 * _PEAK_MOST)
        excess = np.log(np.clip(peaks / self.u[rows], 1.0, most)) / _MEAN_OF_UNIT
        gain = np.maximum(1.0 / (20.0 + self._peaks[rows]), _GAIN_LEAST)
        self._theta[rows] = np.clip(self._theta[rows] + gain * (excess - self._theta[rows]), _THETA_LEAST, _THETA_MOST)

    def alarmed(self, rows: Rows) -> None:
        """Note alarms that are over: an alarm does not raise the limit that it is measured by."""
        self._ease[rows] += _ALARM_STEP

    def p_values(self, deviations: F64, rows: Rows) -> F64:
        """Return P(a sample deviates at least so far); deviations in units of the rows' scale."""
        reach = np.maximum(deviations, 0.0) / self._reach()[rows]
        return np.asarray(np.exp(-np.minimum(_LOG_SHARE * reach ** (1.0 / self._theta[rows]), 700.0)), np.float64)

    def take(self, rows: Rows) -> None:
        """Become the tail of other rows; -1 starts afresh."""
        fresh = Tail(len(rows))
        old = rows >= 0
        for name in _ROWS:
            getattr(fresh, name)[old] = getattr(self, name)[rows[old]]
        fresh.u = np.exp(fresh._log_u)
        self.__dict__.update(fresh.__dict__)

    def arrays(self) -> Arrays:
        """Return the state for a checkpoint."""
        return {name.removeprefix("_"): getattr(self, name) for name in (*_ROWS, "u")}

    def restore(self, arrays: Arrays) -> None:
        """Take the state of a checkpoint whose shapes were checked."""
        for name in (*_ROWS, "u"):
            setattr(self, name, np.array(arrays[name.removeprefix("_")], np.float64))

    def _gain(self) -> F64:
        share = np.minimum(self._peaks / _FULL_PEAKS, 1.0)
        return np.asarray(_GAIN_FIRST + (_GAIN_LEAST - _GAIN_FIRST) * share)

    def _reach(self) -> F64:
        return np.asarray(self.u * np.exp(self._ease), np.float64)
