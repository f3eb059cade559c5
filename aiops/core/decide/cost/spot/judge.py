"""What a CostPolicy with `spot` makes of one instant: what is learnt of reclaims, and where each share should be.

Capacity comes before cost: what a storm, a rate above its bound or pods without a node say is done at once and asks
nobody; what is worth it is done step by step, watched, and not before a while of calm.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from aiops.core.decide.cost.spot.plan import fewer, known, more, said
from aiops.core.decide.cost.spot.reclaims import learnt, often, storm
from aiops.core.decide.cost.spot.risk import Stakes, best, expected_loss, limit, worth
from aiops.core.decide.cost.spot.scene import Pair, Prices, Scene, scene, stakes, told
from aiops.core.model import (
    Instant,
    Judgement,
    Plan,
    PlanKind,
    PlanStatus,
    Reason,
    SpotShare,
    SpotState,
    VerdictWord,
)
from aiops.core.objects.bodies import at, strings
from aiops.core.objects.resting import MARK, RECORD
from aiops.core.objects.shares import steered
from aiops.core.objects.spot import wants_spot
from aiops.core.planning import Judged, Situation
from aiops.core.planning.cost_spot import SpotPolicy

MOST_DOUBLINGS = 6
CALM_S = 86_400.0
"""After so long without a fallback the next one counts as the first."""

WINDOW_S = 900.0
"""The whole is the fewest replicas within this time, longer than an HPA waits before it scales in: it asks for more in
the place of what was lost."""

HAND_S = 3600.0
"""How long another number than ours at the companion is respected (S4)."""

SLACK = 0.1
"""A share grows as if there were this part fewer replicas, and shrinks for its worth when it is this part off."""

_BEGUN = (PlanStatus.RUNNING, PlanStatus.ROLLING_BACK, PlanStatus.PAUSED, PlanStatus.ASKING)
_BAD = (PlanStatus.ROLLED_BACK, PlanStatus.FAILED)
_LOUDEST = (VerdictWord.ALLOW, VerdictWord.WAIT, VerdictWord.STEADY)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What is said of one workload. wish: the plan that is wanted; back: plans that are taken back, and why."""

    word: VerdictWord
    detail: str
    reason: Reason | None = None
    plan_id: str = ""
    wish: Plan | None = None
    back: tuple[tuple[str, str], ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class _One:
    """One workload at one instant. own: the policy's plans for it, those that ended lately, too."""

    policy: SpotPolicy
    situation: Situation
    memory: SpotState
    pair: Pair
    share: SpotShare
    own: tuple[Plan, ...]

    @property
    def now(self) -> Instant:
        return self.situation.now

    @property
    def at_work(self) -> Plan | None:
        return next((one for one in self.own if one.status in _BEGUN), None)

    @property
    def stakes(self) -> Stakes:
        return stakes(self.policy, self.pair, self.memory, self.pair.total)

    @property
    def standing(self) -> bool:
        return self.pair.now > self.pair.home


def judged(policy: SpotPolicy, situation: Situation, memory: SpotState) -> Judged[SpotState]:
    """Return what is said of every workload, the plans that are wanted, and what is remembered."""
    found = scene(policy, situation.snapshot, memory)
    if not isinstance(found, Scene):
        held = Judgement(word=VerdictWord.WAIT, reason=found[0], detail=f"{found[1]}; nothing is moved")
        return Judged(memory=memory, judgement=held)
    before, memory = memory, learnt(memory, found.nodes, situation.now, policy.risk)
    if found.units is not None and memory is not before:
        memory = replace(memory, units=(situation.now, found.units.core_usd, found.units.gib_usd))
    shares, said_of = {}, []
    for pair in found.pairs:
        one = _one(policy, situation, memory, pair)
        share = _followed(one)
        told_of = _first(replace(one, share=share))
        shares[pair.base.ref.key] = _after(share, told_of, one)
        said_of.append(told_of)
    if shares != memory.shares:
        memory = replace(memory, shares=shares)
    evidence = (*(f"{one.detail}" for one in said_of[:20]), *told(policy, memory))
    judgement = replace(_together(said_of, found), evidence=evidence)
    wishes = tuple(replace(one.wish, evidence=evidence) for one in said_of if one.wish is not None)
    return Judged(
        memory=memory, judgement=judgement, plans=wishes, back=tuple(back for one in said_of for back in one.back)
    )


def _one(policy: SpotPolicy, situation: Situation, memory: SpotState, pair: Pair) -> _One:
    key = pair.base.ref.key
    own = tuple(one for one in situation.plans if one.policy == policy.key and one.subject == key)
    share = memory.shares.get(key, SpotShare())
    return _One(policy=policy, situation=situation, memory=memory, pair=pair, share=share, own=own)


def _together(every: list[_Found], found: Scene) -> Judgement:
    if not every:
        names = ", ".join(found.alone[:3]) or "no workload"
        return Judgement(
            word=VerdictWord.WAIT, reason=Reason.UNKNOWN_TARGET, detail=f"{names}: there is no companion on spot nodes"
        )
    first = min(every, key=lambda one: _LOUDEST.index(one.word))
    more_ = f" (of {len(every)} workloads)" if len(every) > 1 else ""
    return Judgement(word=first.word, reason=first.reason, detail=f"{first.detail}{more_}", plan_id=first.plan_id)


# -- what is remembered --------------------------------------------------------------------------------


def _followed(one: _One) -> SpotShare:
    """Return what is remembered once plans that ended, and pods that lack a node, are taken in."""
    share, pair = one.share, one.pair
    lacks = one.at_work is None and (pair.waiting > 0 or (pair.now > pair.ready and not pair.rolling))
    share = replace(share, short_since=min(share.short_since, one.now) if lacks else math.inf)
    strange = pair.set is not None and pair.set != pair.now and one.at_work is None
    share = replace(share, strange_since=min(share.strange_since, one.now) if strange else math.inf)
    if pair.hpa:
        share = _measured(share, one)
    sent = [step.since for each in one.own for step in each.steps if step.sent and math.isfinite(step.since)]
    share = replace(share, moved_at=max([share.moved_at, *sent]))
    over = [each for each in one.own if share.counted_at < each.ended_at < math.inf]
    if not over:
        return share
    # a share that was taken back by its own watch is a fall as well; one that the judge took back is counted already
    fell = [each for each in over if each.kind is PlanKind.SAVING and each.status in _BAD and _sent(each)]
    if any(each.created_at > share.fell_at for each in fell):
        share = _fallen(share, one)
    return replace(share, counted_at=max(each.ended_at for each in over))


def _measured(share: SpotShare, one: _One) -> SpotShare:
    """Return what is remembered with how many replicas there are in all now."""
    kept = list(share.totals)
    while len(kept) > 1 and kept[1][0] <= one.now - WINDOW_S:
        kept.pop(0)
    total = one.pair.total
    if not kept or kept[-1][1] != total:
        while kept and kept[-1][1] >= total:
            kept.pop()
        kept.append((one.now, total))
    return replace(share, totals=tuple(kept), since=min(share.since, one.now))


def _sent(plan: Plan) -> bool:
    return any(step.sent for step in plan.steps)


def _fallen(share: SpotShare, one: _One) -> SpotShare:
    falls = 1 if one.now - share.fell_at > CALM_S else share.falls + 1
    wait_s = one.policy.fallback.come_back_s * 2.0 ** min(falls - 1, MOST_DOUBLINGS)
    return replace(share, falls=falls, fell_at=one.now, not_before=max(share.not_before, one.now + wait_s))


def _after(share: SpotShare, told_of: _Found, one: _One) -> SpotShare:
    """Return what is remembered once it was said what is done: a fallback begins a wait."""
    falls = bool(told_of.back) or (told_of.wish is not None and told_of.reason is Reason.STORM)
    if falls and one.now - share.fell_at > one.policy.risk.replace_s:
        return _fallen(share, one)
    return share


# -- rules, the first that has something to say --------------------------------------------------------


def _first(one: _One) -> _Found:
    return next(found for rule in _RULES if (found := rule(one)) is not None)


def _wait(reason: Reason, detail: str) -> _Found:
    return _Found(word=VerdictWord.WAIT, reason=reason, detail=detail)


def _resting(one: _One) -> _Found | None:
    for seen in (one.pair.base, one.pair.spot):
        notes = strings(at(seen.body, "metadata", "annotations"))
        if RECORD in notes or MARK in notes:
            return _wait(Reason.IN_FLIGHT, f"{seen.ref.name} sleeps: nothing is moved until it is awake")
    if one.pair.has == 0 and not one.standing:
        return _wait(Reason.SWITCHED_OFF, f"{one.pair.base.ref.name} has no replicas: somebody switched it off")
    return None


def _fallback(one: _One) -> _Found | None:
    """Give everything back at once when spot capacity fails: safety before cost."""
    plan = one.at_work
    gives = plan is not None and (plan.kind is PlanKind.RESTORE or plan.status is not PlanStatus.RUNNING)
    if not one.standing or gives:
        return None
    why = _failing(one)
    if not why:
        return None
    back = tuple((each.id, why) for each in one.own if each.touches_back and _can_go_back(each))
    if back:
        return _Found(word=VerdictWord.ALLOW, reason=Reason.STORM, detail=f"{why}: all on demand", back=back)
    wish = fewer(one.policy, one.pair, one.pair.home, why, one.now)
    return _Found(word=VerdictWord.ALLOW, reason=Reason.STORM, detail=wish.reason, wish=wish)


def _can_go_back(plan: Plan) -> bool:
    return plan.kind is PlanKind.SAVING and plan.status in (PlanStatus.RUNNING, PlanStatus.DONE)


def _failing(one: _One) -> str:
    """Return why spot capacity cannot be relied on now, '' while it can."""
    rules = one.policy.fallback
    why = storm(one.memory, one.now, rules.storm_ratio) or often(one.memory, one.now, rules.waves_per_hour)
    if why:
        return why
    short_s = one.now - one.share.short_since
    if short_s >= rules.pending_s:
        lacking = one.pair.now - one.pair.ready
        return f"{lacking} of {one.pair.now} replicas of {one.pair.spot.ref.name} are not ready for {short_s:.0f} s"
    return ""


def _works(one: _One) -> _Found | None:
    plan = one.at_work
    if plan is None:
        return None
    held = f": {plan.held}" if plan.held else ""
    word = VerdictWord.WAIT if plan.status in (PlanStatus.PAUSED, PlanStatus.ASKING) else VerdictWord.ALLOW
    detail = f"{one.pair.base.ref.name}: plan {plan.id} is {plan.status.value}{held}"
    return _Found(word=word, reason=Reason.PAUSED if word is VerdictWord.WAIT else None, detail=detail, plan_id=plan.id)


def _floor(one: _One) -> _Found | None:
    """Give back what is more than the floor allows, should all of it go."""
    if not one.standing:
        return None
    most = max(one.pair.home, limit(one.stakes))
    if one.pair.now <= most:
        return None
    why = f"{one.stakes.floor} of {one.pair.total} must be left, whatever is taken away"
    wish = fewer(one.policy, one.pair, most, why, one.now)
    return _Found(word=VerdictWord.ALLOW, detail=wish.reason, wish=wish)


def _hand(one: _One) -> _Found | None:
    since_s = one.now - one.share.strange_since
    if 0.0 <= since_s < HAND_S:
        name = one.pair.spot.ref.name
        said_ = f"{name} has {one.pair.now} replicas by another hand, {one.pair.set} were set"
        return _wait(Reason.MANUAL_OVERRIDE, f"{said_}: respected for {HAND_S - since_s:.0f} s more")
    return None


def _known(one: _One) -> _Found | None:
    """Take over a share of which no plan is known: who deletes the policy finds it, and it is an effect like any."""
    if not one.standing or any(each.touches_back and _can_go_back(each) for each in one.own):
        return None
    wish = known(one.policy, one.pair, one.now)
    return _Found(word=VerdictWord.ALLOW, detail=wish.reason, wish=wish)


def _fits(one: _One) -> _Found | None:
    """Hold while the two workloads are not what this is for."""
    name = one.pair.spot.ref.name
    if one.pair.broken:
        return _wait(Reason.INCONCLUSIVE, f"{one.pair.broken}: take it away, or write what was there")
    if wants_spot(one.pair.spot) is not True:
        said_ = f"the pods of {name} may run anywhere: its template must require spot nodes"
        return _wait(Reason.INCONCLUSIVE, f"{said_} (a node selector, or required node affinity)")
    owner = steered(one.pair.base.ref, one.pair.spot.ref, one.situation.snapshot.looked)
    return None if owner is None else _wait(*owner)


def _scaled(one: _One) -> _Found | None:
    for scaling in one.situation.scalings:
        if scaling.target.key in (one.pair.base.ref.key, one.pair.spot.ref.key):
            return _wait(Reason.OWNED, f"{scaling.policy} has the replicas of {scaling.target}: it would count a part")
    return None


def _priced(one: _One) -> _Found | None:
    if isinstance(one.pair.prices, Prices):
        return None
    return _wait(Reason.INCONCLUSIVE, f"{one.pair.base.ref.name}: {one.pair.prices}: nothing is counted as saved")


def _lowered(one: _One) -> _Found | None:
    """Give back what is not worth its risk any more."""
    aim = max(one.pair.home, best(one.stakes))
    off = one.pair.now - aim
    if not one.standing or off < max(1, math.ceil(SLACK * one.pair.total - 1e-9)):
        return None
    loss, saves = expected_loss(one.stakes, one.pair.now), one.stakes.saves_usd * one.pair.now
    why = f"{one.pair.now} save {saves:.4g} USD an hour, and are expected to lose {loss:.4g} by reclaims"
    wish = fewer(one.policy, one.pair, aim, why, one.now)
    return _Found(word=VerdictWord.ALLOW, detail=wish.reason, wish=wish)


def _paced(one: _One) -> _Found | None:
    name = one.pair.base.ref.name
    if one.now < one.share.not_before:
        left_s = one.share.not_before - one.now
        return _wait(
            Reason.BACK_OFF, f"{name}: after fallback {one.share.falls} no more on spot nodes for {left_s:.0f} s"
        )
    left_s = one.share.moved_at + one.policy.steps.every_s - one.now
    if left_s > 0.0:
        return _wait(Reason.COOLDOWN, f"{name}: its share moved lately, the next move is in {left_s:.0f} s")
    return None


def _whole(one: _One) -> _Found | None:
    """Hold while pods are missing, or how many replicas there are in all is not known for long enough."""
    pair, name = one.pair, one.pair.base.ref.name
    if pair.ready < pair.now or pair.waiting:
        return _wait(Reason.STABILISATION, f"{name}: {pair.ready} of {pair.now} on spot nodes are ready")
    left_s = one.share.since + WINDOW_S - one.now
    if pair.hpa and left_s > 0.0:
        return _wait(Reason.STABILISATION, f"{name}: what its HPA makes of the load is watched for {left_s:.0f} s more")
    return None


def _well(one: _One) -> _Found | None:
    for rule in one.policy.steps.slo:
        signal = one.situation.signals.get(rule.signal)
        if signal is None or not signal.usable:
            return _wait(Reason.INCONCLUSIVE, f"{rule.signal} is not known: nothing more goes to spot nodes")
        if not rule.at_least <= signal.value <= rule.at_most:
            return _wait(Reason.GUARDRAIL, f"{rule.signal} is {signal.value:.4g}: nothing more goes to spot nodes")
    return None


def _raised(one: _One) -> _Found:
    """Move a step towards what is worth most, or say why that is what there is."""
    pair, now = one.pair, one.pair.now
    whole = min([pair.total, *(total for _, total in one.share.totals)]) if pair.hpa else pair.total
    smaller = math.floor(whole * (1.0 - SLACK) + 1e-9)
    most = limit(stakes(one.policy, pair, one.memory, smaller))
    aim = min(best(one.stakes), most)
    step = max(1, math.floor(one.policy.steps.step_ratio * pair.total + 1e-9))
    to = min(aim, now + step)
    # a step that stops short of where it would pay is none
    while to < aim and worth(one.stakes, to) <= worth(one.stakes, now):
        to += 1
    if to > now:
        wish = more(one.policy, pair, one.stakes, to, one.now)
        return _Found(word=VerdictWord.ALLOW, detail=wish.reason, wish=wish)
    detail = f"{pair.base.ref.name}: {now} of {pair.total} on spot nodes; {said(pair, one.stakes, now)}"
    return _Found(word=VerdictWord.STEADY, detail=detail)


_Rule: TypeAlias = Callable[[_One], _Found | None]

_RULES: tuple[_Rule, ...] = (
    _resting,
    _fallback,
    _works,
    _hand,
    _floor,
    _known,
    _fits,
    _scaled,
    _priced,
    _lowered,
    _paced,
    _whole,
    _well,
    _raised,
)
