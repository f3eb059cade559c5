"""What the fleet tier keeps between ticks, and how many rows it goes through at once, change no score and no state."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.core.detect import bounds, familiar, running
from aiops.core.detect.familiar import Familiar
from aiops.core.detect.rules import usual
from aiops.core.model import F64

START, ROWS = 1_772_409_600.0, 60


def samples(ticks: int) -> F64:
    """Return float64[ticks, 60]: normal rows, constants, counts, spikes, gaps, and rows that begin late."""
    chance = np.random.default_rng(7)
    found = 100.0 + chance.normal(0, 3, (ticks, ROWS))
    found[:, 10:15], found[:, 15:25] = 4.0, chance.poisson(2.0, (ticks, 10))
    found[chance.random((ticks, ROWS)) < 0.01] += 200.0
    found[chance.random((ticks, ROWS)) < 0.03] = np.nan
    found[: ticks // 2, 50:] = np.nan
    return found


def went(*, anew: bool = False, ticks: int = 300) -> list[bytes]:
    """Return every score and all of the state of rows that went through the same, as bytes."""
    detector, found, learn = Familiar(usual(ROWS)), list[bytes](), np.ones(ROWS, np.bool_)
    for tick, values in enumerate(samples(ticks)):
        at = START + 60.0 * tick
        if anew:
            detector._bounds.forget()
        scores = detector.score(at, values)
        found += [one.tobytes() for one in (scores.score, scores.expected, scores.lower, scores.upper)]
        detector.learn(at, values, learn)
    return found + [one.tobytes() for one in detector.arrays().values()]


def test_bounds_that_are_kept_are_those_that_would_be_made_anew() -> None:
    assert went() == went(anew=True)


def test_rows_are_the_same_however_many_are_looked_at_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = went()
    monkeypatch.setattr(bounds, "BLOCK", 7)
    monkeypatch.setattr(running, "BLOCK", 7)
    monkeypatch.setattr(familiar, "AT_ONCE", 5)
    assert went() == whole
