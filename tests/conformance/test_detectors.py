"""What every detector promises, whichever line of the registry it came by."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.core.detect import DETECTORS, RuledDetector
from aiops.core.detect.rules import DAY_S, RowRules, usual
from aiops.core.protocols import Detector

START = 1_772_409_600.0
STEP_S = 60.0

pytestmark = pytest.mark.parametrize("name", sorted(DETECTORS))


def a_detector(name: str, rows: int, **rules: object) -> RuledDetector:
    base = usual(rows)
    changed = {field: rules.get(field, getattr(base, field)) for field in RowRules.__slots__}
    return DETECTORS[name](RowRules(**changed))


def some_days(rows: int, days: float, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Times and values[t, n] of rows with a daily wave and noise."""
    rng = np.random.default_rng(seed)
    times = START + np.arange(round(days * DAY_S / STEP_S)) * STEP_S
    wave = np.sin(2 * np.pi * times / DAY_S)[:, None] * np.linspace(0, 40, rows)
    return times, 100.0 + wave + rng.normal(0, 3, (len(times), rows))


def taught(name: str, times: np.ndarray, values: np.ndarray) -> RuledDetector:
    detector = a_detector(name, values.shape[1])
    for at, row in zip(times.tolist(), values, strict=True):
        detector.score(at, row)
        detector.learn(at, row, np.isfinite(row))
    return detector


def state_of(detector: Detector) -> dict[str, np.ndarray]:
    return {key: np.array(array) for key, array in detector.arrays().items()}


def test_it_fills_the_protocol_under_its_registered_name(name: str) -> None:
    detector = a_detector(name, 1)
    assert isinstance(detector, Detector)
    assert detector.name == name


def test_scoring_changes_nothing_that_later_scores_or_lessons_would_show(name: str) -> None:
    times, values = some_days(3, 0.2)
    looked, quiet = taught(name, times, values), a_detector(name, 3)
    for at, row in zip(times.tolist(), values, strict=True):
        quiet.learn(at, row, np.isfinite(row))
    for far in (1.0, 977.0, DAY_S):
        looked.score(times[-1] + far, values[0] * 7)
    at = times[-1] + STEP_S
    np.testing.assert_array_equal(looked.score(at, values[0]).score, quiet.score(at, values[0]).score)


def test_what_is_scored_has_not_been_learnt_yet(name: str) -> None:
    times, values = some_days(1, 0.5)
    detector = taught(name, times, values)
    at, spike = times[-1] + STEP_S, np.array([500.0])
    before = detector.score(at, spike)
    assert before.score[0] > 1
    assert before.upper[0] < 500.0


def test_the_input_is_not_altered(name: str) -> None:
    times, values = some_days(2, 0.1)
    detector = taught(name, times, values)
    row, learn = np.array([np.nan, 400.0]), np.array([False, True])
    detector.score(times[-1] + STEP_S, row)
    detector.learn(times[-1] + STEP_S, row, learn)
    np.testing.assert_array_equal(row, [np.nan, 400.0])
    np.testing.assert_array_equal(learn, [False, True])


def test_rows_do_not_know_of_each_other_whatever_their_order(name: str) -> None:
    times, values = some_days(4, 0.3)
    order = np.array([2, 0, 3, 1])
    straight, mixed = taught(name, times, values), taught(name, times, values[:, order])
    at, row = times[-1] + STEP_S, np.array([90.0, 160.0, 100.0, 300.0])
    np.testing.assert_array_equal(straight.score(at, row).score[order], mixed.score(at, row[order]).score)


def test_a_missing_value_scores_nothing_and_teaches_nothing(name: str) -> None:
    times, values = some_days(2, 0.3)
    with_gap, without = taught(name, times, values), taught(name, times, values)
    at = times[-1] + STEP_S
    row = np.array([np.nan, 100.0])
    assert np.isnan(with_gap.score(at, row).score[0])
    with_gap.learn(at, row, np.array([True, True]))
    without.learn(at, np.array([100.0, 100.0]), np.array([False, True]))
    for key, array in state_of(with_gap).items():
        np.testing.assert_array_equal(array, state_of(without)[key], err_msg=key)


def test_what_must_not_be_learnt_is_not(name: str) -> None:
    times, values = some_days(1, 0.3)
    taught_on, left = taught(name, times, values), taught(name, times, values)
    for minute in range(1, 31):
        taught_on.learn(times[-1] + minute * STEP_S, np.array([900.0]), np.array([False]))
        left.learn(times[-1] + minute * STEP_S, np.array([np.nan]), np.array([False]))
    at = times[-1] + 31 * STEP_S
    assert taught_on.score(at, np.array([100.0])).expected == left.score(at, np.array([100.0])).expected


def test_infinities_and_warnings_do_not_come_out_of_odd_numbers(name: str) -> None:
    detector = a_detector(name, 4)
    learn = np.ones(4, np.bool_)
    for minute in range(200):
        row = np.array([0.0, np.inf, -1e30 if minute % 2 else 1e30, 1e-300])
        detector.score(START + minute * STEP_S, row)
        detector.learn(START + minute * STEP_S, row, learn)
    scores = detector.score(START + 200 * STEP_S, np.zeros(4))
    assert np.isfinite(scores.expected[[0, 3]]).all()


@pytest.mark.parametrize("far", [[1e308, 1e308], [1e308, -1e308], [-1e308, 5e-324]])
def test_what_is_said_of_the_greatest_numbers_is_finite_or_without_a_bound_and_never_unknown(
    name: str, far: list[float]
) -> None:
    detector, one = a_detector(name, 1), np.ones(1, np.bool_)
    values = [*(100.0 + np.random.default_rng(3).normal(0, 3, 70)), *far * 60, 100.0, far[0]]
    with np.errstate(over="raise", invalid="raise"):
        for minute, value in enumerate(values):
            at, row = START + minute * STEP_S, np.array([value])
            told = detector.score(at, row)
            if told.learned[0]:
                p_value = detector.p_values(told, row, np.zeros(1, np.intp))[0]
                assert np.isfinite(told.expected[0])
                assert 0.0 <= p_value <= 1.0
                assert not np.isnan([told.score[0], told.lower[0], told.upper[0]]).any()
            detector.learn(at, row, one)


def test_the_bands_hold_what_is_expected_and_p_values_fall_with_distance(name: str) -> None:
    times, values = some_days(3, 1.5)
    detector = taught(name, times, values)
    rows, at = np.arange(3), times[-1] + STEP_S
    scores = detector.score(at, values[0])
    assert (scores.lower < scores.expected).all()
    assert (scores.expected < scores.upper).all()
    p_values = [detector.p_values(scores, scores.expected + far, rows) for far in (0.0, 5.0, 20.0, 80.0)]
    assert (np.diff(p_values, axis=0) < 0).all()
    np.testing.assert_allclose(p_values[0], 1.0)


def test_a_checkpoint_goes_on_exactly_where_it_was(name: str) -> None:
    times, values = some_days(3, 1.2)
    half = len(times) // 2
    through = taught(name, times[:half], values[:half])
    again = a_detector(name, 3)
    again.restore(state_of(through))
    for at, row in zip(times[half:].tolist(), values[half:], strict=True):
        for one in (through, again):
            one.learn(at, row, np.isfinite(row))
    at = times[-1] + STEP_S
    np.testing.assert_array_equal(through.score(at, values[0]).score, again.score(at, values[0]).score)


def test_a_checkpoint_of_other_rows_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        a_detector(name, 3).restore(a_detector(name, 2).arrays())
    with pytest.raises(ValueError, match="does not fit"):
        a_detector(name, 3).restore({})


def test_taking_rows_keeps_what_they_know_and_starts_others_afresh(name: str) -> None:
    times, values = some_days(3, 0.5)
    detector = taught(name, times, values)
    at, row = times[-1] + STEP_S, np.array([95.0, 150.0, 130.0])
    before = detector.score(at, row)
    detector.take(np.array([2, -1, 0]))
    after = detector.score(at, row[[2, 1, 0]])
    np.testing.assert_array_equal(after.score[[0, 2]], before.score[[2, 0]])
    np.testing.assert_array_equal(after.learned, [True, False, True])
    assert np.isnan(after.score[1])
    detector.take(np.array([], np.intp))
    assert len(detector.score(at, np.array([])).score) == 0


def test_no_rows_at_all_are_fine(name: str) -> None:
    detector = a_detector(name, 0)
    detector.learn(START, np.array([]), np.array([], np.bool_))
    assert len(detector.score(START, np.array([])).score) == 0
    detector.take(np.array([-1, -1]))
    assert len(detector.score(START, np.zeros(2)).score) == 2


def test_a_side_that_does_not_count_is_never_anomalous(name: str) -> None:
    yes, no = np.array([True]), np.array([False])
    times, values = some_days(1, 0.5)
    for above, below, quiet, loud in ((yes, no, 10.0, 500.0), (no, yes, 500.0, 10.0)):
        detector = a_detector(name, 1, above=above, below=below)
        for at, row in zip(times.tolist(), values, strict=True):
            detector.learn(at, row, yes)
        at = times[-1] + STEP_S
        assert detector.score(at, np.array([quiet])).score[0] <= 0
        assert detector.score(at, np.array([loud])).score[0] > 1


def test_what_deviates_less_than_is_worth_an_alarm_is_none(name: str) -> None:
    times, values = some_days(2, 0.5)
    detector = a_detector(name, 2, min_deviation=np.array([300.0, 0.0]), min_deviation_ratio=np.array([0.0, 4.0]))
    for at, row in zip(times.tolist(), values, strict=True):
        detector.learn(at, row, np.ones(2, np.bool_))
    at = times[-1] + STEP_S
    assert (detector.score(at, np.array([350.0, 350.0])).score < 1).all()
    assert (detector.score(at, np.array([900.0, 900.0])).score > 1).all()


def test_the_evidence_of_a_row_is_finite_numbers_by_name_and_looking_changes_nothing(name: str) -> None:
    times, values = some_days(2, 0.2)
    detector, other = taught(name, times, values), taught(name, times, values)
    at, spike = times[-1] + STEP_S, np.array([500.0, np.nan])
    detector.score(at, spike)
    other.score(at, spike)
    evidence = dict(detector.evidence(0))
    assert evidence
    assert all(isinstance(key, str) and np.isfinite(number) for key, number in evidence.items())
    assert all(np.isfinite(number) for number in detector.evidence(1).values())
    later = at + STEP_S
    np.testing.assert_array_equal(detector.score(later, values[0]).score, other.score(later, values[0]).score)
