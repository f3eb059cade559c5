"""What a RemediationPolicy makes of one instant: what is said of trouble, and the plan of the next rung."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from aiops.core.decide.remediation import causes
from aiops.core.decide.remediation.ladder import CALM_S, Climbed, climbed, kept, rung_of
from aiops.core.decide.remediation.objects import Pod
from aiops.core.decide.remediation.remedies import NoWay, Occasion, called, handing_back, plan
from aiops.core.decide.remediation.remembering import remembered
from aiops.core.decide.remediation.sights import Seen, seen
from aiops.core.decide.remediation.storm import Weather, over_workloads, said, weather
from aiops.core.model import (
    Instant,
    Judgement,
    LadderState,
    Plan,
    PlanStatus,
    Reason,
    SignalState,
    Stage,
    SubjectState,
    VerdictWord,
)
from aiops.core.planning import Judged, Situation, costs
from aiops.core.planning.remediation import DoPage, RemediationPolicy

_BLIND = {
    SignalState.ABSENT: Reason.ABSENT_SIGNAL,
    SignalState.EMPTY: Reason.EMPTY_SIGNAL,
    SignalState.NAN: Reason.NAN_SIGNAL,
    SignalState.STALE: Reason.STALE_SIGNAL,
    SignalState.PARTIAL: Reason.PARTIAL_SIGNAL,
    SignalState.FAILED: Reason.FAILED_SIGNAL,
}

_OF_NOBODY = frozenset({SignalState.EMPTY, SignalState.NAN, SignalState.STALE})
"""What a signal of pods is when none of them serves; a source that fails is something else."""

BLIND_S = 300.0
"""For so long beyond `forAtLeast` a remedy waits to see what it must better, before a person is asked."""

_Decided: TypeAlias = tuple[Plan | None, Judgement]

MOST_SAID = 20
"""Subjects of which is told how they are, those in trouble first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    policy: RemediationPolicy
    situation: Situation
    memory: LadderState
    seen: Seen
    every: tuple[Climbed, ...]
    weather: Weather | None

    @property
    def now(self) -> Instant:
        return self.situation.now

    @property
    def standing(self) -> Iterator[Plan]:
        """Yield the plans at work; proposals are made anew each time."""
        for one in self.situation.plans:
            if one.policy == self.policy.key and not one.status.ended and one.status is not PlanStatus.PROPOSED:
                yield one

    @property
    def in_turn(self) -> Sequence[Climbed]:
        """Return the subjects in the order in which they are looked at: what was proposed, then the oldest trouble."""
        waiting = {
            one.subject
            for one in self.situation.plans
            if one.policy == self.policy.key and one.status is PlanStatus.PROPOSED
        }
        return sorted(
            self.every,
            key=lambda one: (one.subject.ref.key not in waiting, one.state.since, one.subject.ref.key),
        )


def judged(policy: RemediationPolicy, situation: Situation, memory: LadderState) -> Judged[LadderState]:
    """Return what is said, at most one plan, and what is remembered.

    memory: with the signals as they are at this instant.
    """
    history = remembered(policy, memory.history, situation.signals, situation.now)
    memory = replace(memory, history=history)
    found = seen(policy, situation, memory)
    every = tuple(
        climbed(policy, one, memory.subjects.get(one.ref.key, SubjectState()), situation.plans, situation.now)
        for one in found.subjects
    )
    sky = _weather(policy, found, memory, situation)
    scene = _Scene(policy=policy, situation=situation, memory=memory, seen=found, every=every, weather=sky)
    after = _after(scene)
    scene = replace(scene, memory=after)
    wanted, judgement = _decided(scene)
    passed_over = () if wanted is None else wanted.evidence
    evidence = (*passed_over, *_evidence(scene))
    plans = () if wanted is None else (replace(wanted, evidence=evidence),)
    return Judged(memory=after, judgement=replace(judgement, evidence=evidence), plans=plans)


def _weather(policy: RemediationPolicy, found: Seen, memory: LadderState, situation: Situation) -> Weather | None:
    if policy.nodes is None:
        return over_workloads(situation.fleet, situation.snapshot.scope.blast, memory, situation.now)
    return None if found.nodes is None else weather(policy.nodes, found, memory, situation.now)


def _after(scene: _Scene) -> LadderState:
    """Return what is remembered; while the nodes are not seen, what was known of them stays."""
    policy, found, memory = scene.policy, scene.seen, replace(scene.memory, rollout=scene.seen.rollout)
    if policy.nodes is not None and found.nodes is None:
        return replace(memory, subjects={key: replace(one, known=False) for key, one in memory.subjects.items()})
    after = kept(policy, scene.every, replace(memory, wanted=found.wanted), scene.now)
    sky = scene.weather
    return after if sky is None else replace(after, storm_since=sky.storm_since, well_since=sky.well_since)


# -- rules, the first that has something to say --------------------------------------------------------


def _decided(scene: _Scene) -> _Decided:
    for rule in (_at_work, _unseen, _storm, _troubled, _back, _unknown):
        found = rule(scene)
        if found is not None:
            return found
    return None, _calm(scene)


def _only(word: VerdictWord, reason: Reason, detail: str) -> _Decided:
    return None, Judgement(word=word, reason=reason, detail=detail)


def _at_work(scene: _Scene) -> _Decided | None:
    """Say how the plan stands that is at work: one at a time for a policy."""
    for one in scene.standing:
        what = f"plan {one.id}"
        match one.status:
            case PlanStatus.PAUSED:
                detail = f"{what} is paused by a person: resume it or roll it back"
                said_ = Judgement(word=VerdictWord.WAIT, reason=Reason.PAUSED, detail=detail, plan_id=one.id)
            case PlanStatus.ASKING:
                detail = f"{what} stands still and asks a person how to go on"
                said_ = Judgement(word=VerdictWord.ASK, reason=Reason.IN_FLIGHT, detail=detail, plan_id=one.id)
            case _:
                at = one.current
                step = "" if at is None else f", step {at + 1} of {len(one.steps)} ({one.steps[at].name})"
                held = f": {one.held}" if one.held else ""
                detail = f"{what} is {one.status.value}{step}{held}"
                said_ = Judgement(word=VerdictWord.ALLOW, detail=detail, plan_id=one.id)
        return None, said_
    return None


def _unseen(scene: _Scene) -> _Decided | None:
    """Hold while the nodes cannot be seen: how many are well is not known (S2)."""
    if scene.policy.nodes is None or scene.seen.nodes is not None:
        return None
    key = scene.policy.nodes.selection.key
    reason, why = scene.situation.snapshot.looked.errors.get(key, (Reason.INCONCLUSIVE, "not seen yet"))
    return _only(VerdictWord.WAIT, reason, f"the nodes of {scene.policy.nodes.cluster} are not known: {why}")


def _storm(scene: _Scene) -> _Decided | None:
    if scene.weather is None or not scene.weather.storm or scene.policy.nodes is None:
        return None
    return _only(VerdictWord.ASK, Reason.STORM, said(scene.weather, scene.now))


def _troubled(scene: _Scene) -> _Decided | None:
    """Return the plan of the first subject for which it is time, else what is said of the first in trouble."""
    first: Judgement | None = None
    for one in scene.in_turn:
        if not math.isfinite(one.state.since) or not one.state.known:
            continue
        found, judgement = _one(scene, one)
        if found is not None:
            return found, judgement
        first = judgement if first is None else first
    return None if first is None else (None, first)


def _one(scene: _Scene, one: Climbed) -> _Decided:
    held = _held(scene, one)
    if held is not None:
        return None, held
    policy, state = scene.policy, one.state
    passed: list[str] = []
    for number in range(state.rung, len(policy.ladder)):
        asks = "it came back after every try" if state.tried_out else ""
        if number in state.harmful:
            passed.append(f"{policy.ladder[number].name} passed over: it did harm before")
            continue
        occasion = Occasion(
            policy=policy,
            subject=one.subject,
            number=number,
            now=scene.now,
            history=() if policy.verify is None else scene.memory.history.get(policy.verify.signal, ()),
            loads=() if policy.verify is None else scene.memory.history.get(policy.verify.load, ()),
            asks="" if isinstance(policy.ladder[number].remedy, DoPage) else asks,
            evidence=tuple(passed),
        )
        stops = _stormy(scene, occasion) or _blind(scene, occasion, state.since)
        if stops is not None:
            return None, stops
        made = _possible(plan(occasion), scene.situation)
        if not isinstance(made, NoWay):
            also = f" ({'; '.join(passed)})" if passed else ""
            detail = f"{called(one.subject.ref)}: {one.subject.sight.why}: {occasion.rung.name}{also}"
            return made, Judgement(word=VerdictWord.ALLOW, detail=detail)
        passed.append(f"{occasion.rung.name} passed over: {made.why}")
    tells = isinstance(policy.ladder[-1].remedy, DoPage)
    unheard = tells and _unheard(scene, one)
    also = "".join(f"; {why}" for why in (*passed, *(["nobody could be told"] if unheard else [])))
    detail = f"{called(one.subject.ref)}: {one.subject.sight.why}; nothing is left to try{also}"
    word = VerdictWord.WAIT if tells and not unheard else VerdictWord.ASK
    return None, Judgement(word=word, reason=Reason.EXHAUSTED, detail=detail)


def _held(scene: _Scene, one: Climbed) -> Judgement | None:
    """Return why nothing is done about a subject in trouble now, None when it is time."""
    policy, state, now = scene.policy, one.state, scene.now
    what = f"{called(one.subject.ref)}: {one.subject.sight.why}"
    node = one.subject.node
    if node is not None and node.cordoned and not node.ours and not state.cordoned:
        detail = f"{what}; somebody cordoned it, and it is theirs"
        return Judgement(word=VerdictWord.WAIT, reason=Reason.MANUAL_OVERRIDE, detail=detail)
    other = next(
        (
            plan_
            for plan_ in scene.situation.plans
            if plan_.subject == one.subject.ref.key and plan_.policy != policy.key and not plan_.status.ended
        ),
        None,
    )
    if other is not None:
        detail = f"{what}; plan {other.id} of {other.policy} stands for it"
        return Judgement(word=VerdictWord.WAIT, reason=Reason.IN_FLIGHT, detail=detail)
    cause = causes.known(policy, one.subject, scene.situation)
    if cause is not None:
        return cause
    if now - state.since < policy.for_s and not one.subject.sight.proven:
        detail = f"{what}; for {now - state.since:.0f} of {policy.for_s:.0f} s"
        return Judgement(word=VerdictWord.WAIT, reason=Reason.STABILISATION, detail=detail)
    if now < state.breaker_until:
        detail = f"{what}; it came back after {policy.breaker.after} tries, nothing is tried for a while"
        return Judgement(word=VerdictWord.ASK, reason=Reason.BREAKER_OPEN, detail=detail)
    if now < state.not_before and state.rung == 0:
        detail = f"{what}; it came back after {state.attempts} tries, the next is in {state.not_before - now:.0f} s"
        return Judgement(word=VerdictWord.WAIT, reason=Reason.BACK_OFF, detail=detail)
    if state.settled:
        detail = f"{what}; a dry run has said so already"
        return Judgement(word=VerdictWord.WAIT, reason=Reason.DRY_RUN_SETTLED, detail=detail)
    return None


def _possible(made: Plan | NoWay, situation: Situation) -> Plan | NoWay:
    """Return the plan of a rung that the budgets can hold one day: for one that they never can, nobody waits (S5)."""
    if isinstance(made, NoWay):
        return made
    looked, limits = situation.snapshot.looked, situation.snapshot.scope.blast
    why = costs.too_much(costs.counted(made, looked), looked, limits)
    return NoWay(why) if why else made


def _stormy(scene: _Scene, occasion: Occasion) -> Judgement | None:
    """Return that nothing is done about a workload while too many of them are sick; people are told all the same."""
    if scene.weather is None or not scene.weather.storm or isinstance(occasion.rung.remedy, DoPage):
        return None
    detail = f"{called(occasion.subject.ref)}: {occasion.subject.sight.why}; {said(scene.weather, scene.now)}"
    return Judgement(word=VerdictWord.ASK, reason=Reason.STORM, detail=detail)


def _unheard(scene: _Scene, one: Climbed) -> bool:
    """Return whether the last rung was to tell people, and its newest plan reached nobody."""
    policy, last = scene.policy, len(scene.policy.ladder) - 1
    pages = [
        plan_
        for plan_ in scene.situation.plans
        if plan_.policy == policy.key and plan_.subject == one.subject.ref.key and plan_.status.ended
        if rung_of(policy, plan_) == last
    ]
    newest = max(pages, key=lambda plan_: plan_.ended_at, default=None)
    return newest is not None and any(step.stage is not Stage.DONE for step in newest.steps)


def _blind(scene: _Scene, occasion: Occasion, since: Instant) -> Judgement | None:
    """Return why a remedy waits while what it must better cannot be read (S2), and asks when that lasts."""
    verify = scene.policy.verify
    if verify is None or isinstance(occasion.rung.remedy, DoPage):
        return None
    signal = scene.situation.signals.get(verify.signal)
    if signal is not None and (signal.usable or _explained(signal.state, occasion.subject.pods)):
        return None
    reason = Reason.FAILED_SIGNAL if signal is None else _BLIND[signal.state]
    why = "it was not asked" if signal is None else signal.detail or signal.state.value
    detail = f"{called(occasion.subject.ref)}: {occasion.subject.sight.why}; whether anything helps cannot be seen:"
    word = VerdictWord.ASK if scene.now - since >= scene.policy.for_s + BLIND_S else VerdictWord.WAIT
    return Judgement(word=word, reason=reason, detail=f"{detail} {verify.signal}: {why}")


def _explained(state: SignalState, pods: Sequence[Pod]) -> bool:
    """Return whether pods that are not ready explain why a signal is not whole (S1): they are what is to be mended.

    Some of them explain that a part is missing, and all of them that nothing fresh is left.
    """
    down = sum(1 for pod in pods if not pod.ready)
    return down > 0 and (state is SignalState.PARTIAL or (down == len(pods) and state in _OF_NOBODY))


def _back(scene: _Scene) -> _Decided | None:
    """Let a node that we cordoned take pods again once it has been well for long enough."""
    nodes = scene.policy.nodes
    for one in scene.every:
        node, state = one.subject.node, one.state
        if nodes is None or node is None or not (node.cordoned and node.ours and state.cordoned):
            continue
        well_s = scene.now - state.calm_since if math.isfinite(state.calm_since) else 0.0
        if not node.ready or one.subject.sight.troubled is not False:
            continue
        if well_s >= nodes.healthy_s:
            why = f"node {node.ref.name} has been well for {well_s:.0f} s"
            made = handing_back(scene.policy, one.subject, scene.now, why)
            return made, Judgement(word=VerdictWord.ALLOW, detail=f"{why}: it takes pods again")
        until = f"of {nodes.healthy_s:.0f} s" if math.isfinite(nodes.healthy_s) else "until a person uncordons it"
        detail = f"node {node.ref.name} is well for {well_s:.0f} s {until}, and cordoned by us"
        return _only(VerdictWord.WAIT, Reason.NOT_WELL_LONG_ENOUGH, detail)
    return None


def _unknown(scene: _Scene) -> _Decided | None:
    """Say that it is not known whether there is trouble: it is neither there nor gone (S1)."""
    for one in scene.every:
        if one.subject.sight.troubled is None:
            detail = f"{called(one.subject.ref)}: {one.subject.sight.why}"
            return _only(VerdictWord.WAIT, Reason.INCONCLUSIVE, f"{detail}; nothing is done")
    return None


def _calm(scene: _Scene) -> Judgement:
    if scene.weather is not None and scene.policy.nodes is not None:
        return Judgement(
            word=VerdictWord.STEADY, detail=f"{scene.weather.well} of {scene.weather.total} nodes are well"
        )
    for one in scene.every:
        if one.ignored:
            detail = f"{called(one.subject.ref)}: {one.subject.sight.why}, and was answered before"
            return Judgement(word=VerdictWord.STEADY, detail=detail)
        if math.isfinite(one.state.calm_since) and scene.now - one.state.calm_since < CALM_S:
            well_s = scene.now - one.state.calm_since
            detail = f"{called(one.subject.ref)} is well again for {well_s:.0f} s"
            return Judgement(word=VerdictWord.STEADY, detail=detail)
    return Judgement(word=VerdictWord.STEADY, detail="no trouble is seen")


def _evidence(scene: _Scene) -> Iterator[str]:
    """Yield what was seen, line by line, those in trouble first."""
    told = sorted(scene.every, key=lambda one: (one.state.since, one.subject.ref.key))[:MOST_SAID]
    for one in told:
        state, sight = one.state, one.subject.sight
        if scene.policy.nodes is not None and sight.troubled is False and not state.cordoned:
            continue
        since = f", seen for {scene.now - state.since:.0f} s" if math.isfinite(state.since) else ""
        tries = f", {state.attempts} tries, rung {state.rung + 1}" if state.attempts or state.rung else ""
        yield f"{called(one.subject.ref)}: {sight.why}{since}{tries}"
    if scene.seen.rollout.old:
        rollout = scene.seen.rollout
        yield f"rollout of {rollout.new} beside {rollout.old}: p = {rollout.p_value:.2g}"
    verify = scene.policy.verify
    signal = None if verify is None else scene.situation.signals.get(verify.signal)
    if verify is not None and signal is not None:
        value = f"{signal.value:.4g}" if signal.usable else signal.detail or signal.state.value
        yield f"{verify.signal} is {value}"
