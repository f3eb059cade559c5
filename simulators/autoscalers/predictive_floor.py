"""Predictive scaling as on AWS: an hourly forecast that only ever adds, over target tracking that adds and removes.

Source: "How predictive scaling works" and "Target tracking scaling policies" of the Amazon EC2 Auto Scaling and
Application Auto Scaling user guides, PredictiveScalingConfiguration of the API. Documented: at least 24 hours and up to
14 days of history; hourly forecasts for 48 hours, made anew every 6 hours; capacity for an hour is there
SchedulingBufferTime (300 s) before it begins; the forecast never removes; of two policies the larger capacity counts.
Target tracking's alarms: above the target for 3 data points of a minute adds in proportion; below 90 % of it for 15
removes, and not while something warms up. The forecasting model is not published: here an hour is like the same hour of
the week before (of the day before, while there is less than a week), at the level of the last day.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from aiops.core.model import F64
from simulators.autoscalers.protocol import SYNC_S, Carried, Clock, Sample

HOUR_S = 3600.0
DAY_HOURS, WEEK_HOURS = 24, 168
LEAST_HOURS, MOST_HOURS = 24, 14 * 24
REFRESH_HOURS, AHEAD_HOURS = 6, 48
BUFFER_S, MOST_BUFFER_S = 300.0, 3599.0
POINT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """Target tracking's alarms. low_ratio: of the target; points: data points in a row."""

    high_points: int = 3
    low_points: int = 15
    low_ratio: float = 0.9


def hourly_forecast(hours: F64, ahead: int = AHEAD_HOURS) -> F64:
    """Return float64[ahead] hours of load after float64[h] of them, NaN where not known: all, after less than a day."""
    hours = hours[-MOST_HOURS:]
    if np.isfinite(hours).sum() < LEAST_HOURS:
        return np.full(ahead, np.nan)
    period = WEEK_HOURS if len(hours) >= WEEK_HOURS else DAY_HOURS
    phase = np.arange(-len(hours), ahead) % period
    known = np.isfinite(hours)
    count = np.bincount(phase[: len(hours)][known], minlength=period)
    total = np.bincount(phase[: len(hours)][known], weights=hours[known], minlength=period)
    profile = np.divide(total, count, out=np.full(period, np.nan), where=count > 0)
    last, like = hours[-DAY_HOURS:], profile[phase[len(hours) - DAY_HOURS : len(hours)]]
    both = np.isfinite(last) & np.isfinite(like)
    level = last[both].sum() / like[both].sum() if like[both].sum() > 0.0 else 1.0
    return np.asarray(profile[phase[len(hours) :]] * level, np.float64)


class PredictiveFloorAutoscaler:
    """The forecast's floor and target tracking, the larger of both. Its knob is the target utilisation.

    The start-up may ask for a longer buffer than the default, as the guide advises.
    """

    def __init__(self, target_ratio: float = 0.7, tracking: Tracking = Tracking()) -> None:
        self.name = "predictive-floor"
        self._target_ratio = target_ratio
        self._tracker = Tracker(target_ratio, tracking)
        self._clock = Clock()
        self._carried = Carried()
        self._buffer_s = BUFFER_S
        self._hours: list[float] = []
        self._hour: list[float] = []
        self._made_at = 0
        self._forecast: list[float] = []

    def fit(self, history_rps: F64, step_s: float, startup_s: float, slo_p95_s: float) -> None:
        """Take the history in whole hours before the start, and the start-up."""
        self._buffer_s = min(max(BUFFER_S, startup_s + SYNC_S), MOST_BUFFER_S)
        each = max(1, round(HOUR_S / step_s))
        whole = len(history_rps) // each * each
        rows = np.asarray(history_rps[len(history_rps) - whole :], np.float64).reshape(-1, each)
        known = np.isfinite(rows)
        sums, counts = np.where(known, rows, 0.0).sum(axis=1), known.sum(axis=1)
        self._hours = np.divide(sums, counts, out=np.full(len(rows), np.nan), where=counts > 0).tolist()
        self._forecast = hourly_forecast(np.asarray(self._hours)).tolist()

    def decide(self, sample: Sample, ready: int, current: int) -> int:
        """Return the new spec.replicas."""
        now = self._clock.tick()
        self._carried.note(sample)
        self._record(now, sample.rps)
        return max(self._tracker.wanted(sample, ready, current), self.floor(now))

    def floor(self, now: float) -> int:
        """Return the forecast's replicas: of this hour, and of the next one from the buffer before it on."""
        carried = self._carried.rps
        if math.isnan(carried):
            return 0
        place = int(now / HOUR_S) - self._made_at
        until = int((now + self._buffer_s) / HOUR_S) - self._made_at
        load = max((one for one in self._forecast[place : until + 1] if not math.isnan(one)), default=0.0)
        return math.ceil(load / (carried * self._target_ratio))

    def _record(self, now: float, rps: float) -> None:
        """Keep the hour's mean, and make a new forecast every six hours."""
        if now > 0.0 and now % HOUR_S == 0.0:
            self._hours.append(sum(self._hour) / len(self._hour) if self._hour else math.nan)
            self._hour = []
            hour = int(now / HOUR_S)
            if hour % REFRESH_HOURS == 0:
                self._forecast = hourly_forecast(np.asarray(self._hours)).tolist()
                self._made_at = hour
        if not math.isnan(rps):
            self._hour.append(rps)


class Tracker:
    """Target tracking on the use of the replicas that have warmed up."""

    def __init__(self, target_ratio: float, tracking: Tracking) -> None:
        self._target = target_ratio
        self._how = tracking
        self._minute: list[float] = []
        self._points: deque[float] = deque(maxlen=max(tracking.high_points, tracking.low_points))
        self._calls = 0

    def wanted(self, sample: Sample, ready: int, current: int) -> int:
        """Return the replicas: more, fewer or `current`, once a minute at most."""
        self._calls += 1
        if not math.isnan(sample.util):
            self._minute.append(sample.util)
        if self._calls % round(POINT_S / SYNC_S) != 0:
            return current
        if not self._minute:
            # a gap is no data point: neither alarm can be reached over it
            self._points.clear()
            return current
        self._points.append(sum(self._minute) / len(self._minute))
        self._minute = []
        return self._alarmed(ready, current)

    def _alarmed(self, ready: int, current: int) -> int:
        points, how, target = self._points, self._how, self._target
        recent = list(points)[-how.high_points :]
        if len(recent) == how.high_points and min(recent) > target:
            return max(current, math.ceil(ready * points[-1] / target))
        warming = ready < current
        recent = list(points)[-how.low_points :]
        if len(recent) == how.low_points and max(recent) < how.low_ratio * target and not warming:
            points.clear()
            return min(current, max(1, math.ceil(current * recent[-1] / target)))
        return current
