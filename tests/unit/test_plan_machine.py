"""A plan goes on by what is seen, one step at a time, and is taken back by what was seen before (S6, S7, S9)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from aiops.core.model import (
    GroupState,
    Health,
    Looked,
    Notify,
    Otherwise,
    Plan,
    PlanStatus,
    PlanStep,
    Reason,
    SiteServes,
    SiteState,
    Stage,
    StepResult,
    StepStatus,
)
from aiops.core.plans.changes import answered, begun, held, resumed, rolling_back
from aiops.core.plans.machine import UNDO_WITHIN_S, advance
from aiops.core.plans.world import World
from tests.plan_world import GROUP, NOW, ROUTE, TICK_S, ObjectCluster, plan, route, shift, snapshot

NORTH = SiteServes(group=GROUP, site="north")
REFUSED = StepResult(action_id="", status=StepStatus.REFUSED, at=NOW, code=409, message="conflict")
FORBIDDEN = replace(REFUSED, code=403, reason=Reason.NO_PERMISSION, message="forbidden")
SILENT = replace(REFUSED, status=StepStatus.UNKNOWN, code=0, message="time-out")


@dataclass
class Drive:
    """One plan on a cluster of objects, turn by turn."""

    plan: Plan
    cluster: ObjectCluster
    health: Health = Health.WELL
    now: float = NOW
    looked: Looked = field(default_factory=Looked)

    def turn(self, turns: int = 1, *, deliver: bool = True, fresh: bool = True) -> Plan:
        for _ in range(turns):
            self.looked = self.cluster.look(None, self.now) if fresh else self.looked
            site = SiteState(health=self.health, since=NOW, well_since=NOW)
            world = World(
                now=self.now,
                snapshot=snapshot(self.looked, self.now),
                groups={GROUP: GroupState(sites={"north": site})},
            )
            made = advance(self.plan, world, TICK_S)
            self.plan = made.plan
            if made.errand is not None and deliver:
                results = [self.cluster.perform(made.errand, step, self.now) for step in made.errand.steps]
                told = StepResult(action_id=made.errand.id, status=StepStatus.DONE, at=self.now)
                self.plan = answered(self.plan, made.errand, [*results, *(told for _ in made.errand.messages)])
            self.now += TICK_S
        return self.plan

    @property
    def weights(self) -> tuple[int, ...]:
        return tuple(ref["weight"] for ref in self.cluster.body(ROUTE)["spec"]["rules"][0]["backendRefs"])


def drive(*steps: PlanStep, west: int = 100, north: int = 0, **more: object) -> Drive:
    cluster = ObjectCluster()
    cluster.put(ROUTE, route(west, north))
    return Drive(begun(plan(*steps, **more), NOW, "test"), cluster)


def test_a_step_is_sent_once_and_done_when_it_is_seen():
    one = drive()
    one.turn()
    assert one.weights == (0, 100)
    assert one.plan.status is PlanStatus.RUNNING
    assert one.turn().status is PlanStatus.DONE
    assert len(one.cluster.sent) == 1
    assert one.plan.steps[0].undo == (shift(100, 0),)


def test_what_is_so_already_is_not_sent():
    one = drive(west=0, north=100)
    assert one.turn().status is PlanStatus.DONE
    assert one.cluster.sent == []
    assert not one.plan.touches_back


def test_steps_come_one_after_the_other_and_each_is_looked_at_for_its_time():
    steps = (
        PlanStep(name="half", operation=shift(50, 50), requires=(NORTH,), checks=(NORTH,), hold_s=10.0),
        PlanStep(name="all", operation=shift(0, 100), requires=(NORTH,)),
    )
    one = drive(*steps)
    seen = []
    for _ in range(5):
        one.turn()
        seen.append(one.weights)
    assert seen == [(50, 50), (50, 50), (50, 50), (0, 100), (0, 100)]  # ten seconds from when it was seen
    assert one.plan.status is PlanStatus.DONE


def test_nothing_is_begun_while_what_it_requires_is_not_known_s1():
    one = drive(PlanStep(name="all", operation=shift(0, 100), requires=(NORTH,), within_s=30.0))
    one.health = Health.INCONCLUSIVE
    one.turn(6)
    assert one.weights == (100, 0)
    assert one.plan.steps[0].stage is Stage.PENDING
    assert one.turn(3).status is PlanStatus.ROLLED_BACK
    assert one.cluster.sent == []


def test_a_clock_that_was_set_back_does_not_keep_a_step_waiting_s6():
    one = drive(PlanStep(name="all", operation=shift(0, 100), checks=(NORTH,), within_s=20.0))
    one.health, one.now = Health.INCONCLUSIVE, NOW + 7_200.0
    one.turn(2)
    one.now = NOW
    one.turn(2)
    assert one.plan.status is PlanStatus.RUNNING
    one.turn(8)
    assert one.plan.status is PlanStatus.ROLLED_BACK


def test_a_regression_takes_everything_back_in_reverse_order_s7():
    steps = (
        PlanStep(name="some", operation=shift(80, 20)),
        PlanStep(name="half", operation=shift(50, 50), checks=(NORTH,), hold_s=60.0),
    )
    one = drive(*steps, keeps=(NORTH,))
    one.turn(4)
    assert one.weights == (50, 50)
    one.health = Health.SICK
    seen = []
    for _ in range(4):
        one.turn()
        seen.append(one.weights)
    assert seen[0] == (80, 20)
    assert seen[-1] == (100, 0)
    assert one.plan.status is PlanStatus.ROLLED_BACK


def test_what_somebody_else_wrote_after_us_is_left_alone_when_we_take_back_s7():
    one = drive()
    one.turn(2)
    one.cluster.put(ROUTE, route(30, 70))
    one.plan = rolling_back(one.plan, one.now, "ops")
    assert one.turn(2).status is PlanStatus.ROLLED_BACK
    assert one.weights == (30, 70)
    assert one.plan.steps[0].detail == "not ours any more"


def test_a_cache_that_does_not_show_our_write_yet_does_not_read_as_taken_back_s6_s7():
    one = drive()
    one.turn()
    assert one.weights == (0, 100)
    one.plan = rolling_back(one.plan, one.now, "ops")
    assert one.turn(3, fresh=False).status is PlanStatus.ROLLING_BACK
    assert one.turn(2).status is PlanStatus.ROLLED_BACK
    assert one.weights == (100, 0)


def test_a_conflict_is_looked_at_again_and_sent_anew_from_what_is_seen_then_s6():
    one = drive()
    one.cluster.answers = [REFUSED]
    one.turn()
    assert one.weights == (100, 0)
    assert one.turn(2).status is PlanStatus.DONE
    assert one.weights == (0, 100)


def test_a_missing_right_ends_the_step_at_once_s3():
    one = drive(PlanStep(name="all", operation=shift(0, 100), otherwise=Otherwise.ASK))
    one.cluster.answers = [FORBIDDEN]
    one.turn()
    assert one.turn().status is PlanStatus.ASKING
    assert "forbidden" in one.plan.notes[-1].text


def test_a_lost_answer_is_not_sent_again_when_the_world_shows_that_it_happened_s6():
    one = drive()
    one.cluster.answers = [SILENT]
    one.turn()
    assert one.weights == (0, 100)
    assert one.turn(2).status is PlanStatus.DONE
    assert len(one.cluster.sent) == 1


def test_a_request_that_never_left_is_made_anew_after_a_while_s6():
    one = drive()
    one.turn(deliver=False)  # the process died between the journal and the request
    assert one.weights == (100, 0)
    one.turn(4)
    assert one.weights == (0, 100)
    assert one.plan.status is PlanStatus.DONE


def test_a_message_without_an_answer_is_never_told_twice_and_does_not_stop_what_goes_on_s6():
    tell = PlanStep(name="tell", operation=Notify(title="t", text="x"), within_s=20.0, otherwise=Otherwise.GO_ON)
    one = drive(tell, PlanStep(name="all", operation=shift(0, 100)))
    one.turn(deliver=False)
    assert one.turn(8).status is PlanStatus.DONE
    assert one.plan.steps[0].stage is Stage.SKIPPED
    assert one.plan.steps[0].sent == 1


def test_a_step_that_does_not_come_to_its_check_is_taken_back_or_a_person_is_asked():
    for otherwise, status, weights in (
        (Otherwise.UNDO, PlanStatus.ROLLED_BACK, (100, 0)),
        (Otherwise.ASK, PlanStatus.ASKING, (0, 100)),
    ):
        step = PlanStep(name="all", operation=shift(0, 100), checks=(NORTH,), within_s=20.0, otherwise=otherwise)
        one = drive(step)
        one.health = Health.INCONCLUSIVE
        assert one.turn(10).status is status
        assert one.weights == weights


def test_a_person_lets_an_asking_plan_go_on_with_its_whole_time():
    step = PlanStep(name="all", operation=shift(0, 100), checks=(NORTH,), within_s=20.0, otherwise=Otherwise.ASK)
    one = drive(step)
    one.health = Health.INCONCLUSIVE
    one.turn(8)
    one.health = Health.WELL
    one.plan = resumed(one.plan, one.now, "looked at it")
    assert one.turn(2).status is PlanStatus.DONE


def test_a_held_plan_stands_still_between_its_steps_and_its_time_does_not_run_s9():
    steps = (
        PlanStep(name="half", operation=shift(50, 50), checks=(NORTH,), hold_s=10.0, within_s=30.0),
        PlanStep(name="all", operation=shift(0, 100)),
    )
    one = drive(*steps)
    one.turn(2)
    one.plan = held(one.plan, "paused by ops", one.now)
    one.turn(40)
    assert one.weights == (50, 50)
    one.plan = held(one.plan, "", one.now)
    assert one.plan.status is PlanStatus.RUNNING
    assert one.turn(6).status is PlanStatus.DONE


def test_what_cannot_be_taken_back_in_time_is_a_persons():
    one = drive()
    one.turn(2)
    one.plan = rolling_back(one.plan, one.now, "ops")
    one.cluster.answers = [REFUSED] * 200
    one.turn(int(UNDO_WITHIN_S / TICK_S) + 3)
    assert one.plan.status is PlanStatus.ASKING
    assert "could not be taken back" in one.plan.notes[-1].text
    one.cluster.answers = []
    one.plan = resumed(one.plan, one.now, "the API is there again")
    assert one.plan.status is PlanStatus.ROLLING_BACK
    assert one.turn(3).status is PlanStatus.ROLLED_BACK
    assert one.weights == (100, 0)


@pytest.mark.parametrize("status", [one for one in PlanStatus if one.ended or one is PlanStatus.PROPOSED])
def test_what_has_ended_or_was_not_begun_asks_for_nothing(status):
    one = drive()
    one.plan = replace(one.plan, status=status)
    assert one.turn(3).status is status
    assert one.cluster.sent == []
