"""What is known of rows from sample to sample: how many there were, for how long, and the level they run at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aiops.core.detect.bounds import BLOCK
from aiops.core.model import F64, Bools

SAMPLES, SEEN_S, LEVEL = range(3)
"""The rows of the state, float64[3, n]."""

_SPREADS = np.uint64(0x9E3779B97F4A7C15)


def run(state: F64, clean: F64, taken: Bools, pace: tuple[float, float]) -> None:
    """Take samples into levels, and count them. clean: float64[n], NaN is none. taken: bool[n], which are counted.

    pace: by which share at least a level follows a sample (a young one is the mean of all), and the seconds between
    samples.
    """
    gain, step_s = pace
    spare = np.empty(min(BLOCK, len(clean)))
    for begin in range(0, len(clean), BLOCK):
        here = slice(begin, begin + BLOCK)
        samples, seen_s, level, mine = state[SAMPLES, here], state[SEEN_S, here], state[LEVEL, here], taken[here]
        away = np.subtract(clean[here], level, out=spare[: len(level)])
        unknown = np.isnan(away)
        if unknown.any():
            away[unknown] = 0.0
        # of old rows all follow as quickly
        away *= np.maximum(gain, 1.0 / (1.0 + samples)) if 1.0 / (1.0 + float(samples.min())) > gain else gain
        level += away
        every = bool(mine.all())
        samples += 1.0 if every else mine
        seen_s += step_s if every else step_s * mine


def phases(values: F64) -> NDArray[np.uint8]:
    """Return a time for each row that follows from its first value: not from its place, which may change."""
    bits = np.ascontiguousarray(values).view(np.uint64)
    return np.asarray((bits * _SPREADS) >> np.uint64(56), np.uint8)
