"""What a CostPolicy that packs makes of one instant: what is said, the plan for one node, and what is given back.

One node at a time: the next is begun once the pods of the one before run elsewhere. What has no room now gets none
taken away, so nothing is begun while pods wait or nodes are not ready, and a node that we emptied takes pods again as
soon as a pod that waits would find room on it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from aiops.core.decide.cost.pack.emptying import Emptied, Stays, emptied, use_of
from aiops.core.decide.cost.pack.fleet import OPT_IN, Node, Pod
from aiops.core.decide.cost.pack.places import NoRoom
from aiops.core.decide.cost.pack.plan import plan, said, saves
from aiops.core.decide.cost.pack.scene import Scene, Unseen, controllers, moved, seen, settled
from aiops.core.model import (
    Instant,
    Judgement,
    Moved,
    PackState,
    Plan,
    PlanKind,
    PlanStatus,
    Reason,
    SignalState,
    TargetRef,
    VerdictWord,
    Wanted,
)
from aiops.core.planning import Judged, Situation
from aiops.core.planning.cost_pack import PackPolicy

HOUR_S = 3600.0
MOST_SAID = 20
"""Nodes of which is told why they stay."""

MOST_TRIED = 40
"""Nodes for which a schedule is simulated at one instant, the most useful to empty first."""

REST_SHARE = 6.0
"""After a node of which it did not succeed, all others rest for this part of its time."""

_FAILED = (PlanStatus.ROLLED_BACK, PlanStatus.FAILED)
_BLIND = {
    SignalState.ABSENT: Reason.ABSENT_SIGNAL,
    SignalState.EMPTY: Reason.EMPTY_SIGNAL,
    SignalState.NAN: Reason.NAN_SIGNAL,
    SignalState.STALE: Reason.STALE_SIGNAL,
    SignalState.PARTIAL: Reason.PARTIAL_SIGNAL,
    SignalState.FAILED: Reason.FAILED_SIGNAL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What a rule has to say. wish: the plan that is wanted for `node`; leaving: what that node's pods are made by."""

    judgement: Judgement
    wish: Plan | None = None
    node: TargetRef | None = None
    leaving: tuple[Moved, ...] = ()
    back: tuple[tuple[str, str], ...] = ()
    evidence: tuple[str, ...] = field(default=())


_Rule: TypeAlias = Callable[[Scene, PackState], _Found | None]


def judged(policy: PackPolicy, situation: Situation, memory: PackState) -> Judged[PackState]:
    """Return what is said, at most one plan, what is given back, and what is remembered."""
    memory = _counted(policy, situation, memory)
    scene = seen(policy, situation)
    if isinstance(scene, Unseen):
        blind = replace(memory, settled={}, calm_since=math.inf)
        judgement = Judgement(word=VerdictWord.WAIT, reason=scene.reason, detail=f"{scene.why}; nothing is begun")
        return Judged(memory=blind, judgement=judgement)
    memory = _followed(scene, memory)
    found = next(one for rule in _RULES if (one := rule(scene, memory)) is not None)
    memory = _remembered(found, memory)
    evidence = (*_summary(scene), *found.evidence)
    wish = () if found.wish is None else (replace(found.wish, evidence=evidence),)
    judgement = replace(found.judgement, evidence=evidence)
    return Judged(memory=memory, judgement=judgement, plans=wish, back=found.back)


# -- what is remembered --------------------------------------------------------------------------------


def _counted(policy: PackPolicy, situation: Situation, memory: PackState) -> PackState:
    """Take in the plans that did not succeed since the last look: their nodes are left alone for a while."""
    own = [
        one
        for one in situation.plans
        if one.policy == policy.key and one.kind is PlanKind.SAVING and memory.counted_at < one.ended_at < math.inf
    ]
    rests = {key: until for key, until in memory.rests.items() if until > situation.now}
    until = memory.rests_until
    for one in own:
        if one.status in _FAILED:
            rests[one.subject] = one.ended_at + policy.pace.back_off_s
            until = max(until, one.ended_at + policy.pace.back_off_s / REST_SHARE)
    at = max((one.ended_at for one in own), default=memory.counted_at)
    return replace(memory, rests=rests, rests_until=until, counted_at=at)


def _followed(scene: Scene, memory: PackState) -> PackState:
    """Return what is remembered once it was seen how everything is now."""
    working = {one.subject for one in scene.standing}
    memory = replace(memory, moved={key: one for key, one in memory.moved.items() if key in working})
    troubled = bool(scene.fleet.waiting) or _too_few(scene)
    calm = math.inf if troubled else min(memory.calm_since, scene.now)
    return replace(memory, settled=settled(scene, memory), calm_since=calm)


def _remembered(found: _Found, memory: PackState) -> PackState:
    moves = dict(memory.moved)
    if found.wish is not None:
        moves[found.wish.subject] = found.leaving
    after = replace(memory, moved=moves)
    # whether the node may be touched is said by itself (S3): it is seen before it is asked for
    looked_at = (*(() if found.node is None else (found.node,)), *controllers(after))
    return replace(after, wanted=Wanted(objects=tuple(dict.fromkeys(looked_at))))


def _too_few(scene: Scene) -> bool:
    allowed = math.floor(scene.policy.unready * len(scene.fleet.nodes) + 1e-9)
    return len(scene.unready) > allowed


# -- rules, the first that has something to say --------------------------------------------------------


def _only(word: VerdictWord, reason: Reason | None, detail: str) -> _Found:
    return _Found(judgement=Judgement(word=word, reason=reason, detail=detail))


def _given_back(scene: Scene, memory: PackState) -> _Found | None:
    """Let nodes that we emptied take pods again while pods wait that would find room on them."""
    del memory
    starved = scene.starved
    back: list[tuple[str, str]] = []
    for one in scene.standing:
        node = next((each for each in scene.fleet.nodes.values() if each.ref.key == one.subject), None)
        if one.status is not PlanStatus.RUNNING or node is None or not node.ours:
            continue
        helped = next((pod for pod in starved if _helps(scene, node, pod)), None)
        if helped is not None:
            back.append((one.id, f"{helped.ref} waits for a node, and has room on {node.name}"))
    if not back:
        return None
    detail = "; ".join(why for _, why in back)
    judgement = Judgement(word=VerdictWord.ALLOW, detail=f"{detail}: taken back", plan_id=back[0][0])
    return _Found(judgement=judgement, back=tuple(back))


def _helps(scene: Scene, node: Node, pod: Pod) -> bool:
    """Return whether a pod that waits has no room now, and would have some once a node is uncordoned."""
    if not isinstance(scene.board.room(pod), NoRoom):
        return False
    board = scene.board.copy()
    board.open(node.opened())
    return not isinstance(board.room(pod), NoRoom)


def _at_work(scene: Scene, memory: PackState) -> _Found | None:
    """Say how the plans stand that are at work; the next begins once the last is settled and there may be more."""
    del memory
    for one in scene.standing:
        at = one.current
        waits = one.status is PlanStatus.RUNNING and at == len(one.steps) - 1
        if waits and len(scene.standing) < scene.policy.pace.at_once:
            continue
        return _Found(judgement=_how(one, at))
    return None


def _how(one: Plan, at: int | None) -> Judgement:
    match one.status:
        case PlanStatus.PAUSED:
            detail = f"plan {one.id} is paused by a person: resume it or roll it back"
            return Judgement(word=VerdictWord.WAIT, reason=Reason.PAUSED, detail=detail, plan_id=one.id)
        case PlanStatus.ASKING:
            detail = f"plan {one.id} stands still and asks a person how to go on"
            return Judgement(word=VerdictWord.ASK, reason=Reason.IN_FLIGHT, detail=detail, plan_id=one.id)
        case _:
            step = "" if at is None else f", step {at + 1} of {len(one.steps)} ({one.steps[at].name})"
            held = f": {one.held}" if one.held else ""
            detail = f"plan {one.id} is {one.status.value}{step}{held}"
            return Judgement(word=VerdictWord.ALLOW, detail=detail, plan_id=one.id)


def _storm(scene: Scene, memory: PackState) -> _Found | None:
    """Hold while nodes are not ready or pods wait: what has no room now gets none taken away."""
    if _too_few(scene):
        names = ", ".join(one.name for one in scene.unready[:3])
        count = f"{len(scene.unready)} of {len(scene.fleet.nodes)} nodes are not ready ({names})"
        return _only(VerdictWord.WAIT, Reason.STORM, f"{count}; nothing is emptied")
    waiting = scene.fleet.waiting
    if waiting:
        detail = f"{len(waiting)} pods wait for a node ({waiting[0].ref}); nothing is emptied"
        return _only(VerdictWord.WAIT, Reason.STORM, detail)
    calm_s = scene.now - memory.calm_since
    if calm_s < scene.policy.pace.calm_s:
        detail = f"every pod has had its node for {calm_s:.0f} of {scene.policy.pace.calm_s:.0f} s"
        return _only(VerdictWord.WAIT, Reason.STABILISATION, detail)
    return None


def _slo(scene: Scene, memory: PackState) -> _Found | None:
    """Hold while a signal that must be well is not, or cannot be read (S2)."""
    del memory
    for one in scene.policy.verify.slo:
        signal = scene.situation.signals.get(one.signal)
        if signal is None or not signal.usable:
            reason = Reason.FAILED_SIGNAL if signal is None else _BLIND[signal.state]
            why = "it was not asked" if signal is None else signal.detail or signal.state.value
            return _only(VerdictWord.WAIT, reason, f"{one.signal} is not known ({why}); nothing is emptied")
        if not one.at_least <= signal.value <= one.at_most:
            detail = f"{one.signal} is {signal.value:.4g}; nothing is emptied while it is not well"
            return _only(VerdictWord.WAIT, Reason.GUARDRAIL, detail)
    return None


def _paced(scene: Scene, memory: PackState) -> _Found | None:
    """Hold after a node of which it did not succeed, and after so many in an hour."""
    if scene.now < memory.rests_until:
        left_s = memory.rests_until - scene.now
        return _only(VerdictWord.WAIT, Reason.BACK_OFF, f"the last node was taken back: the next in {left_s:.0f} s")
    begun = [at for one in scene.situation.plans if (at := _begun_at(one, scene.policy)) > scene.now - HOUR_S]
    if len(begun) >= scene.policy.pace.an_hour:
        left_s = min(begun) + HOUR_S - scene.now
        detail = f"{len(begun)} nodes were emptied within an hour, of {scene.policy.pace.an_hour}: {left_s:.0f} s to go"
        return _only(VerdictWord.WAIT, Reason.RATE, detail)
    return None


def _begun_at(one: Plan, policy: PackPolicy) -> Instant:
    own = one.policy == policy.key and one.kind is PlanKind.SAVING and not one.dry_run
    return min((step.since for step in one.steps if step.sent), default=-math.inf) if own else -math.inf


def _emptied(scene: Scene, memory: PackState) -> _Found:
    """Return the plan of the node that is most worth being emptied and can be, or why there is none."""
    open_nodes = [node for name, node in scene.fleet.nodes.items() if name in scene.chosen and node.takes]
    if len(open_nodes) <= scene.policy.pool.least:
        count = f"{len(open_nodes)} nodes take pods, and {scene.policy.pool.least} must be left"
        return _only(VerdictWord.STEADY, None, count)
    stays: list[str] = []
    for node in _in_turn(scene)[:MOST_TRIED]:
        rest_s = memory.rests.get(node.ref.key, -math.inf) - scene.now
        found = Stays(f"it failed before, and rests for {rest_s:.0f} s") if rest_s > 0.0 else _one(scene, node)
        if isinstance(found, Emptied):
            usd = scene.usd_per_hour(node)
            wish = plan(scene.policy, found, usd, scene.now)
            judgement = Judgement(word=VerdictWord.ALLOW, detail=f"{said(found)}; {saves(usd)}")
            leaving = moved(node.name, scene.fleet)
            return _Found(judgement=judgement, wish=wish, node=node.ref, leaving=leaving, evidence=tuple(stays))
        stays.append(f"node {node.name} stays: {found.why}")
    detail = f"no node can be emptied; {stays[0]}" if stays else "there is no node that could be emptied"
    return _Found(judgement=Judgement(word=VerdictWord.STEADY, detail=detail), evidence=tuple(stays[:MOST_SAID]))


def _one(scene: Scene, node: Node) -> Emptied | Stays:
    if scene.acts and not node.opted:
        return Stays(f"it has no label {OPT_IN}: 'true'")
    protected = _protected(scene, node)
    return Stays(protected) if protected else emptied(node.name, scene.fleet, scene.board, scene.terms)


def _protected(scene: Scene, node: Node) -> str:
    """Return why a node is never emptied: it is protected itself, or runs a pod of a namespace that is (S3)."""
    scope = scene.situation.snapshot.scope
    if node.ref.key in scope.protected_targets or str(node.ref) in scope.protected_targets:
        return "it is protected"
    moving = (pod for pod in scene.fleet.by_node.get(node.name, ()) if not pod.fixed)
    held = next((pod for pod in moving if pod.ref.namespace in scope.protected_namespaces), None)
    return "" if held is None else f"{held.ref} stays: namespace {held.ref.namespace} is protected"


def _in_turn(scene: Scene) -> list[Node]:
    """Return the nodes by what emptying one is worth: what was proposed, then money for each pod moved, then use."""
    proposed = {
        one.subject
        for one in scene.situation.plans
        if one.policy == scene.policy.key and one.status is PlanStatus.PROPOSED
    }

    def worth(node: Node) -> tuple[bool, float, float, str]:
        pods = scene.fleet.by_node.get(node.name, ())
        moves = sum(not pod.fixed and not pod.going for pod in pods)
        usd = max(0.0, scene.usd_per_hour(node) or 0.0)
        used = max(use_of(node, pods).values(), default=0.0)
        return node.ref.key not in proposed, -usd / (1 + moves), used, node.name

    chosen = [node for name, node in scene.fleet.nodes.items() if name in scene.chosen and not node.cordoned]
    # one that is used too much to be emptied needs no schedule to say so
    light = [node for node in chosen if max(_use(scene, node).values(), default=0.0) <= scene.policy.below]
    return sorted(light, key=worth)


def _use(scene: Scene, node: Node) -> Mapping[str, float]:
    return use_of(node, scene.fleet.by_node.get(node.name, ()))


_RULES: tuple[_Rule, ...] = (_given_back, _at_work, _storm, _slo, _paced, _emptied)


def _summary(scene: Scene) -> Iterator[str]:
    nodes = [node for name, node in scene.fleet.nodes.items() if name in scene.chosen]
    usd = [scene.usd_per_hour(node) for node in nodes]
    known = sum(one for one in usd if one is not None)
    blind = sum(one is None for one in usd)
    price = f"{known:.4g} USD an hour" + (f", {blind} without a known price" if blind else "")
    yield f"{len(nodes)} nodes ({price}) with {len(scene.fleet.pods)} pods in the cluster"
