"""The bank's forecasts: how long they stand, and policies among many that neither help nor harm one another."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from aiops.core.bank import Bank
from aiops.core.capacity import Demand
from aiops.core.forecast.fitting import fit
from aiops.core.forecast.seasonal_naive import SeasonalNaive
from aiops.core.lineage.version import FitResult, Role
from aiops.core.model import Forecast, Percepts
from aiops.core.policies import PolicySet
from tests.unit import storefront
from tests.unit.fleet import (
    SCALING,
    START,
    Days,
    a_frame,
    a_scaling,
    a_set,
    an_index,
    demand_history,
    services,
)

# -- one policy's forecast -----------------------------------------------------------------------------


def test_a_forecast_stands_for_a_minute_and_is_then_made_anew() -> None:
    days = Days(a_set(a_scaling()), services())
    days.bank.backfill_demand(SCALING, *demand_history(3))
    issued = [days.tick(demand=500.0 + n).forecasts[SCALING] for n in range(9)]
    assert len({id(one) for one in issued}) == 3
    one = issued[-1]
    assert (one.policy, one.signal, one.model, one.step_s) == (SCALING, "demand", "seasonal-naive-v1", 60.0)
    assert one.learned
    assert len(one.paths) == len(one.quantiles)
    assert one.quantile_max(0.95, one.issued_at + 300) > one.quantile_max(0.5, one.issued_at + 300) > 400


def test_demand_that_must_not_be_learnt_is_a_gap_s1() -> None:
    days = Days(a_set(a_scaling()), services())
    days.bank.backfill_demand(SCALING, *demand_history(3))
    for n in range(40):
        at = START + 15.0 * n
        demands = {SCALING: Demand(9_000.0, whole=False)}
        percepts = days.bank.perceive(a_frame(at, days.index, []), demands, days.policies)
    assert percepts.forecasts[SCALING].quantile_max(0.99, at + 600) < 1200


def test_a_policy_without_a_forecast_has_none() -> None:
    days = Days(a_set(a_scaling(forecast=False)), services())
    assert days.tick().forecasts == {}
    assert days.bank.peak_demand(SCALING) is None
    days.bank.backfill_demand(SCALING, *demand_history(1))


def test_the_greatest_demand_is_remembered() -> None:
    days = Days(a_set(a_scaling()), services())
    days.bank.backfill_demand(SCALING, *demand_history(2))
    assert days.bank.peak_demand(SCALING) == pytest.approx(800.0, rel=0.01)


# -- forecasts of many policies ------------------------------------------------------------------------


def many(*numbers: int, model: str = "combined") -> PolicySet:
    """Return policies that share the kind of their model, with a season of an hour."""
    made = [a_scaling(f"{SCALING}-{number}", expr=f"rate{number}") for number in numbers]
    spec = replace(made[0].forecast, model=model, season_s=3600.0, history_s=4 * 3600.0)
    return a_set(*(replace(one, forecast=spec) for one in made))


def demand_at(key: str, at: float) -> float:
    number = int(key.rpartition("-")[2])
    chance = np.random.default_rng([number, int(at)])
    return 100.0 * (number + 1) * (1.2 + math.sin(2 * math.pi * at / 3600.0)) + float(chance.normal(0.0, 2.0))


def lead(bank: Bank, policies: PolicySet, steps: range) -> list[dict[str, Forecast]]:
    """Return the forecasts of each turn of 30 s; the demand of one policy is the same whoever is beside it."""
    told = []
    for step in steps:
        at = START + step * 30.0
        demands = {one.key: Demand(demand_at(one.key, at), whole=step % 50 != 7) for one in policies.scaling}
        told.append(dict(bank.perceive(a_frame(at, an_index([]), []), demands, policies).forecasts))
    return told


def learned_bank(policies: PolicySet) -> Bank:
    bank = Bank(policies, elsewhere=True)
    times = START - np.arange(300, 0, -1) * 60.0
    for one in policies.scaling:
        bank.backfill_demand(one.key, times, np.array([demand_at(one.key, at) for at in times]))
    return bank


def test_a_policy_among_many_is_foretold_and_judged_as_if_it_were_alone() -> None:
    policies = many(*range(4))
    bank = learned_bank(policies)
    together = lead(bank, policies, range(100))
    for number in (0, 3):
        single = many(number)
        alone = learned_bank(single)
        key = single.scaling[0].key
        assert [turn[key] for turn in together] == [turn[key] for turn in lead(alone, single, range(100))]
        assert repr(bank.lineages[key].scores()) == repr(alone.lineages[key].scores())
        assert bank.lineages[key].scores()[1].judged > 10


def test_policies_that_come_and_go_change_no_other_ones_forecast() -> None:
    before, after = many(0, 1, 2), many(2, 7, 0)
    bank, calm = learned_bank(before), learned_bank(many(0, 2))
    told = lead(bank, before, range(60)) + lead(bank, after, range(60, 120))
    untouched = lead(calm, many(0, 2), range(120))
    for one in many(0, 2).scaling:
        assert [turn[one.key] for turn in told] == [turn[one.key] for turn in untouched]
    assert set(told[-1]) == {one.key for one in after.scaling}


def test_a_fit_from_elsewhere_goes_into_a_row_of_its_own_and_a_restart_changes_nothing() -> None:
    policies = many(0, 1, 2)
    bank, calm = learned_bank(policies), learned_bank(many(0, 2))
    lead(bank, policies, range(80))
    asked, now = policies.scaling[1].key, START + 80 * 30.0
    bank.lineages[asked].refit("asked")
    (job,) = (one for one in bank.jobs(now) if one.policy == asked)
    bank.take(FitResult(job=job, fitted=fit(job.history, job.members)), now)
    assert [one.role for one in bank.lineages[asked].versions] == [Role.CHAMPION, Role.CHALLENGER]
    again = Bank(policies, elsewhere=True)
    assert again.restore(bank.arrays()) == ()
    for one in (bank, again):
        one.lineages[asked].promote(2, "ada: I looked at it", now)
    later = lead(bank, policies, range(80, 120))
    assert lead(again, policies, range(80, 120)) == later
    untouched = lead(calm, many(0, 2), range(120))[80:]
    for one in many(0, 2).scaling:
        assert [turn[one.key] for turn in later] == [turn[one.key] for turn in untouched]


class Sick(SeasonalNaive):
    """A model with a bug."""

    def learn(self, at: float, value: float) -> None:
        raise RuntimeError(f"a bug at {at:.0f}")


def perceived(bank: Bank, policies: PolicySet, step: int) -> Percepts:
    at = START + step * 30.0
    demands = {one.key: Demand(demand_at(one.key, at), whole=True) for one in policies.scaling}
    return bank.perceive(a_frame(at, an_index([]), []), demands, policies)


def test_a_bug_in_one_policy_s_forecast_is_told_and_takes_no_other_one_s_s10() -> None:
    policies = many(0, 1, 2)
    bank, sound = learned_bank(policies), learned_bank(policies)
    sick, *others = (one.key for one in policies.scaling)
    bank.lineages[sick].champion = Sick(policies.scaling[0].forecast)
    for step in range(6):
        seen = perceived(bank, policies, step)
        expected = perceived(sound, policies, step).forecasts
        assert dict(seen.forecasts) == {key: expected[key] for key in others}
        assert list(seen.bugs) == [sick]
        assert f"RuntimeError: a bug at {START + step * 30.0:.0f}" in seen.bugs[sick]


def test_a_bug_in_what_some_share_is_theirs_and_nobody_else_s_s10() -> None:
    shared, (apart,) = many(0, 1).scaling, many(5, model="seasonal-naive").scaling
    policies = a_set(*shared, apart)
    bank = learned_bank(policies)
    perceived(bank, policies, 0)
    bank._pool.blocks[0].sums = np.zeros(0)
    seen = perceived(bank, policies, 4)
    assert set(seen.bugs) == {one.key for one in shared}
    assert set(seen.forecasts) == {apart.key}


def test_a_bug_in_the_next_minutes_holds_who_is_steered_by_them_s10() -> None:
    (plain,), (steered,) = many(0).scaling, storefront.policies().scaling
    policies = a_set(plain, steered)
    bank = Bank(policies)
    demands = {one.key: Demand(100.0, whole=True) for one in policies.scaling}
    assert not bank.perceive(a_frame(START, an_index([]), []), demands, policies).bugs
    del bank._lookahead.margins
    seen = bank.perceive(a_frame(START + 60.0, an_index([]), []), demands, policies)
    assert list(seen.bugs) == [steered.key]
    assert plain.key in seen.forecasts
    assert not seen.nowcasts
