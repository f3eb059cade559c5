"""A standby is made large enough while users are only suspected to fail: what takes longest begins first.

It moves nobody, and is bound by the budgets of all policies. When it was not needed, and once users are home again
and well, the standby is given back what it had: unless somebody changed it since, and never while users are sent there.
"""

from __future__ import annotations

from collections.abc import Iterator

from aiops.core.decide.failover.scene import Scene, Way
from aiops.core.ids import ulid
from aiops.core.model import Aim, Health, Mode, Otherwise, Plan, PlanKind, PlanStatus, PlanStep, ScaleTo
from aiops.core.planning.failover import LEAST_APART_S, LEAST_WELL_S, Site
from aiops.core.planning.weights import shifted

RAISED_WITHIN_S = 60.0


def preparing(scene: Scene) -> tuple[Plan, ...]:
    """Return the plan that makes the standby large enough, none where nobody would be sent there without asking.

    A quorum outside of the active site must suspect it; the standby must be well, too small, and nothing must stand in
    the way. It is tried once in ten minutes.
    """
    active, policy = scene.active, scene.policy
    ceiling = scene.snapshot.scope.ceiling
    acts = policy.reach is Mode.ENFORCE and ceiling is Mode.ENFORCE
    if not acts or active is None or scene.standing is not None or scene.known.partitioned or scene.known.all_failing:
        return ()
    if len(scene.known.suspected(policy, active.name)) < policy.watching.quorum:
        return ()
    found = (scene.way(site) for site in policy.sites if site is not active)
    ways = [way for way in found if isinstance(way, Way) and not way.asks]
    best = min(ways, key=lambda one: one.small, default=None)
    if best is None or not best.small or not best.site.prepares or _tried(scene, best.site):
        return ()
    return (_plan(scene, best.site, active.name),)


def given_back(scene: Scene) -> tuple[tuple[str, str], ...]:
    """Return the preparations that are taken back now, by id, and why: users have been well elsewhere for long."""
    active = scene.active
    if active is None or scene.standing is not None or scene.known.troubled(scene.policy, active.name):
        return ()
    state, shares = scene.state(active), dict(scene.weights)
    if state.health is not Health.WELL or scene.now - state.well_since < LEAST_WELL_S:
        return ()
    idle = {_subject(scene, site) for site in scene.policy.sites if not shares.get(site.backend, 0)}
    why = f"users of {active.name} have been well for {LEAST_WELL_S:.0f} s, and nobody is sent there"
    done = (one for one in _own(scene) if one.status is PlanStatus.DONE and one.touches_back)
    return tuple((one.id, why) for one in done if one.subject in idle)


def _own(scene: Scene) -> Iterator[Plan]:
    for one in scene.situation.plans:
        if one.kind is PlanKind.PREPARE and one.policy == scene.policy.key and not one.dry_run:
            yield one


def _tried(scene: Scene, site: Site) -> bool:
    """Return whether it was tried a moment ago, or is being tried."""
    own = [one for one in _own(scene) if one.subject == _subject(scene, site)]
    return any(not one.status.ended or scene.now - one.created_at < LEAST_APART_S for one in own)


def _subject(scene: Scene, site: Site) -> str:
    return f"{scene.policy.key}#{site.name}"


def _plan(scene: Scene, site: Site, active: str) -> Plan:
    policy = scene.policy
    idle = policy.traffic.shift(shifted(scene.weights, site.backend, 0))
    step = PlanStep(
        name=f"ready {site.name}",
        operation=ScaleTo(target=site.target, replicas=site.standby_replicas, only_up=True, lent=True, idle=idle),
        checks=(Aim(),),
        within_s=RAISED_WITHIN_S,
        otherwise=Otherwise.GO_ON,
    )
    return Plan(
        id=ulid(scene.now, policy.key, PlanKind.PREPARE.value, site.name),
        kind=PlanKind.PREPARE,
        policy=policy.key,
        subject=_subject(scene, site),
        reason=f"users of {active} may be failing: {site.name} is made large enough meanwhile",
        created_at=scene.now,
        steps=(step,),
        by=policy.key,
    )
