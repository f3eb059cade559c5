"""What people order of a failover group: judged like the policy's own wishes, but for the need of a sick site."""

from __future__ import annotations

from dataclasses import replace

from aiops.core.decide.failover.evidence import pooled
from aiops.core.decide.failover.moves import Cause, drill, failback, failover
from aiops.core.decide.failover.scene import Refusal, Scene, Way
from aiops.core.decide.failover.wording import evidence_lines
from aiops.core.model import (
    GroupState,
    Health,
    Judgement,
    Order,
    OrderKind,
    Plan,
    PlanStatus,
    Reason,
    VerdictWord,
)
from aiops.core.planning.situation import Judged

FOLLOWED = (OrderKind.START, OrderKind.BACK, OrderKind.DRILL)
"""Orders to a policy; the others are to a plan."""


def answered(scene: Scene) -> Judged[GroupState] | None:
    """Return what comes of the first order that stands, None when there is none; it is answered once."""
    standing = [one for one in scene.situation.orders if _concerns(one, scene)]
    if not standing:
        return None
    order = standing[0]
    found = _plan(scene, order)
    if isinstance(found, Refusal):
        detail = f"{order.by} ordered {_said(order)}, refused: {found.detail}"
        judgement = Judgement(word=VerdictWord.DENY, reason=found.reason, detail=detail)
        plans: tuple[Plan, ...] = ()
    else:
        plans = (found,)
        judgement = Judgement(word=VerdictWord.ALLOW, detail=f"{order.by} ordered {_said(order)}")
    judgement = replace(judgement, evidence=evidence_lines(scene))
    return Judged(memory=scene.memory, judgement=judgement, plans=plans, followed=(order.id,))


def _concerns(order: Order, scene: Scene) -> bool:
    in_force = order.at <= scene.now < order.expires_at
    return in_force and order.kind in FOLLOWED and order.subject == scene.policy.key


def _said(order: Order) -> str:
    what = {OrderKind.START: "a failover", OrderKind.BACK: "a failback"}.get(order.kind, "a drill")
    return f"{what}{f' to {order.to}' if order.to else ''}"


def _plan(scene: Scene, order: Order) -> Plan | Refusal:
    standing, active = scene.standing, scene.active
    if standing is not None and standing.status is not PlanStatus.PROPOSED:
        return Refusal(reason=Reason.IN_FLIGHT, detail=f"{standing.kind.value} {standing.id} is at work")
    if scene.known.partitioned:
        return Refusal(reason=Reason.PARTITIONED, detail="no majority of the vantage points answers")
    if active is None:
        return Refusal(reason=Reason.UNKNOWN_TARGET, detail="where traffic goes is not known")
    way = _way(scene, order)
    if isinstance(way, Refusal):
        return way
    reason = f"{order.by}: {order.reason}" if order.reason else f"ordered by {order.by}"
    cause = Cause(reason=reason, by=order.by, asks=way.asks, evidence=evidence_lines(scene))
    match order.kind:
        case OrderKind.BACK:
            return failback(scene, way, cause)
        case OrderKind.DRILL:
            return drill(scene, way, cause)
        case _:
            views = scene.known.failing(scene.policy, active.name)
            return failover(scene, way, cause, pooled(scene.known.views, views, scene.policy.watching.fail_for_s))


def _way(scene: Scene, order: Order) -> Way | Refusal:
    """Return the way to the site that is named, home for a failback, else to the best of the others."""
    policy, active = scene.policy, scene.active
    name = policy.primary if order.kind is OrderKind.BACK else order.to
    if name and policy.site(name) is None:
        known = ", ".join(site.name for site in policy.sites)
        return Refusal(reason=Reason.UNKNOWN_TARGET, detail=f"there is no site {name!r}; there are {known}")
    sites = [site for site in policy.sites if site is not active and name in ("", site.name)]
    if not sites:
        return Refusal(reason=Reason.IN_FLIGHT, detail=f"{name} serves already")
    if order.kind is OrderKind.DRILL and active is not None and scene.state(active).health is not Health.WELL:
        return Refusal(reason=Reason.STANDBY_SICK, detail=f"{active.name} is not known to be well: this is no drill")
    ways = [scene.way(site) for site in sites]
    found = [way for way in ways if isinstance(way, Way)]
    if found:
        return min(found, key=lambda one: (len(one.asks), one.small))
    return next(way for way in ways if isinstance(way, Refusal))
