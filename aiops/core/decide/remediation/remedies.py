"""The plan of one rung: what is done about a subject, step by step, and what it should better (S7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from aiops.core.decide.remediation.sights import Subject
from aiops.core.ids import ulid
from aiops.core.model import (
    Aim,
    CallWebhook,
    Calm,
    Check,
    Cordon,
    Counterfactual,
    DeletePod,
    Drain,
    Goal,
    Instant,
    Notify,
    Operation,
    Otherwise,
    Plan,
    PlanKind,
    PlanStep,
    RaiseNodeLimits,
    RestartWorkload,
    RollBack,
    RunJob,
    SetResources,
    SuspendCronJob,
    TargetRef,
)
from aiops.core.planning.counterfactual import counterfactual
from aiops.core.planning.remediation import (
    LASTING,
    DoCordon,
    DoDeletePods,
    DoJob,
    DoMove,
    DoPage,
    DoRaiseNodeLimits,
    DoRestart,
    DoRollBack,
    DoSetResources,
    DoSuspend,
    DoWebhook,
    RemediationPolicy,
    Remedy,
    Rung,
)

CORDON_WITHIN_S = 60.0
JOB_NAME = 52
"""Characters of a Job's name: the pods that it makes carry more."""


@dataclass(frozen=True, slots=True)
class NoWay:
    """Why a rung cannot be taken for a subject: it is passed over."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """For what a plan is made. history, loads: of the signal to be bettered and of the load, oldest first.

    asks: why a person must say yes, '' for no reason of its own. evidence: why rungs before it were passed over.
    """

    policy: RemediationPolicy
    subject: Subject
    number: int
    now: Instant
    history: tuple[tuple[Instant, float], ...] = ()
    loads: tuple[tuple[Instant, float], ...] = ()
    asks: str = ""
    evidence: tuple[str, ...] = ()

    @property
    def rung(self) -> Rung:
        """Return the rung of the ladder."""
        return self.policy.ladder[self.number]

    @property
    def id(self) -> str:
        """Return the plan's id."""
        return plan_id(self.policy, self.subject.ref.key, self.number, self.now)


def plan_id(policy: RemediationPolicy, subject: str, number: int, now: Instant) -> str:
    """Return the id of the plan of a rung: the same at the same instant for the same subject."""
    return ulid(now, policy.key, subject, str(number))


def plan(occasion: Occasion) -> Plan | NoWay:
    """Return the plan of a rung, or why there is none."""
    steps = _steps(occasion.rung.remedy, occasion)
    if isinstance(steps, NoWay):
        return steps
    asks = occasion.asks or (f"{occasion.rung.name} asks by the policy" if occasion.rung.asks else "")
    goal = _goal(occasion)
    return Plan(
        id=occasion.id,
        kind=PlanKind.REMEDIATION,
        policy=occasion.policy.key,
        subject=occasion.subject.ref.key,
        reason=occasion.subject.sight.why,
        created_at=occasion.now,
        steps=steps,
        evidence=occasion.evidence,
        by=occasion.policy.key,
        goal=goal,
        counterfactual=None if goal is None else _without(occasion),
        needed=occasion.policy.approvers,
        asks=asks,
    )


def handing_back(policy: RemediationPolicy, subject: Subject, now: Instant, why: str) -> Plan:
    """Return the plan that lets a node take pods again."""
    operation = Cordon(node=subject.ref, unschedulable=False)
    step = PlanStep(name="uncordon", operation=operation, within_s=CORDON_WITHIN_S, otherwise=Otherwise.GO_ON)
    return Plan(
        id=ulid(now, policy.key, subject.ref.key, "back"),
        kind=PlanKind.REMEDIATION,
        policy=policy.key,
        subject=subject.ref.key,
        reason=why,
        created_at=now,
        steps=(step,),
        by=policy.key,
        needed=policy.approvers,
    )


def _goal(occasion: Occasion) -> Goal | None:
    verify = occasion.policy.verify
    if verify is None or isinstance(occasion.rung.remedy, DoPage):
        return None
    return Goal(
        signal=verify.signal,
        within_s=verify.within_s,
        at_least=verify.at_least,
        at_most=verify.at_most,
        load=verify.load,
    )


def _without(occasion: Occasion) -> Counterfactual | None:
    made = counterfactual(occasion.history, occasion.now)
    load = counterfactual(occasion.loads, occasion.now)
    return made if made is None or load is None else replace(made, load=load.upper)


# -- the steps of a remedy -----------------------------------------------------------------------------


def _steps(remedy: Remedy, occasion: Occasion) -> tuple[PlanStep, ...] | NoWay:
    target = occasion.subject.ref
    match remedy:
        case DoRestart():
            return (_last(occasion, RestartWorkload(target=target, mark=occasion.id)),)
        case DoMove():
            return _move(remedy, occasion)
        case DoCordon():
            return (_last(occasion, Cordon(node=target), calm=False),)
        case DoRollBack():
            if not occasion.subject.back:
                return NoWay("there is no revision to go back to")
            return (_last(occasion, RollBack(target=target, template_hash=occasion.subject.back)),)
        case DoDeletePods():
            return _delete(remedy, occasion)
        case DoSetResources() | DoRaiseNodeLimits():
            return (_last(occasion, _sized(remedy, target)),)
        case DoJob() | DoSuspend() | DoWebhook() | DoPage():
            return (_outside(remedy, occasion),)
        case unknown:
            assert_never(unknown)


def _sized(remedy: DoSetResources | DoRaiseNodeLimits, target: TargetRef) -> Operation:
    if isinstance(remedy, DoRaiseNodeLimits):
        return RaiseNodeLimits(pool=remedy.pool, limits=remedy.limits)
    return SetResources(target=target, container=remedy.container, requests=remedy.requests, limits=remedy.limits)


def _outside(remedy: DoJob | DoSuspend | DoWebhook | DoPage, occasion: Occasion) -> PlanStep:
    fields = _fields(occasion)
    match remedy:
        case DoJob():
            name = f"{remedy.template.name[:JOB_NAME]}-{occasion.id[-10:].lower()}"
            arguments = tuple((key, text.filled(fields)) for key, text in remedy.arguments)
            return _last(occasion, RunJob(template=remedy.template, name=name, arguments=arguments))
        case DoSuspend():
            return _last(occasion, SuspendCronJob(target=remedy.target))
        case DoWebhook():
            posted = tuple((key, text.filled(fields)) for key, text in remedy.fields)
            return _last(occasion, CallWebhook(endpoint=remedy.endpoint, fields=posted), told=True)
        case DoPage():
            title = f"{fields['policy.name']}: {called(occasion.subject.ref)} is in trouble"
            own = remedy.text.filled(fields)
            text = "\n".join(line for line in (own, occasion.subject.sight.why, *occasion.evidence) if line)
            return _last(occasion, Notify(title=title, text=text, channel=remedy.channel), told=True)
        case unknown:
            assert_never(unknown)


def _last(occasion: Occasion, operation: Operation, *, told: bool = False, calm: bool = True, out: int = 0) -> PlanStep:
    """Return the step after which the trouble must be gone in time; if it is not, the next rung has its turn.

    told: what is only told changes nothing that could be waited for. calm: whether this could end the trouble at all.
    out: ready pods of the subject that it takes away.
    """
    gone: tuple[Check, ...] = (Calm(policy=occasion.policy.key, subject=occasion.subject.ref.key),)
    return PlanStep(
        name=occasion.rung.name,
        operation=operation,
        checks=(Aim(),) if told or not calm else (Aim(), *gone),
        within_s=occasion.rung.within_s,
        otherwise=Otherwise.GO_ON,
        undoable=not isinstance(occasion.rung.remedy, LASTING),
        out=out,
    )


def _move(remedy: DoMove, occasion: Occasion) -> tuple[PlanStep, ...] | NoWay:
    """Return cordon and drain; of a target's node they are taken back when the trouble does not go with it."""
    node, over_nodes = _node_of(occasion), occasion.subject.node is not None
    if isinstance(node, NoWay):
        return node
    cordon = PlanStep(name="cordon", operation=Cordon(node=node), within_s=CORDON_WITHIN_S)
    gone = () if over_nodes else (Calm(policy=occasion.policy.key, subject=occasion.subject.ref.key),)
    drain = PlanStep(
        name="drain",
        operation=Drain(node=node, grace_s=remedy.grace_s),
        checks=(Aim(), *gone),
        within_s=occasion.rung.within_s,
        otherwise=Otherwise.GO_ON if over_nodes else Otherwise.UNDO,
        out=sum(pod.ready for pod in occasion.subject.pods if pod.node == node.name),
    )
    return cordon, drain


def _node_of(occasion: Occasion) -> TargetRef | NoWay:
    """Return the node to be emptied; sick pods on several nodes are not sick because of one of them."""
    subject = occasion.subject
    if subject.node is not None:
        return subject.ref
    where = {pod.node for pod in subject.sick if pod.node}
    if len(where) != 1:
        return NoWay("no pod is sick" if not where else f"sick pods are on {len(where)} nodes: it is not the node")
    name = where.pop()
    return TargetRef(cluster=subject.ref.cluster, namespace="", api_version="v1", kind="Node", name=name)


def _delete(remedy: DoDeletePods, occasion: Occasion) -> tuple[PlanStep, ...] | NoWay:
    chosen = occasion.subject.sick[: remedy.most]
    if not chosen:
        return NoWay("no pod is sick")
    steps = [
        PlanStep(
            name=f"{occasion.rung.name} {pod.ref.name}",
            operation=DeletePod(pod=pod.ref, uid=pod.uid),
            within_s=occasion.rung.within_s,
            otherwise=Otherwise.GO_ON,
            out=int(pod.ready),
        )
        for pod in chosen[:-1]
    ]
    last = chosen[-1]
    return (*steps, _last(occasion, DeletePod(pod=last.ref, uid=last.uid), out=int(last.ready)))


# -- fields of texts -----------------------------------------------------------------------------------


def _fields(occasion: Occasion) -> Mapping[str, str]:
    """Return the values of the fields that texts may name: typed ones, of the policy and of its subject (S10)."""
    ref, (_, namespace, name) = occasion.subject.ref, occasion.policy.key.split("/", 2)
    own = (
        {"node.name": ref.name, "node.cluster": ref.cluster}
        if occasion.subject.node is not None
        else {
            "target.kind": ref.kind,
            "target.name": ref.name,
            "target.namespace": ref.namespace,
            "target.cluster": ref.cluster,
        }
    )
    return {
        "policy.name": name,
        "policy.namespace": namespace,
        "rung.do": occasion.rung.name,
        "rung.number": str(occasion.number + 1),
        "plan.id": occasion.id,
        **own,
    }


def called(ref: TargetRef) -> str:
    """Return what people call an object; a node has no namespace."""
    return f"{ref.kind} {ref}" if ref.namespace else f"{ref.kind} {ref.name}"
