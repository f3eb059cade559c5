"""A simulated world: its scenario loads, and its signals answer what policies ask."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from aiops.app.doctor.findings import Area, Check, Finding, fail, ok, skip
from aiops.app.doctor.metrics import states
from aiops.app.doctor.scene import Scene
from aiops.app.doctor.targets import shortened

if TYPE_CHECKING:
    from aiops.app.surroundings import Surroundings

STEPS = 24
"""Turns of the world before it is asked: its windows are filled then."""


def checks(scene: Scene) -> list[Check]:
    """Return the checks of a world that is simulated."""
    nothing = "a simulated world: nothing outside of this process is read or written"
    return [
        Check(area=Area.METRICS, name="scenario", look=lambda: _world(scene)),
        Check(area=Area.KUBERNETES, name="clusters", look=lambda: [skip("clusters", nothing)]),
    ]


def _world(scene: Scene) -> Iterable[Finding]:
    from aiops.app.surroundings import surroundings

    world = surroundings(scene.settings)
    for _ in range(STEPS):
        at = world.next_at()
    found = [ok("scenario", world.banner()[0])]
    specs = [spec for policy in scene.asking for spec in policy.signals.values()]
    if specs:
        answers = world.source.read([spec.query for spec in specs], (), at).answers
        found += states("signals", specs, answers, at)
    return [*found, *_targets(scene, world, at)]


def _targets(scene: Scene, world: Surroundings, at: float) -> list[Finding]:
    refs = list(dict.fromkeys(one.target for one in (*scene.policies.scaling, *scene.members)))
    there = world.cluster.inventory(refs, at).workloads
    fix = "correct the policy's target: the scenario names its services"
    missing = [fail(f"target {one}", "is not in the scenario", fix) for one in refs if one.key not in there]
    return shortened("targets", missing, f"all {len(refs)} targets are in it")
