"""Rest after an alarm."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.core.detect.rest import REST_S, Rest

HOUR_S = 3600.0


def raised(rest: Rest, at: float, *scores: float, step_s: float = 60.0) -> list[bool]:
    return rest.alarms(at, np.arange(len(scores)), np.array(scores), step_s).tolist()


def test_people_are_called_once_for_what_goes_on() -> None:
    rest = Rest(2)
    assert raised(rest, 0.0, 1.5, 0.9) == [True, False]
    assert raised(rest, 60.0, 1.6, 1.2) == [False, True]
    assert raised(rest, REST_S, 1.6, 1.2) == [False, False]


def test_they_are_called_again_when_it_has_become_twice_as_bad() -> None:
    rest = Rest(1)
    assert raised(rest, 0.0, 1.5) == [True]
    assert raised(rest, 60.0, 2.9) == [False]
    assert raised(rest, 120.0, 3.1) == [True]
    assert raised(rest, 180.0, 3.2) == [False]


def test_they_are_called_again_when_the_rest_is_over() -> None:
    rest = Rest(1)
    assert raised(rest, 0.0, 9.0) == [True]
    assert raised(rest, REST_S + 1.0, 1.1) == [True]


def test_a_row_that_is_read_hourly_or_daily_rests_eight_samples() -> None:
    rest = Rest(1)
    assert raised(rest, 0.0, 2.0, step_s=24 * HOUR_S) == [True]
    assert raised(rest, 7 * 24 * HOUR_S, 2.0, step_s=24 * HOUR_S) == [False]
    assert raised(rest, 9 * 24 * HOUR_S, 2.0, step_s=24 * HOUR_S) == [True]


@pytest.mark.parametrize("score", [np.nan, 1.0, 0.0, -5.0])
def test_what_is_not_anomalous_or_not_known_raises_nothing(score: float) -> None:
    assert raised(Rest(1), 0.0, score) == [False]


def test_rows_that_go_on_rest_on_and_new_ones_do_not() -> None:
    rest = Rest(2)
    raised(rest, 0.0, 2.0, 2.0)
    rest.take(np.array([1, -1]))
    assert raised(rest, 60.0, 2.0, 2.0) == [False, True]


def test_a_checkpoint_keeps_the_rest_and_one_of_other_rows_is_refused() -> None:
    rest, again = Rest(1), Rest(1)
    raised(rest, 0.0, 2.0)
    again.restore(rest.arrays())
    assert raised(again, 60.0, 2.0) == [False]
    with pytest.raises(ValueError, match="does not fit"):
        Rest(2).restore(rest.arrays())


def test_after_a_clock_that_was_a_day_ahead_is_set_back_people_are_called_as_ever() -> None:
    rest = Rest(1)
    assert raised(rest, 24 * HOUR_S, 4.0) == [True]
    assert raised(rest, 24 * HOUR_S - 5.0, 4.0) == [False]  # a few seconds are no reason
    assert raised(rest, 0.0, 4.0) == [True]
    assert raised(rest, 60.0, 4.0) == [False]
