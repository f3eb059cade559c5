"""What remediations of all policies together may do: plans and pods in an hour, nodes at once (S5)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.core.model import (
    AwaitRemoval,
    BlastRadius,
    Cordon,
    DeletePod,
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
    Sleep,
    Stage,
    TargetRef,
    Wait,
)
from aiops.core.plans.budget import HOUR_S, ruling
from tests.plan_world import NOW
from tests.unit.remedied import NODES_SPEC, World, a_policy, node

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
    assert said.detail == "3 pods were deleted within an hour, of 4 that may be"


@pytest.mark.parametrize(
    ("nodes", "taken", "may"), [(None, 0, True), (None, 1, False), (9, 1, False), (20, 1, True), (20, 2, False)]
)
def test_a_share_of_the_nodes_at_once_and_one_at_least(nodes, taken, may):
    lately = [a_plan(n, Cordon(node=node(f"n{n}")), ago_s=10 * HOUR_S) for n in range(taken)]
    said = ruling(wanted(Cordon(node=node("new"))), lately, NOW, LIMITS, nodes)
    assert isinstance(said, Pass) is may


def test_a_node_that_was_given_back_is_free_and_one_that_was_cordoned_again_is_not():
    first = a_plan(1, Cordon(node=node("n1")), ago_s=900.0)
    back = a_plan(2, Cordon(node=node("n1"), unschedulable=False), ago_s=600.0)
    again = a_plan(3, Cordon(node=node("n1")), ago_s=300.0)
    new = wanted(Cordon(node=node("n2")))
    assert isinstance(ruling(new, [first], NOW, LIMITS, 10), Wait)
    assert isinstance(ruling(new, [first, back], NOW, LIMITS, 10), Pass)
    assert isinstance(ruling(new, [first, back, again], NOW, LIMITS, 10), Wait)


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


# -- savings -------------------------------------------------------------------------------------------


def saving(number: int, *operations: Operation, **more: object) -> Plan:
    return a_plan(number, *operations, kind=PlanKind.SAVING, policy=f"CostPolicy/shop/p{number}", **more)


def wanted_saving(*operations: Operation) -> Plan:
    return saving(99, *operations, stage=Stage.PENDING, status=PlanStatus.PROPOSED)


def test_savings_take_what_remediations_leave_and_never_the_other_way_round():
    cordons = [Cordon(node=node(f"n{number}")) for number in range(3)]
    saved, cured = saving(1, cordons[0]), a_plan(2, cordons[1])
    # a saving is held by what either took, a remediation by other remediations alone
    assert isinstance(ruling(wanted_saving(cordons[2]), [saved], NOW, LIMITS, 10), Wait)
    assert isinstance(ruling(wanted_saving(cordons[2]), [cured], NOW, LIMITS, 10), Wait)
    assert isinstance(ruling(wanted(cordons[2]), [cured], NOW, LIMITS, 10), Wait)
    assert isinstance(ruling(wanted(cordons[2]), [saved], NOW, LIMITS, 10), Pass)
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
    assert isinstance(ruling(wanted_saving(Cordon(node=another)), [emptied], NOW, LIMITS, 10), Pass)
    waits = replace(
        emptied, status=PlanStatus.RUNNING, steps=(emptied.steps[0], replace(emptied.steps[1], stage=Stage.BEGUN))
    )
    assert isinstance(ruling(wanted_saving(Cordon(node=another)), [waits], NOW, LIMITS, 10), Wait)


def test_a_plan_that_was_begun_at_this_very_instant_counts():
    begun = saving(1, Cordon(node=node("n1")), stage=Stage.PENDING, status=PlanStatus.RUNNING)
    assert isinstance(ruling(wanted_saving(Cordon(node=node("n2"))), [begun], NOW, LIMITS, 10), Wait)
