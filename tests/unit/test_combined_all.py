"""`combined-all`: members of other libraries are fitted beside the loop, and take nothing from who is good without."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from aiops.core.forecast import FORECASTERS
from aiops.core.forecast.combined import Combined, CombinedAll
from aiops.core.forecast.fitting import LATER, fit
from aiops.core.forecast.members import MEMBERS, SIGNAL_MEMBERS, Coefficients, Limits, Outside
from aiops.core.forecast.members.outside import _smoothed
from aiops.core.forecast.past import Past
from aiops.core.lineage.lineage import Lineage
from aiops.core.lineage.version import FitJob, FitResult, Role, Terms
from aiops.core.model import F64
from aiops.core.protocols import Forecaster
from aiops.engine.trainer import fitted, within
from simulators.policy_tests import run_case
from simulators.policy_tests.files import suite
from tests.unit.test_lineage import DAY_S, SPEC, START, live, wave

ROOT = Path(__file__).parents[2]
KEY = "ScalingPolicy/shop/web"
GOOD, NOTHING = 1.0, np.nan


class Slow(Outside):
    """A member that stands for one of another library: quick, so that a lineage of it lives through days in seconds."""

    name = "slow"
    voices = ("slow",)

    def fit(self, past: Past, ends: Sequence[int]) -> tuple[Coefficients, ...]:
        self._limits.check()
        return tuple({"share": np.full((len(past.raw), 1), GOOD)} for _ in ends)

    def foretell(self, past: Past, coefficients: Coefficients, origins: slice) -> F64:
        wanted = [past.at(past.profile, origins, knot) for knot in past.grid.knots.tolist()]
        return np.asarray(coefficients["share"][:, :, None] * np.stack(wanted, axis=1))[:, None]


class Hanging(Slow):
    """One whose optimiser goes on until its limits end it."""

    name = "hanging"

    def fit(self, past: Past, ends: Sequence[int]) -> tuple[Coefficients, ...]:
        while True:
            self._stop()


FEW = (*MEMBERS[:3], Slow(Limits()))


def make(name: str) -> Forecaster:
    return CombinedAll(SPEC, members=FEW, refits=False) if name == CombinedAll.name else FORECASTERS[name](SPEC)


def history() -> tuple[F64, F64]:
    times = START - DAY_S + np.arange(1440) * 60.0
    return times, wave(times)


def lineage(champion: str = CombinedAll.name, *challengers: str) -> Lineage:
    one = Lineage(KEY, make(champion), make, Terms(elsewhere=True, code="aiops test", challengers=challengers))
    one.backfill(*history())
    return one


def asked(one: Lineage, now: float) -> FitJob:
    job = one.job(now)
    assert job is not None
    return job


def weight(model: Forecaster) -> float:
    """Return the weight of the slow member an hour's profile ahead of a few minutes."""
    assert isinstance(model, CombinedAll)
    assert model.standing is not None
    return float(model.standing.weights(model.grid)[0, -1, 3])


# -- who fits what -----------------------------------------------------------------------------------------------------


def test_it_is_combined_with_the_members_of_other_libraries_and_shares_a_pass_with_its_like():
    policies_members = FORECASTERS["combined-all"](SPEC)
    assert isinstance(policies_members, Combined)
    assert [one.name for one in policies_members.members[-3:]] == ["ets", "harmonic-arma", "online"]
    assert policies_members.members is CombinedAll(SPEC).members is SIGNAL_MEMBERS
    assert [one.name for one in FORECASTERS["combined"](SPEC).members] == [one.name for one in MEMBERS]


def test_a_loop_hears_the_quick_members_at_once_and_asks_for_a_fit_of_all_which_is_then_a_challenger():
    one = lineage()
    champion = one.champion
    assert champion.fitted.left_out == {"slow": LATER}
    assert weight(champion) == 0.0
    assert np.isfinite(champion.paths(START, 30)).all()
    job = asked(one, START)
    assert (job.why, job.number) == ("to hear slow", one.current.number)
    one.take(FitResult(job=job, fitted=fitted(job)), START)
    made = one.versions[-1]
    assert (made.model, made.role, made.parameters.get("left out")) == ("combined-all", Role.CHALLENGER, None)
    now = live(one, 125)
    assert one.current.number == made.number, "it is no worse, and acts"
    assert weight(one.champion) > 0.1, "who foretells as well is heard as well"
    assert asked(one, now).why == "its history has grown"


def test_a_young_model_is_fitted_beside_the_loop_from_its_first_minutes():
    one = Lineage(KEY, make("combined-all"), make, Terms(elsewhere=True))
    now = live(one, 4)
    job = asked(one, now)
    assert job.why == "its history has grown"
    one.take(FitResult(job=job, fitted=fitted(job)), now)
    assert set(one.champion.fitted.coefficients) == {each.name for each in FEW}


# -- fits that fail ----------------------------------------------------------------------------------------------------


def test_a_member_that_hangs_is_left_out_of_a_fit_within_half_its_time_and_the_others_are_heard(monkeypatch):
    ticks = count()
    monkeypatch.setattr("aiops.engine.trainer.time.monotonic", lambda: float(next(ticks)))
    job = replace(asked(lineage(), START), members=(*FEW, Hanging(Limits())))
    made = within(60.0)(job)
    assert made.left_out == {"hanging": "OutOfTime: not fitted within 30 s"}
    assert "slow" in made.coefficients


def test_its_members_and_their_limit_go_to_another_process():
    work, members = pickle.loads(pickle.dumps((within(60.0), SIGNAL_MEMBERS)))
    assert [one.name for one in members] == [one.name for one in SIGNAL_MEMBERS]
    job = asked(lineage(), START)
    assert work(job).left_out == {}


def test_a_fit_that_ends_raises_or_foretells_nothing_leaves_the_model_that_acts():
    one = lineage()
    before, good = one.champion, one.champion.paths(START, 30)
    job = asked(one, START)
    one.take(FitResult(job=job, fitted=None, error="the fit took longer than 60 s and was ended"), START)
    assert one.told[-1].what == "not fitted"
    one.refit("asked")
    job = asked(one, START)
    wild = fit(job.history, job.members)
    wild.coefficients["slow"]["share"][...] = NOTHING
    wild.norms.size[...] = np.nan
    one.take(FitResult(job=job, fitted=wild), START)
    assert one.versions[-1].detail == "it foretells what is no number"
    assert one.champion is before
    assert np.array_equal(before.paths(START, 30), good)


def test_parameters_that_are_no_numbers_have_no_voice():
    one = lineage()
    job = asked(one, START)
    empty = fit(job.history, job.members)
    empty.coefficients["slow"]["share"][...] = NOTHING
    one.take(FitResult(job=job, fitted=empty), START)
    (challenger,) = one._shadow.values()
    assert np.isfinite(challenger.paths(START, 30)).all()


# -- as a challenger, and after a restart ------------------------------------------------------------------------------


def test_as_a_challenger_of_another_kind_it_is_fitted_too_and_nobody_acts_on_it():
    one = lineage("seasonal-naive", "combined-all")
    challenger = next(each for each in one.versions if each.role is Role.CHALLENGER)
    job = asked(one, START)
    assert (job.number, job.why) == (challenger.number, "to hear slow")
    assert one.job(START) is None, "it is asked for once"
    one.take(FitResult(job=job, fitted=fitted(job)), START)
    model = one._shadow[challenger.number]
    assert weight(model) > 0.1
    assert one.champion.name == "seasonal-naive"
    live(one, 70)
    job = asked(one, START + 70 * 60.0)
    assert job.why == "its history has grown"
    one.take(FitResult(job=job, fitted=None, error="busy"), START)
    assert (one._shadow[challenger.number], one.told[-1].what) == (model, "not fitted")
    assert one.job(START + 71 * 60.0) is None


def test_what_was_fitted_outlives_a_restart_though_history_is_learnt_again():
    one = lineage()
    job = asked(one, START)
    one.take(FitResult(job=job, fitted=fitted(job)), START)
    one.promote(one.versions[-1].number, "ada: seen", START)
    again = Lineage(KEY, make("combined-all"), make, Terms(elsewhere=True, code="aiops test"))
    again.restore(one.arrays(), one.champion.arrays())
    number = again.current.number
    again.backfill(*history())
    assert again.current.number == number, "no other version has come of it"
    assert again.champion.unheard == ()
    assert weight(again.champion) == weight(one.champion) > 0.1
    assert asked(again, START).why == "its history has grown"


# -- foretelling -------------------------------------------------------------------------------------------------------


def test_levels_and_trends_are_those_of_the_recursion():
    values = np.random.default_rng(5).normal(size=(2, 300)).cumsum(axis=1)
    parameters = np.array([[0.7, 0.1, 0.9], [0.05, 0.02, 0.98]])
    levels, trends = _smoothed(values, parameters, slice(280, 310, 19))
    for place, origin in enumerate((280, 299)):
        level, trend = values[:, origin - 256].copy(), np.zeros(2)
        for column in range(origin - 255, origin + 1):
            smooth, lean, damping = parameters.T
            error = values[:, column] - level - damping * trend
            level, trend = level + damping * trend + smooth * error, damping * trend + lean * error
        np.testing.assert_allclose(levels[:, place], level, rtol=1e-9)
        np.testing.assert_allclose(trends[:, place], trend, rtol=1e-9, atol=1e-12)


# -- through the loop --------------------------------------------------------------------------------------------------


TESTED = """\
policies: [search.yaml]
step: 15s
tests:
  - name: demand that rises is followed
    replicas: 2
    given: {mode: enforce, history: {series: '100+5x59 395-5x58', step: 1m, repeat: 6}}
    series: {demand: '100+1.25x40'}
    expect: [{by: 10m, action: Scale}]
"""


@pytest.mark.slow
def test_a_policy_that_names_it_is_served_by_it_and_the_same_twice(tmp_path):
    policy = (ROOT / "policies" / "search.yaml").read_text()
    assert "forecast: {history: 14d}" in policy
    (tmp_path / "search.yaml").write_text(
        policy.replace("forecast: {history: 14d}", "forecast: {model: combined-all, season: 1h, history: 12h}")
    )
    (tmp_path / "search.test.yaml").write_text(TESTED)
    (case,) = suite([tmp_path / "search.test.yaml"]).cases
    one, two = run_case(case), run_case(case)
    assert one.passed, one.failures
    assert {each.forecast.model for each in one.run.moments} == {"combined-all-v1"}
    assert one.run.moments[-1].forecast.learned
    told, again = ([(each.forecast, each.decision) for each in found.run.moments] for found in (one, two))
    assert told == again
