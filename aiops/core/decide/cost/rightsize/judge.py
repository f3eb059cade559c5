"""What a CostPolicy that rightsizes makes of one instant: what is learnt, what is said, and the plans it wants."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from aiops.core.decide.cost.rightsize.owners import declared
from aiops.core.decide.cost.rightsize.past import how_far, with_past
from aiops.core.decide.cost.rightsize.plan import Change, changed_by, plan, saves
from aiops.core.decide.cost.rightsize.report import Report, report, resources_of
from aiops.core.decide.cost.rightsize.scene import Scene, amount, failing, kills, scene, seen_uses, shares
from aiops.core.decide.cost.rightsize.sizes import Recommendation, text
from aiops.core.decide.cost.rightsize.uses import killed, packed, taken, throttled, unpacked
from aiops.core.model import (
    F64,
    Instant,
    Judgement,
    Plan,
    PlanStatus,
    Reason,
    RightsizeState,
    SeenObject,
    SizedState,
    VerdictWord,
)
from aiops.core.planning import Judged, Situation
from aiops.core.planning.cost_rightsize import CPU, MEMORY, THROTTLED, How, RightsizePolicy

MOST_SAID = 30
"""Recommendations that are told as evidence, those that change something first."""

ALIKE = 0.1
"""A proposal stands while no more than this is wished beyond it."""

WORSE = 1.5
MOST_DOUBLINGS = 6
_BAD = (PlanStatus.ROLLED_BACK, PlanStatus.FAILED)
_QUIET = (PlanStatus.PROPOSED, PlanStatus.REFUSED, PlanStatus.REHEARSED)


def judged(policy: RightsizePolicy, situation: Situation, memory: RightsizeState) -> Judged[RightsizeState]:
    """Return the plans for workloads whose containers are too small or too large, and what is said of all of them."""
    own = tuple(one for one in situation.plans if one.policy == policy.key)
    situation = replace(situation, plans=own)
    found = scene(policy, situation.snapshot.looked)
    if not isinstance(found, Scene):
        reason, why = found
        held = Judgement(word=VerdictWord.WAIT, reason=reason, detail=why)
        return Judged(memory=replace(memory, settled={}), judgement=held)
    memory = with_past(policy, situation.snapshot.pasts.get(policy.key), memory, situation.now)
    memory, blind = _learnt(policy, situation, found, memory)
    made = report(policy, found, memory, situation.snapshot)
    memory = _followed(policy, situation, found, memory)
    turn = _Turn(policy=policy, situation=situation, memory=memory, made=made)
    plans = turn.plans()
    past = how_far(memory, found, situation.now)
    evidence = (*((past,) if past else ()), *_lines(made))
    judgement = replace(turn.said(plans, blind), evidence=evidence)
    return Judged(memory=memory, judgement=judgement, plans=tuple(replace(one, evidence=evidence) for one in plans))


# -- what is learnt ------------------------------------------------------------------------------------


def _learnt(
    policy: RightsizePolicy, situation: Situation, found: Scene, memory: RightsizeState
) -> tuple[RightsizeState, str]:
    """Return the memory with what this instant shows of use, and why nothing could be learnt, '' where it was.

    A container that is gone is forgotten with its history once that is over.
    """
    tables, now = situation.snapshot.tables.get(policy.key, {}), situation.now
    errors = [f"{name}: {one.error}" for name, one in tables.items() if one.error and name != THROTTLED]
    if not tables or errors or found.unseen:
        old = now - memory.learnt_at > 3.0 * policy.sizing.sample_s
        return memory, (found.unseen or "; ".join(errors) or "use was not asked yet") if old or errors else ""
    use = policy.sizing.use
    uses = unpacked(memory.uses, [one.key for one in found.containers], use, now)
    uses = taken(uses, seen_uses(found, tables, now), use)
    limits = {name: np.array([one.amount("limits", name) for one in found.containers]) for name in (CPU, MEMORY)}
    uses = killed(uses, kills(found), limits[MEMORY], use)
    share = shares(found, tables.get(THROTTLED))
    slow = np.flatnonzero(np.nan_to_num(share) > policy.trial.throttled_ratio)
    uses = throttled(uses, slow, now, limits[CPU])
    memory = replace(memory, uses=packed(uses))
    # since when less would do is remembered at the same pace
    after = packed(report(policy, found, memory, situation.snapshot).uses)
    forgotten = now - use.windows * 86_400.0
    gone = {key: one for key, one in memory.uses.items() if key not in after and one.until > forgotten}
    known = _shares(found, share)
    sized = dict(memory.sized)
    for key, ratio in known.items():
        if not _at_work(policy, situation, key):
            sized[key] = replace(sized.get(key, SizedState()), throttled=ratio)
    settled = _settled(policy, situation, found, replace(memory, sized=sized), known)
    kept = {**gone, **after}
    read = {key: since for key, since in memory.read.items() if key in kept}
    return replace(memory, uses=kept, sized=sized, settled=settled, learnt_at=now, read=read), ""


def _shares(found: Scene, share: F64) -> dict[str, float]:
    """Return the greatest share of throttled periods of each workload's containers, 0 where none is known."""
    made: dict[str, float] = {}
    for one, ratio in zip(found.containers, np.nan_to_num(share), strict=True):
        key = one.workload.ref.key
        made[key] = max(made.get(key, 0.0), float(ratio))
    return made


def _at_work(policy: RightsizePolicy, situation: Situation, subject: str) -> Plan | None:
    mine = (one for one in situation.plans if one.policy == policy.key and one.subject == subject)
    return next((one for one in mine if not one.status.ended and one.status is not PlanStatus.PROPOSED), None)


def _began(one: Plan) -> Instant:
    """Return when a plan sent something first, infinite before."""
    return min((step.since for step in one.steps if step.sent), default=math.inf)


def _settled(
    policy: RightsizePolicy, situation: Situation, found: Scene, memory: RightsizeState, share: dict[str, float]
) -> dict[str, bool]:
    """Return for each workload at work whether it fares well: what is throttled more than before does not."""
    made = {}
    for key, ratio in share.items():
        if _at_work(policy, situation, key) is None:
            continue
        before = memory.sized.get(key, SizedState()).throttled
        worse = ratio > policy.trial.throttled_ratio and ratio > WORSE * before
        made[key] = not worse
    return made


def _followed(policy: RightsizePolicy, situation: Situation, found: Scene, memory: RightsizeState) -> RightsizeState:
    """Return the memory with what became of plans: harm seen now, and how the last ones ended."""
    settled, sized = dict(memory.settled), dict(memory.sized)
    workloads = found.workloads
    for key, workload in workloads.items():
        one = _at_work(policy, situation, key)
        if one is None or found.unseen:
            settled.pop(key, None)
        elif failing(found.of(workload), _began(one)):
            settled[key] = False
        ended = _ended(policy, situation, key, sized.get(key, SizedState()))
        if ended is not None:
            sized[key] = ended
    settled = {key: well for key, well in settled.items() if key in workloads}
    if settled == memory.settled and sized == memory.sized:
        return memory
    return replace(memory, settled=settled, sized=sized)


def _ended(policy: RightsizePolicy, situation: Situation, subject: str, state: SizedState) -> SizedState | None:
    """Return the state after the plans that ended since the last look, None where none did."""
    over = [
        one
        for one in situation.plans
        if one.policy == policy.key
        and one.subject == subject
        and one.status.ended
        and one.status not in _QUIET
        and one.ended_at > state.counted_at
    ]
    if not over:
        return None
    for one in sorted(over, key=lambda each: each.ended_at):
        harms = state.harms + 1 if one.status in _BAD else 0
        wait_s = policy.trial.back_off_s * 2.0 ** min(max(0, harms - 1), MOST_DOUBLINGS) if harms else 0.0
        state = replace(state, harms=harms, not_before=one.ended_at + wait_s, counted_at=one.ended_at)
    return state


# -- what is wanted ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    policy: RightsizePolicy
    situation: Situation
    memory: RightsizeState
    made: Report

    def plans(self) -> list[Plan]:
        """Return the plans that are wanted, no more at a time than the policy says; what is too small comes first."""
        if self._unwell():
            return []
        free = self.policy.at_once - len(list(self.standing()))
        made: list[Plan] = []
        for change in self.changes():
            if len(made) >= free:
                break
            if self.waits(change) is None:
                made.append(self._asked_on(change) or plan(self.policy, change, self.situation.now))
        return made

    def standing(self) -> Iterator[Plan]:
        """Yield the policy's plans at work."""
        for one in self.situation.plans:
            if one.policy == self.policy.key and not one.status.ended and one.status is not PlanStatus.PROPOSED:
                yield one

    def changes(self) -> list[Change]:
        """Return one change for each workload that needs any: its most urgent container; the most urgent first."""
        by_container: dict[tuple[str, str], list[Recommendation]] = defaultdict(list)
        for one in self.made.every:
            if one.changes:
                by_container[one.workload, one.container].append(one)
        best: dict[str, Change] = {}
        workloads = self.made.found.workloads
        for (key, name), wished in by_container.items():
            change = self._change(workloads[key], name, tuple(wished))
            if key not in best or _urgency(change) > _urgency(best[key]):
                best[key] = change
        return sorted(best.values(), key=_urgency, reverse=True)

    def _change(self, workload: SeenObject, name: str, wished: tuple[Recommendation, ...]) -> Change:
        change = Change(workload=workload, container=name, wished=wished, pods=())
        pods = self.made.found.of(workload)
        if self.policy.how is How.IN_PLACE:
            pods = tuple(pod for pod in pods if _differs(pod, change))
        names = tuple(pod.ref.name for pod in pods)
        if self.policy.how is How.IN_PLACE:
            return replace(change, pods=names)
        git = declared(self.situation.snapshot.looked, workload.ref.key, name)
        return replace(change, pods=names, git=git)

    def waits(self, change: Change) -> tuple[Reason, str] | None:
        """Return why a change is not begun now, None when it may."""
        key, now = change.workload.ref.key, self.situation.now
        state = self.memory.sized.get(key, SizedState())
        if _at_work(self.policy, self.situation, key) is not None:
            return Reason.IN_FLIGHT, f"{change.workload.ref} is being resized"
        if now < state.not_before:
            left = (state.not_before - now) / 3600.0
            return Reason.BACK_OFF, f"{change.workload.ref}: the last change did harm, the next is in {left:.1f} h"
        if self.policy.how is How.IN_PLACE and not change.pods:
            return Reason.INCONCLUSIVE, f"{change.workload.ref} has no pods to resize"
        return None

    def _asked_on(self, change: Change) -> Plan | None:
        """Return the proposal that stands for it, as long as it is about the same: people answer that one."""
        for one in self.situation.plans:
            if (one.policy, one.subject) != (self.policy.key, change.workload.ref.key):
                continue
            if one.status is not PlanStatus.PROPOSED:
                continue
            container, requests = changed_by(one)
            if container == change.container and _safe(change, requests):
                return one
        return None

    def _unwell(self) -> str:
        """Return which signal does not hold, or is not known: nothing is begun then."""
        for one in self.policy.trial.slo:
            signal = self.situation.signals.get(one.signal)
            if signal is None or not signal.usable:
                return f"{one.signal} is not known"
            if not one.at_least <= signal.value <= one.at_most:
                return f"{one.signal} is {signal.value:.4g}"
        return ""

    # -- what is said ------------------------------------------------------------------------------------

    def said(self, plans: list[Plan], blind: str) -> Judgement:
        """Return what is said of all: what acts first, then what holds, then how much there is to gain."""
        if plans:
            return Judgement(word=VerdictWord.ALLOW, detail=plans[0].reason, plan_id=plans[0].id)
        for one in self.standing():
            held = f": {one.held}" if one.held else ""
            return Judgement(
                word=VerdictWord.ALLOW, detail=f"plan {one.id} is {one.status.value}{held}", plan_id=one.id
            )
        if blind:
            return Judgement(word=VerdictWord.WAIT, reason=Reason.INCONCLUSIVE, detail=f"use is not known: {blind}")
        changes = self.changes()
        unwell = self._unwell()
        if changes and unwell:
            return Judgement(word=VerdictWord.WAIT, reason=Reason.NOT_WELL_LONG_ENOUGH, detail=unwell)
        for change in changes:
            why = self.waits(change)
            if why is not None:
                return Judgement(word=VerdictWord.WAIT, reason=why[0], detail=why[1])
        return Judgement(word=VerdictWord.STEADY, detail=_summed(self.made))


def _safe(change: Change, requests: Mapping[str, str]) -> bool:
    """Return whether what was proposed is still right: the same way, and enough by what is known now."""
    if requests.keys() != change.requests.keys():
        return False
    proposed = {name: amount(value) for name, value in requests.items()}
    enough = all(proposed[one.resource] >= one.wished * (1.0 - ALIKE) for one in change.wished)
    same_way = all((proposed[one.resource] < one.request) is (one.wished < one.request) for one in change.wished)
    let_in = all(proposed[one.resource] <= one.most for one in change.wished)
    return enough and same_way and let_in


def _differs(pod: SeenObject, change: Change) -> bool:
    have = resources_of(pod, change.container)
    asked = {"requests": change.requests, "limits": change.limits}
    return have is not None and any(
        amount(have[part].get(name, "")) != amount(value)
        for part, some in asked.items()
        for name, value in some.items()
    )


def _urgency(change: Change) -> tuple[bool, float, str]:
    """Return what is sorted by: too small before too large, then by money."""
    worth = change.usd_per_month
    return change.raises, 0.0 if worth is None else abs(worth), change.workload.ref.key


def _summed(made: Report) -> str:
    count = len({(one.workload, one.container) for one in made.every})
    waiting = [one for one in made.every if one.why in ("waits", "no_history", "owned", "bounded", "refused")]
    fits = f"{count} container{'' if count == 1 else 's'} fit" + ("s" if count == 1 else "")
    if not waiting:
        return fits
    return f"{count} containers, {len(waiting)} sizes wait: {waiting[0].container}: {waiting[0].said}"


def _lines(made: Report) -> Iterator[str]:
    """Yield what is recommended, line by line, what changes first."""
    for one in sorted(made.every, key=lambda each: not each.changes)[:MOST_SAID]:
        now, wished = text(one.resource, one.request) or "none", text(one.resource, one.wished) or "none"
        arrow = f"{now} -> {wished}" if one.changes else now
        estimate = text(one.resource, one.target) or "unknown"
        name = one.workload.rpartition("/")[2]
        money = f", {saves(one.usd_per_month)}" if one.changes else ""
        what = f"{name}/{one.container} {one.resource} {arrow}"
        yield f"{what}: {one.said} (estimate {estimate}, {one.days:.1f} d){money}"
