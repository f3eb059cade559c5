"""What a daemon says of itself: how it stands, what waits for people, what is spent, whether its record is whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import text

from aiops.adapters.metrics import (
    AuditSeen,
    LoopMetrics,
    MoneyCollector,
    MoneyNumbers,
    PlanCollector,
    Standing,
    StandingCollector,
)
from aiops.adapters.store import Store
from aiops.app.settings import Settings
from aiops.app.standing import AUDIT_CHECK_S, SelfWatch
from aiops.app.wiring import build
from aiops.core.model import (
    BudgetPeriod,
    BudgetStanding,
    GroupState,
    Health,
    LoopState,
    Outcome,
    OutcomeKind,
    Plan,
    PlanKind,
    PlanStatus,
    Question,
    SiteState,
    StepResult,
    StepStatus,
    TargetState,
)
from aiops.loop import ControlLoop
from tests.builders import KEY, NOW, TARGET
from tests.unit.test_answers import Journal, World, loop_over

ROOT = Path(__file__).parents[2]
GROUP = "FailoverPolicy/shop/api"


def told(collector, name, **labels):
    registry = CollectorRegistry()
    registry.register(collector)
    return registry.get_sample_value(name, labels)


def plan(number: int, status: PlanStatus, **fields) -> Plan:
    made = Plan(
        id=f"plan-{number}",
        kind=PlanKind.FAILOVER,
        policy=GROUP,
        subject=GROUP,
        reason="west is sick",
        created_at=NOW,
        steps=(),
        status=status,
    )
    return replace(made, **fields)


# -- how it stands -----------------------------------------------------------------------------------------


def test_before_the_first_turn_nobody_says_who_leads_nor_who_answers():
    collector = StandingCollector(lambda: Standing(version="1.2.3", turn_age_s=7.5, turn_every_s=15.0))
    assert told(collector, "aiops_build_info", version="1.2.3") == 1.0
    assert told(collector, "aiops_turn_age_seconds") == 7.5
    assert told(collector, "aiops_turn_interval_seconds") == 15.0
    for name in ("aiops_leads", "aiops_leader_epoch", "aiops_unanswered", "aiops_audit_whole"):
        assert told(collector, name) is None, name


def test_who_stands_by_says_0_and_what_does_not_answer_is_counted():
    now = Standing(version="1", turn_age_s=0.1, turn_every_s=15.0, leads=False, epoch=7, unanswered=2, problems=3)
    collector = StandingCollector(lambda: now)
    assert told(collector, "aiops_leads") == 0.0
    assert told(collector, "aiops_leader_epoch") == 7.0
    assert told(collector, "aiops_unanswered") == 2.0
    assert told(collector, "aiops_policy_problems") == 3.0


def test_policies_are_counted_by_kind_and_mode():
    policies = {("ScalingPolicy", "enforce"): 3, ("WatchPolicy", ""): 1}
    collector = StandingCollector(lambda: Standing(version="1", turn_age_s=0, turn_every_s=15, policies=policies))
    assert told(collector, "aiops_policies", kind="ScalingPolicy", mode="enforce") == 3.0
    assert told(collector, "aiops_policies", kind="WatchPolicy", mode="") == 1.0


@pytest.mark.parametrize("whole", [True, False])
def test_what_the_last_check_of_the_chain_found_is_told_with_its_time(whole):
    seen = AuditSeen(whole=whole, records=12, at=NOW)
    collector = StandingCollector(lambda: Standing(version="1", turn_age_s=0, turn_every_s=15, audit=seen))
    assert told(collector, "aiops_audit_whole") == float(whole)
    assert told(collector, "aiops_audit_records") == 12.0
    assert told(collector, "aiops_audit_checked_timestamp_seconds") == NOW


# -- plans and people --------------------------------------------------------------------------------------


def test_plans_are_counted_by_policy_kind_and_status():
    plans = [plan(1, PlanStatus.RUNNING), plan(2, PlanStatus.ASKING), plan(3, PlanStatus.ASKING)]
    collector = PlanCollector(lambda: LoopState(plans={one.id: one for one in plans}), lambda: NOW)
    labels = {"policy": GROUP, "kind": "failover"}
    assert told(collector, "aiops_plans", **labels, status="asking") == 2.0
    assert told(collector, "aiops_plans", **labels, status="running") == 1.0
    assert told(collector, "aiops_plans", **labels, status="failed") is None


def test_what_waits_for_a_yes_is_counted_until_it_is_withdrawn():
    asked = TargetState(question=Question(id="q", after=9, expires_at=NOW + 60))
    late = TargetState(question=Question(id="r", after=9, expires_at=NOW - 1))
    plans = {
        "a": plan(1, PlanStatus.PROPOSED, expires_at=NOW + 600),
        "b": plan(2, PlanStatus.PROPOSED, expires_at=NOW + 300),
        "c": plan(3, PlanStatus.RUNNING, expires_at=NOW + 100),
        "d": plan(4, PlanStatus.PROPOSED, expires_at=NOW - 1),
    }
    state = LoopState(targets={KEY: asked, "ScalingPolicy/shop/late": late}, plans=plans)
    collector = PlanCollector(lambda: state, lambda: NOW)
    assert told(collector, "aiops_questions", policy=KEY) == 1.0
    assert told(collector, "aiops_questions", policy=GROUP) == 2.0
    assert told(collector, "aiops_question_expiry_timestamp_seconds", policy=GROUP) == NOW + 300
    assert told(collector, "aiops_questions", policy="ScalingPolicy/shop/late") is None


def test_a_site_has_the_one_health_that_it_has():
    sites = {"west": SiteState(health=Health.SICK, since=NOW), "east": SiteState(health=Health.WELL, since=NOW)}
    collector = PlanCollector(lambda: LoopState(groups={GROUP: GroupState(sites=sites)}), lambda: NOW)
    assert told(collector, "aiops_site_health", policy=GROUP, site="west", health="sick") == 1.0
    assert told(collector, "aiops_site_health", policy=GROUP, site="west", health="well") is None
    assert told(collector, "aiops_site_health", policy=GROUP, site="east", health="well") == 1.0


def test_who_does_not_lead_tells_nothing_of_what_it_led_once():
    assert [*PlanCollector(lambda: None, lambda: NOW).collect()] == []


# -- a daemon ----------------------------------------------------------------------------------------------


@pytest.fixture
def watch(tmp_path) -> Iterator[SelfWatch]:
    """A daemon over the simulated shop, turned by hand."""
    demo = ROOT / "simulators" / "demo"
    built = build(
        Settings(
            mode="enforce",
            policies=(demo / "policies" / "shop.yaml",),
            simulation={"scenario": str(demo / "demo.yaml")},
            store={"url": f"sqlite:///{tmp_path / 'aiops.db'}"},
        )
    )
    made = SelfWatch(built)
    made.register(built.metrics)
    yield made
    built.store.close()


def test_a_daemon_tells_how_it_stands_once_it_has_turned(watch):
    built, value = watch.built, watch.built.metrics.registry.get_sample_value
    assert value("aiops_leads") is None
    built.tick()
    assert value("aiops_leads") == 1.0
    assert value("aiops_unanswered") == 0.0
    assert value("aiops_turn_interval_seconds") == built.world.tick_every_s
    assert 0.0 <= value("aiops_turn_age_seconds") < 60.0
    assert value("aiops_policies", {"kind": "ScalingPolicy", "mode": "enforce"}) >= 1.0


def test_the_audit_chain_is_checked_once_a_day_and_a_forged_record_is_found(watch, caplog):
    built, value = watch.built, watch.built.metrics.registry.get_sample_value
    built.tick()
    watch.check_audit()
    assert value("aiops_audit_whole") == 1.0
    assert value("aiops_audit_records") >= 1.0
    with built.store.engine.begin() as connection:
        changed = connection.execute(text("UPDATE audit SET text = replace(text, 'ScalingPolicy', 'ScalingPolicx')"))
        assert changed.rowcount >= 1
    watch.check_audit()
    assert value("aiops_audit_whole") == 1.0, "not looked at twice a day"
    watch.audit = replace(watch.audit, at=watch.audit.at - AUDIT_CHECK_S)
    watch.check_audit()
    assert value("aiops_audit_whole") == 0.0
    assert "audit_chain_broken" in caplog.text


# -- money -------------------------------------------------------------------------------------------------


def test_a_budget_is_told_with_what_is_known_of_it():
    standing = BudgetStanding(
        budget="CostBudget/shop/month",
        period=BudgetPeriod.MONTH,
        at=NOW,
        start=NOW - 86_400.0,
        until=NOW + 86_400.0,
        amount=100.0,
        spent=40.0,
        projected=80.0,
        unpriced_ratio=0.25,
    )
    numbers = MoneyNumbers(actual_usd=3.0, static_usd=4.0, budgets={standing.budget: standing})
    collector = MoneyCollector(lambda: numbers)
    of = {"policy": standing.budget}
    assert told(collector, "aiops_budget_amount_usd", **of) == 100.0
    assert told(collector, "aiops_budget_spent_usd", **of) == 40.0
    assert told(collector, "aiops_budget_projected_usd", **of) == 80.0
    assert told(collector, "aiops_budget_overrun_chance_ratio", **of) is None, "fewer than three days were seen"
    assert told(collector, "aiops_budget_unpriced_ratio", **of) == 0.25
    assert told(collector, "aiops_cost_usd_total") == 3.0
    assert told(collector, "aiops_cost_static_usd_total") == 4.0


def test_money_that_nobody_can_compare_is_absent():
    assert [*MoneyCollector(MoneyNumbers).collect()] == []


# -- ends of actions, and turns that are held ----------------------------------------------------------------


def test_an_action_that_fails_at_once_counts_as_one_that_fails_later():
    metrics = LoopMetrics()
    failed = Outcome(action_id="a", policy=KEY, target=TARGET, kind=OutcomeKind.FAILED, at=NOW, detail="refused")
    metrics.ended((failed, failed))
    value = metrics.registry.get_sample_value("aiops_outcomes_total", {"policy": KEY, "outcome": "failed"})
    assert value == 2.0


def test_counters_of_held_turns_are_there_before_the_first_is_held():
    registry = LoopMetrics().registry
    kinds = ("held", "store", "bug")
    assert [registry.get_sample_value("aiops_tick_failures_total", {"kind": kind}) for kind in kinds] == [0.0] * 3


class Refusing(World):
    """An API that refuses every write."""

    def send(self, action, step, at):
        return StepResult(action_id=action.id, status=StepStatus.REFUSED, at=at, message="a webhook says no")


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store.open("sqlite://")
    yield made
    made.close()


def measured(store: Store, world: World) -> tuple[ControlLoop, Journal, LoopMetrics]:
    journal, metrics = Journal(store.journal), LoopMetrics()
    loop = loop_over(store, world, journal)
    loop.ports = replace(loop.ports, telemetry=metrics)
    return loop, journal, metrics


def test_a_write_that_the_api_refuses_is_an_action_that_failed(store):
    loop, _, metrics = measured(store, Refusing())
    loop.run_once(NOW)
    value = metrics.registry.get_sample_value
    assert value("aiops_actions_total", {"policy": KEY, "dry_run": "false"}) == 1.0
    assert value("aiops_outcomes_total", {"policy": KEY, "outcome": "failed"}) == 1.0


def test_a_turn_that_could_not_be_written_down_is_held_by_the_store_and_sends_nothing(store):
    world = World()
    loop, journal, metrics = measured(store, world)
    journal.refuses = "begin"
    assert "held" in loop.run_once(NOW)
    value = metrics.registry.get_sample_value
    assert value("aiops_tick_failures_total", {"kind": "store"}) == 1.0
    assert value("aiops_tick_failures_total", {"kind": "held"}) == 0.0
    assert world.replicas == 8
