"""What a FailoverPolicy makes of one instant: what it says, and which plan it wants, if any (S8). Pure."""

from __future__ import annotations

import math

from aiops.core.decide.failover import orders
from aiops.core.decide.failover.evidence import pooled
from aiops.core.decide.failover.health import assessed
from aiops.core.decide.failover.moves import Cause, failback, failover
from aiops.core.decide.failover.outdated import outdated
from aiops.core.decide.failover.preparing import given_back, preparing
from aiops.core.decide.failover.scene import SETTLE_S, Refusal, Scene, Way, moved_at, weights_seen
from aiops.core.decide.failover.wording import evidence_lines, standing_word, steady
from aiops.core.model import GroupState, Health, Judgement, Plan, PlanKind, PlanStatus, Reason, VerdictWord
from aiops.core.model.swift import changed
from aiops.core.planning.failover import FailoverPolicy
from aiops.core.planning.situation import Judged, Situation

ASK_AFTER = 4.0
"""After so many times failFor in which users may be failing and nobody is sure, a person is asked."""

SEVERITY_RATIO = 2.0 / 3.0
"""Of failFor: how far is looked back to tell a crash from a failure of some; its first seconds lie before that."""

_Decided = tuple[Plan | None, Judgement]


def judged(policy: FailoverPolicy, situation: Situation, memory: GroupState) -> Judged[GroupState]:
    """Return what the policy says at this instant, what it remembers, and the plan that it wants, if any."""
    now, known = situation.now, assessed(policy, situation.signals, memory, situation.now)
    after = changed(
        memory,
        views=known.views,
        sites=known.sites,
        moved_at=moved_at(situation.plans, policy.key, memory.moved_at),
    )
    weights = weights_seen(policy, situation.snapshot.looked)
    scene = _remembering(Scene(policy=policy, situation=situation, memory=after, known=known, weights=weights))
    since = min(scene.memory.trouble_since, now) if _in_doubt(scene) else math.inf
    scene = changed(scene, memory=changed(scene.memory, trouble_since=since))
    answer = orders.answered(scene)
    if answer is not None:
        return answer
    plan, said = _decided(scene)
    plans = preparing(scene) if plan is None else (plan,)
    said = changed(said, evidence=evidence_lines(scene))
    return Judged(memory=scene.memory, judgement=said, plans=plans, back=given_back(scene), over=outdated(scene))


def _in_doubt(scene: Scene) -> bool:
    """Return whether users may be failing, or could be without anybody knowing."""
    active, known = scene.active, scene.known
    if active is None or known.partitioned or known.all_failing or known.troubled(scene.policy, active.name):
        return True
    state = scene.state(active)
    return state.health is Health.INCONCLUSIVE and state.good_at < scene.now


def _remembering(scene: Scene) -> Scene:
    """Return the scene that knows whether somebody else moved the traffic: weights changed, and not by a plan (S4)."""
    before, weights, memory = scene.memory.weights, scene.weights, scene.memory
    if not weights:
        return scene
    until = memory.override_until
    if before and before != weights and scene.snapshot.leadership.leader and not _ours(scene):
        until = scene.now + scene.policy.override_s
    return changed(scene, memory=changed(memory, weights=weights, override_until=until))


def _ours(scene: Scene) -> bool:
    """Return whether a plan of the group is at work, or was until just now."""
    begun = [one for one in scene.own if one.status is not PlanStatus.PROPOSED]
    return any(not one.status.ended or scene.now - one.ended_at <= SETTLE_S for one in begun)


def _decided(scene: Scene) -> _Decided:
    """Return the plan and what is said, by the first of these that has something to say."""
    for rule in (_standing, _partitioned, _unseen, _failing, _unsure, _away, _api_down):
        found = rule(scene)
        if found is not None:
            return found
    return None, steady(scene)


def _only(word: VerdictWord, reason: Reason, detail: str) -> _Decided:
    return None, Judgement(word=word, reason=reason, detail=detail)


def _waits_or_asks(scene: Scene, reason: Reason, detail: str) -> _Decided:
    """Say to wait, and ask a person once it has lasted: one answer that does not come is no reason to wake anybody."""
    lasted_s = scene.now - scene.memory.trouble_since
    asks = lasted_s >= ASK_AFTER * scene.policy.watching.fail_for_s
    return _only(VerdictWord.ASK if asks else VerdictWord.WAIT, reason, detail)


def _standing(scene: Scene) -> _Decided | None:
    """Say how the plan stands that is at work; nothing else is wanted meanwhile."""
    plan = scene.standing
    return None if plan is None else (None, standing_word(plan))


def _partitioned(scene: Scene) -> _Decided | None:
    """Hold while no majority of the vantage points is heard, or while every site looks bad at once (S8)."""
    known = scene.known
    if known.partitioned:
        heard = ", ".join(known.heard) or "none"
        detail = f"{len(known.heard)} of {known.total} vantage points are heard ({heard}): it may be us who are cut off"
        return _waits_or_asks(scene, Reason.PARTITIONED, f"{detail}; nothing is moved")
    if known.all_failing:
        detail = "every site looks bad at once: likelier what they share, or those who look; nothing is moved"
        return _waits_or_asks(scene, Reason.INCONCLUSIVE, detail)
    return None


def _unseen(scene: Scene) -> _Decided | None:
    """Hold while it is not known where traffic goes: it cannot be moved, either."""
    if scene.active is not None:
        return None
    ref, looked = scene.policy.traffic.object, scene.snapshot.looked
    held = _api_down(scene) if _served(scene) and ref.cluster in {one.cluster for one in scene.policy.sites} else None
    if held is not None:
        return held
    reason, why = Reason.UNKNOWN_TARGET, "it is not there"
    if ref.key in looked.errors:
        reason, why = looked.errors[ref.key]
    elif scene.api_error(ref.cluster):
        reason, why = Reason.CLUSTER_UNAVAILABLE, scene.api_error(ref.cluster)
    elif ref.key in looked.objects:
        why = "it does not say what each backend gets"
    return _waits_or_asks(scene, reason, f"where traffic goes is not known: {ref.kind} {ref}: {why}")


def _served(scene: Scene) -> bool:
    """Return whether users are served wherever they are sent."""
    return all(scene.state(site).health is Health.WELL for site in scene.policy.sites)


def _failing(scene: Scene) -> _Decided | None:
    """Send the users of a site that fails them to the best of the others, or say why not."""
    active = scene.active
    if active is None or scene.state(active).health is not Health.SICK:
        return None
    ways = [scene.way(site) for site in scene.policy.sites if site is not active]
    open_ways = [way for way in ways if isinstance(way, Way)]
    views = scene.known.failing(scene.policy, active.name)
    share = pooled(scene.known.views, views, SEVERITY_RATIO * scene.policy.watching.fail_for_s)
    reason = f"users of {active.name} fail ({share:.0%}), seen from {len(views)} vantage points outside of it"
    if not open_ways:
        refused = [way for way in ways if isinstance(way, Refusal)]
        also = "; ".join(way.detail for way in refused)
        return _only(VerdictWord.ASK, refused[0].reason, f"{reason}; nowhere to send them: {also}")
    way = best(open_ways)
    asks = (*_asks_always(scene), *way.asks)
    cause = Cause(reason=reason, by=scene.policy.key, asks=asks, evidence=evidence_lines(scene))
    return failover(scene, way, cause, share), _wanting(scene, f"{reason}; {way.site.name} takes over", asks)


def best(ways: list[Way]) -> Way:
    """Return the way with the fewest questions, then one that is large enough; of equals the policy's order decides."""
    return min(ways, key=lambda one: (len(one.asks), one.small))


def _asks_always(scene: Scene) -> tuple[str, ...]:
    """Return why a person is asked whatever the mode (S8)."""
    unwitnessed = _unwitnessed(scene)
    alone = (unwitnessed,) if unwitnessed else ()
    return (*alone, "it has state") if scene.policy.stateful else alone


def _unwitnessed(scene: Scene) -> str:
    """Return why no third place decides who acts, '' where the witness holds the Lease or nobody says where it lies."""
    witness, lies_in = scene.policy.witness, scene.snapshot.leadership.lies_in
    if not witness:
        return "there is no third place as witness"
    if lies_in is None or lies_in == witness:
        return ""
    where = f"the Lease lies in {lies_in}" if lies_in else "there is no Lease"
    return f"{witness} is to be the witness, and {where}"


def _wanting(scene: Scene, detail: str, asks: tuple[str, ...]) -> Judgement:
    """Return what is said of a wish; whether it is acted on, the guards say."""
    if not asks:
        return Judgement(word=VerdictWord.ALLOW, detail=detail)
    reason = Reason.NO_WITNESS if _unwitnessed(scene) else Reason.INCONCLUSIVE
    return Judgement(word=VerdictWord.ASK, reason=reason, detail=f"{detail}, if a person says so: {'; '.join(asks)}")


def _unsure(scene: Scene) -> _Decided | None:
    """Wait while it is not known whether users fail; ask a person when that lasts."""
    active = scene.active
    if active is None or scene.state(active).health is Health.WELL:
        return None
    state = scene.state(active)
    if math.isfinite(state.good_since) and state.good_at == scene.now:
        detail = f"{active.name} is good for {scene.now - state.good_since:.0f} s, too short to be called well"
        return _only(VerdictWord.WAIT, Reason.NOT_WELL_LONG_ENOUGH, detail)
    lasted_s = scene.now - scene.memory.trouble_since
    if scene.known.troubled(scene.policy, active.name):
        detail = f"some see users of {active.name} fail, and too few are sure of it, for {lasted_s:.0f} s"
    else:
        detail = f"how users of {active.name} fare has not been known for {lasted_s:.0f} s"
    return _waits_or_asks(scene, Reason.INCONCLUSIVE, detail)


def _away(scene: Scene) -> _Decided | None:
    """Say how it stands with going home; while that waits, a hold of the site that serves is what people hear."""
    found, active = _homeward(scene), scene.active
    if found is None or found[0] is not None or active is None or not scene.api_error(active.cluster):
        return found
    return _api_down(scene)


def _homeward(scene: Scene) -> _Decided | None:
    """Send users home once home has been well for long enough, where it was a failover that sent them away."""
    home, active = scene.policy.site(scene.policy.primary), scene.active
    if home is None or active is None or home is active or not scene.away_by_us():
        return None
    after_s, state = scene.policy.failback.after_s, scene.state(home)
    well_s = scene.now - state.well_since if state.health is Health.WELL else 0.0
    if well_s < after_s:
        detail = f"{active.name} serves; home {home.name} well for {well_s:.0f} of {after_s:.0f} s"
        return _only(VerdictWord.WAIT, Reason.NOT_WELL_LONG_ENOUGH, detail)
    way = scene.way(home)
    if isinstance(way, Refusal):
        return _only(VerdictWord.WAIT, way.reason, f"{active.name} serves; not home yet: {way.detail}")
    reason = f"home {home.name} has been well for {after_s:.0f} s"
    asks = (*_asks_always(scene), *way.asks, *_about_going_home(scene))
    cause = Cause(reason=reason, by=scene.policy.key, asks=asks, evidence=evidence_lines(scene))
    return failback(scene, way, cause), _wanting(scene, reason, asks)


def _about_going_home(scene: Scene) -> tuple[str, ...]:
    """Return why a person must send users home: the policy says so, or the last way home had to be taken back."""
    asks = () if scene.policy.failback.automatic else ("failback is not automatic",)
    undone = any(
        one.kind is PlanKind.FAILBACK
        and one.status in (PlanStatus.ROLLED_BACK, PlanStatus.FAILED)
        and one.ended_at > scene.memory.moved_at
        for one in scene.own
    )
    return (*asks, "the last failback had to be taken back") if undone else asks


def _api_down(scene: Scene) -> _Decided | None:
    """Hold while a cluster's API does not answer and its users are served: that is no reason to move them (S8)."""
    down = [site for site in scene.policy.sites if scene.api_error(site.cluster)]
    if not down:
        return None
    clusters = dict.fromkeys(site.cluster for site in down)  # zones of one cluster have one API
    said = "; ".join(f"{name}: {scene.api_error(name)}" for name in clusters)
    names = ", ".join(site.name for site in down)
    detail = f"the API of {names} does not answer ({said}), and users are served: nothing is moved"
    return _only(VerdictWord.WAIT, Reason.API_DOWN, detail)
