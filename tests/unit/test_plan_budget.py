"""What remediations of all policies together may do: plans and pods in an hour, nodes and ready pods at once (S5)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import cycle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.core.model import (
    AwaitRemoval,
    BlastRadius,
    Cordon,
    DeletePod,
    Deny,
    Drain,
    Looked,
    Notify,
    Operation,
    Pass,
    Plan,
    PlanKind,
    PlanStatus,
    PlanStep,
    Reason,
    RestartWorkload,
    RestLever,
    RollBack,
    SeenObject,
    Sleep,
    Stage,
    TargetRef,
    Wait,
)
from aiops.core.objects.evictions import pods_of
from aiops.core.planning.costs import counted, pods_gone, ready_out, too_much
from aiops.core.plans.budget import HOUR_S, There, ruling
from tests.plan_world import NOW
from tests.unit.remedied import CRASHES, NODES_SPEC, World, a_policy, node

LIMITS = BlastRadius(plans_per_hour=3, pods_per_hour=4, nodes_ratio=0.1)
POD = TargetRef(namespace="shop", api_version="v1", kind="Pod", name="p")
TARGET = TargetRef(namespace="shop", name="checkout")
RESTART = RestartWorkload(target=TARGET, mark="m")


def a_plan(number: int, *operations: Operation, ago_s: float = 60.0, **more: object) -> Plan:
    stage = more.pop("stage", Stage.DONE)
    steps = tuple(
        PlanStep(name="x", operation=one, stage=stage, since=NOW - ago_s)  # type: ignore[arg-type]
        for one in operations or (RESTART,)
    )
    made = {
        "id": f"P{number}",
        "kind": PlanKind.REMEDIATION,
        "policy": f"RemediationPolicy/shop/p{number}",
        "subject": f"s{number}",
        "reason": "trouble",
        "created_at": NOW - ago_s,
        "steps": steps,
        "status": PlanStatus.DONE,
    }
    return Plan(**{**made, **more})  # type: ignore[arg-type]


def wanted(*operations: Operation, **more: object) -> Plan:
    return a_plan(99, *operations, stage=Stage.PENDING, status=PlanStatus.PROPOSED, **more)


def test_so_many_plans_in_an_hour_and_then_they_wait_until_the_oldest_is_an_hour_old():
    lately = [a_plan(n, ago_s=600.0 * n) for n in (1, 2, 3)]
    said = ruling(wanted(), lately, NOW, LIMITS)
    assert said == Wait(
        reason=Reason.BUDGET,
        detail="3 remediations were begun within an hour, of 3 that may be",
        until=NOW - 1800.0 + HOUR_S,
    )
    assert isinstance(ruling(wanted(), lately[:2], NOW, LIMITS), Pass)
    assert isinstance(ruling(wanted(), lately, NOW + 1801.0, LIMITS), Pass)


@pytest.mark.parametrize("kind", [PlanKind.FAILOVER, PlanKind.FAILBACK, PlanKind.DRILL])
def test_s5_what_users_need_at_once_is_never_held(kind):
    lately = [a_plan(n) for n in range(20)]
    assert isinstance(ruling(wanted(kind=kind), lately, NOW, LIMITS), Pass)


def test_people_are_told_whatever_the_budget_and_telling_them_costs_none():
    page = Notify(title="t", text="x")
    assert isinstance(ruling(wanted(page), [a_plan(n) for n in range(20)], NOW, LIMITS), Pass)
    assert isinstance(ruling(wanted(), [a_plan(n, page) for n in range(20)], NOW, LIMITS), Pass)


def test_what_was_not_begun_or_only_told_costs_nothing():
    told = [a_plan(n, status=PlanStatus.REHEARSED, dry_run=True) for n in range(5)]
    never = [a_plan(n, status=status) for n, status in enumerate((PlanStatus.PROPOSED, PlanStatus.REFUSED) * 3, 10)]
    assert isinstance(ruling(wanted(), [*told, *never], NOW, LIMITS), Pass)


def test_pods_are_counted_over_all_policies():
    lately = [a_plan(1, *(DeletePod(pod=POD, uid=f"u{n}") for n in range(3)))]
    two = (DeletePod(pod=POD, uid="a"), DeletePod(pod=POD, uid="b"))
    assert isinstance(ruling(wanted(two[0]), lately, NOW, LIMITS), Pass)
    said = ruling(wanted(*two), lately, NOW, LIMITS)
    assert isinstance(said, Wait)
    assert said.detail == "plans took 3 pods within an hour and this one takes 2, 4 may go"


def taking(plan: Plan, pods: int = 0, out: int = 0) -> Plan:
    return replace(plan, steps=(replace(plan.steps[0], pods=pods, out=out), *plan.steps[1:]))


def test_pods_that_a_rollout_or_a_drain_takes_count_as_those_that_are_deleted():
    drain = Drain(node=node("n1"))
    assert isinstance(ruling(taking(wanted(), 2), [taking(a_plan(1, drain), 2)], NOW, LIMITS), Pass)
    said = ruling(taking(wanted(), 2), [taking(a_plan(1, drain), 3, out=1)], NOW, LIMITS)
    assert isinstance(said, Wait)
    assert said.detail == "plans took 3 pods within an hour and this one takes 2, 4 may go"
    # what a plan that has ended never came to took nothing
    given_up = taking(a_plan(1, drain, stage=Stage.PENDING, ago_s=-math.inf, created_at=NOW), 3)
    assert isinstance(ruling(taking(wanted(), 2), [given_up], NOW, LIMITS), Pass)


def test_ready_pods_away_at_once_are_a_share_of_all_and_one_at_least():
    away = [taking(a_plan(n, status=PlanStatus.RUNNING), out=2) for n in (1, 2)]
    there = There(ready=10)
    assert isinstance(ruling(taking(wanted(), out=1), away, NOW, LIMITS, there), Pass)
    said = ruling(taking(wanted(), out=2), away, NOW, LIMITS, there)
    assert said == Wait(
        reason=Reason.BUDGET,
        detail="plans have 4 ready pods away and this one takes 2, 5 of 10 may be at once (50%)",
    )
    back = [replace(one, status=PlanStatus.DONE) for one in away]
    assert isinstance(ruling(taking(wanted(), out=2), back, NOW, LIMITS, there), Pass)
    assert isinstance(ruling(taking(wanted(), out=1), [], NOW, LIMITS, There(ready=1)), Pass)


@pytest.mark.parametrize(
    ("nodes", "taken", "may"), [(None, 0, True), (None, 1, False), (9, 1, False), (20, 1, True), (20, 2, False)]
)
def test_a_share_of_the_nodes_at_once_and_one_at_least(nodes, taken, may):
    lately = [a_plan(n, Cordon(node=node(f"n{n}")), ago_s=10 * HOUR_S) for n in range(taken)]
    said = ruling(wanted(Cordon(node=node("new"))), lately, NOW, LIMITS, There(nodes=nodes))
    assert isinstance(said, Pass) is may


def test_a_node_that_was_given_back_is_free_and_one_that_was_cordoned_again_is_not():
    first = a_plan(1, Cordon(node=node("n1")), ago_s=900.0)
    back = a_plan(2, Cordon(node=node("n1"), unschedulable=False), ago_s=600.0)
    again = a_plan(3, Cordon(node=node("n1")), ago_s=300.0)
    new = wanted(Cordon(node=node("n2")))
    assert isinstance(ruling(new, [first], NOW, LIMITS, There(nodes=10)), Wait)
    assert isinstance(ruling(new, [first, back], NOW, LIMITS, There(nodes=10)), Pass)
    assert isinstance(ruling(new, [first, back, again], NOW, LIMITS, There(nodes=10)), Wait)


@given(st.lists(st.floats(0.0, 4 * HOUR_S), max_size=30), st.integers(1, 10))
def test_s5_never_more_plans_in_an_hour_than_may_be(times, most):
    limits = replace(LIMITS, plans_per_hour=most)
    begun: list[Plan] = []
    for number, at in enumerate(sorted(times)):
        plan = replace(wanted(), id=f"Q{number}")
        if isinstance(ruling(plan, begun, NOW + at, limits), Pass):
            step = replace(plan.steps[0], stage=Stage.DONE, since=NOW + at)
            begun.append(replace(plan, steps=(step,), status=PlanStatus.DONE))
    starts = [one.steps[0].since for one in begun]
    assert all(sum(start - HOUR_S < other <= start for other in starts) <= most for start in starts)


def test_the_guard_counts_the_nodes_that_are_seen():
    world = World(policy=a_policy(NODES_SPEC.replace("51%", "2")), nodes=("n1", "n2", "n3", "n4", "n5"))
    world.not_ready("n1", "n2")
    world.run(1200.0)
    assert [one for one in world.did() if one.endswith("cordon")] == ["Node n1: cordon"]
    assert world.said[:2] == ("wait", Reason.BUDGET)


# -- what a plan takes, as it is seen ------------------------------------------------------------------


def seen(ref: TargetRef, body: Mapping[str, Any]) -> SeenObject:
    return SeenObject(ref=ref, uid=f"uid-{ref.name}", resource_version="1", as_of=NOW, body=body)


def a_workload(kind: str, spec: Mapping[str, Any], status: Mapping[str, Any]) -> Looked:
    ref = replace(TARGET, kind=kind)
    return Looked(objects={ref.key: seen(ref, {"spec": spec, "status": status})})


RECREATE = {"replicas": 4, "strategy": {"type": "Recreate"}}


@pytest.mark.parametrize(
    ("kind", "spec", "status", "pods", "out"),
    [
        ("Deployment", {"replicas": 8}, {"readyReplicas": 8}, 8, 2),
        ("Deployment", {"replicas": 8}, {"readyReplicas": 7}, 8, 1),
        ("Deployment", RECREATE, {"readyReplicas": 4}, 4, 4),
        ("Deployment", RECREATE, {}, 4, 0),
        ("StatefulSet", {"replicas": 3}, {"readyReplicas": 2}, 3, 1),
        ("DaemonSet", {}, {"desiredNumberScheduled": 9, "numberReady": 9}, 9, 1),
    ],
)
def test_a_rollout_takes_every_pod_and_of_the_ready_ones_as_many_at_once_as_its_strategy_lets(
    kind, spec, status, pods, out
):
    target, looked = replace(TARGET, kind=kind), a_workload(kind, spec, status)
    for operation in (RestartWorkload(target=target, mark="m"), RollBack(target=target, template_hash="r1")):
        plan = counted(wanted(operation), looked)
        assert (pods_gone(plan), ready_out(plan)) == (pods, out)
    rolled = saving(1, RestartWorkload(target=target, mark="m"), stage=Stage.PENDING)
    assert pods_gone(counted(rolled, looked)) == 0


def test_a_drain_takes_the_pods_that_leave_its_node_once_they_are_seen_and_not_fewer_while_it_goes_on():
    drain = wanted(Drain(node=node("n1")))
    assert counted(drain, Looked()) is drain
    pods = tuple(seen(replace(POD, namespace=where), {}) for where in ("shop", "kube-system"))
    looked = Looked(selections={pods_of(node("n1")).key: pods})
    assert pods_gone(counted(drain, looked)) == 1
    assert counted(counted(drain, looked), looked) == counted(drain, looked)
    under_way = taking(a_plan(1, Drain(node=node("n1")), stage=Stage.BEGUN, status=PlanStatus.RUNNING), 7)
    assert counted(under_way, looked) is under_way


def test_what_a_budget_can_never_hold_is_denied_and_says_why():
    plan = counted(replace(wanted(), subject=TARGET.key), a_workload("Deployment", RECREATE, {"readyReplicas": 4}))
    looked = a_workload("Deployment", RECREATE, {"readyReplicas": 4})
    assert too_much(plan, looked, replace(LIMITS, pods_per_hour=3)) == "it takes 4 pods, and 3 may go in an hour"
    why = too_much(plan, looked, LIMITS)
    assert why == "it has 4 of 4 ready pods away at once, and 2 may be (50%)"
    assert ruling(plan, [], NOW, LIMITS, There(why_never=why)) == Deny(reason=Reason.BUDGET, detail=why)
    assert too_much(plan, looked, replace(LIMITS, capacity_ratio=1.0)) == ""


def test_a_rung_that_no_budget_can_hold_is_passed_over_with_its_reason_and_people_are_told():
    world = World(blast=replace(BlastRadius(), pods_per_hour=2), crashing=lambda *_: True)
    world.run(120.0)
    assert world.did() == []
    (plan,) = world.plans
    why = "it takes 3 pods, and 2 may go in an hour"
    assert [step.name for step in plan.steps] == ["page"]
    assert world.told == ["checkout: Deployment shop/checkout is in trouble"]
    passed_over = (f"restart passed over: {why}", f"rollback passed over: {why}")
    assert plan.evidence[:2] == passed_over
    assert world.texts[0].splitlines()[-2:] == list(passed_over)


def test_the_second_rollout_of_an_hour_waits_for_the_pods_that_the_first_took():
    world = World(blast=replace(BlastRadius(), pods_per_hour=5), crashing=lambda *_: True)
    world.run(600.0)
    assert world.did() == ["Deployment shop/checkout: restart"]
    assert world.said[:2] == ("wait", Reason.BUDGET)
    assert world.said[2] == "plans took 3 pods within an hour and this one takes 3, 5 may go"


def test_a_node_is_not_emptied_that_has_most_of_the_ready_pods_of_the_target():
    sick = cycle((True, False, False))
    spec = CRASHES.replace("    - {do: restart, within: 3m}\n", "    - {do: move, within: 2m}\n")
    world = World(policy=a_policy(spec), nodes=("n1",), crashing=lambda *_: next(sick))
    world.run(90.0)
    (plan,) = world.plans
    assert plan.steps[0].name == "rollback"
    assert plan.evidence[0] == "move passed over: it has 2 of 3 ready pods away at once, and 1 may be (50%)"


def test_the_pods_of_a_sick_node_are_seen_before_its_drain_begins():
    world = World(policy=a_policy(NODES_SPEC), blast=replace(BlastRadius(), pods_per_hour=1))
    world.run(15.0)
    lost = max(world.nodes, key=lambda name: sum(one["spec"]["nodeName"] == name for one in world.pods()))
    for body in world.pods():
        body["spec"]["nodeName"] = lost
    world.not_ready(lost)
    world.run(120.0)
    assert world.did() == []
    assert "drain passed over: it takes 3 pods, and 1 may go in an hour" in world.texts[0]


# -- savings -------------------------------------------------------------------------------------------


def saving(number: int, *operations: Operation, **more: object) -> Plan:
    return a_plan(number, *operations, kind=PlanKind.SAVING, policy=f"CostPolicy/shop/p{number}", **more)


def wanted_saving(*operations: Operation) -> Plan:
    return saving(99, *operations, stage=Stage.PENDING, status=PlanStatus.PROPOSED)


def test_savings_take_what_remediations_leave_and_never_the_other_way_round():
    cordons = [Cordon(node=node(f"n{number}")) for number in range(3)]
    saved, cured = saving(1, cordons[0]), a_plan(2, cordons[1])
    # a saving is held by what either took, a remediation by other remediations alone
    assert isinstance(ruling(wanted_saving(cordons[2]), [saved], NOW, LIMITS, There(nodes=10)), Wait)
    assert isinstance(ruling(wanted_saving(cordons[2]), [cured], NOW, LIMITS, There(nodes=10)), Wait)
    assert isinstance(ruling(wanted(cordons[2]), [cured], NOW, LIMITS, There(nodes=10)), Wait)
    assert isinstance(ruling(wanted(cordons[2]), [saved], NOW, LIMITS, There(nodes=10)), Pass)
    full = [saving(number) for number in range(3)]
    held = ruling(wanted_saving(), full, NOW, LIMITS)
    assert isinstance(held, Wait)
    assert held.detail == "3 remediations and savings were begun within an hour, of 3 that may be"
    assert isinstance(ruling(wanted(), full, NOW, LIMITS), Pass)


def test_what_lets_rest_and_what_gives_back_is_held_by_no_budget():
    full = [saving(number) for number in range(3)]
    rest = Sleep(
        target=TARGET, object=TARGET, uid="u", lever=RestLever.REPLICAS, seen="2", original="2", to="0", mark="m"
    )
    assert isinstance(ruling(wanted_saving(rest), full, NOW, LIMITS), Pass)
    assert isinstance(ruling(replace(wanted_saving(RESTART), kind=PlanKind.RESTORE), full, NOW, LIMITS), Pass)
    # and uses none of it up
    asleep = [saving(number, rest) for number in range(3)]
    assert isinstance(ruling(wanted_saving(), asleep, NOW, LIMITS), Pass)


def test_a_node_that_is_gone_is_cordoned_no_more():
    one, another = node("n1"), node("n2")
    emptied = saving(1, Cordon(node=one), AwaitRemoval(node=one, uid="u", by="Karpenter"))
    assert isinstance(ruling(wanted_saving(Cordon(node=another)), [emptied], NOW, LIMITS, There(nodes=10)), Pass)
    waits = replace(
        emptied, status=PlanStatus.RUNNING, steps=(emptied.steps[0], replace(emptied.steps[1], stage=Stage.BEGUN))
    )
    assert isinstance(ruling(wanted_saving(Cordon(node=another)), [waits], NOW, LIMITS, There(nodes=10)), Wait)


def test_a_plan_that_was_begun_at_this_very_instant_counts():
    begun = saving(1, Cordon(node=node("n1")), stage=Stage.PENDING, status=PlanStatus.RUNNING)
    assert isinstance(ruling(wanted_saving(Cordon(node=node("n2"))), [begun], NOW, LIMITS, There(nodes=10)), Wait)
