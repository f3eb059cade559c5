"""The machine of plans: from one instant to the next, one step at a time, at most one errand per plan and tick.

A step is begun when everything that it requires is seen, it is done when its checks have held long enough, and when
that takes too long it is taken back, asked about or passed over, as it says. What it sends is made from what is seen,
with preconditions, so that sending it again after a crash or a lost answer does nothing twice (S6).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from aiops.core.ids import ulid
from aiops.core.model import (
    Errand,
    Operation,
    Otherwise,
    Plan,
    PlanKind,
    PlanStatus,
    PlanStep,
    Reason,
    Stage,
)
from aiops.core.model.swift import swift
from aiops.core.planning import arbiter
from aiops.core.plans.changes import ended, noted, rolling_back, with_step
from aiops.core.plans.operations import Origin, Requests, mended, others, stands, steers, verbs
from aiops.core.plans.world import World, all_seen

CHANGED = "somebody changed it after us"
SEND_TICKS, SEND_LEAST_S = 2.0, 30.0
"""A request is sent within two ticks, or not at all."""

UNDO_WITHIN_S = 300.0
"""How long taking one step back may take before a person is asked."""


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Advanced:
    """A plan after one instant, and what is to be sent for it now."""

    plan: Plan
    errand: Errand | None = None


def advance(plan: Plan, world: World, tick_s: float) -> Advanced:
    """Return the plan one instant later; nothing happens to one that is held, waits for a person or has ended."""
    if plan.held:
        return Advanced(plan=plan)
    match plan.status:
        case PlanStatus.RUNNING:
            return _Turn(plan, world, tick_s).forward()
        case PlanStatus.ROLLING_BACK:
            return _Turn(plan, world, tick_s).backward()
        case _:
            return Advanced(plan=plan)


class _Turn:
    """One plan at one instant."""

    def __init__(self, plan: Plan, world: World, tick_s: float) -> None:
        self._plan = plan
        self._world = world
        self._now = world.now
        self._tick_s = tick_s
        self._errand: Errand | None = None

    @property
    def _made(self) -> Advanced:
        return Advanced(plan=self._plan, errand=self._errand)

    # -- forward ---------------------------------------------------------------------------------------

    def forward(self) -> Advanced:
        """Go on until something has to be waited for."""
        for check in self._plan.keeps:
            found = all_seen((check,), self._plan.steps[0].operation, self._world)
            if found.holds is False:
                self._plan = rolling_back(self._plan, self._now, found.detail)
                return self.backward()
        while self._plan.status is PlanStatus.RUNNING and self._errand is None:
            at = self._plan.current
            if at is None:
                self._plan = ended(self._plan, PlanStatus.DONE, self._now, "every step is done")
                break
            if not self._moved(at):
                break
        return self.backward() if self._plan.status is PlanStatus.ROLLING_BACK else self._made

    def _moved(self, at: int) -> bool:
        """Move the step at work and return whether the plan is another now."""
        step, before = self._plan.steps[at], self._plan
        match step.stage:
            case Stage.PENDING:
                self._begin(at, step)
            case Stage.BEGUN:
                self._watch(at, step)
            case Stage.FAILED | Stage.UNKNOWN:
                self._miss(at, step.detail or step.stage.value)
            case Stage.DONE | Stage.SKIPPED | Stage.UNDOING | Stage.UNDONE:
                self._miss(at, f"a {step.stage.value} step is not one to go on with")
        return self._plan is not before

    def _begin(self, at: int, step: PlanStep) -> None:
        if not math.isfinite(step.since):
            step = replace(step, since=self._now)
            self._put(at, step)
        required = all_seen(step.requires, step.operation, self._world)
        looked, does = self._world.snapshot.looked, verbs(step.operation)
        refusal = does.refusal(step.operation, looked) if required.holds else None
        if required.holds is not True or refusal is not None:
            why = required.detail if refusal is None else refusal[1]
            self._wait(at, step, f"waits: {why}")
            return
        if step.detail != CHANGED and self._changed_since(at, step):
            self._yield(at, step)  # once: whoever lets it go on has been told
            return
        undo = does.undo(step.operation, looked) if step.undoable else ()
        if step.sent and step.undo and stands(step.operation, looked) is not False:
            undo = step.undo  # it is begun anew, and what was there before its first request is known from then
        if undo is None:
            self._wait(at, step, "waits: how to take it back is not known")
            return
        requests = does.requests(step.operation, looked, self._origin(at, step))
        step = replace(step, stage=Stage.BEGUN, since=self._now, undo=undo, detail="")
        said = does.says(step.operation)
        already = ", which is so already" if not requests and does.reached(step.operation, looked) else ""
        self._put(at, step, f"step {at + 1} ({step.name}): {said}{already}")
        if requests:
            self._send(at, step, requests, back=False)

    def _changed_since(self, at: int, step: PlanStep) -> bool:
        """Return whether somebody changed what an earlier step of this plan had written where this one writes (S4)."""
        mine, kind = arbiter.claim(step.operation), type(step.operation)
        if not steers(step.operation):
            return False
        before = [
            one
            for one in self._plan.steps[:at]
            if one.sent and one.stage is Stage.DONE and isinstance(one.operation, kind)
            if arbiter.claim(one.operation) == mine
        ]
        return bool(before) and stands(before[-1].operation, self._world.snapshot.looked) is False

    def _yield(self, at: int, step: PlanStep) -> None:
        """Ask a person how it goes on: somebody else wrote after us, and is not overruled (S4)."""
        self._put(at, replace(step, stage=Stage.FAILED, detail=CHANGED))
        self._ask(f"step {at + 1} ({step.name}): {CHANGED}")

    def _shown(self, at: int, step: PlanStep) -> PlanStep | None:
        """Return the step that knows whether what it wrote was seen; None where it was, and is not any more."""
        if not step.sent or not steers(step.operation) or not self._fresh(step):
            return step
        there, seen_ = stands(step.operation, self._world.snapshot.looked), math.isfinite(step.shown_at)
        if there is False and seen_:
            return None
        if there and not seen_:
            self._put(at, replace(step, shown_at=self._now))
        return self._plan.steps[at]

    def _watch(self, at: int, step: PlanStep) -> None:
        known = self._shown(at, step)
        if known is None:
            self._yield(at, step)
            return
        step = known
        if step.since > self._now:
            step = replace(step, since=self._now)  # the clock was set back: nothing waits for what it showed
        found = all_seen(step.checks, step.operation, self._world)
        if found.holds:
            well_since = min(step.well_since, self._now)
            if self._now - well_since >= step.hold_s:
                self._put(at, replace(step, stage=Stage.DONE, well_since=well_since, detail=found.detail))
            elif step.well_since != well_since:
                self._put(at, replace(step, well_since=well_since, detail=found.detail))
            return
        step = replace(step, well_since=math.inf, detail=found.detail)
        if self._now - step.since > step.within_s:
            self._put(at, step)
            self._miss(at, f"not within {step.within_s:.0f} s: {found.detail}")
            return
        self._put(at, step)
        self._again(at, step)

    def _again(self, at: int, step: PlanStep) -> None:
        does = verbs(step.operation)
        early = 0.0 <= self._now - step.sent_at < does.again_s and not step.again
        if early or not self._fresh(step) or does.reached(step.operation, self._world.snapshot.looked):
            return
        if does.refusal(step.operation, self._world.snapshot.looked) is not None:
            return
        requests = does.requests(step.operation, self._world.snapshot.looked, self._origin(at, step))
        if requests:
            self._send(at, step, requests, back=False)

    def _wait(self, at: int, step: PlanStep, why: str) -> None:
        if self._now - step.since > step.within_s:
            self._miss(at, why)
        elif step.detail != why:
            self._put(at, replace(step, detail=why), f"step {at + 1} ({step.name}) {why}")

    def _miss(self, at: int, why: str) -> None:
        """Do what the step says for when it does not come to its end."""
        step = self._plan.steps[at]
        said = f"step {at + 1} ({step.name}): {why}"
        match step.otherwise:
            case Otherwise.GO_ON:
                self._put(at, replace(step, stage=Stage.SKIPPED, detail=why), f"{said}; passed over")
            case Otherwise.ASK:
                self._put(at, replace(step, stage=Stage.FAILED, detail=why))
                self._plan = noted(
                    replace(self._plan, status=PlanStatus.ASKING), self._now, f"{said}; a person is asked"
                )
            case Otherwise.UNDO:
                self._plan = rolling_back(self._plan, self._now, said)

    # -- backward --------------------------------------------------------------------------------------

    def backward(self) -> Advanced:
        """Take back, from the last step begun to the first, until something has to be waited for."""
        while self._errand is None and self._plan.status is PlanStatus.ROLLING_BACK:
            at = self._plan.current
            if at is None:
                self._finish()
                break
            before = self._plan
            self._take_back(at, self._plan.steps[at])
            if self._plan is before:
                break
        return self._made

    def _finish(self) -> None:
        lasting = [step.name for step in self._plan.steps if step.sent and not step.undoable]
        if lasting:
            why = f"could not be taken back: {', '.join(lasting)}"
            self._plan = ended(self._plan, PlanStatus.FAILED, self._now, why)
        else:
            self._plan = ended(self._plan, PlanStatus.ROLLED_BACK, self._now, "all is as it was")

    def _take_back(self, at: int, step: PlanStep) -> None:
        looked = self._world.snapshot.looked
        if step.sent == 0 or not step.undo:
            self._put(at, replace(step, stage=Stage.UNDONE))
            return
        if not self._fresh(step):
            return  # what we sent may not show yet, and would read as taken back
        unseen = stands(step.operation, looked) is False
        stood = step.stage in (Stage.DONE, Stage.UNDOING)
        mends = mended(step.operation, looked) if unseen and stood else ()
        if mends and mends != step.undo:
            self._put(at, replace(step, undo=mends, stage=Stage.UNDOING, since=self._now))
            step = self._plan.steps[at]
        elif unseen and (step.stage is Stage.DONE or others(step.operation, step.undo, looked)):
            said = f"step {at + 1} ({step.name}): somebody changed it after us, it is left as it is"
            self._put(at, replace(step, stage=Stage.UNDONE, detail="not ours any more"), said)
            return
        left = [one for one in step.undo if verbs(one).reached(one, looked) is not True]
        if not left:
            said = f"step {at + 1} ({step.name}) is taken back"
            self._put(at, replace(step, stage=Stage.UNDONE, detail="taken back"), said)
            return
        if step.stage is not Stage.UNDOING:
            self._put(at, replace(step, stage=Stage.UNDOING, since=self._now))
            step = self._plan.steps[at]
        if self._now - step.since <= UNDO_WITHIN_S or self._tried_on(at, left):
            self._send_back(at, self._plan.steps[at], left)

    def _tried_on(self, at: int, left: Sequence[Operation]) -> bool:
        """Say that taking a step back takes too long, and return whether it is tried on."""
        step, looked = self._plan.steps[at], self._world.snapshot.looked
        why = f"step {at + 1} ({step.name}) could not be taken back: {step.detail}"
        if self._plan.kind is not PlanKind.SAVING:
            self._ask(why)
            return False
        refused = [refusal for one in left if (refusal := verbs(one).refusal(one, looked)) is not None]
        if len(refused) == len(left) and all(reason is Reason.OWNED for reason, _ in refused):
            # whoever has the field now is not fought, and is not waited for either (S4)
            self._put(at, replace(step, stage=Stage.UNDONE, detail="its owner's now"), f"{why}; it is its owner's now")
            return False
        # capacity that a saving took is wanted back, however long that takes (S2)
        self._put(at, replace(step, since=self._now), f"{why}; it is tried again")
        return True

    def _send_back(self, at: int, step: PlanStep, left: Sequence[Operation]) -> None:
        looked = self._world.snapshot.looked
        for one in left:
            refusal = verbs(one).refusal(one, looked)
            if refusal is not None:
                if step.detail != refusal[1]:
                    self._put(at, replace(step, detail=refusal[1]))
                continue
            requests = verbs(one).requests(one, looked, self._origin(at, step))
            if requests:
                self._send(at, step, requests, back=True)
                return

    def _fresh(self, step: PlanStep) -> bool:
        """Return whether everything that the step touches was looked at after its last request.

        Where the clock was set back since, what is looked at now is after all that was sent before.
        """
        after = step.sent_at if step.sent_at <= self._now else self._now - 1e-3
        objects = self._world.snapshot.looked.objects
        wanted = verbs(step.operation).wanted(step.operation).objects
        found = [objects[ref.key] for ref in wanted if ref.key in objects]
        return all(one.as_of > after for one in found)

    # -- both ------------------------------------------------------------------------------------------

    def _origin(self, at: int, step: PlanStep) -> Origin:
        return Origin(
            plan_id=self._plan.id,
            policy=self._plan.policy,
            key=self._errand_id(at, step),
            epoch=self._world.snapshot.leadership.epoch,
            now=self._now,
            first=not step.sent,
        )

    def _errand_id(self, at: int, step: PlanStep) -> str:
        way = self._plan.status.value
        return ulid(self._now, self._plan.id, "errand", way, str(at), str(step.sent))

    def _send(self, at: int, step: PlanStep, requests: Requests, *, back: bool) -> None:
        self._put(at, replace(step, sent=step.sent + 1, sent_at=self._now, again=False))
        self._errand = Errand(
            id=self._errand_id(at, step),
            plan_id=self._plan.id,
            step=at,
            back=back,
            policy=self._plan.policy,
            dry_run=self._plan.dry_run,
            issued_at=self._now,
            expires_at=self._now + max(SEND_LEAST_S, SEND_TICKS * self._tick_s),
            epoch=self._world.snapshot.leadership.epoch,
            steps=requests.steps,
            messages=requests.messages,
        )

    def _ask(self, why: str) -> None:
        self._plan = noted(replace(self._plan, status=PlanStatus.ASKING), self._now, f"{why}; a person is asked")

    def _put(self, at: int, step: PlanStep, note: str = "") -> None:
        if step != self._plan.steps[at]:
            self._plan = replace(self._plan, steps=with_step(self._plan.steps, at, step))
        if note:
            self._plan = noted(self._plan, self._now, note)
