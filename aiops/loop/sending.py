"""Sending what was decided: to each system in order, to several beside each other, the lease checked each time (S6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from aiops.core.model import (
    Action,
    Errand,
    Instant,
    Leadership,
    Message,
    Reason,
    Stamp,
    Step,
    StepResult,
    StepStatus,
    Verb,
)
from aiops.errors import PortError
from aiops.loop.lanes import PEOPLE, GoOn, Job
from aiops.loop.seams import Ports
from aiops.ports import Cluster, Repositories

_NOBODY = ""
Answers = tuple[StepResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """leadership: who may write at an instant. present: the time now."""

    ports: Ports
    leadership: Callable[[Instant], Leadership]
    present: Callable[[], Instant]

    def send(
        self, actions: Sequence[Action], errands: Sequence[Errand]
    ) -> tuple[dict[str, StepResult], dict[str, Answers]]:
        """Return the answers by action id, and by errand id; of one system actions are sent before errands."""
        jobs = [(_lane(one.dry_run, one.steps), self._action_job(one)) for one in actions]
        jobs += [(_lane(one.dry_run, one.steps) or PEOPLE, self._errand_job(one)) for one in errands]
        answers = self.ports.lanes.do(jobs)
        sent = dict(zip((one.id for one in actions), (last for *_, last in answers[: len(actions)]), strict=True))
        return sent, dict(zip((one.id for one in errands), answers[len(actions) :], strict=True))

    def _action_job(self, action: Action) -> Job[Answers]:
        def unsent(why: str) -> Answers:
            return (self._refused(action.id, Reason.CLUSTER_UNAVAILABLE, why),)

        def unanswered(why: str) -> Answers:
            # what happened to the request is not known: the next Snapshot shows it (S6)
            return (self._unknown(action.id, why),)

        return Job(run=lambda go_on: (self.act(action, go_on),), unsent=unsent, unanswered=unanswered)

    def _errand_job(self, errand: Errand) -> Job[Answers]:
        results: list[StepResult] = []

        def unsent(why: str) -> Answers:
            return (self._refused(errand.id, Reason.CLUSTER_UNAVAILABLE, why),)

        def unanswered(why: str) -> Answers:
            return (*results, self._unknown(errand.id, why))

        return Job(run=lambda go_on: self.run(errand, go_on, results), unsent=unsent, unanswered=unanswered)

    # -- one of each -----------------------------------------------------------------------------------

    def act(self, action: Action, go_on: GoOn) -> StepResult:
        """Send the steps in order, the lease checked right before each; the first that is not done ends it."""
        result = StepResult(action_id=action.id, status=StepStatus.DONE, at=self.present())
        for number, step in enumerate(action.steps):
            if number and not go_on():
                return self._unknown(action.id, "the turn was over before its next step")
            due, at = action, self.present()
            if not action.dry_run:
                leadership = self.leadership(at)
                if not leadership.leader or leadership.epoch != action.epoch:
                    return self._refused(action.id, Reason.NOT_LEADER, "lost the lease")
                # no request outlives the lease
                due = replace(action, expires_at=min(action.expires_at, leadership.until))
            try:
                result = self._port_of(action, step).send(due, step, at)
            except PortError as err:
                # what happened to the request is not known: the next Snapshot shows it (S6)
                return StepResult(action_id=action.id, status=StepStatus.UNKNOWN, at=at, message=str(err))
            if result.status not in (StepStatus.DONE, StepStatus.DRY_RUN):
                return result
        return result

    def _port_of(self, action: Action, step: Step) -> Cluster | Repositories:
        """Return where a step goes: nowhere, into a repository, or to an API server."""
        if action.dry_run:
            return self.ports.dry
        return self.ports.repositories if step.verb is Verb.COMMIT else self.ports.cluster

    def _plan_port(self, errand: Errand, step: Step) -> Cluster | Repositories:
        if errand.dry_run:
            return self.ports.dry
        return self.ports.repositories if step.verb is Verb.COMMIT else self.ports.cluster

    def run(self, errand: Errand, go_on: GoOn, results: list[StepResult]) -> Answers:
        """Send what a plan's step asks for, the lease checked right before each; each stands for itself.

        results: where answers are put as they come.
        """
        requests: tuple[Step | Message, ...] = (*errand.steps, *errand.messages)
        for number, one in enumerate(requests):
            if number and not go_on():
                break
            at = self.present()
            leadership = self.leadership(at)
            if not errand.dry_run and (not leadership.leader or leadership.epoch != errand.epoch):
                results.append(self._refused(errand.id, Reason.NOT_LEADER, "lost the lease"))
                break
            due = replace(errand, expires_at=min(errand.expires_at, leadership.until))
            try:
                if isinstance(one, Message):
                    results.append(self.ports.notifier.tell(due, one, at))
                else:
                    results.append(self._plan_port(errand, one).perform(due, one, at))
            except PortError as err:
                # what happened to the request is not known: the next look shows it (S6)
                results.append(StepResult(action_id=errand.id, status=StepStatus.UNKNOWN, at=at, message=str(err)))
        return tuple(results)

    # -- stamps ----------------------------------------------------------------------------------------

    def stamp(self, stamps: Sequence[Stamp]) -> list[StepResult]:
        """Return what became of each stamp."""
        return self.ports.lanes.do([(_cluster(one.step), self._stamp_job(one)) for one in stamps])

    def _stamp_job(self, stamp: Stamp) -> Job[StepResult]:
        def unsent(why: str) -> StepResult:
            return self._refused("", Reason.CLUSTER_UNAVAILABLE, why)

        return Job(run=lambda _: self._stamp(stamp), unsent=unsent, unanswered=unsent)

    def _stamp(self, stamp: Stamp) -> StepResult:
        at = self.present()
        try:
            leadership = self.leadership(at)
            if not leadership.leader or leadership.epoch != stamp.epoch:
                return self._refused("", Reason.NOT_LEADER, "lost the lease")
            return self.ports.cluster.stamp(stamp, at, leadership.until)
        except PortError as err:
            return StepResult(action_id="", status=StepStatus.REFUSED, at=at, message=str(err))

    def _refused(self, origin: str, reason: Reason, why: str) -> StepResult:
        return StepResult(action_id=origin, status=StepStatus.REFUSED, at=self.present(), reason=reason, message=why)

    def _unknown(self, origin: str, why: str) -> StepResult:
        return StepResult(action_id=origin, status=StepStatus.UNKNOWN, at=self.present(), message=why)


def _lane(dry_run: bool, steps: Sequence[Step]) -> str:
    """Return whom the first request goes to: the others of one action, and of one errand, go there, too."""
    if dry_run or not steps:
        return _NOBODY
    if steps[0].verb is Verb.COMMIT:
        return f"repository {steps[0].body['repository']}"
    return _cluster(steps[0])


def _cluster(step: Step) -> str:
    return f"cluster {step.target.cluster}"
