"""What a policy sees at one instant: of its target, or of each node; what cannot be told is neither there nor gone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiops.core.decide.remediation import objects
from aiops.core.decide.remediation.objects import Node, Pod
from aiops.core.decide.remediation.regression import Null, Rates, compared
from aiops.core.decide.remediation.triggers import Sight, View, sight
from aiops.core.model import (
    LadderState,
    RolloutState,
    SeenObject,
    Selection,
    Signal,
    SignalState,
    SubjectState,
    TargetRef,
    Wanted,
)
from aiops.core.objects.evictions import pods_of
from aiops.core.planning import Situation
from aiops.core.planning.remediation import DoMove, Nodes, OnCrashLoop, OnNode, RemediationPolicy

FORESEEN = 3
"""Of so many sick nodes the pods are looked at, those that have been sick for longest."""

LEAST_ENDING = 2
"""So many pods of a revision whose containers ended are no chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is remedied, and what is seen of it. node: itself, where the policy is over nodes.

    pods: of the target. back: the template's hash of the revision that a rollback would bring back.
    """

    ref: TargetRef
    sight: Sight
    node: Node | None = None
    pods: tuple[Pod, ...] = ()
    back: str = ""

    @property
    def sick(self) -> tuple[Pod, ...]:
        """Return the pods that crash, else those that are not ready."""
        return tuple(pod for pod in self.pods if pod.crashing) or tuple(pod for pod in self.pods if not pod.ready)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Everything that a policy sees. wanted: what it must look at next time, beside what it always does."""

    subjects: tuple[Subject, ...]
    nodes: tuple[Node, ...] | None = None
    rollout: RolloutState = field(default_factory=RolloutState)
    wanted: Wanted = field(default_factory=Wanted)


def seen(policy: RemediationPolicy, situation: Situation, memory: LadderState) -> Seen:
    """Return what is seen at this instant. memory: with the history of signals as it is now."""
    if policy.nodes is None:
        return _over_target(policy, situation, memory)
    return _over_nodes(policy, policy.nodes, situation, memory)


# -- a target ------------------------------------------------------------------------------------------


def _over_target(policy: RemediationPolicy, situation: Situation, memory: LadderState) -> Seen:
    looked, target = situation.snapshot.looked, policy.target
    workload = looked.objects.get(target.key)
    around: tuple[Selection, ...] = memory.wanted.selections
    restarts = next((one.restarts for one in policy.triggers if isinstance(one, OnCrashLoop)), 3)
    found: tuple[Pod, ...] | None = None
    rollout, back = memory.rollout, ""
    if workload is not None:
        selection = objects.pods_selection(workload)
        around = () if selection is None else (selection,)
        listed = None if selection is None else looked.selections.get(selection.key)
        found = None if listed is None else objects.pods(listed, restarts, situation.now)
        rollout, back = _rollout(policy, situation, memory, (workload, listed or ()))
    view = View(policy=policy, situation=situation, memory=memory, workload=workload, pods=found, rollout=rollout)
    subject = Subject(ref=target, sight=sight(view), pods=found or (), back=back)
    nodes = tuple(
        TargetRef(cluster=target.cluster, namespace="", api_version="v1", kind="Node", name=name)
        for name in sorted({pod.node for pod in subject.sick if pod.node})[:1]
    )
    ask_nodes = nodes if _looks_at_nodes(policy) else ()
    around += tuple(pods_of(one) for one in nodes if _drains(policy))
    return Seen(subjects=(subject,), rollout=rollout, wanted=Wanted(objects=ask_nodes, selections=around))


def _looks_at_nodes(policy: RemediationPolicy) -> bool:
    return any(isinstance(one, OnNode) for one in policy.triggers) or any(one.name == "move" for one in policy.ladder)


def _drains(policy: RemediationPolicy) -> bool:
    return any(isinstance(one.remedy, DoMove) for one in policy.ladder)


def _rollout(
    policy: RemediationPolicy,
    situation: Situation,
    memory: LadderState,
    seen_: tuple[SeenObject, Sequence[SeenObject]],
) -> tuple[RolloutState, str]:
    """Return the comparison of revisions as it is now, and the revision that a rollback would bring back.

    seen_: the workload and its pods.
    """
    every = objects.revisions(situation.snapshot.looked, seen_[0])
    other = objects.before(every)
    back = "" if other is None else other.hash
    trigger, before = policy.regression, memory.rollout
    if trigger is None or not every:
        return before, back
    if every[0].hash != before.new:
        older = [one for one in every[1:] if one.replicas > 0 and one.sense != every[0].sense]
        fresh = RolloutState(new=every[0].hash, old=older[0].hash if older else "", since=situation.now)
        return fresh, back
    if not before.old or situation.now - before.since > trigger.within_s:
        return before, back
    signals = situation.signals
    new_total, old_total = _rate(signals.get(trigger.new_total)), _rate(signals.get(trigger.old_total))
    rates = Rates(
        new_bad=_failed(signals.get(trigger.new_bad), new_total),
        new_total=new_total,
        old_bad=_failed(signals.get(trigger.old_bad), old_total),
        old_total=old_total,
        ends=objects.ending(seen_[1], before.new) >= LEAST_ENDING,
    )
    return compared(before, rates, situation.now, Null(trigger.worse_by, trigger.window_s)), back


def _rate(signal: Signal | None) -> float:
    """Return a revision's rate: one that has no series is asked nothing, whatever else is no answer is not known."""
    if signal is not None and signal.state is SignalState.ABSENT:
        return 0.0
    return signal.value if signal is not None and signal.usable else math.nan


def _failed(signal: Signal | None, total: float) -> float:
    """Return a revision's failures: no failures are no series, of one that serves. What is not known is none of it."""
    empty = signal is not None and signal.state is SignalState.EMPTY
    return 0.0 if empty and total > 0.0 else _rate(signal)


# -- nodes ---------------------------------------------------------------------------------------------


def _over_nodes(policy: RemediationPolicy, nodes: Nodes, situation: Situation, memory: LadderState) -> Seen:
    listed = situation.snapshot.looked.selections.get(nodes.selection.key)
    if listed is None:
        return Seen(subjects=(), nodes=None)
    chosen = [one for one in listed if nodes.labels is None or nodes.labels.matches(objects.labels_of(one))]
    every = objects.nodes(chosen)
    view = View(policy=policy, situation=situation, memory=memory)
    subjects = tuple(Subject(ref=node.ref, sight=sight(view, node), node=node) for node in every)
    concerned = [
        one.ref
        for one in subjects
        if one.sight.troubled or (one.node is not None and one.node.ours) or one.ref.key in memory.subjects
    ]
    # what a drain would evict is seen before it is asked for
    sick = [one.ref for one in subjects if one.sight.troubled and _drains(policy)]
    first = sorted(sick, key=lambda ref: memory.subjects.get(ref.key, SubjectState()).since)[:FORESEEN]
    asked = Wanted(objects=tuple(concerned[:50]), selections=tuple(map(pods_of, first)))
    return Seen(subjects=subjects, nodes=every, wanted=asked)
