"""What happens to a plan as a whole: held, begun, ended, taken back, resumed, told what became of an errand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from aiops.core.model import (
    Errand,
    Instant,
    Note,
    Plan,
    PlanStatus,
    PlanStep,
    Reason,
    Stage,
    StepResult,
    StepStatus,
)
from aiops.core.plans.operations import verbs

MAX_NOTES = 200
"""What is told of one plan; the oldest but the first are forgotten."""

_AGAIN = frozenset({0, 409, 412, 425, 429, 500, 502, 503, 504})
"""Answers after which the same step may be tried again with a fresh look."""


def held(plan: Plan, why: str, now: Instant) -> Plan:
    """Return the plan that is held for a reason, or goes on where it was: time that it was held does not count."""
    if why == plan.held:
        return plan
    if why:
        return noted(replace(plan, held=why), now, f"held: {why}")
    at = plan.current
    steps = plan.steps
    if at is not None and math.isfinite(steps[at].since):
        steps = with_step(steps, at, replace(steps[at], since=now, well_since=math.inf))
    return noted(replace(plan, held="", steps=steps), now, "goes on")


def begun(plan: Plan, now: Instant, why: str) -> Plan:
    """Return the plan that runs from now on."""
    return noted(replace(plan, status=PlanStatus.RUNNING), now, f"begun: {why}")


def ended(plan: Plan, status: PlanStatus, now: Instant, why: str) -> Plan:
    """Return the plan that has ended so."""
    return noted(replace(plan, status=status, ended_at=now, held=""), now, f"{status.value}: {why}")


def rolling_back(plan: Plan, now: Instant, why: str) -> Plan:
    """Return the plan that is being taken back from now on."""
    at = plan.current
    steps = plan.steps if at is None else with_step(plan.steps, at, replace(plan.steps[at], since=now))
    return noted(replace(plan, status=PlanStatus.ROLLING_BACK, steps=steps), now, f"rolled back: {why}")


def resumed(plan: Plan, now: Instant, why: str) -> Plan:
    """Return a paused or asking plan that goes on: the step at work has its whole time again."""
    undoing = [n for n, step in enumerate(plan.steps) if step.stage is Stage.UNDOING]
    at = undoing[-1] if undoing else plan.current
    steps = plan.steps
    if at is not None:
        step = steps[at]
        stage = Stage.PENDING if step.stage in (Stage.FAILED, Stage.UNKNOWN) else step.stage
        since = now if stage is Stage.UNDOING else math.inf
        steps = with_step(steps, at, replace(step, stage=stage, since=since, well_since=math.inf))
    back = any(step.stage is Stage.UNDOING for step in steps)
    status = PlanStatus.ROLLING_BACK if back else PlanStatus.RUNNING
    return noted(replace(plan, status=status, steps=steps), now, f"resumed: {why}")


def noted(plan: Plan, now: Instant, text: str) -> Plan:
    """Return the plan with one more note."""
    notes = (*plan.notes, Note(at=now, text=text))
    if len(notes) > MAX_NOTES:
        notes = (notes[0], *notes[-MAX_NOTES + 1 :])
    return replace(plan, notes=notes)


def answered(plan: Plan, errand: Errand, results: Sequence[StepResult]) -> Plan:
    """Return the plan that knows what became of an errand: the first of its results that is not well tells.

    What the world shows needs no answer: it is looked at. What is only told is done when it was taken, and unknown
    when nobody knows (S6). A refusal that waiting will not change is the end of the step.
    """
    if not results or plan.status not in (PlanStatus.RUNNING, PlanStatus.ROLLING_BACK):
        return plan
    done = (StepStatus.DONE, StepStatus.DRY_RUN)
    last = next((one for one in results if one.status not in done), results[-1])
    step = plan.steps[errand.step]
    if step.sent_at != errand.issued_at:
        return plan  # that was an earlier attempt
    shown = verbs(step.operation).shown
    match last.status:
        case StepStatus.DONE | StepStatus.DRY_RUN:
            after = step if shown or errand.back else replace(step, stage=Stage.DONE, detail="told")
        case StepStatus.UNKNOWN:
            detail = f"no answer: {last.message}"
            after = replace(step, detail=detail, stage=step.stage if shown or errand.back else Stage.UNKNOWN)
        case StepStatus.REFUSED:
            after = _refused(step, last, errand)
    if after is step:
        return plan
    where = f"step {errand.step + 1} ({step.name})"
    return noted(replace(plan, steps=with_step(plan.steps, errand.step, after)), last.at, f"{where}: {after.detail}")


def _refused(step: PlanStep, last: StepResult, errand: Errand) -> PlanStep:
    detail = f"refused: {last.message or last.code}"
    if last.reason is Reason.NOT_LEADER or (last.code in _AGAIN and last.reason is not Reason.NO_PERMISSION):
        # nothing has happened: it is made anew from a fresh look
        return replace(step, detail=detail, again=True)
    return replace(step, detail=detail) if errand.back else replace(step, detail=detail, stage=Stage.FAILED)


def with_step(steps: tuple[PlanStep, ...], number: int, step: PlanStep) -> tuple[PlanStep, ...]:
    """Return the steps with another one in the place of `number`."""
    return (*steps[:number], step, *steps[number + 1 :])


def same(one: Plan, other: Plan) -> bool:
    """Return whether two plans would do the same to the same subject."""
    return one.subject == other.subject and one.kind is other.kind and _does(one) == _does(other)


def _does(plan: Plan) -> list[str]:
    return [verbs(step.operation).says(step.operation) for step in plan.steps]
