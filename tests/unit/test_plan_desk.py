"""Plans on the command line: what is listed, shown, ordered and refused, from a store that a loop has written."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiops.adapters.store import Store
from aiops.app import plan_desk
from aiops.app.commands.report import _by_policy
from aiops.core.model import (
    Direction,
    Effectiveness,
    Helped,
    LoopState,
    Pause,
    Plan,
    PlanKind,
    PlanStatus,
    PlanStep,
    RestLever,
    Sleep,
    Stage,
    TargetRef,
    Tick,
    Wake,
)
from aiops.errors import InvalidInput, NotFound
from tests.plan_world import GROUP, NOW, plan, shift

WEB = TargetRef(namespace="dev", name="web")


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[Callable[..., Store]]:
    opened: list[Store] = []

    def make(*plans: Plan) -> Store:
        opened.append(_stored(tmp_path / f"{len(opened)}.db", *plans))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def _stored(path: Path, *plans: Plan) -> Store:
    store = Store.open(f"sqlite:///{path}", writer=True)
    tick = Tick(
        id="01TICK", at=NOW, decisions=(), actions=(), outcomes=(), findings=(), incidents=(), plans=tuple(plans)
    )
    store.journal.begin(tick, LoopState(plans={one.id: one for one in plans}))
    return store


def order(kind: str, subject: str = "01PLAN", **more: str) -> dict[str, str]:
    return {"kind": kind, "subject": subject, "by": "ann", "reason": "looked at it", **more}


RUNNING = replace(plan(), status=PlanStatus.RUNNING)
MOVED = replace(plan().steps[0], sent=1, undo=(shift(100, 0),), stage=Stage.DONE)


def test_plans_are_listed_and_shown_with_what_can_be_done_now(stored):
    store = stored(RUNNING)
    (row,) = plan_desk.listed(store)
    assert (row["status"], row["progress"], row["step"]) == ("running", "0/1", "all north")
    assert plan_desk.listed(store, policy="shop/storefront") == [row]
    assert plan_desk.listed(store, policy="shop/other") == []
    text = plan_desk.shown(store, "01pl")["text"]
    assert "send 0 to west, 100 to north by HTTPRoute edge/storefront" in text
    assert text.endswith("aiops plans pause 01PLAN, or rollback")


def test_an_order_is_kept_for_the_loop_by_the_plan_or_by_its_policy(stored):
    store = stored(RUNNING)
    for subject in ("01PLAN", "shop/storefront", GROUP):
        said = plan_desk.order(store, order("pause", subject))
        assert said["subject"] == "01PLAN"
    assert {one.subject for one in store.plans.orders(0.0)} == {"01PLAN"}


@pytest.mark.parametrize(
    ("wish", "error", "said"),
    [
        (order("nonsense"), InvalidInput, "not one of start"),
        ({**order("pause"), "by": ""}, InvalidInput, "who says so"),
        ({**order("pause"), "reason": ""}, InvalidInput, "reason is missing"),
        (order("pause", "01UNKNOWN"), NotFound, "there is no plan"),
        (order("pause", ""), InvalidInput, "say which plan"),
        (order("resume"), InvalidInput, "is running: resume is for plans that are paused, asking"),
        (order("start", "shop/other"), NotFound, "no failover policy is called shop/other"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once_with_the_reason(stored, wish, error, said):
    store = stored(RUNNING)
    with pytest.raises(error, match=said):
        plan_desk.order(store, wish)
    assert store.plans.orders(0.0) == ()


def test_a_failover_that_is_done_is_handed_back_by_way_of_the_home_site_s9(stored):
    done = replace(plan(MOVED), status=PlanStatus.DONE, ended_at=NOW)
    store = stored(done)
    (effect,) = plan_desk.effects(store)
    assert effect["original"] == "send 100 to west, 0 to north by HTTPRoute edge/storefront"
    assert effect["hand_back"] == "aiops failover back shop/storefront"
    with pytest.raises(InvalidInput, match="checks the home site first"):
        plan_desk.order(store, order("rollback"))
    other = replace(done, id="02PLAN", kind=PlanKind.REMEDIATION)
    assert plan_desk.effects(stored(other))[0]["hand_back"] == "aiops plans rollback 02PLAN"


def test_what_did_not_help_in_time_and_was_passed_over_stands_and_is_told_s9(stored):
    passed_over = replace(MOVED, stage=Stage.SKIPPED)
    store = stored(replace(plan(passed_over), kind=PlanKind.REMEDIATION, status=PlanStatus.DONE, ended_at=NOW))
    assert [one["hand_back"] for one in plan_desk.effects(store)] == ["aiops plans rollback 01PLAN"]


def test_plans_that_wait_for_people_are_questions(stored):
    waiting = plan(expires_at=NOW + 60.0, needed=2, approvals=("ann",))
    (asked,) = plan_desk.questions(stored(waiting), NOW)
    assert (asked["id"], asked["needed"], asked["approvals"]) == ("01PLAN", 2, ["ann"])
    assert plan_desk.questions(stored(waiting), NOW + 61.0) == []


def test_how_effective_plans_were_is_counted_by_policy(stored):
    helped = Effectiveness(word=Helped.HELPED, p_value=0.01, at=NOW, detail="better")
    plans = (
        replace(plan(MOVED, id="01A"), status=PlanStatus.DONE, effectiveness=helped),
        replace(plan(id="01B"), status=PlanStatus.ROLLED_BACK),
        replace(plan(id="01C"), status=PlanStatus.REFUSED),
    )
    (row,) = _by_policy(plan_desk.listed(stored(*plans)))
    assert (row["plans"], row["done"], row["rolled_back"], row["helped"], row["not_judged"]) == (2, 1, 1, 1, 1)
    assert json.dumps(row)


def test_the_store_carries_plans_memories_and_orders_over_a_restart_s6(tmp_path):
    store = _stored(tmp_path / "aiops.db", RUNNING)
    store.journal.settle((), (), LoopState(plans={"01PLAN": RUNNING}, orders={"O": NOW}))
    store.close()
    again = Store.open(f"sqlite:///{tmp_path / 'aiops.db'}", writer=True)
    state = again.journal.load()
    assert state.plans == {"01PLAN": RUNNING}
    assert state.orders == {"O": NOW}
    gone = Tick(id="01LATER", at=NOW + 1, decisions=(), actions=(), outcomes=(), findings=(), incidents=())
    again.journal.begin(gone, LoopState())
    assert again.journal.load().plans == {}
    assert [one.id for one in again.plans.every()] == ["01PLAN"]  # the record keeps it
    again.close()


# -- what sleeps -----------------------------------------------------------------------------------------------


SLEEP = Sleep(target=WEB, object=WEB, uid="u1", lever=RestLever.REPLICAS, seen="3", original="3", to="0", mark="01PLAN")
WAKE = Wake(target=WEB, object=WEB, uid="u1", lever=RestLever.REPLICAS, original="3", to="0", mark="01PLAN")
RESTS = PlanStep(name="rest", operation=SLEEP, sent=1, undo=(WAKE,), stage=Stage.DONE, since=NOW)


@pytest.mark.parametrize(
    ("scope", "direction", "release", "blocked"),
    [
        ("dev", Direction.ALL, False, ["Deployment dev/web"]),
        ("*", Direction.OUT, False, ["Deployment dev/web"]),
        ("CostPolicy/dev/nights", Direction.ALL, False, ["Deployment dev/web"]),
        ("dev", Direction.IN, False, []),
        ("shop", Direction.ALL, False, []),
        ("dev", Direction.ALL, True, []),
    ],
)
def test_a_pause_says_which_wakes_it_blocks_and_effects_say_what_sleeps_s9(stored, scope, direction, release, blocked):
    key = "CostPolicy/dev/nights"
    slept = plan(RESTS, kind=PlanKind.SAVING, policy=key, subject=WEB.key, status=PlanStatus.DONE, by=key)
    store = stored(slept)
    pause = Pause(id="p", scope=scope, direction=direction, reason="x", by="ann", since=NOW, release=release)
    assert plan_desk.wakes(store, pause) == blocked
    (effect,) = plan_desk.effects(store)
    assert (effect["object"], effect["original"]) == (
        "Deployment dev/web",
        "wake Deployment dev/web in default: replicas 3 again",
    )
    assert effect["hand_back"] == "aiops plans rollback 01PLAN"
