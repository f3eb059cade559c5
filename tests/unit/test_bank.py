"""The bank: findings and incidents through time, changes of rows and policies, and checkpoints."""

from __future__ import annotations

import math

import numpy as np
import pytest

from aiops.core.bank import Bank
from aiops.core.detect.fleet import budgets
from aiops.core.model import FindingKind, IncidentState
from tests.unit.fleet import (
    DAY_S,
    SCALING,
    START,
    WATCH,
    Days,
    a_scaling,
    a_set,
    a_watch,
    an_index,
    demand_history,
    services,
)

CHECKOUT = f"{WATCH}#service=checkout"


def taught(*names: str, **rules: object) -> Days:
    days = Days(a_set(a_watch(**rules)), services(*names))
    days.learn_history(1.5)
    days.ticks(8)
    return days


# -- findings ------------------------------------------------------------------------------------------


def test_a_calm_day_has_hardly_a_finding() -> None:
    days = taught("checkout", "cart")
    opened = sum(bool(percepts.findings) for percepts in days.ticks(2000))
    assert opened <= 8


def test_what_is_far_off_is_found_at_once_and_says_what_was_expected() -> None:
    days = taught("checkout", "cart")
    (finding,) = days.tick([160.0, 100.0]).findings
    assert (finding.series, finding.kind, finding.policy) == (CHECKOUT, FindingKind.POINT, WATCH)
    assert finding.score > 2
    assert finding.lower < finding.expected < finding.upper < 160.0
    assert finding.p_value < 1e-4
    assert "160 is above the usual" in finding.reason
    assert finding.since == finding.at == days.now


def test_what_is_beyond_the_band_is_found_at_its_first_sample() -> None:
    days = taught("checkout")
    usual = days.ticks(20)[-1]
    (far,) = days.tick([160.0]).findings
    days.ticks(20)
    (finding,) = days.tick([far.expected + 4.0 * (far.upper - far.expected)]).findings
    assert usual.findings == ()
    assert finding.since == finding.at == days.now


def test_a_finding_stands_until_it_has_been_calm_for_four_samples() -> None:
    days = taught("checkout")
    since = days.tick([160.0]).findings[0].since
    for _ in range(3):
        (finding,) = days.tick([100.0]).findings
        assert finding.since == since
        assert "back within" in finding.reason
    assert days.tick([100.0]).findings == ()


def test_an_anomaly_does_not_become_the_baseline() -> None:
    days = taught("checkout")
    before = days.tick([160.0]).findings[0]
    after = days.ticks(100, [160.0])[-1].findings[0]
    assert after.expected == pytest.approx(before.expected, abs=1)
    assert after.score > 2


def test_a_deviation_that_stays_is_a_level_shift_and_then_the_new_level() -> None:
    days = taught("checkout")
    kinds = [
        [f.kind for f in percepts.findings]
        for percepts in (days.tick(160.0 + days.chance.normal(0, 2, 1)) for _ in range(300))
    ]
    assert kinds[10] == [FindingKind.POINT]
    assert kinds[100] == [FindingKind.LEVEL_SHIFT]
    assert kinds[299] == []
    assert days.tick([160.0]).findings == ()
    assert days.tick([260.0]).findings != ()


def test_a_series_that_always_moved_and_stands_still_is_flat() -> None:
    days = taught("checkout", "cart")
    kinds = [{f.kind for f in p.findings} for p in days.ticks(80, [101.25, 100.5])]
    assert kinds[20] == set()
    assert kinds[-1] == {FindingKind.FLATLINE}
    flat = days.tick([101.25, 99.0]).findings
    assert "does not move from 101 any more" in flat[0].reason
    days.ticks(8)
    assert days.tick().findings == ()


def test_a_series_that_never_moves_is_not_flat() -> None:
    days = Days(a_set(a_watch()), services("checkout"))
    assert all(not p.findings for p in days.ticks(3000, [3.0]))


def test_a_known_series_that_is_missing_for_some_ticks_is_absent() -> None:
    days = taught("checkout", "cart")
    seen = [days.tick([math.nan, 100.0]).findings for _ in range(6)]
    assert seen[3] == ()
    assert [f.kind for f in seen[5]] == [FindingKind.ABSENCE]
    assert "is gone" in seen[5][0].reason
    for _ in range(4):
        days.tick([100.0, 100.0])
    assert days.tick([100.0, 100.0]).findings == ()


def test_a_source_that_fails_is_no_absence_s1() -> None:
    days = taught("checkout")
    for _ in range(20):
        assert days.tick([math.nan], learn=False).findings == ()


def test_a_source_that_fails_closes_nothing_s1() -> None:
    days = taught("checkout")
    opened = days.tick([160.0]).findings[0]
    for _ in range(20):
        (still,) = days.tick([math.nan], learn=False).findings
        assert still.since == opened.since


# -- incidents -----------------------------------------------------------------------------------------


def test_findings_that_share_a_label_are_one_incident_that_keeps_its_id() -> None:
    index = an_index([{"service": "checkout", "zone": "a"}, {"service": "checkout", "zone": "b"}, {"service": "cart"}])
    days = Days(a_set(a_watch()), index)
    days.learn_history(1.5)
    days.ticks(4)
    (first,) = days.tick([160.0, 100.0, 100.0]).incidents
    (both,) = days.tick([160.0, 190.0, 100.0]).incidents
    assert both.id == first.id
    assert dict(both.labels) == {"service": "checkout"}
    assert len(both.series) == 2
    for _ in range(5):
        (left,) = days.tick([100.0, 190.0, 100.0]).incidents
    assert (left.id, left.since, left.standing) == (first.id, first.since, 1)
    assert left.series == (index.keys[0], index.keys[1])
    days.ticks(30, [100.0, 100.0, 100.0])
    (other,) = days.tick([100.0, 100.0, 200.0]).incidents
    assert (other.series, other.id != first.id) == ((index.keys[2],), True), "another thing, and long after"


def test_an_incident_ends_once_nothing_of_it_has_been_open_for_two_minutes() -> None:
    days = taught("checkout", "cart")
    days.tick([160.0, 100.0])
    told = [days.tick([100.0, 100.0]).incidents for _ in range(14)]
    states = [one.state for (one,) in filter(None, told)]
    assert states == [IncidentState.OPEN] * (len(states) - 1) + [IncidentState.ENDED]
    (last,) = told[len(states) - 1]
    assert last.standing == 0
    assert days.now - last.seen_at >= 120.0
    assert told[-1] == ()


def test_the_things_that_others_depend_on_lead_the_suspects() -> None:
    days = Days(a_set(a_watch()), services("checkout", "db"), dependencies={"checkout": ["shop/db"]})
    days.learn_history(1.5)
    days.ticks(8)
    (one,) = days.tick([400.0, 160.0]).incidents
    assert [(s.name, s.why) for s in one.suspects] == [
        ("shop/checkout", ("deviates most",)),
        ("shop/db", ("1 of 1 others depend on it",)),
    ]


# -- following series and policies -----------------------------------------------------------------------


def test_series_keep_what_is_known_of_them_when_others_come_and_go() -> None:
    days = taught("checkout", "cart")
    days.index = services("search", "cart", "checkout")
    (finding,) = days.tick([100.0, 100.0, 160.0]).findings
    assert finding.series == CHECKOUT
    assert dict(finding.labels) == {"service": "checkout"}


def test_a_series_that_comes_back_goes_on_where_it_was() -> None:
    days = taught("checkout", "cart")
    days.index = services("cart")
    days.ticks(40)
    days.index = services("cart", "checkout")
    (finding,) = days.tick([100.0, 160.0]).findings
    assert finding.series == CHECKOUT


def test_a_series_that_stays_away_for_more_than_a_day_is_forgotten() -> None:
    days = taught("checkout", "cart")
    days.index = services("cart")
    days.tick()
    days.now += 2 * DAY_S
    days.index = services("cart", "search")
    days.tick()
    days.index = services("cart", "checkout")
    assert days.tick([100.0, 160.0]).findings == ()


def test_new_rules_hold_at_once_and_forget_nothing() -> None:
    days = taught("checkout")
    days.policies = a_set(a_watch(min_deviation=500.0))
    assert days.tick([160.0]).findings == ()
    days.policies = a_set(a_watch())
    assert days.tick([160.0]).findings != ()


def test_another_query_under_the_same_name_is_learnt_anew() -> None:
    days = taught("checkout")
    days.policies = a_set(a_watch(expr="something_else"))
    assert days.tick([160.0]).findings == ()


def test_a_policy_that_is_gone_takes_its_findings_along() -> None:
    days = taught("checkout")
    assert days.tick([160.0]).findings != ()
    days.policies = a_set()
    percepts = days.tick([160.0])
    assert percepts.findings == ()
    assert [one.standing for one in percepts.incidents] == [0]
    assert days.ticks(12)[-1].incidents == ()


def test_seasons_of_different_length_live_side_by_side() -> None:
    other = "WatchPolicy/shop/hourly"
    policies = a_set(a_watch(), a_watch(other, season_s=3600.0))
    index = services("checkout")
    both = type(index)(keys=(*index.keys, f"{other}#service=cart"), labels=(*index.labels, {"service": "cart"}))
    days = Days(policies, both)
    days.learn_history(1.5)
    days.ticks(8)
    assert {f.policy for f in days.tick([160.0, 160.0]).findings} == {WATCH, other}


def test_a_demand_with_another_query_is_learnt_anew_and_the_same_is_not() -> None:
    days = Days(a_set(a_scaling()), services())
    days.bank.backfill_demand(SCALING, *demand_history(3))
    days.policies = a_set(a_scaling(), a_watch())
    assert days.tick().forecasts[SCALING].learned
    days.policies = a_set(a_scaling(expr="other"))
    assert not days.tick().forecasts[SCALING].learned


def test_history_that_comes_late_teaches_what_is_young_and_leaves_what_is_known() -> None:
    days = Days(a_set(a_watch()), services("checkout"))
    days.ticks(10)
    days.learn_history(1.5)
    assert days.tick([160.0]).findings != ()
    expected = days.tick([100.0]).findings[0].expected
    times = START - 3600.0 + np.arange(60) * 60.0
    days.bank.backfill_watch(times, np.full((1, 60), 900.0), days.index)
    assert days.tick([160.0]).findings[0].expected == pytest.approx(expected, abs=2)


# -- checkpoints -----------------------------------------------------------------------------------------


def a_busy_bank() -> Days:
    days = Days(a_set(a_watch(), a_scaling()), services("checkout", "cart"))
    days.learn_history(1.5)
    days.bank.backfill_demand(SCALING, *demand_history(3))
    days.ticks(8)
    days.tick([160.0, 100.0])
    return days


def restored(days: Days) -> Days:
    again = Days(days.policies, days.index)
    again.now = days.now
    refused = again.bank.restore({key: np.array(array) for key, array in days.bank.arrays().items()})
    assert refused == ()
    return again


def test_a_restart_loses_no_learning_no_finding_and_no_incident() -> None:
    days = a_busy_bank()
    again = restored(days)
    for values in ([162.0, 100.0], [100.0, 100.0], [99.0, 99.0], [130.0, 99.0]):
        before, after = days.tick(values, demand=510.0), again.tick(values, demand=510.0)
        assert after.findings == before.findings
        assert after.incidents == before.incidents
    np.testing.assert_array_equal(after.forecasts[SCALING].paths, before.forecasts[SCALING].paths)
    assert before.findings != ()


def test_a_checkpoint_of_another_query_is_learnt_again() -> None:
    days = a_busy_bank()
    again = Days(a_set(a_watch(expr="other"), a_scaling(expr="other")), days.index)
    again.now = days.now
    (refused,) = again.bank.restore(days.bank.arrays())
    assert refused.startswith(f"demand of {SCALING}: ")
    percepts = again.tick([160.0, 100.0])
    assert percepts.findings == ()
    assert not percepts.forecasts[SCALING].learned


def test_a_checkpoint_without_what_is_asked_for_now_says_so() -> None:
    days = Days(a_set(a_watch(), a_scaling()), services("checkout"))
    refused = days.bank.restore(Bank(a_set()).arrays())
    assert len(refused) == 2
    assert all("does not have it" in one for one in refused)
    days.tick()


def test_something_else_is_no_checkpoint() -> None:
    bank = Bank(a_set(a_watch()))
    with pytest.raises(ValueError, match="no checkpoint of models"):
        bank.restore({})
    with pytest.raises(ValueError, match="format 1"):
        bank.restore({"about": np.frombuffer(b'{"format": 1}', np.uint8)})


# -- what is known of one series, flagged or not ---------------------------------------------------------


def test_a_look_at_a_series_says_the_numbers_behind_its_score() -> None:
    days = taught("checkout", "cart")
    (finding,) = days.tick([160.0, 100.0]).findings
    seen, calm = days.bank.look(CHECKOUT), days.bank.look(f"{WATCH}#service=cart")
    assert seen is not None
    assert calm is not None
    assert (seen.value, seen.expected, seen.upper) == (160.0, finding.expected, finding.upper)
    assert seen.score > 2 > calm.score
    assert seen.evidence["alarm_at"] == days.now
    assert calm.evidence["budget_per_week"] == days.policies.watches[0].false_alarms_per_week
    assert days.bank.look(f"{WATCH}#service=none") is None


def test_a_look_in_the_signal_tier_joins_its_surprises_to_the_score() -> None:
    days = taught("checkout", detector="novelty")
    (finding,) = days.tick([160.0]).findings
    found = dict(finding.evidence)
    surprises = np.array(
        [found[f"surprise_{view}"] for view in ("value", "shape", "context") if f"surprise_{view}" in found]
    )
    assert found["surprise"] == pytest.approx(math.sqrt(float(surprises @ surprises) / len(surprises)))
    assert finding.score == pytest.approx(2.0 ** (found["surprise"] - found["allowed"]), rel=1e-5)


def test_sights_hold_every_row_of_the_frame() -> None:
    days = taught("checkout", "cart")
    days.tick([160.0, 101.0])
    (sight,) = days.bank.sights
    names = [sight.index.keys[place] for place in sight.places]
    assert names == list(days.index.keys)
    assert sight.values.tolist() == [160.0, 101.0]


def test_chance_among_series_that_share_a_budget_is_what_they_share() -> None:
    index = services(*(f"s{n}" for n in range(50)))
    for rules in ({"false_alarms_per_week": 50.0}, {"false_alarms_per_week": 1.0, "budget_per_week": 1.0}):
        policies = a_set(a_watch(**rules))
        joined = min(rules["false_alarms_per_week"], rules.get("budget_per_week", math.inf) / 50)
        assert budgets(policies.watches, index) == {WATCH: joined}
