"""Plans that wait for a person though what they ask about is over: what is true now goes first (S6, S8)."""

from __future__ import annotations

from collections.abc import Iterator

from aiops.core.decide.failover.scene import Scene
from aiops.core.model import Health, Plan, PlanStatus

WELL_FOR = 4.0
"""After so many times failFor in which all users are served wherever they are sent, nothing is left to ask about."""


def outdated(scene: Scene) -> tuple[tuple[str, str], ...]:
    """Return the plans whose question is over, by id, and why."""
    return tuple(_outdated(scene))


def _outdated(scene: Scene) -> Iterator[tuple[str, str]]:
    policy, memory = scene.policy, scene.memory
    moved_by_others = memory.override_until - policy.override_s
    for plan in scene.own:
        if plan.status is PlanStatus.PROPOSED and plan.by != plan.policy and moved_by_others > plan.created_at:
            yield plan.id, "somebody else moved traffic since it was ordered"
        if plan.status is PlanStatus.ASKING and _served(scene, plan):
            yield plan.id, "users have been served for a while wherever they are sent: what it asked about is over"


def _served(scene: Scene, plan: Plan) -> bool:
    """Return whether every site to which users are sent has been well for a while, since it was asked."""
    least_s = WELL_FOR * scene.policy.watching.fail_for_s
    shares = dict(scene.weights)
    used = [site for site in scene.policy.sites if shares.get(site.backend, 0) > 0]
    asked_at = plan.notes[-1].at if plan.notes else plan.created_at
    return (
        bool(used)
        and not scene.known.partitioned
        and scene.now - asked_at >= least_s
        and all(
            scene.state(site).health is Health.WELL
            and scene.now - scene.state(site).well_since >= least_s
            and not scene.known.troubled(scene.policy, site.name)
            for site in used
        )
    )
