"""A CostBudget: what is written, how it stands, what it leaves to policies, and what conditions see of it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.app.replay import Agreement, code_version, platform_version, replay
from aiops.core.bank import Bank
from aiops.core.detect.elsewhere import Elsewhere
from aiops.core.guard import Wish, verdict
from aiops.core.guard.ceiling import ceiling as guard
from aiops.core.model import (
    Allowance,
    BudgetPeriod,
    BudgetStanding,
    Clamp,
    Frame,
    Inputs,
    LoopState,
    Percepts,
    Reason,
    SeriesIndex,
)
from aiops.core.money.books import Books
from aiops.core.money.spend import LOOP, Row, Subject, nano
from aiops.core.observe.environment import of_budgets
from aiops.core.pipeline import Turn, decide
from aiops.core.policies import CostBudget, PolicySet, Whose
from aiops.core.record.codec import from_text, to_text
from aiops.core.record.story import sentence
from aiops.errors import InvalidPolicy
from aiops.policy import parse
from tests.builders import KEY, NOW, answer, context, loaded, need, policy, proposal, snapshot

BUDGET = "CostBudget/shop/payments"
BERLIN = ZoneInfo("Europe/Berlin")
EMPTY = np.zeros(0)


def budget(**spec) -> CostBudget:
    written = {"mode": "enforce", "amount": 1000, "scope": {"team": "payments"}, **spec}
    metadata = {"name": "payments", "namespace": "shop", "labels": {"team": "payments"}}
    whole = {"apiVersion": "policy.aiops/v1alpha1", "kind": "CostBudget", "metadata": metadata, "spec": written}
    return parse(json.dumps(whole), "budget.yaml").budgets[0]


def stands(**changes) -> BudgetStanding:
    made = BudgetStanding(
        budget=BUDGET, period=BudgetPeriod.MONTH, at=NOW, start=NOW - 86400.0, until=NOW + 86400.0, amount=1000.0,
        spent=400.0, projected=1100.0, low=1050.0, high=1150.0, chance_over=0.95, days=14,
    )  # fmt: skip
    return replace(made, **changes)


# -- what is written -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"amount": 0}, "spec.amount: Input should be greater than 0"),
        ({"amount": -5}, "greater than 0"),
        ({"amount": "a lot"}, "'a lot' is no number or quantity"),
        ({"currency": "usd"}, "'usd' is no currency of ISO 4217 such as USD, EUR or JPY; did you mean USD?"),
        ({"currency": "XXQ"}, "'XXQ' is no currency"),
        ({"period": "week"}, "'week' is not one of month, day"),
        ({"timeZone": "Europe/Bärlin"}, "unknown time zone"),
        ({"priorities": [{"maxReplicas": 3}]}, "write either policies or a selector"),
        ({"priorities": [{"policies": ["a"], "maxReplicas": 0}]}, "greater than or equal to 1"),
        ({"priorities": [{"policies": ["a"], "maxReplicas": 3, "above": 0}]}, "greater than 0"),
        (
            {
                "priorities": [
                    {"policies": ["a"], "maxReplicas": 3, "above": 1.2},
                    {"policies": ["b"], "maxReplicas": 3},
                ]
            },
            "spec.priorities[1]: gives way above 1.05, before the one that stands before it",
        ),
        ({"scope": {"selector": {}}}, "an empty selector would select everything"),
        ({"amonut": 3}, "did you mean 'amount'?"),
    ],
)
def test_every_mistake_has_its_place(spec, said):
    with pytest.raises(InvalidPolicy) as caught:
        budget(**spec)
    assert any(said in str(one) for one in caught.value.problems), [str(one) for one in caught.value.problems]


def test_without_a_scope_its_namespace_counts_and_no_other():
    scope = budget(scope={}).scope
    assert scope.covers("shop", {})
    assert not scope.covers("other", {"team": "payments"})


def test_a_team_counts_wherever_its_policies_are():
    scope = budget().scope
    assert scope.covers("other", {"team": "payments"})
    assert not scope.covers("shop", {"team": "search"})


# -- how it stands ---------------------------------------------------------------------------------------

SPENDER = Subject(target="t", policy=KEY, namespace="shop", labels=(("team", "payments"),))
FOREIGN = Subject(target="f", policy="ScalingPolicy/x/y", namespace="x", labels=())


def month(books: Books, at: datetime, usd_per_hour: float, since: datetime) -> None:
    """Let the books hold hours of a steady spend, from one instant up to another."""
    for hour in range(int(since.timestamp()) // 3600 * 3600, int(at.timestamp()), 3600):
        seen = min(3_600_000, round((at.timestamp() - hour) * 1000))
        row = Row(seen_ms=seen, replica_ms=10 * seen, money=nano(usd_per_hour) * seen)
        for subject in (SPENDER, FOREIGN):
            books.history.put(subject, hour, row)
        books.history.put(LOOP, hour, Row(seen_ms=seen))


def standing_at(at: datetime, since: datetime, **spec) -> BudgetStanding:
    books, made = Books(), budget(**spec)
    month(books, at, 2.0, since)
    return books.standings(PolicySet(digest="d", budgets=(made,)), at.timestamp())[made.key]


def test_a_steady_month_is_projected_to_the_cent():
    at = datetime(2026, 11, 15, 12, tzinfo=UTC)
    found = standing_at(at, datetime(2026, 10, 10, tzinfo=UTC))
    assert found.spent == pytest.approx(2.0 * (14 * 24 + 12), abs=1e-6)
    assert found.projected == pytest.approx(2.0 * 720.0, abs=0.005)
    assert (found.low, found.high) == (pytest.approx(1440.0, abs=0.01), pytest.approx(1440.0, abs=0.01))
    assert (found.days, found.chance_over, found.over_since) == (28, 1.0, at.timestamp())


def test_the_month_begins_in_its_own_time_zone_and_knows_of_summer_time():
    at = datetime(2026, 10, 31, 12, tzinfo=BERLIN)
    found = standing_at(at, datetime(2026, 9, 1, tzinfo=UTC), timeZone="Europe/Berlin")
    assert found.start == datetime(2026, 10, 1, tzinfo=BERLIN).timestamp()
    assert (found.until - found.start) / 3600.0 == 745.0, "clocks were set back on the 25th"
    assert found.spent == pytest.approx(2.0 * (745 - 12), abs=1e-6)
    assert found.projected == pytest.approx(2.0 * 745, abs=2.5)


def test_a_zone_of_half_an_hour_begins_within_an_hour():
    zone = ZoneInfo("Asia/Kolkata")
    found = standing_at(
        datetime(2026, 11, 15, tzinfo=zone), datetime(2026, 10, 10, tzinfo=UTC), timeZone="Asia/Kolkata"
    )
    assert found.spent == pytest.approx(2.0 * 14 * 24, abs=1e-6)


def test_a_day_is_projected_by_what_came_later_on_past_days():
    at = datetime(2026, 11, 15, 18, tzinfo=UTC)
    found = standing_at(at, datetime(2026, 10, 30, tzinfo=UTC), period="day", amount=40)
    assert (found.spent, found.projected) == (pytest.approx(36.0), pytest.approx(48.0))
    assert found.chance_over == 1.0


def test_a_first_day_is_projected_by_its_rate_and_tightens_nothing():
    at = datetime(2026, 11, 1, 6, tzinfo=UTC)
    found = standing_at(at, datetime(2026, 11, 1, tzinfo=UTC))
    assert found.projected == pytest.approx(2.0 * 720.0)
    assert (found.low, found.chance_over, found.over_since) == (None, None, None)
    assert found.why == "no whole day was seen yet"


def test_a_gap_is_told_and_costs_what_days_cost():
    books, made = Books(), budget()
    at = datetime(2026, 11, 15, tzinfo=UTC)
    month(books, datetime(2026, 11, 5, tzinfo=UTC), 2.0, datetime(2026, 10, 10, tzinfo=UTC))
    month(books, at, 2.0, datetime(2026, 11, 7, tzinfo=UTC))
    found = books.standings(PolicySet(digest="d", budgets=(made,)), at.timestamp())[made.key]
    assert found.gap_s == 2 * 86400.0
    assert found.spent == pytest.approx(2.0 * 12 * 24)
    assert found.projected == pytest.approx(1440.0, abs=0.01)


def test_replicas_without_a_price_leave_the_projection_unknown():
    books, made = Books(), budget()
    at = datetime(2026, 11, 15, tzinfo=UTC)
    month(books, at, 2.0, datetime(2026, 10, 10, tzinfo=UTC))
    for hour in range(int(datetime(2026, 11, 14, tzinfo=UTC).timestamp()), int(at.timestamp()), 3600):
        lost = Row(seen_ms=3_600_000, replica_ms=36_000_000, unpriced_ms=36_000_000)
        books.history.put(SPENDER, hour, lost)
    found = books.standings(PolicySet(digest="d", budgets=(made,)), at.timestamp())[made.key]
    assert (found.projected, found.why) == (None, "7% of the replica-hours have no price")


def test_a_currency_without_a_rate_is_not_guessed():
    books, made = Books(rates={"EUR": 1.1}), budget(currency="CHF")
    found = books.standings(PolicySet(digest="d", budgets=(made,)), NOW)[made.key]
    assert found.why == "there is no rate of CHF in prices.rates, so that the amount is not known in USD"
    assert made.allowance(WHOSE, found).ceiling is None
    euros = budget(currency="EUR")
    assert books.standings(PolicySet(digest="e", budgets=(euros,)), NOW)[euros.key].amount == pytest.approx(1100.0)


# -- what it leaves --------------------------------------------------------------------------------------

WHOSE = Whose(name="checkout", namespace="shop", labels={"tier": "batch", "team": "payments"}, most=40)
TIGHT = {"priorities": [{"policies": ["checkout"], "maxReplicas": 10}, {"policies": ["search"], "maxReplicas": 5}]}


@pytest.mark.parametrize(
    ("projected", "ceiling"), [(900, None), (1000, None), (1010, 37), (1050, 25), (1100, 10), (2000, 10)]
)
def test_a_ceiling_comes_down_in_a_straight_line(projected, ceiling):
    left = budget(**TIGHT).allowance(WHOSE, stands(projected=float(projected)))
    assert (left.ceiling, left.binds) == (ceiling, True)


def test_the_order_is_the_authors():
    made = budget(**TIGHT)
    assert [one.above for one in made.priorities] == [1.0, 1.05]
    other = replace(WHOSE, name="search")
    assert made.allowance(other, stands(projected=1040.0)).ceiling is None
    assert made.allowance(other, stands(projected=1150.0)).ceiling == 5


def test_once_all_is_spent_ceilings_are_all_the_way_down():
    spent = stands(spent=1001.0, projected=None, chance_over=None)
    assert budget(**TIGHT).allowance(WHOSE, spent).ceiling == 10


def test_a_number_without_an_interval_tightens_nothing():
    assert budget(**TIGHT).allowance(WHOSE, stands(low=None, high=None, chance_over=None)).ceiling is None


def test_policies_are_chosen_by_label_and_only_in_its_own_namespace():
    made = budget(priorities=[{"selector": {"matchLabels": {"tier": "batch"}}, "maxReplicas": 10}])
    assert made.allowance(WHOSE, stands()).ceiling == 10
    assert made.allowance(replace(WHOSE, labels={}), stands()).ceiling is None
    assert made.allowance(replace(WHOSE, namespace="other"), stands()).ceiling is None, "S3"


def ruled(after: int, before: int = 8, reactive: int = 8, **left):
    wish = proposal(before, after, need=need(reactive=reactive, forecast=after))
    allowance = replace(Allowance(standing=stands(), ceiling=10, binds=True), **left)
    return verdict(wish, context(allowances=(allowance,), policy=policy(up=replace(policy().up, rates=()))))


def test_growth_stops_at_the_ceiling_and_says_whose_it_is():
    found = ruled(20)
    bound = found.binding
    assert found.change.after == 10
    assert isinstance(bound.ruling, Clamp)
    assert bound.ruling.reason is Reason.COST_BUDGET
    said = "CostBudget shop/payments projects 1,100.00 of 1,000.00 USD this month (110%): ceiling 10"
    assert said in sentence(found)


def test_a_budget_in_dry_run_tells_and_holds_nothing():
    found = ruled(20, binds=False)
    assert found.change.after == 20
    told = [one.ruling.detail for one in found.rulings if one.guard == "ceiling"]
    assert told[0].endswith("ceiling 10, which would hold it at 10 (the budget is in dry-run)")


@settings(max_examples=200, deadline=None)
@given(
    before=st.integers(1, 40), after=st.integers(1, 40), reactive=st.integers(0, 40), ceiling=st.integers(1, 40),
    low=st.integers(1, 20),
)  # fmt: skip
def test_s5_a_budget_never_holds_back_what_is_needed_now_nor_cuts(before, after, reactive, ceiling, low):
    """S5: a budget stops growth; it never cuts below what is needed now, the floor in force, or what runs."""
    wish = Wish(proposal(before, after, need=need(reactive=reactive)), after)
    bounds = replace(policy().bounds, min_replicas=low)
    allowance = Allowance(standing=stands(), ceiling=ceiling, binds=True)
    ruling = guard(wish, context(policy=policy(bounds=bounds), allowances=(allowance,)))
    left = ruling.after if isinstance(ruling, Clamp) else after
    assert left >= min(after, max(reactive, low, before))
    assert left <= after
    if after <= before:
        assert ruling is None


# -- what conditions see ---------------------------------------------------------------------------------


def test_conditions_see_the_budget_that_is_nearest_to_its_end():
    easy = Allowance(standing=stands(projected=100.0, budget="CostBudget/shop/easy"))
    env = of_budgets((easy, Allowance(standing=stands())))
    assert env["cost.month.projected"] == 1100.0
    assert env["cost.month.budget"] == 1000.0
    assert "cost.day.projected" not in env
    assert "cost.month.low" not in of_budgets((Allowance(standing=stands(low=None)),))


CAPPED = {"guardrails": [{"when": "cost.month.projected > cost.month.budget * 1.1", "then": "cap", "maxReplicas": 20}]}


def turn(made, **standing) -> Turn:
    policies = PolicySet(
        digest="d", scaling=(made,), budgets=(budget(),), labels={made.key: {"team": "payments"}}, step_s=15.0
    )
    shot = snapshot(budgets={BUDGET: stands(**standing)}, answers={made.key: {"demand": answer(1900.0)}})
    return Turn(snapshot=shot, percepts=Percepts(), policies=policies, code="c", platform="p")


def test_the_guardrail_of_the_handbook_caps_growth():
    made = loaded("checkout", **CAPPED)
    (over,) = decide(LoopState(), turn(made, projected=1101.0)).tick.decisions
    (under,) = decide(LoopState(), turn(made, projected=1100.0)).tick.decisions
    caps = [one.ruling for one in over.verdict.rulings if one.guard == "guardrails"]
    assert isinstance(caps[0], Clamp)
    assert caps[0].after == 20
    assert not any(isinstance(one.ruling, Clamp) for one in under.verdict.rulings if one.guard == "guardrails")


def test_a_decision_under_a_budget_is_made_again_exactly():
    made = loaded("checkout", **CAPPED)
    decided = decide(LoopState(), turn(made, projected=1101.0))
    (one,) = decided.tick.decisions
    stored = to_text(decided.inputs[one.id])
    assert '"allowances":[{' in stored
    assert from_text(stored, Inputs) == decided.inputs[one.id]
    mine = stored.replace('"code":"c"', f'"code":{json.dumps(code_version())}')
    mine = mine.replace('"platform":"p"', f'"platform":{json.dumps(platform_version())}')
    assert replay(one, mine, made.document).agreement is Agreement.IDENTICAL


# -- what is found of it ---------------------------------------------------------------------------------


def test_an_overrun_is_found_once_becomes_an_incident_and_ends_with_it():
    books, made = Books(), budget()
    at = datetime(2026, 11, 15, tzinfo=UTC)
    month(books, at, 2.0, datetime(2026, 10, 10, tzinfo=UTC))
    policies = PolicySet(digest="d", budgets=(made,), labels={made.key: {"team": "payments"}})
    bank, now = Bank(policies), at.timestamp()
    first = books.overruns(policies, books.standings(policies, now))
    again = books.overruns(policies, books.standings(policies, now + 60.0))
    assert [(one.kind.value, one.alarm, one.since) for one in (*first, *again)] == [
        ("overrun", True, now),
        ("overrun", False, now),
    ]
    assert first[0].reason == "1,440.00 (1,440.00 to 1,440.00) of 1,000.00 USD will be spent this month"
    frame = Frame(at=now, index=SeriesIndex((), ()), values=EMPTY, learn=EMPTY.astype(bool))
    (incident,) = bank.perceive(frame, {}, policies, Elsewhere(findings=first)).incidents
    assert (incident.kind, incident.labels["team"], incident.labels["budget"]) == ("overrun", "payments", "payments")
    raised = PolicySet(digest="e", budgets=(replace(made, amount=2000.0),))
    assert books.overruns(raised, books.standings(raised, now + 120.0)) == ()
