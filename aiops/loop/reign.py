"""Leading: the journal is claimed, objects carry the epoch, and what a predecessor left is looked at (S6)."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

from aiops.core import act
from aiops.core.model import (
    Action,
    Instant,
    Leadership,
    LoopState,
    Outcome,
    OutcomeKind,
    Reason,
    Snapshot,
    StepResult,
    StepStatus,
)
from aiops.core.model.swift import changed
from aiops.core.pipeline import orphans, overdue, plan_stamps, recovered, resumed, stamps, taken_over, with_followed
from aiops.core.policies import PolicySet
from aiops.loop.seams import Ports
from aiops.loop.sending import Sender

_LOG = logging.getLogger("aiops.loop")
STAMPS_A_TURN = 200
"""How many objects are stamped in one turn; the others wait for the next, and are not written before."""


@dataclass(slots=True)
class Reign:
    """One process's time as leader. left: actions that a predecessor began and nobody knows the end of.

    followed: what it has seen of sites and subjects while another led. sender: writes epochs on objects.
    """

    ports: Ports
    sender: Sender
    epoch: int = -1
    left: tuple[Action, ...] = ()
    followed: LoopState = field(default_factory=LoopState)
    _stamped: set[tuple[str, str]] = field(default_factory=set)

    def begin(self, leadership: Leadership, state: LoopState, now: Instant) -> LoopState:
        """Return the state to lead with: the journal's own when this process has just become the leader.

        Raises StoreUnavailable, Fenced among them; then this process does not lead yet.
        """
        if leadership.epoch == self.epoch:
            return state
        if leadership.elected:
            state = taken_over(self.ports.journal.claim(leadership.epoch, leadership.holder, now))
            state = with_followed(state, self.followed)
            _LOG.info("took_over", extra={"epoch": leadership.epoch, "holder": leadership.holder})
        self._stamped = set()
        state = self._look_back(resumed(state, now), now)
        self.epoch = leadership.epoch
        return state

    def end(self, followed: LoopState) -> None:
        """Forget the claim: leading again begins with the journal's state. followed: what standing by has taught."""
        self.epoch = -1
        self.followed = followed

    def fenced(self, policies: PolicySet, state: LoopState, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot after the objects that may be written carry the epoch, and say which do not yet."""
        if not snapshot.leadership.elected or not snapshot.leadership.leader:
            return snapshot
        workloads, objects = dict(snapshot.workloads), dict(snapshot.looked.objects)
        every = (*stamps(policies, state, snapshot), *plan_stamps(state, snapshot))
        due = [stamp for stamp in every if stamp.mark not in self._stamped]
        waiting = (Reason.UNFENCED, "the epoch is being written on other objects first")
        unfenced = {stamp.target.key: waiting for stamp in due[STAMPS_A_TURN:]}
        now = due[:STAMPS_A_TURN]
        for stamp, result in zip(now, self.sender.stamp(now) if now else (), strict=True):
            key = stamp.target.key
            if result.status is not StepStatus.DONE:
                why = f"epoch {stamp.epoch} could not be written on the object: {result.message}"
                unfenced[key] = (result.reason if result.reason is Reason.NO_PERMISSION else Reason.UNFENCED, why)
                continue
            self._stamped.add(stamp.mark)
            if key in workloads:
                workloads[key] = act.stamped(workloads[key], stamp.step, result.resource_version)
            if key in objects:
                objects[key] = replace(objects[key], resource_version=result.resource_version)
        leadership = changed(snapshot.leadership, unfenced=unfenced)
        looked = changed(snapshot.looked, objects=objects)
        return changed(snapshot, workloads=workloads, leadership=leadership, looked=looked)

    # -- what a predecessor left -----------------------------------------------------------------------

    def _look_back(self, state: LoopState, now: Instant) -> LoopState:
        """Take note of what was begun and has no answer: it is judged as soon as the world shows what became of it."""
        found = self.ports.journal.unsettled()
        if not found:
            return state
        unknown = "the process ended before the answer was written down"
        results = [
            StepResult(
                action_id=one.id,
                status=StepStatus.DRY_RUN if one.dry_run else StepStatus.UNKNOWN,
                at=now,
                message="" if one.dry_run else unknown,
            )
            for one in found
        ]
        outcomes = [_not_sent(one, now) for one in found if one.dry_run]
        self.left = tuple(overdue(one, now) for one in found if not one.dry_run)
        self.ports.journal.settle(results, outcomes, state)
        for one in self.left:
            _LOG.warning("action_unanswered", extra={"action": one.id, "target": str(one.target)})
        return state

    def judge(self, policies: PolicySet, state: LoopState, snapshot: Snapshot) -> LoopState:
        """Return the state after a look at what is left; what can be told is written down as an outcome."""
        gone = orphans(state, policies)
        if not self.left and not gone:
            return state
        known = {one.id for one in self.left}
        made = recovered(state, (*self.left, *(one for one in gone if one.id not in known)), snapshot, policies)
        if made.outcomes:
            self.ports.journal.settle((), made.outcomes, made.state)
        self.left = tuple(one for one in made.left if one.id in known)
        return made.state


def _not_sent(action: Action, at: Instant) -> Outcome:
    return Outcome(
        action_id=action.id,
        policy=action.policy,
        target=action.target,
        kind=OutcomeKind.DRY_RUN,
        at=at,
        detail="not sent",
    )
