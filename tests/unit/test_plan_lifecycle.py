"""Plans around their steps: proposed, ruled, answered by people, ordered about, held, forgotten (S2, S3, S6, S9)."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from aiops.core.model import (
    Approval,
    Direction,
    Drain,
    Freeze,
    Judgement,
    Leadership,
    Mode,
    Order,
    OrderKind,
    Pause,
    Plan,
    PlanKind,
    PlanStatus,
    PlanStep,
    Reason,
    RunJob,
    Scope,
    Snapshot,
    Stage,
    TargetRef,
    VerdictWord,
)
from aiops.core.plans.guards import Bounds, ruling
from aiops.core.plans.lifecycle import (
    KEPT_S,
    Entered,
    confirmed,
    entered,
    expired,
    kept_still,
    ordered,
    taken_back,
    to_forget,
)
from aiops.core.plans.operations import verbs
from aiops.core.policies import PlanPolicy
from tests.plan_world import GROUP, NAMESPACE, NOW, ROUTE, ObjectCluster, plan, route, shift, snapshot
from tests.unit.operated import CORDONED, POD, api

WISH = Judgement(word=VerdictWord.ALLOW, detail="users of west fail")


def policy(mode: Mode = Mode.ENFORCE, **more: object) -> PlanPolicy:
    made = {"key": GROUP, "digest": "d", "document": "{}", "origin": "f", "mode": mode, "target": ROUTE, "signals": {}}
    return PlanPolicy(**{**made, **more})


def world(**more: object) -> Snapshot:
    cluster = ObjectCluster()
    cluster.put(ROUTE, route())
    return snapshot(cluster.look(None, NOW), **more)


def entering(one: Plan | None, by: PlanPolicy, seen: Snapshot, *plans: Plan) -> Entered:
    return entered(() if one is None else (one,), WISH, Bounds(policy=by, snapshot=seen, plans=plans))


def order(kind: OrderKind, reason: str = "why") -> Order:
    return Order(id="O", kind=kind, subject="01PLAN", by="ada", at=NOW, reason=reason, expires_at=NOW + 600)


def test_in_enforce_a_plan_begins_and_in_observe_nothing_is_planned_s6():
    begun = entering(plan(), policy(), world())
    assert begun.plans["01PLAN"].status is PlanStatus.RUNNING
    assert begun.judgement.plan_id == "01PLAN"
    seen = entering(plan(), policy(Mode.OBSERVE), world())
    assert seen.plans == {}
    assert seen.judgement.reason is Reason.MODE_OBSERVE


def test_a_dry_run_is_told_once_with_what_it_would_have_done_s6():
    first = entering(plan(), policy(Mode.DRY_RUN), world())
    told = first.plans["01PLAN"]
    assert told.status is PlanStatus.REHEARSED
    assert any("would 1. send 0 to west, 100 to north" in note.text for note in told.notes)
    again = entering(plan(id="01OTHER"), policy(Mode.DRY_RUN), world(), told)
    assert set(again.plans) == {"01PLAN"}
    assert again.judgement.reason is Reason.DRY_RUN_SETTLED


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"leadership": Leadership(leader=False, epoch=1)}, Reason.NOT_LEADER),
        ({"leadership": Leadership(leader=True, epoch=1, until=NOW)}, Reason.NOT_LEADER),
        ({"store_ok": False}, Reason.STORE_UNAVAILABLE),
        (
            {"leadership": Leadership(leader=True, epoch=1, unfenced={ROUTE.key: (Reason.UNFENCED, "not yet")})},
            Reason.UNFENCED,
        ),
        (
            {"pauses": (Pause(id="p", scope="*", direction=Direction.ALL, reason="r", by="ada", since=NOW),)},
            Reason.PAUSED,
        ),
        ({"scope": Scope(protected_namespaces=frozenset({"edge"}))}, Reason.PROTECTED),
        ({"scope": Scope()}, Reason.UNKNOWN_TARGET),
        ({"scope": Scope(ceiling=Mode.OBSERVE)}, Reason.MODE_OBSERVE),
    ],
)
def test_what_stands_against_a_plan_is_said_and_nothing_begins_s2_s3_s9(more, reason):
    found = entering(plan(), policy(), world(**more))
    assert found.plans == {}
    assert found.judgement.reason is reason


def test_a_namespace_opts_in_by_its_label_s3():
    for labels, reason in (({"policy.aiops/managed": "true"}, None), ({}, Reason.NOT_OPTED_IN)):
        cluster = ObjectCluster()
        cluster.put(ROUTE, route())
        cluster.put(NAMESPACE, {"metadata": {"name": "edge", "labels": labels}})
        found = entering(plan(), policy(), snapshot(cluster.look(None, NOW), scope=Scope()))
        assert found.judgement.reason is reason


def test_a_node_is_not_emptied_of_pods_of_a_protected_namespace_s3():
    drain = Drain(node=CORDONED)
    looked = api().look(verbs(drain).wanted(drain), NOW)
    one = plan(PlanStep(name="empty", operation=drain), kind=PlanKind.REMEDIATION)
    free = Scope(protected_namespaces=frozenset({"elsewhere"}))
    assert entering(one, policy(Mode.DRY_RUN), snapshot(looked, scope=free)).judgement.word is VerdictWord.ALLOW
    bound = Scope(protected_namespaces=frozenset({POD.namespace}))
    held = entering(one, policy(Mode.DRY_RUN), snapshot(looked, scope=bound)).judgement
    assert (held.reason, POD.name in held.detail) == (Reason.PROTECTED, True)


def test_a_change_freeze_holds_what_can_wait_and_users_that_fail_cannot_s9():
    frozen = world(freezes=(Freeze(name="holidays", until=NOW + 60),))
    assert entering(plan(), policy(), frozen).judgement.word is VerdictWord.ALLOW
    for kind in (PlanKind.FAILBACK, PlanKind.DRILL, PlanKind.REMEDIATION, PlanKind.SAVING):
        assert entering(plan(kind=kind), policy(), frozen).judgement.reason is Reason.FROZEN


def test_one_plan_stands_for_a_subject_and_one_changes_an_object_s4():
    standing = replace(plan(id="01FIRST"), status=PlanStatus.RUNNING)
    assert entering(plan(), policy(), world(), standing).judgement.reason is Reason.IN_FLIGHT
    other = replace(standing, subject="another", policy="RemediationPolicy/shop/x")
    assert entering(plan(), policy(), world(), other).judgement.reason is Reason.IN_FLIGHT


def approval(by: str, *, yes: bool = True) -> Approval:
    return Approval(ask_id="01PLAN", approved=yes, by=by, at=NOW, reason="looks right")


def test_in_approve_a_person_is_asked_and_everything_is_ruled_again_when_one_says_yes_s6():
    asked = entering(plan(), policy(Mode.APPROVE), world())
    waiting = asked.plans["01PLAN"]
    assert waiting.status is PlanStatus.PROPOSED
    assert asked.judgement.word is VerdictWord.ASK
    later = entering(plan(id="01NEW"), policy(Mode.APPROVE), world(approvals=(approval("ada"),)), waiting)
    assert later.plans["01PLAN"].status is PlanStatus.RUNNING
    assert "01NEW" not in later.plans
    stopped = world(
        approvals=(approval("ada"),),
        pauses=(Pause(id="p", scope="*", direction=Direction.ALL, reason="r", by="bob", since=NOW),),
    )
    held = entering(plan(id="01NEW"), policy(Mode.APPROVE), stopped, waiting)
    assert held.plans["01PLAN"].status is PlanStatus.PROPOSED
    assert held.judgement.reason is Reason.PAUSED


def test_a_no_ends_a_proposal_and_it_is_not_asked_again_so_soon():
    waiting = entering(plan(), policy(Mode.APPROVE), world()).plans["01PLAN"]
    refused = entering(plan(id="2"), policy(Mode.APPROVE), world(approvals=(approval("ada", yes=False),)), waiting)
    ended = refused.plans["01PLAN"]
    assert ended.status is PlanStatus.REFUSED
    assert ended.notes[-1].text == "refused: ada said no: looks right"
    again = entering(plan(id="3"), policy(Mode.APPROVE), world(), ended)
    assert again.judgement.reason is Reason.APPROVAL_REJECTED
    assert set(again.plans) == {"01PLAN"}


def test_two_people_must_say_yes_where_the_policy_says_so():
    both = policy(Mode.APPROVE, approvers=2)
    waiting = entering(plan(needed=2), both, world()).plans["01PLAN"]
    once = entering(plan(id="2", needed=2), both, world(approvals=(approval("ada"),)), waiting)
    assert once.plans["01PLAN"].status is PlanStatus.PROPOSED
    twice = (approval("ada"), replace(approval("ada"), at=NOW + 1))
    assert entering(plan(id="2", needed=2), both, world(approvals=twice), waiting).judgement.word is VerdictWord.ASK
    two = (approval("ada"), approval("bob"))
    assert entering(plan(id="2", needed=2), both, world(approvals=two), waiting).plans["01PLAN"].approvals == (
        "ada",
        "bob",
    )


def test_a_plan_that_says_why_a_person_must_see_it_asks_in_every_mode_s8():
    asked = entering(plan(asks="without a witness nobody else can tell"), policy(), world())
    assert asked.judgement.word is VerdictWord.ASK
    assert "without a witness" in asked.judgement.detail


def test_what_nothing_can_take_back_needs_a_yes_even_in_enforce():
    template = TargetRef(cluster="edge", namespace="edge", api_version="batch/v1", kind="CronJob", name="fix")
    step = PlanStep(name="fix", operation=RunJob(template=template, name="fix-1"), undoable=False)
    asked = entering(plan(step), policy(), world())
    assert asked.judgement.reason is Reason.NOT_UNDOABLE


def test_a_proposal_whose_reason_is_gone_is_withdrawn_and_one_that_differs_is_replaced():
    waiting = entering(plan(), policy(Mode.APPROVE), world()).plans["01PLAN"]
    gone = entering(None, policy(Mode.APPROVE), world(), waiting)
    assert gone.plans["01PLAN"].status is PlanStatus.REFUSED
    assert not gone.plans["01PLAN"].answered
    other = plan(PlanStep(name="half", operation=shift(50, 50)), id="01OTHER")
    replaced = entering(other, policy(Mode.APPROVE), world(), waiting)
    assert replaced.plans["01PLAN"].status is PlanStatus.REFUSED
    assert replaced.plans["01OTHER"].status is PlanStatus.PROPOSED


def test_a_proposal_that_nobody_answers_expires():
    waiting = entering(plan(), policy(Mode.APPROVE, ask_for_s=60.0), world()).plans["01PLAN"]
    assert expired(waiting, NOW + 59.0) is waiting
    late = expired(waiting, NOW + 60.0)
    assert late.status is PlanStatus.REFUSED
    assert late.notes[-1].text == "refused: nobody answered in time"


def test_the_order_of_a_person_is_that_persons_yes_and_a_second_one_may_be_needed():
    own = plan(by="ada")
    assert entering(own, policy(Mode.APPROVE), world()).plans["01PLAN"].status is PlanStatus.RUNNING
    two = entering(plan(by="ada", needed=2), policy(Mode.APPROVE), world()).plans["01PLAN"]
    assert two.status is PlanStatus.PROPOSED
    seen = world(approvals=(approval("bob"), approval("eve")))
    bounds = Bounds(policy=policy(Mode.APPROVE), snapshot=seen, plans=(two,))
    assert confirmed(two, bounds).status is PlanStatus.RUNNING


def test_an_order_that_a_second_person_confirms_in_a_dry_run_is_told_and_stands_in_nobody_s_way_s6():
    two = entering(plan(by="ada", needed=2), policy(Mode.DRY_RUN), world()).plans["01PLAN"]
    bounds = Bounds(policy=policy(Mode.DRY_RUN), snapshot=world(approvals=(approval("bob"), approval("eve"))), plans=())
    told = confirmed(two, bounds)
    assert (told.status, told.dry_run) == (PlanStatus.REHEARSED, True)
    assert told.notes[-2].text.startswith("would 1. send")


@pytest.mark.parametrize(
    ("status", "kind", "after"),
    [
        (PlanStatus.RUNNING, OrderKind.PAUSE, PlanStatus.PAUSED),
        (PlanStatus.PAUSED, OrderKind.RESUME, PlanStatus.RUNNING),
        (PlanStatus.ASKING, OrderKind.RESUME, PlanStatus.RUNNING),
        (PlanStatus.RUNNING, OrderKind.ROLL_BACK, PlanStatus.ROLLING_BACK),
        (PlanStatus.PAUSED, OrderKind.ABORT, PlanStatus.ROLLING_BACK),
        (PlanStatus.PROPOSED, OrderKind.ABORT, PlanStatus.REFUSED),
        (PlanStatus.DONE, OrderKind.RESUME, PlanStatus.DONE),
        (PlanStatus.DONE, OrderKind.ROLL_BACK, PlanStatus.DONE),  # nothing of it stands
    ],
)
def test_orders_do_what_the_plan_s_state_allows_and_note_the_rest(status, kind, after):
    one = ordered(replace(plan(), status=status), order(kind), NOW)
    assert one.status is after
    assert "ada" in one.notes[-1].text


def test_a_plan_that_is_done_is_taken_back_by_order_while_it_stands_s9():
    step = replace(plan().steps[0], sent=1, undo=(shift(100, 0),))
    done = replace(plan(step, kind=PlanKind.REMEDIATION), status=PlanStatus.DONE, ended_at=NOW)
    moved = ordered(replace(done, kind=PlanKind.FAILOVER), order(OrderKind.ROLL_BACK), NOW)
    assert moved.status is PlanStatus.DONE
    assert "checks the home site first" in moved.notes[-1].text
    back = ordered(done, order(OrderKind.ROLL_BACK), NOW)
    assert back.status is PlanStatus.ROLLING_BACK
    assert math.isinf(back.ended_at)


def test_a_running_plan_stands_still_while_something_stands_against_it_and_goes_on_after_s2_s9():
    running = replace(plan(), status=PlanStatus.RUNNING)
    stopped = world(pauses=(Pause(id="p", scope="*", direction=Direction.ALL, reason="fire", by="bob", since=NOW),))
    bounds = Bounds(policy=policy(), snapshot=stopped, plans=(running,))
    still = kept_still(running, bounds)
    assert still.held == "paused by bob: fire"
    assert kept_still(still, Bounds(policy=policy(), snapshot=world(), plans=(still,))).held == ""


def test_a_plan_whose_policy_is_gone_waits_for_a_person_who_may_take_it_back():
    running = replace(plan(), status=PlanStatus.RUNNING)
    bounds = Bounds(policy=None, snapshot=world(), plans=(running,))
    assert "not in force any more" in kept_still(running, bounds).held
    back = replace(running, status=PlanStatus.ROLLING_BACK)
    assert kept_still(back, bounds).held == ""


def test_a_policy_lowered_to_dry_run_sends_nothing_more_of_a_plan_that_runs_s6():
    running = replace(plan(), status=PlanStatus.RUNNING)
    bounds = Bounds(policy=policy(Mode.DRY_RUN), snapshot=world(), plans=(running,))
    assert kept_still(running, bounds).held == "mode dry-run sends nothing"


def test_what_ended_is_forgotten_after_a_while_unless_something_of_it_stands_s9():
    step = replace(plan().steps[0], sent=1, undo=(shift(100, 0),))
    done = replace(plan(step), status=PlanStatus.DONE, ended_at=NOW)
    moved = ObjectCluster()
    moved.put(ROUTE, route(0, 100))
    later = NOW + KEPT_S + 1
    assert not to_forget(done, snapshot(moved.look(None, later), later))
    assert to_forget(done, replace(world(), at=later))  # somebody moved it since
    assert to_forget(replace(done, status=PlanStatus.FAILED), snapshot(moved.look(None, later), later))
    assert not to_forget(done, world())


STEP = PlanStep(name="shift", operation=shift(100, 0))


def test_several_plans_of_one_policy_are_ruled_each_for_itself_and_the_loudest_is_told():
    first = plan(STEP)
    second = replace(first, id="B" * 26, subject="another")
    bounds = Bounds(policy=policy(), snapshot=world(), plans=())

    found = entered((first, second), WISH, bounds)

    # the second one would change the object that the first is changing (S4)
    assert {one.id: one.status for one in found.plans.values()} == {first.id: PlanStatus.RUNNING}
    assert found.judgement.word is VerdictWord.ALLOW
    assert found.judgement.detail.endswith("(of 2 plans: 1 allow, 1 wait)")


def test_a_proposal_stays_while_its_own_wish_stays_whatever_else_is_wanted():
    first = plan(STEP)
    second = replace(first, id="B" * 26, subject="another")
    by, seen = policy(Mode.APPROVE), world()
    proposed = entered((first, second), WISH, Bounds(policy=by, snapshot=seen, plans=()))

    after = entered((second,), WISH, Bounds(policy=by, snapshot=seen, plans=tuple(proposed.plans.values())))

    assert {one.subject: one.status for one in after.plans.values()} == {
        first.subject: PlanStatus.REFUSED,
        "another": PlanStatus.PROPOSED,
    }


def test_a_policy_takes_back_its_own_plans_and_no_others():
    stands = replace(plan(replace(STEP, stage=Stage.DONE, sent=1, undo=(shift(0, 100),))), status=PlanStatus.DONE)
    foreign = replace(stands, id="B" * 26, policy="shop/Other/x")
    bounds = Bounds(policy=policy(), snapshot=world(), plans=())
    both = {one.id: one for one in (stands, foreign)}

    after = taken_back(both, tuple((one, "the window is over") for one in both), bounds)

    assert after[stands.id].status is PlanStatus.ROLLING_BACK
    assert after[stands.id].notes[-1].text == "rolled back: the window is over"
    assert after[foreign.id] is foreign


def test_who_said_yes_to_a_saving_said_yes_to_its_end_and_no_freeze_binds_that_s2_s9():
    saving = plan(STEP, kind=PlanKind.SAVING)
    frozen = Bounds(policy=policy(), snapshot=world(freezes=(Freeze(name="sale", until=NOW + 60),)), plans=())
    assert ruling(replace(saving, kind=PlanKind.RESTORE), frozen) is None
    asks = Bounds(policy=policy(Mode.APPROVE), snapshot=world(), plans=())
    assert ruling(saving, asks).reason is Reason.APPROVAL_NEEDED
    assert ruling(replace(saving, kind=PlanKind.RESTORE), asks) is None
