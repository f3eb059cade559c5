"""Demand that is gone at once, as under an outage above: kept for, for a while, learnt from only once it stays away."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from aiops.core.model import Scale
from aiops.core.nowcast.falls import KEPT_LEADS
from tests.unit.lines import DRAWN, LEAD_STEPS, SEASON_STEPS, Line, level, lived, noisy, wave
from tests.unit.steered import carries, decided, seen, soon

KEPT_STEPS = round(KEPT_LEADS * LEAD_STEPS)
KEPT_S = KEPT_STEPS * 15.0


def usual(steps: int = 600) -> Line:
    return lived(noisy, steps)


def kept(line: Line) -> float:
    return float(line.said[-1].kept_s[0])


def kept_for(line: Line) -> float:
    return float(np.exp(line.said[-1].log_kept[0]))


# -- what a fall is --------------------------------------------------------------------------------------


def test_demand_that_is_gone_at_once_is_still_kept_for():
    line = usual()
    line.live(lambda _: 0.0, 2)
    assert kept_for(line) == pytest.approx(200.0, rel=0.05)
    assert kept(line) == KEPT_S
    assert line.lead < 100.0, "what is foretold is another matter"


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
    assert kept_for(line) == pytest.approx(200.0, rel=0.05)
    line.tell(20.0)
    assert kept(line) == 0.0
    assert math.isnan(kept_for(line))
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


def test_demand_that_comes_back_is_not_foretold_to_go_beyond_what_it_was():
    line = usual()
    line.live(lambda _: 2.0, 30)
    for demand in (2.0, 20.0, 60.0, 120.0, 170.0, 200.0, 200.0, 200.0):
        line.tell(demand)
        assert max(line.near, line.lead) < 240.0


def test_demand_that_comes_back_in_stages_is_kept_for_anew():
    line = usual()
    line.live(lambda _: 4.0, KEPT_STEPS - 10)
    almost = kept(line)
    line.live(lambda _: 80.0, 2)
    assert kept(line) > almost
    assert kept_for(line) == pytest.approx(200.0, rel=0.05)


def test_a_job_that_comes_now_and_then_is_no_stage():
    line = usual()
    line.live(lambda step: 40.0 if step % 32 < 4 else 4.0, 3 * KEPT_STEPS)
    assert kept(line) == 0.0
    assert sum(float(views.kept_s[0]) > 0.0 for views in line.said[600:]) < 2 * KEPT_STEPS


def test_load_that_goes_on_and_off_is_kept_for_once():
    line = usual()
    line.live(lambda step: 0.0 if step % 280 < 40 else noisy(step), 4 * 280)
    fell = [float(views.kept_s[0]) > 0.0 for views in line.said[600:]]
    assert sum(here and not before for before, here in pairwise(fell)) <= 2


def test_a_closing_that_the_season_knows_is_no_fall():
    def shop(step: int) -> float:
        return (30.0 if step % SEASON_STEPS >= 360 else 200.0) * math.exp(0.03 * DRAWN[step])

    line = lived(shop, 4 * SEASON_STEPS)
    line.live(shop, SEASON_STEPS)
    assert all(float(views.kept_s[0]) == 0.0 for views in line.said[4 * SEASON_STEPS :])


def test_two_low_samples_apart_are_no_fall():
    line = usual()
    line.tell(0.0)
    line.live(lambda _: math.nan, 3)
    line.tell(0.0)
    assert kept(line) == 0.0


def test_an_hour_without_a_sample_ends_what_was_kept():
    line = usual()
    line.live(lambda _: 0.0, 5)
    line.step += 300
    line.tell(0.0)
    assert kept(line) == 0.0


def test_what_ends_on_a_missing_sample_does_not_begin_anew():
    line = usual()
    line.live(lambda _: 20.0, 1 + KEPT_STEPS)
    line.tell(math.nan)
    line.live(lambda _: 20.0, 5)
    assert kept(line) == 0.0
    assert line.lead == pytest.approx(20.0, rel=0.2)


def test_no_promise_of_an_outage_is_judged():
    line = usual()
    line.live(lambda _: 0.0, 25)
    count = line.model.spreads[1].count.copy()
    line.tell(200.0)
    assert line.model.spreads[1].count == count
    assert np.isnan(line.model.scaled_errors).all()


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

GONE = soon(3.0, 3.0, kept=390.0, kept_s=600.0)


def test_replicas_stay_while_demand_that_is_gone_is_kept_for():
    proposal = decided(seen(demand=3.0, use=0.01), GONE, carries()).verdict.proposal
    assert proposal.change == Scale(before=8, after=8)
    told = "demand fell to 3 at once, where 390 req/s are usual: 8 are kept for 600 s yet, in case it comes back"
    assert (proposal.reason, proposal.need.kept) == (told, 8)


def test_demand_that_is_gone_asks_for_no_more_than_there_is():
    small = decided(seen(demand=3.0, use=0.01, replicas=4, ready=4), GONE, carries())
    assert small.verdict.proposal.change == Scale(before=4, after=4)
    needed = decided(seen(demand=390.0, use=0.9, replicas=4, ready=4), GONE, carries())
    assert needed.verdict.proposal.change.after == 8, "what is needed now is had all the same"
    rising = soon(150.0, 300.0, kept=390.0, kept_s=600.0)
    ahead = decided(seen(demand=150.0, use=0.7, replicas=4, ready=4), rising, carries()).verdict.proposal
    assert ahead.change.after == 7, "and what is foretold"
    assert "forecast 300 + margin" in ahead.reason


def test_what_is_no_longer_kept_for_goes():
    decision = decided(seen(demand=3.0, use=0.01), soon(3.0, 3.0), carries())
    assert decision.verdict.proposal.change.after == 1
