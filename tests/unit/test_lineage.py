"""Versions of models: tried in the shadow, promoted by evidence, taken back, never replaced by a bad fit."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aiops.core.forecast import FORECASTERS
from aiops.core.forecast.combined import Combined
from aiops.core.forecast.fitting import fit
from aiops.core.forecast.members import MEMBERS
from aiops.core.lineage.contenders import Move, verdict
from aiops.core.lineage.contest import AHEAD, KEPT, Record, better, scored
from aiops.core.lineage.drift import CLOCK, COVERED_MIN, DELTA, Drift, adwin, cover
from aiops.core.lineage.lineage import MOST_FITS_A_DAY, Lineage
from aiops.core.lineage.version import FitResult, Role, Scores, Terms, Version
from aiops.core.policies import ForecastSpec
from aiops.errors import InvalidInput

HOUR_S, DAY_S = 3600.0, 86_400.0
SPEC = ForecastSpec(model="combined", history_s=2 * DAY_S, quantile=0.95, lead_s=60.0, season_s=HOUR_S)
"""A season of an hour, so that days are lived through quickly."""

FEW = MEMBERS[:3]

START = 1_800_000_000.0 - 1_800_000_000.0 % 86_400.0


def make(name: str) -> Combined:
    return Combined(SPEC, members=FEW, refits=False) if name == "combined" else FORECASTERS[name](SPEC)


def wave(times: np.ndarray, level: float = 100.0, seed: int = 1, noise: float = 2.0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0.0, noise, len(times))
    return level + 0.4 * level * np.sin(2 * np.pi * times / HOUR_S) + noise


def lineage(days: float = 1.0, *, elsewhere: bool = True) -> Lineage:
    """Return the lineage of a model that has lived for so long and was fitted."""
    times = START - days * DAY_S + np.arange(int(days * 1440)) * 60.0
    model = make("combined")
    one = Lineage("ScalingPolicy/shop/web", model, make, Terms(elsewhere=elsewhere, code="aiops test"))
    one.backfill(times, wave(times))
    return one


def live(one: Lineage, minutes: int, begin: float = START, noise: float = 2.0) -> float:
    times = begin + np.arange(minutes) * 60.0
    for at, value in zip(times, wave(times, seed=int(begin) % 1000, noise=noise), strict=True):
        one.learn(float(at), float(value))
    return float(times[-1]) + 60.0


def refitted(one: Lineage, now: float, why: str = "asked") -> None:
    one.refit(why)
    job = one.job(now)
    assert job is not None
    one.take(FitResult(job=job, fitted=fit(job.history, job.members)), now)


# -- contest -------------------------------------------------------------------------------------------


def test_losses_are_pinball_of_the_minutes_that_have_come_and_coverage_is_counted():
    record, levels = Record(), np.array([0.1, 0.5, 0.9])
    paths = np.tile(np.array([[90.0], [100.0], [110.0]]), (1, AHEAD[-1]))
    for minute in range(100):
        record.settle(minute - 1, 105.0)
        record.promise(minute, levels, paths)
    # over the quantiles by 15, 5 and -5: (1.5 + 2.5 + 0.5) / 3
    assert record.losses[98] == pytest.approx(1.5)
    assert record.judged == 99 - AHEAD[-1]
    assert record.coverage == 1.0


def test_minutes_without_a_value_or_a_look_are_not_judged():
    record, levels = Record(), np.array([0.1, 0.5, 0.9])
    record.losses[:] = 7.0
    record.skip(10, 20)
    record.settle(20, math.nan)
    assert np.isnan(record.losses[10:21]).all()
    record.skip(0, 10 * KEPT)
    assert np.isnan(record.losses).all()
    record.promise(5, levels, np.zeros((3, AHEAD[-1] - 1)))
    record.settle(7, 1.0)
    assert math.isnan(record.losses[7])


def test_the_test_of_diebold_and_mariano_keeps_its_level_under_errors_that_are_alike():
    rng = np.random.default_rng(7)
    blamed = 0
    for _ in range(400):
        shocks = rng.normal(size=720 + 10)
        gains = np.convolve(shocks, np.ones(10) / 10.0, mode="valid")[:720]
        blamed += better(gains) < 0.05
    assert blamed / 400 < 0.10
    assert better(rng.normal(0.5, 1.0, 720)) < 0.001
    assert math.isnan(better(np.ones(59)))
    assert better(np.ones(720)) == 0.0
    assert better(-np.ones(720)) == 1.0


def test_a_version_is_compared_over_the_minutes_in_which_both_were_judged():
    mine, theirs = Record(), Record()
    mine.losses[:] = 1.0
    theirs.losses[100:300] = 2.0
    found = scored(mine, theirs, 300, 10.0)
    assert (found.judged, found.pinball, found.ratio) == (KEPT, 0.1, 0.5)
    assert math.isnan(scored(theirs, theirs, 300, 10.0).ratio)


# -- verdicts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "refit", "age_h", "scores", "move"),
    [
        (Role.CHALLENGER, True, 1, (59, 0.5, 0.0001), None),
        (Role.CHALLENGER, True, 1, (60, 1.02, 0.6), Move.PROMOTE),
        (Role.CHALLENGER, True, 1, (60, 1.03, 0.9), None),
        (Role.CHALLENGER, True, 6, (300, 1.03, 0.9), Move.REFUSE),
        (Role.CHALLENGER, True, 6, (10, 0.5, math.nan), Move.REFUSE),
        (Role.CHALLENGER, False, 6, (300, 1.0, 0.5), None),
        (Role.CHALLENGER, False, 6, (300, 0.97, 0.02), None),
        (Role.CHALLENGER, False, 6, (300, 0.97, 0.009), Move.PROMOTE),
        (Role.CHALLENGER, False, 7 * 24, (1400, 0.99, 0.3), Move.REFUSE),
        (Role.PREDECESSOR, True, 2, (120, 0.9, 0.001), Move.ROLL_BACK),
        (Role.PREDECESSOR, True, 2, (120, 0.99, 0.001), None),
        (Role.PREDECESSOR, True, 24, (1400, 1.1, 0.99), Move.RETIRE),
    ],
)
def test_what_becomes_of_a_version_in_the_shadow(role, refit, age_h, scores, move):
    judged, ratio, p_value = scores
    one = Version(
        number=2,
        model="combined",
        code="combined-v1",
        made_at=0.0,
        why="",
        window=(0.0, 0.0),
        role=role,
        since=0.0,
        scores=Scores(judged=judged, ratio=ratio, p_value=p_value),
    )
    found = verdict(one, age_h * HOUR_S, refit=refit)
    assert (None if found is None else found.move) is move


# -- a lineage -----------------------------------------------------------------------------------------


def test_a_young_model_goes_on_with_its_fit_at_once_and_each_fit_is_a_version():
    one = Lineage("ScalingPolicy/shop/web", make("combined"), make, Terms(elsewhere=True))
    now = START
    fits = 0
    for minute in range(200):
        now = START + minute * 60.0
        one.learn(now, 100.0 + minute % 7)
        job = one.job(now)
        if job is not None:
            fits += 1
            one.take(FitResult(job=job, fitted=fit(job.history, job.members)), now)
    assert fits == 3
    assert one.current.number == fits + 1
    assert [each.role for each in one.versions[:-1]] == [Role.RETIRED] * fits
    assert np.isfinite(one.champion.paths(now, 30)).all()


def test_without_anybody_who_fits_the_champion_fits_itself_and_that_is_told():
    one = Lineage("ScalingPolicy/shop/web", Combined(SPEC, members=FEW), make, Terms(elsewhere=False))
    live(one, 300)
    assert one.job(START) is None
    assert one.current.number >= 4
    with pytest.raises(InvalidInput, match="fit themselves"):
        one.refit("ada: look")


def test_a_refit_of_a_grown_model_is_tried_in_the_shadow_and_takes_over_when_it_is_no_worse():
    one = lineage()
    now = live(one, 100)
    before = one.champion
    refitted(one, now)
    assert one.champion is before
    assert [each.role for each in one.versions[-2:]] == [Role.CHAMPION, Role.CHALLENGER]
    now = live(one, 200, begin=now)
    assert one.champion is not before
    assert [each.role for each in one.versions[-2:]] == [Role.PREDECESSOR, Role.CHAMPION]
    assert one.current.parent == one.versions[-2].number
    assert one.current.scores.ratio <= 1.02


def test_a_fit_that_raises_hangs_or_talks_nonsense_never_replaces_a_good_one():
    one = lineage()
    now = live(one, 100)
    before, good = one.champion, one.champion.paths(now, 30)
    one.refit("asked")
    one.take(FitResult(job=one.job(now), fitted=None, error="the fit took longer than 60 s and was ended"), now)
    assert (one.champion, one.told[-1].what) == (before, "not fitted")
    one.refit("asked")
    job = one.job(now)
    wild = fit(job.history, job.members)
    for some in wild.coefficients.values():
        for array in some.values():
            array[...] = np.nan
    wild.norms.size[...] = np.nan
    one.take(FitResult(job=job, fitted=wild), now)
    assert one.champion is before
    assert one.versions[-1].role is Role.REFUSED
    assert one.versions[-1].detail == "it foretells what is no number"
    assert np.array_equal(one.champion.paths(now, 30), good)


def test_a_fit_that_lost_on_the_past_is_not_even_tried():
    one = lineage()
    now = live(one, 100)
    one.refit("asked")
    job = one.job(now)
    poor = fit(job.history, job.members)
    poor.start.pinball[:] *= 100.0
    one.take(FitResult(job=job, fitted=poor), now)
    assert one.versions[-1].role is Role.REFUSED
    assert "times what the champion lost" in one.versions[-1].detail


def test_a_worse_challenger_is_refused_at_the_end_of_its_trial():
    one = lineage()
    now = live(one, 100)
    stranger = make("combined")
    times = START - DAY_S + np.arange(1440) * 60.0
    stranger.backfill(times, wave(times, level=300.0))
    one.challenge(stranger, now, "another history")
    live(one, 480, begin=now)
    assert one.versions[-1].role is Role.REFUSED
    assert one.versions[-1].scores.ratio > 1.02


def test_people_promote_what_is_in_the_shadow_and_take_that_back():
    one = lineage()
    now = live(one, 100)
    first = one.champion
    refitted(one, now)
    number = one.versions[-1].number
    one.promote(number, "ada: I looked at it", now)
    assert one.current.number == number
    with pytest.raises(InvalidInput, match="only one in the shadow can act"):
        one.promote(number, "ada: again", now)
    with pytest.raises(InvalidInput, match="has no version 77"):
        one.promote(77, "ada", now)
    assert one.roll_back("ada: no", now) == number - 1
    assert one.champion is first


def test_a_predecessor_that_was_better_after_all_comes_back_by_itself():
    one = lineage()
    now = live(one, 100)
    first = one.champion
    naive = make("seasonal-naive")
    times = START - DAY_S + np.arange(1440) * 60.0
    naive.backfill(times, wave(times))
    one.challenge(naive, now, "another model")
    one.promote(one.versions[-1].number, "ada: by mistake", now)
    live(one, 400, begin=now)
    assert one.champion is first
    assert "it was better after all" in one.current.detail


def test_drift_asks_for_a_fit_and_for_no_more_than_a_few_a_day():
    one = lineage()
    now = live(one, 1000)
    now = live(one, 240, begin=now, noise=40.0)
    assert one.drift
    jobs = 0
    for _ in range(20):
        one.refit("drift")
        job = one.job(now)
        if job is not None:
            jobs += 1
            one.take(FitResult(job=job, fitted=None, error="busy"), now)
    assert jobs == MOST_FITS_A_DAY
    assert one.told[-1].why == f"{MOST_FITS_A_DAY} fits within a day are the most"


def test_a_job_is_asked_for_once_until_it_is_answered():
    one = lineage()
    now = live(one, 60)
    one.refit("asked")
    job = one.job(now)
    assert job is not None
    one.refit("asked again")
    assert one.job(now) is None


def test_challengers_that_a_policy_names_learn_the_history_and_are_judged_from_then_on():
    one = Lineage(
        "ScalingPolicy/shop/web", make("combined"), make, Terms(elsewhere=True, challengers=("seasonal-naive",))
    )
    times = START - DAY_S + np.arange(1440) * 60.0
    one.backfill(times, wave(times))
    assert [(each.model, each.role) for each in one.versions] == [
        ("seasonal-naive", Role.CHALLENGER),
        ("combined", Role.CHAMPION),
    ]
    live(one, 200)
    (naive,) = (number for number in one.scores() if number != one.current.number)
    assert one.scores()[naive].ratio > 1.0


# -- drift ---------------------------------------------------------------------------------------------


def test_errors_that_grow_are_drift_and_errors_that_shrink_are_none():
    rng = np.random.default_rng(3)
    for later, said in ((3.0, True), (1.0, False), (0.3, False)):
        drift, found = Drift(), ""
        for minute in range(4000):
            loss = 7.0 * rng.gamma(4.0, (1.0 if minute < 2000 else later) / 4.0)
            found = found or drift.errors(minute, loss)
        assert bool(found) is said


def test_the_engine_of_adwin_by_itself_cuts_where_the_package_does():
    from river.drift import ADWIN

    dice = np.random.default_rng(5)
    whole, cut, found = ADWIN(delta=DELTA, clock=CLOCK), adwin(), []
    for number in range(3000):
        error = float(dice.gamma(2.0, 0.5) * (1.0 if number % 1000 < 600 else 3.0))
        whole.update(error)
        assert cut(error) == whole.drift_detected, number
        found += [number] if whole.drift_detected else []
    assert len(found) >= 3


def test_intervals_that_cover_too_little_for_hours_are_drift_and_a_short_miss_is_none():
    record = Record()
    record.inside[:COVERED_MIN] = 0.8
    assert cover(record, COVERED_MIN - 1).why == ""
    record.inside[:COVERED_MIN] = 0.3
    assert cover(record, COVERED_MIN - 1).why == "30% of the values lay in the 80 % interval for 6 h"
    record.inside[60:] = np.nan
    assert cover(record, COVERED_MIN - 1) is None
