"""What a person writes while a plan is at work is theirs: it is not sent over, and not taken back (S4, S7)."""

from __future__ import annotations

import pytest

from aiops.core.model import Health, Otherwise, PlanStatus, PlanStep, Stage
from aiops.core.plans.changes import resumed, rolling_back
from tests.plan_world import ROUTE, route, shift
from tests.unit.test_plan_machine import NORTH, drive

HALF = PlanStep(name="half north", operation=shift(50, 50), hold_s=30.0)
ALL = PlanStep(name="all north", operation=shift(0, 100), requires=(NORTH,))


def test_a_step_that_was_passed_over_is_not_taken_back_over_what_a_person_wrote_since_s7():
    step = PlanStep(
        name="half north", operation=shift(50, 50), checks=(NORTH,), within_s=20.0, otherwise=Otherwise.GO_ON
    )
    one = drive(step, PlanStep(name="all north", operation=shift(0, 100), requires=(NORTH,)))
    one.health = Health.INCONCLUSIVE
    one.turn(6)
    assert (one.weights, one.plan.steps[0].stage) == ((50, 50), Stage.SKIPPED)
    one.cluster.put(ROUTE, route(80, 20))
    one.plan = rolling_back(one.plan, one.now, "a person said so")
    one.turn(3)
    assert one.weights == (80, 20)
    assert one.plan.status is PlanStatus.ROLLED_BACK
    assert "somebody changed it after us" in " ".join(note.text for note in one.plan.notes)


def test_a_step_that_was_passed_over_is_taken_back_where_it_stands_s7():
    step = PlanStep(
        name="half north", operation=shift(50, 50), checks=(NORTH,), within_s=20.0, otherwise=Otherwise.GO_ON
    )
    one = drive(step, ALL)
    one.health = Health.INCONCLUSIVE
    one.turn(6)
    one.plan = rolling_back(one.plan, one.now, "a person said so")
    one.turn(3)
    assert (one.weights, one.plan.status) == ((100, 0), PlanStatus.ROLLED_BACK)


def test_what_a_person_writes_while_a_step_is_watched_is_not_written_over_and_a_person_is_asked_s4():
    one = drive(HALF, ALL)
    one.turn(3)
    assert one.weights == (50, 50)
    one.cluster.put(ROUTE, route(80, 20))
    one.turn(8)
    assert one.weights == (80, 20)
    assert one.plan.status is PlanStatus.ASKING
    assert "somebody changed it after us; a person is asked" in one.plan.notes[-1].text


def test_what_a_person_writes_between_two_steps_is_not_written_over_s4():
    one = drive(PlanStep(name="half north", operation=shift(50, 50)), ALL)
    one.health = Health.INCONCLUSIVE
    one.turn(3)
    assert (one.weights, one.plan.current) == ((50, 50), 1)
    one.cluster.put(ROUTE, route(100, 0))
    one.health = Health.WELL
    one.turn(3)
    assert (one.weights, one.plan.status) == ((100, 0), PlanStatus.ASKING)


def test_a_person_who_lets_it_go_on_is_asked_once_and_obeyed_s9():
    one = drive(PlanStep(name="half north", operation=shift(50, 50)), ALL)
    one.health = Health.INCONCLUSIVE
    one.turn(3)
    one.cluster.put(ROUTE, route(100, 0))
    one.health = Health.WELL
    one.turn(3)
    assert one.plan.status is PlanStatus.ASKING
    one.plan = resumed(one.plan, one.now, "a person said so")
    one.turn(3)
    assert (one.weights, one.plan.status) == ((0, 100), PlanStatus.DONE)


def test_what_is_taken_back_is_not_sent_on_over_what_a_person_writes_meanwhile_s7():
    one = drive(HALF, ALL)
    one.turn(3)
    one.plan = rolling_back(one.plan, one.now, "a person said so")
    one.turn(deliver=False)  # our request back is lost
    one.cluster.put(ROUTE, route(70, 30))
    one.turn(4)
    assert (one.weights, one.plan.status) == ((70, 30), PlanStatus.ROLLED_BACK)


@pytest.mark.parametrize("first", [(90, 10), (60, 40)])
def test_the_undo_goes_back_to_what_a_person_wrote_between_the_proposal_and_the_step_s7(first):
    one = drive(HALF, ALL)
    one.cluster.put(ROUTE, route(*first))
    one.turn(3)
    one.plan = rolling_back(one.plan, one.now, "a person said so")
    one.turn(3)
    assert one.weights == first


def test_a_step_that_is_begun_anew_after_a_question_still_knows_what_was_there_before_it_s7():
    step = PlanStep(name="all north", operation=shift(0, 100), checks=(NORTH,), within_s=20.0, otherwise=Otherwise.ASK)
    one = drive(step)
    one.health = Health.INCONCLUSIVE
    one.turn(6)
    assert (one.weights, one.plan.status) == ((0, 100), PlanStatus.ASKING)
    one.plan = resumed(one.plan, one.now, "ada")
    one.turn(2)
    one.plan = rolling_back(one.plan, one.now, "a person said so")
    one.turn(3)
    assert (one.weights, one.plan.status) == ((100, 0), PlanStatus.ROLLED_BACK)
