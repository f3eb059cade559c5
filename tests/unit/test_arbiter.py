"""Safety before the SLO before cost: who waits for whom, who makes way, and what goes on beside a plan (S4, S5, S7)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.core.guard.arbiter import arbiter
from aiops.core.guard.context import Wish
from aiops.core.model import (
    Cordon,
    Incident,
    Judgement,
    Mode,
    Operation,
    Pass,
    Plan,
    PlanKind,
    PlanStatus,
    PlanStep,
    Reason,
    RestartWorkload,
    ScaleTo,
    Scaling,
    SetResources,
    Stage,
    TargetRef,
    VerdictWord,
    Wait,
)
from aiops.core.planning.arbiter import OUT_S, by_claim, claims, concerns, crossed
from aiops.core.plans.guards import Bounds, ruling
from aiops.core.plans.lifecycle import Entered, entered
from aiops.core.policies import PlanPolicy
from tests.builders import KEY, NOW, TARGET, context, proposal
from tests.plan_world import snapshot
from tests.properties.test_arbiter import world

WISH = Judgement(word=VerdictWord.ALLOW, detail="wanted")
CART = TargetRef(namespace="shop", name="cart")
NODE = TargetRef(namespace="", api_version="v1", kind="Node", name="n1")
RESIZE = SetResources(target=TARGET, container="c", requests={"cpu": "1"}, limits={})
RESTART = RestartWorkload(target=TARGET, mark="m")


def a_plan(kind: PlanKind, operation: Operation, status: PlanStatus = PlanStatus.RUNNING, **more: object) -> Plan:
    who = "CostPolicy/shop/saves" if kind is PlanKind.SAVING else "RemediationPolicy/shop/cures"
    made = {
        "id": f"P-{kind.value}",
        "kind": kind,
        "policy": who,
        "by": who,
        "subject": "x" if kind is PlanKind.SAVING else "y",
        "reason": "r",
        "created_at": NOW,
        "status": status,
        "steps": (PlanStep(name="s", operation=operation, stage=Stage.BEGUN, since=NOW, sent=1, sent_at=NOW - 60.0),),
    }
    if status is PlanStatus.PROPOSED:
        made["steps"] = (PlanStep(name="s", operation=operation),)
    return Plan(**{**made, **more})  # type: ignore[arg-type]


def bounds(*plans: Plan, mode: Mode = Mode.ENFORCE, **more: object) -> Bounds:
    policy = PlanPolicy(
        key="RemediationPolicy/shop/cures",
        digest="d",
        document="{}",
        origin="f",
        mode=mode,
        target=TARGET,
        signals={},
    )
    seen = replace(world(390.0), at=NOW)
    return Bounds(policy=policy, snapshot=seen, plans=plans, **more)  # type: ignore[arg-type]


def wished(kind: PlanKind, operation: Operation) -> Plan:
    return a_plan(kind, operation, PlanStatus.PROPOSED, id="W", subject="w")


def entering(wish: Plan, seen: Bounds) -> Entered:
    return entered((wish,), WISH, seen)


# -- savings wait --------------------------------------------------------------------------------------

MOVING = Scaling(policy=KEY, target=TARGET, pending=True, pending_out=True)
ELSEWHERE = Scaling(policy=KEY, target=CART, pending=True, pending_out=True)


def grown(ago_s: float, target: TargetRef = TARGET) -> Scaling:
    return Scaling(policy=KEY, target=target, out_at=NOW - ago_s)


WAITS: dict[str, tuple[Operation, tuple[Scaling, ...], Reason | None]] = {
    "a resize while its target is being scaled": (RESIZE, (MOVING,), Reason.IN_FLIGHT),
    "a resize while another is being scaled": (RESIZE, (ELSEWHERE,), None),
    "a resize soon after its target grew": (RESIZE, (grown(OUT_S - 1.0),), Reason.STABILISATION),
    "a resize later on": (RESIZE, (grown(OUT_S + 1.0),), None),
    "fewer replicas soon after a scale-out that was seen to be done": (
        ScaleTo(target=TARGET, replicas=2),
        (grown(60.0),),
        None,
    ),
    "a node while anything of its cluster grows": (Cordon(node=NODE), (ELSEWHERE,), Reason.STABILISATION),
    "a node soon after anything grew": (Cordon(node=NODE), (grown(60.0, CART),), Reason.STABILISATION),
    "a node of another cluster": (Cordon(node=replace(NODE, cluster="west")), (ELSEWHERE,), None),
}


@pytest.mark.parametrize(("operation", "scalings", "reason"), WAITS.values(), ids=WAITS.keys())
def test_a_saving_waits_for_what_scaling_policies_have_under_way(
    operation: Operation, scalings: tuple[Scaling, ...], reason: Reason | None
) -> None:
    seen = replace(bounds(scalings=scalings), policy=None)
    said = ruling(wished(PlanKind.SAVING, operation), seen)
    if reason is None:
        assert not (isinstance(said, Wait) and said.reason in (Reason.IN_FLIGHT, Reason.STABILISATION))
    else:
        assert isinstance(said, Wait)
        assert said.reason is reason


def test_a_remediation_waits_for_no_scaling_policy() -> None:
    assert ruling(wished(PlanKind.REMEDIATION, RESTART), bounds(scalings=(MOVING,))) is None


def test_a_saving_waits_for_a_failover_of_its_namespace_and_a_remediation_of_its_object() -> None:
    failover = a_plan(PlanKind.FAILOVER, ScaleTo(target=CART, replicas=5, only_up=True), policy="FailoverPolicy/shop/f")
    abroad = replace(failover, policy="FailoverPolicy/other/f")
    cure = a_plan(PlanKind.REMEDIATION, RESTART)
    wish = wished(PlanKind.SAVING, RESIZE)
    for other, waits in ((failover, True), (abroad, False), (cure, True)):
        said = ruling(wish, replace(bounds(other), policy=None))
        assert isinstance(said, Wait) is waits, other.policy
    ended = replace(cure, status=PlanStatus.DONE, ended_at=NOW)
    assert ruling(wish, replace(bounds(ended), policy=None)) is None


def an_incident(**labels: str) -> Incident:
    return Incident(id="I1", kind="level-shift", since=NOW, labels=labels, series=("s",), peak_score=2.0)


def test_a_saving_waits_while_an_incident_is_open_on_its_workload_or_its_whole_namespace() -> None:
    assert concerns(an_incident(namespace="shop", deployment="checkout"), TARGET)
    assert concerns(an_incident(namespace="shop"), TARGET)
    assert not concerns(an_incident(namespace="shop", app="cart"), TARGET)
    assert not concerns(an_incident(namespace="other"), TARGET)
    assert not concerns(an_incident(app="checkout"), TARGET)
    seen = replace(bounds(incidents=(an_incident(namespace="shop", service="checkout"),)), policy=None)
    said = ruling(wished(PlanKind.SAVING, RESIZE), seen)
    assert isinstance(said, Wait)
    assert "incident I1 (level-shift) is open on Deployment shop/checkout" in said.detail
    assert ruling(wished(PlanKind.REMEDIATION, RESTART), bounds(incidents=seen.incidents)) is None


# -- savings make way ----------------------------------------------------------------------------------


def test_a_saving_at_work_is_taken_back_for_a_plan_of_safety_that_may_act_and_that_begins_after_it() -> None:
    saving = a_plan(PlanKind.SAVING, RESIZE)
    after = entering(wished(PlanKind.REMEDIATION, RESTART), bounds(saving))
    assert after.plans[saving.id].status is PlanStatus.ROLLING_BACK
    assert "it yields to RemediationPolicy/shop/cures (remediation)" in after.plans[saving.id].notes[-1].text
    assert (after.judgement.word, after.judgement.reason) == (VerdictWord.WAIT, Reason.IN_FLIGHT)
    gone = replace(after.plans[saving.id], status=PlanStatus.ROLLED_BACK, ended_at=NOW)
    begun = entering(wished(PlanKind.REMEDIATION, RESTART), bounds(gone))
    assert begun.plans["W"].status is PlanStatus.RUNNING


@pytest.mark.parametrize("status", [PlanStatus.PAUSED, PlanStatus.ASKING])
def test_a_saving_that_stands_still_is_not_waited_for(status: PlanStatus) -> None:
    after = entering(wished(PlanKind.REMEDIATION, RESTART), bounds(a_plan(PlanKind.SAVING, RESIZE, status)))
    assert after.plans["W"].status is PlanStatus.RUNNING


def test_nothing_makes_way_for_what_may_not_act_anyway() -> None:
    saving = a_plan(PlanKind.SAVING, RESIZE)
    wish = wished(PlanKind.REMEDIATION, RESTART)
    dry = entering(wish, bounds(saving, mode=Mode.DRY_RUN))
    assert dry.plans[saving.id].status is PlanStatus.RUNNING
    closed = replace(bounds(saving), snapshot=snapshot(world(390.0).looked, NOW, store_ok=False))
    held = entering(wish, closed)
    assert held.plans[saving.id].status is PlanStatus.RUNNING
    # another saving displaces nobody
    other = entering(wished(PlanKind.SAVING, RESIZE), bounds(saving))
    assert other.plans[saving.id].status is PlanStatus.RUNNING


def test_a_saving_of_something_else_goes_on() -> None:
    saving = a_plan(PlanKind.SAVING, replace(RESIZE, target=CART))
    after = entering(wished(PlanKind.REMEDIATION, RESTART), bounds(saving))
    assert (after.plans[saving.id].status, after.plans["W"].status) == (PlanStatus.RUNNING, PlanStatus.RUNNING)


# -- ScalingPolicies beside plans ------------------------------------------------------------------------

BESIDE: dict[str, tuple[Plan, int, bool]] = {
    "more replicas beside a resize": (a_plan(PlanKind.SAVING, RESIZE), 10, False),
    "fewer replicas beside a resize": (a_plan(PlanKind.SAVING, RESIZE), 6, True),
    "more replicas while a plan sets them": (a_plan(PlanKind.FAILOVER, ScaleTo(target=TARGET, replicas=9)), 10, True),
    "fewer replicas after a plan has set them and is still at work": (
        a_plan(
            PlanKind.FAILOVER,
            RESTART,
            steps=(
                PlanStep(name="up", operation=ScaleTo(target=TARGET, replicas=9), stage=Stage.DONE),
                PlanStep(name="then", operation=Cordon(node=NODE), stage=Stage.BEGUN),
            ),
        ),
        6,
        True,
    ),
    "more replicas after that": (
        a_plan(
            PlanKind.FAILOVER,
            RESTART,
            steps=(
                PlanStep(name="up", operation=ScaleTo(target=TARGET, replicas=9), stage=Stage.DONE),
                PlanStep(name="then", operation=Cordon(node=NODE), stage=Stage.BEGUN),
            ),
        ),
        10,
        False,
    ),
    "fewer replicas beside a plan for another": (a_plan(PlanKind.SAVING, replace(RESIZE, target=CART)), 6, False),
    "fewer replicas once it has ended": (a_plan(PlanKind.SAVING, RESIZE, PlanStatus.DONE), 6, False),
    "fewer replicas beside what is only rehearsed": (a_plan(PlanKind.SAVING, RESIZE, dry_run=True), 6, False),
}


@pytest.mark.parametrize(("plan", "after", "waits"), BESIDE.values(), ids=BESIDE.keys())
def test_beside_a_plan_at_work_nothing_is_taken_away_and_no_field_has_two_actors(
    plan: Plan, after: int, waits: bool
) -> None:
    said = arbiter(Wish(proposal(8, after), after), context(plans=(plan,)))
    assert isinstance(said, Wait) is waits
    assert not isinstance(said, Pass)
    if isinstance(said, Wait):
        assert said.reason is Reason.IN_FLIGHT
        assert plan.id in said.detail


def test_what_gives_back_does_not_wait_for_a_plan_that_stands_still_s2():
    cure = a_plan(PlanKind.REMEDIATION, ScaleTo(target=TARGET, replicas=9))
    taken = a_plan(PlanKind.SAVING, ScaleTo(target=TARGET, replicas=1), PlanStatus.ROLLING_BACK)
    assert crossed(taken, (cure,)) is cure
    still = replace(cure, held="change freeze week 48")
    assert crossed(taken, (still,)) is None
    # whoever takes waits on: what was sent of it may still arrive
    takes = replace(taken, status=PlanStatus.RUNNING)
    assert crossed(takes, (still,)) is still


def test_of_the_plans_that_claim_a_field_none_is_left_out():
    several = [
        replace(a_plan(PlanKind.SAVING, operation), id=f"P{number}")
        for number, operation in enumerate((RESIZE, RESTART, Cordon(node=NODE), ScaleTo(target=CART, replicas=2)))
    ]
    found = by_claim(several)
    for one in several:
        rivals = {name for each in claims(one) for name in found[each]}
        assert rivals == {other.id for other in several if set(claims(other)) & set(claims(one))}
