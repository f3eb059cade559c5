"""The next minutes of many rows: nothing of the future, nothing of each other, and checkpoints that go on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.core.nowcast import STEP_S, Nowcasts
from tests.unit.lines import (
    BEGIN,
    HISTORY_S,
    LEAD_S,
    SEASON_S,
    SEASON_STEPS,
    Line,
    lived,
    wave,
)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 119), st.floats(0.0, 5_000.0))
def test_it_never_looks_ahead(when, other):
    one = lived(wave, 120)
    two = Line().live(lambda step: wave(step) if step < when else other, 120)
    for step in range(when):
        np.testing.assert_array_equal(one.said[step].log_demand, two.said[step].log_demand)
        np.testing.assert_array_equal(one.said[step].scale, two.said[step].scale)


def varied(step: int, rows: int) -> np.ndarray:
    chance = np.random.default_rng(step)
    base = (500.0 + 300.0 * np.sin(2 * np.pi * step / SEASON_STEPS + np.arange(rows))) * 10.0 ** np.arange(rows)
    values = base * np.exp(0.1 * chance.normal(size=rows))
    return np.where(chance.uniform(size=rows) < 0.05, np.nan, values)


def tell_all(model: Nowcasts, step: int, rows: np.ndarray, count: int) -> None:
    whole = np.random.default_rng(step + 7).uniform(size=count) > 0.1
    leads = np.array([30.0, 60.0, 120.0, 600.0])[np.arange(count) % 4] * (1.0 if step < 400 else 2.0)
    model.learn(BEGIN + step * STEP_S, varied(step, count)[rows], whole[rows], leads[rows])


def test_rows_do_not_know_of_each_other():
    together = Nowcasts(np.full(4, SEASON_S), HISTORY_S)
    alone = [Nowcasts(np.full(1, SEASON_S), HISTORY_S) for _ in range(4)]
    for step in range(450):
        if 300 < step < 310 or step % 71 == 0:
            continue
        tell_all(together, step, np.arange(4), 4)
        for row, one in enumerate(alone):
            tell_all(one, step, np.array([row]), 4)
    views, apart = together.ahead(), [one.ahead() for one in alone]
    for name in ("log_demand", "scale", "skill", "acts"):
        each = np.concatenate([getattr(one, name) for one in apart], axis=-1)
        np.testing.assert_allclose(getattr(views, name), each, rtol=1e-12, err_msg=name)


def test_rows_of_a_checkpoint_go_on_exactly_where_they_were():
    before = Nowcasts(np.full(4, SEASON_S), HISTORY_S)
    for step in range(380):
        tell_all(before, step, np.arange(4), 4)
    kept = {name: array.copy() for name, array in before.arrays().items()}
    after = Nowcasts(np.full(3, SEASON_S), HISTORY_S)
    after.take(kept, np.array([0, 2]), np.array([3, 1]))
    for step in range(380, 450):
        tell_all(before, step, np.arange(4), 4)
        tell_all(after, step, np.array([3, 0, 1]), 4)
    one, other = before.ahead(), after.ahead()
    np.testing.assert_array_equal(other.log_demand[:, [0, 2]], one.log_demand[:, [3, 1]])
    np.testing.assert_array_equal(other.scale[:, [0, 2]], one.scale[:, [3, 1]])
    np.testing.assert_array_equal(after.scaled_errors[:, [0, 2]], before.scaled_errors[:, [3, 1]])


@pytest.mark.parametrize("hours", [3.0, 9.0])
def test_a_checkpoint_with_rings_of_another_length_keeps_what_fits(hours):
    before = lived(wave, 4 * SEASON_STEPS)
    after = Nowcasts(np.full(1, SEASON_S), hours * 3600.0)
    after.take(before.model.arrays(), np.array([0]), np.array([0]))
    step = before.step
    before.tell(wave(step))
    after.learn(BEGIN + step * STEP_S, np.array([wave(step)]), np.array([True]), np.array([LEAD_S]))
    np.testing.assert_array_equal(after.ahead().log_demand, before.said[-1].log_demand)


def test_what_does_not_fit_is_refused():
    model = Nowcasts(np.full(1, SEASON_S), HISTORY_S)
    arrays = dict(model.arrays())
    with pytest.raises(ValueError, match="levels does not fit"):
        model.take(arrays | {"levels": np.zeros((1, 3))}, np.array([0]), np.array([0]))
    with pytest.raises(ValueError, match="quiet does not fit"):
        model.take({k: a for k, a in arrays.items() if k != "quiet"}, np.array([0]), np.array([0]))
