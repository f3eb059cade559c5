"""Demand that is gone at once, as under an outage above: kept for, for a while, learnt from only once it stays away."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aiops.core.model import Scale
from aiops.core.nowcast.falls import KEPT_LEADS
from tests.unit.lines import LEAD_STEPS, SEASON_STEPS, Line, level, lived, noisy, wave
from tests.unit.steered import carries, decided, made, seen, soon

KEPT_STEPS = round(KEPT_LEADS * LEAD_STEPS)
KEPT_S = KEPT_STEPS * 15.0


def usual(steps: int = 600) -> Line:
    return lived(noisy, steps)


def kept(line: Line) -> float:
    return float(line.said[-1].kept_s[0])


# -- what a fall is --------------------------------------------------------------------------------------


def test_demand_that_is_gone_at_once_is_still_kept_for():
    line = usual()
    line.live(lambda _: 0.0, 2)
    assert line.lead == pytest.approx(200.0, rel=0.05)
    assert line.near == pytest.approx(200.0, rel=0.05)
    assert kept(line) == KEPT_S


def test_one_sample_is_no_fall():
    line = usual()
    line.tell(0.0)
    line.live(noisy, 1).tell(0.0)
    assert kept(line) == 0.0


def test_samples_that_are_not_all_of_it_are_no_fall_s1():
    line = usual()
    line.live(lambda _: 0.0, 3, whole=False)
    assert kept(line) == 0.0


def test_less_by_two_fifths_is_less_demand():
    line = usual()
    line.live(lambda step: 0.6 * noisy(step), 3 * LEAD_STEPS)
    assert kept(line) == 0.0
    assert line.lead < 140.0


def test_noise_as_wide_is_no_fall():
    def wild(step: int) -> float:
        return 200.0 * math.exp(0.5 * noisy(step) / 10.0 - 10.0)

    line = lived(wild, 600)
    for _ in range(400):
        line.tell(wild(line.step))
        assert kept(line) == 0.0


def test_what_the_season_takes_away_is_no_fall():
    line = lived(wave, 4 * SEASON_STEPS)
    for _ in range(SEASON_STEPS):
        line.tell(wave(line.step))
        assert kept(line) == 0.0


def test_the_end_of_a_crowd_is_no_fall():
    line = usual(SEASON_STEPS * 3)
    line.live(lambda step: 5.0 * noisy(step), 240)
    line.live(noisy, 20)
    assert kept(line) == 0.0


def test_what_has_seen_no_hour_of_its_own_errors_knows_no_fall():
    line = Line().live(level, 200)
    line.live(lambda _: 0.0, 3)
    assert kept(line) == 0.0


# -- how long, and what is learnt --------------------------------------------------------------------------


def test_what_stays_away_is_how_it_is_now():
    line = usual()
    line.live(lambda _: 20.0, 1 + KEPT_STEPS)
    assert kept(line) == 15.0
    assert line.lead == pytest.approx(200.0, rel=0.05)
    line.tell(20.0)
    assert kept(line) == 0.0
    line.live(lambda _: 20.0, 2 * LEAD_STEPS)
    assert line.lead == pytest.approx(20.0, rel=0.2)


def test_an_hour_is_the_most_that_is_kept():
    line = Line(lead_s=3000.0)
    line.live(noisy, 1200)
    line.live(lambda _: 0.0, 2)
    assert kept(line) == 3600.0


def test_an_outage_teaches_nothing():
    line = usual()
    line.live(lambda _: 0.0, 2)
    mixes, spreads = line.model.mixes[1], line.model.spreads[1]
    before = mixes.moment.copy(), spreads.hour.copy(), spreads.count.copy(), line.model.off.copy()
    line.live(lambda _: 0.0, 25)
    after = mixes.moment, spreads.hour, spreads.count, line.model.off
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.isnan(line.model.scaled_errors).all(), "margins are not moved either"


def test_what_is_back_goes_on_from_there_at_once():
    line = usual()
    scale = float(line.said[-1].scale[1, 0])
    line.live(lambda _: 0.0, 30)
    line.live(lambda step: 0.9 * noisy(step), 1)
    assert kept(line) == 0.0
    line.live(lambda step: 0.9 * noisy(step), 3)
    assert line.lead == pytest.approx(180.0, rel=0.1), "the levels of the outage would have it shoot up"
    line.live(lambda step: 0.9 * noisy(step), 3 * LEAD_STEPS)
    assert float(line.said[-1].scale[1, 0]) < 1.5 * scale, "nor is judged what was foretold in it"


def test_demand_that_comes_back_in_stages_is_kept_for_anew():
    line = usual()
    line.live(lambda _: 4.0, KEPT_STEPS - 10)
    almost = kept(line)
    line.live(lambda _: 80.0, 2)
    assert kept(line) > almost
    assert line.lead == pytest.approx(200.0, rel=0.05)


def test_a_row_that_fell_goes_on_from_a_checkpoint_and_one_from_before_is_taken():
    line = usual()
    line.live(lambda _: 0.0, 5)
    state, one = line.model.arrays(), np.array([0])
    same, older = Line(), Line()
    same.model.take(state, one, one)
    older.model.take({name: array for name, array in state.items() if "fallen" not in name}, one, one)
    assert same.model.ahead().kept_s[0] == kept(line)
    assert older.model.ahead().kept_s[0] == 0.0
    np.testing.assert_array_equal(same.model.ahead().log_demand, line.model.ahead().log_demand)


def test_rows_fall_alone():
    line = Line(rows=2)
    for step in range(600):
        line.tell(np.array([noisy(step), noisy(step + 1)]))
    for step in range(600, 610):
        line.tell(np.array([0.0, noisy(step)]))
    assert (line.said[-1].kept_s > 0.0).tolist() == [True, False]


# -- what is decided -----------------------------------------------------------------------------------------

GONE = soon(390.0, 390.0, kept_s=600.0)


def test_replicas_stay_while_demand_that_is_gone_is_kept_for():
    decision = decided(seen(demand=3.0, use=0.01), GONE, carries())
    assert decision.verdict.proposal.change == Scale(before=8, after=8)
    told = "demand fell from 390 to 3 req/s at once: 8 are kept for 600 s at most, in case it comes back"
    assert decision.verdict.proposal.reason == told


def test_demand_that_is_gone_asks_for_no_more_than_there_is():
    small = made(seen(demand=3.0, use=0.01, replicas=4, ready=4), GONE, carries()).tick
    assert small.decisions[0].verdict.proposal.change == Scale(before=4, after=4)
    needed = made(seen(demand=390.0, use=0.9, replicas=4, ready=4), GONE, carries()).tick
    assert needed.decisions[0].verdict.proposal.change.after == 8, "what is needed now is had all the same"


def test_what_is_no_longer_kept_for_goes():
    decision = decided(seen(demand=3.0, use=0.01), soon(3.0, 3.0), carries())
    assert decision.verdict.proposal.change.after == 1
