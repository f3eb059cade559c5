"""What else could be done about a workload in trouble: a rule of thresholds, and somebody who knows the fault."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from simulators.remediation.world import FAILING, LIMIT_MIB, Kind, World

Rule = Callable[[World], Callable[[], None]]
"""Makes of a world what is done in each of its seconds."""

LOOKS_S, AGAIN_S, WINDOW_S = 15, 300.0, 30
NEAR_RATIO = 0.8


def thresholds(world: World) -> Callable[[], None]:
    """Restart when more than 5 % of requests fail over 30 s at two looks; empty nodes that are not ready, at once."""
    bad, restarted_s, serial = 0, -math.inf, 0

    def second() -> None:
        nonlocal bad, restarted_s, serial
        if int(world.now) % LOOKS_S:
            return
        if not world.in_force(Kind.METRICS_LOST):
            failed, asked = world.measured("", WINDOW_S)
            bad = bad + 1 if asked and failed / asked > FAILING else 0
        if bad >= 2 and world.now - restarted_s >= AGAIN_S:
            restarted_s, serial, bad = world.now, serial + 1, 0
            _restart(world, serial)
        for node in list(world.nodes.values()):
            if not node.ready(world.now) and not node.cordoned:
                world.drain(node.name, world.now)
            elif node.ready(world.now) and node.cordoned:
                world.cordon(node.name, on=False)

    return second


def oracle(world: World) -> Callable[[], None]:
    """Know each fault when it begins, and do what ends it."""
    done: set[int] = set()

    def second() -> None:
        for number, fault in enumerate(world.faults):
            if number in done or not fault.at(world.now - 1.0):
                continue
            if fault.kind is Kind.LEAK and world.memory_mib() < NEAR_RATIO * LIMIT_MIB:
                continue
            done.add(number)
            _cure(world, fault.kind, fault.until_s - fault.at_s)

    return second


def _cure(world: World, kind: Kind, lasts_s: float) -> None:
    match kind:
        case Kind.RELEASE_FAILS | Kind.RELEASE_CRASHES | Kind.RELEASE_STUCK:
            before = sorted(world.rollout.revisions, key=lambda one: one.number)[-2]
            world.patch(before.template)
        case Kind.WEDGED:
            for pod in [one for one in world.rollout.pods if one.wedged]:
                world.evict(pod.name)
        case Kind.NODE_LOST if lasts_s > AGAIN_S:
            for node in [one for one in world.nodes.values() if not one.alive]:
                world.drain(node.name, world.now)
        case Kind.LEAK:
            _restart(world, 1)
        case _:
            return


def _restart(world: World, serial: int) -> None:
    template = world.rollout.template
    metadata = {**template["metadata"], "annotations": {"kubectl.kubernetes.io/restartedAt": str(serial)}}
    world.patch({**template, "metadata": metadata})


RULES: Mapping[str, Rule] = {"thresholds": thresholds, "oracle": oracle}
