"""The standby grows while users are only suspected to fail, is kept where it is needed and given back where not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.core.decide.failover.moves import _hastened
from aiops.core.model import (
    Looked,
    Mode,
    Note,
    OrderKind,
    PlanKind,
    PlanStatus,
    ScaleTo,
    Scope,
    SeenObject,
    Stage,
    VerdictWord,
)
from aiops.core.planning import arbiter
from aiops.core.planning.failover import Steps
from aiops.core.plans.guards import Bounds
from aiops.core.plans.lifecycle import kept_still, let_go, unanswered
from aiops.core.plans.operations import stands, verbs
from tests.plan_world import NOW, plan, snapshot
from tests.unit.failing import Driven, a_group

OUTSIDE = ("edge", "north")
ENFORCED = a_group(("mode: approve", "mode: enforce"))


def small(policy=ENFORCED, **more):
    return Driven(policy=policy, ready={"west": 4, "north": 1}, **more).settled()


def done(group, made):
    """Let a preparation have been carried out."""
    undo = (replace(made.steps[0].operation, replicas=1, only_up=False, lent=False),)
    steps = (replace(made.steps[0], stage=Stage.DONE, sent=1, sent_at=group.now, since=group.now, undo=undo),)
    made = replace(made, steps=steps, status=PlanStatus.DONE, ended_at=group.now)
    group.plans = (*group.plans, made)
    group.ready["north"] = 4
    return made


def test_a_standby_that_is_too_small_grows_before_it_is_known_that_users_fail():
    group = small()
    group.fail("west", 0.35)
    found = group.run(30.0)
    (made,) = found.plans
    assert (made.kind, made.subject) == (PlanKind.PREPARE, f"{ENFORCED.key}#north")
    idle = ENFORCED.traffic.shift((("storefront-west", 100), ("storefront-north", 0)))
    assert made.steps[0].operation == ScaleTo(
        target=ENFORCED.sites[1].target, replicas=4, only_up=True, lent=True, idle=idle
    )
    assert found.judgement.word is VerdictWord.WAIT  # of the users nothing is known for sure
    since = group.now
    done(group, made)
    later = group.run(120.0)
    assert later.plan.kind is PlanKind.FAILOVER
    assert group.now > since
    assert not any(isinstance(step.operation, ScaleTo) for step in later.plan.steps)


@pytest.mark.parametrize(
    "policy",
    [a_group(), a_group(("mode: approve", "mode: enforce"), ("replicas: 4", "replicas: 4, prepare: false"))],
    ids=["approve", "prepare: false"],
)
def test_where_a_person_would_be_asked_or_the_policy_says_so_nothing_is_made_ready(policy):
    group = small(policy)
    group.fail("west", 0.35)
    group.run(30.0)
    assert not any(one.kind is PlanKind.PREPARE for one in group.last.plans)


def test_one_who_suspects_alone_makes_nothing_ready():
    group = small()
    group.fail("west", 0.8, ("edge",))
    assert group.run(120.0).plans == ()


def test_what_was_not_needed_is_given_back_after_five_minutes_of_health_and_not_tried_again_so_soon():
    group = small()
    group.fail("west", 0.35)
    made = done(group, group.run(30.0).plan)
    group.fail("west", 0.0)
    group.run(200.0)
    assert group.last.back == ()
    group.run(200.0)
    assert [name for name, _ in group.last.back] == [made.id]
    group.plans, group.ready["north"] = (replace(made, status=PlanStatus.ROLLED_BACK),), 1
    group.fail("west", 0.35)
    group.run(30.0)
    assert not any(one.kind is PlanKind.PREPARE for one in group.last.plans)


def test_a_standby_to_which_users_are_sent_is_never_given_back_s7():
    group = small()
    group.fail("west", 0.35)
    done(group, group.run(30.0).plan)
    group.weights = {"storefront-west": 50, "storefront-north": 50}
    group.fail("west", 0.0)
    group.run(900.0)
    assert group.last.back == ()


def test_a_standby_that_is_being_given_back_is_kept_when_a_failover_begins_s7():
    operation = ScaleTo(target=ENFORCED.sites[1].target, replicas=4, only_up=True, lent=True)
    step = replace(plan().steps[0], operation=operation, stage=Stage.UNDOING, sent=1, undo=(operation,))
    back = plan(step, id="01PREPARE", kind=PlanKind.PREPARE, subject="x#north", status=PlanStatus.ROLLING_BACK)
    move = plan(id="02MOVE", status=PlanStatus.RUNNING)
    bounds = Bounds(policy=ENFORCED, snapshot=snapshot(Looked()), plans=(back, move))
    kept = kept_still(back, bounds)
    assert (kept.status, kept.steps[0].stage, kept.touches_back) == (PlanStatus.DONE, Stage.DONE, True)
    alone = kept_still(back, replace(bounds, plans=(back,)))
    assert alone.status is PlanStatus.ROLLING_BACK
    assert arbiter.crossed(move, (back,)) is None  # a failover waits for no preparation


@pytest.mark.parametrize(("now", "ours"), [(4, True), (6, False), (2, False)])
def test_replicas_that_were_lent_are_taken_back_while_nobody_changed_them_s7(now, ours):
    operation = ScaleTo(target=ENFORCED.sites[1].target, replicas=4, only_up=True, lent=True)
    body = {"metadata": {"name": "storefront"}, "spec": {"replicas": now}}
    seen = SeenObject(ref=operation.target, uid="u", resource_version="1", as_of=NOW, body=body)
    (asked,) = verbs(operation).wanted(operation).selections
    looked = Looked(objects={operation.target.key: seen}, selections={asked.key: ()})
    assert stands(operation, looked) is ours


@pytest.mark.parametrize(
    ("share", "steps"), [(0.0, (20, 50, 100)), (0.5, (20, 50, 100)), (0.61, (50, 100)), (0.85, (100,))]
)
def test_the_first_step_risks_no_more_of_those_who_are_served_than_the_policy_s_own(share, steps):
    assert _hastened(Steps(percents=(20, 50, 100), pause_s=10.0), share).percents == steps


# -- plans that ask ------------------------------------------------------------------------------------


def asking(since, **more):
    return plan(status=PlanStatus.ASKING, notes=(Note(at=since, text="a person is asked"),), **more)


def test_a_plan_that_nobody_answers_ends_after_the_time_to_answer_and_what_it_did_stands_s6():
    bounds = Bounds(policy=ENFORCED, snapshot=snapshot(Looked()), plans=())
    early, late = asking(NOW - 3599.0), asking(NOW - 3600.0)
    assert unanswered(early, bounds) is early
    ended = unanswered(late, bounds)
    assert ended.status is PlanStatus.FAILED
    assert ended.notes[-1].text == "failed: nobody said for 60 minutes how it goes on; what it did stands"
    saving = replace(late, kind=PlanKind.SAVING)
    assert unanswered(saving, bounds) is saving  # it goes on giving back what it took (S2)


def test_a_failover_that_asks_gives_way_once_users_are_served_wherever_they_are_sent_s8():
    group = Driven(policy=ENFORCED).settled()
    waiting = asking(group.now, kind=PlanKind.FAILOVER)
    group.plans = (replace(waiting, policy=ENFORCED.key, subject=ENFORCED.key, by=ENFORCED.key),)
    group.run(55.0)
    assert group.last.over == ()
    group.run(10.0)
    assert [name for name, _ in group.last.over] == [waiting.id]
    bounds = Bounds(policy=ENFORCED, snapshot=snapshot(Looked()), plans=group.plans)
    after = let_go({waiting.id: group.plans[0]}, group.last.over, bounds)
    assert after[waiting.id].status is PlanStatus.FAILED


def test_a_failover_that_asks_stands_while_users_fail_where_they_are_sent():
    group = Driven(policy=ENFORCED).settled()
    group.plans = (replace(asking(group.now), policy=ENFORCED.key, subject=ENFORCED.key, by=ENFORCED.key),)
    group.fail("west", 0.5)
    group.run(300.0)
    assert group.last.over == ()


def test_an_order_that_waits_for_a_second_person_is_withdrawn_when_somebody_else_moved_traffic_s4():
    policy = a_group(("mode: approve", "mode: enforce\n  approvers: 2"))
    group = Driven(policy=policy).settled()
    group.order(OrderKind.START)
    (made,) = group.tick().plans
    group.plans = (made,)
    group.tick()
    assert group.last.over == ()
    group.weights = {"storefront-west": 40, "storefront-north": 60}
    group.tick()
    assert [name for name, _ in group.last.over] == [made.id]
    bounds = Bounds(policy=policy, snapshot=snapshot(Looked(), scope=Scope(ceiling=Mode.ENFORCE)), plans=(made,))
    assert let_go({made.id: made}, group.last.over, bounds)[made.id].status is PlanStatus.REFUSED
