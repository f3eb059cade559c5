"""Whether the triggers of a policy see trouble, now: of the target, or of one node."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from aiops.core.decide.remediation import objects
from aiops.core.decide.remediation.objects import Node, Pod
from aiops.core.decide.remediation.trend import reached
from aiops.core.model import Instant, LadderState, PolicyKey, RolloutState, SeenObject
from aiops.core.planning import Situation
from aiops.core.planning.remediation import (
    Foreseen,
    OnAlert,
    OnCondition,
    OnCrashLoop,
    OnExhaustion,
    OnFinding,
    OnIncident,
    OnNode,
    OnRegression,
    OnStuckRollout,
    RemediationPolicy,
    Trigger,
    episode,
)
from aiops.core.protocols import ConditionError

LEAST_TREND_S = 1800.0
"""A trend of less than half an hour foretells nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Whether something is in trouble, None while that cannot be told; why, in a few words; the alerts that say so.

    began: when the findings and incidents began that alone say so; None where something else says so, too. proven: by a
    test that bounds how often it is wrong, and takes nothing back: to see it for longer would tell nothing more.
    """

    troubled: bool | None
    why: str
    episodes: tuple[str, ...] = ()
    began: Instant | None = None
    proven: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What triggers look at. workload, pods: of the target, None while they are not seen."""

    policy: RemediationPolicy
    situation: Situation
    memory: LadderState
    workload: SeenObject | None = None
    pods: tuple[Pod, ...] | None = None
    rollout: RolloutState = field(default_factory=RolloutState)

    @property
    def blind(self) -> Sight:
        """Return what is said while the target cannot be seen."""
        errors, target = self.situation.snapshot.looked.errors, self.policy.target
        why = errors[target.key][1] if target.key in errors else "it or its pods were not seen yet"
        return Sight(troubled=None, why=why)


def sight(view: View, node: Node | None = None) -> Sight:
    """Return the trouble that any trigger sees; none where all see none; unknown where one cannot tell."""
    every = [_sight(one, view, node) for one in view.policy.triggers]
    there = [one for one in every if one.troubled]
    if there:
        episodes = tuple(sorted({name for one in there for name in one.episodes}))
        alone = all(one.episodes for one in there)
        began = [one.began for one in there if one.began is not None]
        return Sight(
            troubled=True,
            why="; ".join(one.why for one in there),
            episodes=episodes if alone else (),
            began=min(began) if len(began) == len(there) else None,
            proven=any(one.proven for one in there),
        )
    unknown = [one for one in every if one.troubled is None]
    return unknown[0] if unknown else Sight(troubled=False, why="no trouble is seen")


def _sight(trigger: Trigger, view: View, node: Node | None) -> Sight:
    match trigger:
        case OnAlert() | OnFinding() | OnIncident():
            return _told(trigger, view, node)
        case OnCrashLoop():
            return _crash_loop(trigger, view)
        case OnStuckRollout():
            return _stuck(view)
        case OnNode():
            return _node(trigger, view, node)
        case OnRegression():
            return _regression(trigger, view)
        case OnExhaustion():
            return _exhaustion(trigger, view)
        case OnCondition():
            return _condition(trigger, view)
        case unknown:
            assert_never(unknown)


def _told(trigger: OnAlert | OnFinding | OnIncident, view: View, node: Node | None) -> Sight:
    match trigger:
        case OnAlert():
            return _alert(trigger, view, node)
        case OnFinding():
            return _finding(trigger, view, node)
        case OnIncident():
            return _incident(trigger, view, node)
        case unknown:
            assert_never(unknown)


def _has(labels: Mapping[str, str], wanted: Mapping[str, str], about: tuple[str, Node | None]) -> bool:
    """Return whether labels are as wanted; over nodes one of them must name the node."""
    label, node = about
    named = node is None or labels.get(label) == node.ref.name
    return named and all(labels.get(key) == value for key, value in wanted.items())


def _alert(trigger: OnAlert, view: View, node: Node | None) -> Sight:
    """Return whether the alert fires; one that is told again is the same by its fingerprint and its start."""
    firing = [
        one
        for one in view.situation.snapshot.alerts
        if one.name == trigger.name and _has(one.labels, trigger.labels, (trigger.node_label, node))
    ]
    episodes = tuple(episode(one.fingerprint, one.starts_at) for one in firing)
    return Sight(troubled=bool(firing), why=f"alert {trigger.name} fires", episodes=episodes)


def _finding(trigger: OnFinding, view: View, node: Node | None) -> Sight:
    unseen = view.situation.unseen
    for name in (trigger.watch,) if trigger.watch else unseen:
        if name in unseen:
            return _unseen(name, unseen[name])
    for one in view.situation.findings:
        kind = not trigger.kind or one.kind.value == trigger.kind
        watch = not trigger.watch or one.policy == trigger.watch
        if kind and watch and _has(one.labels, trigger.labels, (trigger.node_label, node)):
            why = f"{one.kind.value} seen by {one.policy} (score {one.score:.3g})"
            return Sight(troubled=True, why=why, began=one.since)
    return Sight(troubled=False, why="no such finding")


def _unseen(watch: PolicyKey, why: str) -> Sight:
    return Sight(troubled=None, why=f"what {watch} finds is not known ({why})")


def _incident(trigger: OnIncident, view: View, node: Node | None) -> Sight:
    for watch, why in view.situation.unseen.items():
        return _unseen(watch, why)
    for one in view.situation.incidents:
        kind = not trigger.kind or one.kind == trigger.kind
        if kind and _has(one.labels, trigger.labels, (trigger.node_label, node)):
            return Sight(troubled=True, why=f"incident {one.id} ({one.kind})", began=one.since)
    return Sight(troubled=False, why="no such incident")


def _crash_loop(trigger: OnCrashLoop, view: View) -> Sight:
    if view.pods is None:
        return view.blind
    crashing = [pod for pod in view.pods if pod.crashing]
    if len(crashing) < trigger.pods:
        return Sight(troubled=False, why=f"{len(crashing)} of {len(view.pods)} pods crash")
    why = f"{len(crashing)} of {len(view.pods)} pods crash: {crashing[0].ref.name}: {crashing[0].crashing}"
    return Sight(troubled=True, why=why)


def _stuck(view: View) -> Sight:
    if view.workload is None:
        return view.blind
    why = objects.stuck(view.workload)
    return Sight(troubled=bool(why), why=f"the rollout is stuck: {why}" if why else "no rollout is stuck")


def _node(trigger: OnNode, view: View, node: Node | None) -> Sight:
    if node is not None:
        status = node.statuses.get(trigger.type, "")
        why = f"node {node.ref.name}: {trigger.type} is {status or 'not said'}"
        return Sight(troubled=status in trigger.statuses, why=why)
    if view.pods is None:
        return view.blind
    names = sorted({pod.node for pod in view.pods if pod.node and not pod.ready})
    known = view.situation.snapshot.looked.objects.values()
    for one in objects.nodes(each for each in known if each.ref.kind == "Node" and each.ref.name in names):
        if one.statuses.get(trigger.type, "") in trigger.statuses:
            why = f"node {one.ref.name} of its pods: {trigger.type} is {one.statuses[trigger.type]}"
            return Sight(troubled=True, why=why)
    return Sight(troubled=False, why="no node of its pods is in trouble")


def _regression(trigger: OnRegression, view: View) -> Sight:
    one = view.rollout
    if not one.old or view.situation.now - one.since > trigger.within_s:
        return Sight(troubled=False, why="no rollout is compared")
    spare_bad, spare = (one.spare_bad, one.spare_total) if one.alone_total > 0.0 else (0.0, 0.0)
    new, old = _share(one.new_bad, one.new_total), _share(one.old_bad + spare_bad, one.old_total + spare)
    why = f"revision {one.new}: {new} bad, {one.old}: {old}; p = {one.p_value:.2g}, always valid"
    worse = one.p_value <= trigger.alpha
    return Sight(troubled=worse, why=why, proven=worse)


def _share(bad: float, total: float) -> str:
    return f"{bad / total:.2%} of {total:.0f}" if total > 0.0 else "nothing seen"


def _exhaustion(trigger: OnExhaustion, view: View) -> Sight:
    signal = view.situation.signals.get(trigger.signal)
    if signal is None or not signal.usable:
        why = "not asked" if signal is None else signal.detail or signal.state.value
        return Sight(troubled=None, why=f"{trigger.signal} is not known ({why})")
    if trigger.what is Foreseen.CERTIFICATE:
        left = signal.value
        return Sight(troubled=left <= trigger.within_s, why=f"the certificate ends in {left / 86400.0:.1f} days")
    if signal.value >= trigger.limit:
        return Sight(troubled=True, why=f"{trigger.signal} {signal.value:.4g} is at its limit {trigger.limit:.4g}")
    found = reached(view.memory.history.get(trigger.signal, ()), trigger.limit, LEAST_TREND_S)
    if found is None:
        return Sight(troubled=False, why=f"too little of {trigger.signal} is known to foretell it")
    span = f"{_hours(found.soonest_s)} to {_hours(found.latest_s)}"
    # the latest of the interval: what might as well never come is no reason to act
    why = f"{trigger.signal} reaches {trigger.limit:.4g} in {_hours(found.middle_s)} (95 %: {span})"
    return Sight(troubled=found.latest_s <= trigger.within_s, why=why)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600.0:.1f} h" if math.isfinite(seconds) else "never"


def _condition(trigger: OnCondition, view: View) -> Sight:
    text = trigger.condition.text
    try:
        return Sight(troubled=trigger.condition.holds(view.situation.env), why=text)
    except ConditionError as err:
        return Sight(troubled=None, why=f"{text} cannot be told: {err}")
