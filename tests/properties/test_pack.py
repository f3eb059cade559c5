"""Packing keeps its promises in whatever cluster is drawn, with a scheduler that places as it likes."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.packed import a_node, ref
from tests.unit.packing import SPEC, TICK_S, World, _cores, a_policy

CPU = ("250m", "500m", "1", "1500m", "2")
GIVEN_BACK_S = 60.0 + 4 * TICK_S
"""A pod that has waited for a minute is helped, within a few turns."""


def a_world(dice: Random) -> World:
    """Return a cluster with room to spare somewhere, whose pods lie as chance has it."""
    at_once = dice.randint(1, 2)
    spec = (
        SPEC
        + f"    nodesPerHour: 20\n    atOnce: {at_once}\n    surviveNodeLoss: false\n    headroom: 0\n    below: 80%\n"
    )
    world = World(a_policy(spec))
    for one in world.pods():
        del world.objects[ref("Pod", one, "shop").key]
    world.sets = {f"s{n}": (dice.randint(1, 4), dice.choice(CPU)) for n in range(dice.randint(1, 4))}
    world.blast = type(world.blast)(nodes_ratio=1.0)
    world.removes = dice.random() < 0.5
    free = dict.fromkeys(("n1", "n2", "n3", "n4"), 4.0)
    for name, (count, cpu) in world.sets.items():
        cores = float(cpu[:-1]) / 1000.0 if cpu.endswith("m") else float(cpu)
        for _ in range(count):
            fits = [node for node, left in free.items() if left >= cores]
            node = dice.choice(fits) if fits else ""
            if node:
                free[node] -= cores
            world.place((name, node))
    return world


def room(world: World, node: str) -> float:
    """Return how many cores are free on a node."""
    used = sum(_cores(world.objects[ref("Pod", name, "shop").key]) for name in world.pods(node))
    return 4.0 - used


def waiting(world: World) -> list[str]:
    """Return the pods that no node has taken."""
    every = [one for one in world.objects.values() if one.ref.kind == "Pod"]
    return [one.ref.name for one in every if not one.body["spec"].get("nodeName")]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_no_pod_waits_long_beside_a_node_that_we_emptied_and_never_are_more_empty_than_may_be(seed: int) -> None:
    dice = Random(seed)
    world = a_world(dice)
    since: dict[str, float] = {}
    for turn in range(90):
        if turn % 30 == 20:
            # the need changes while nodes are being emptied
            name = dice.choice(sorted(world.sets))
            world.sets[name] = (dice.choice((0, 2, 8, 12)), world.sets[name][1])
        world.turn()
        cordoned = world.cordoned()
        assert len(cordoned) <= world.policy.pace.at_once
        now_waiting = waiting(world)
        since = {name: since.get(name, world.now) for name in now_waiting}
        for name, began in since.items():
            wanted = _cores(world.objects[ref("Pod", name, "shop").key])
            helped = [node for node in cordoned if room(world, node) >= wanted]
            assert not helped or world.now - began <= GIVEN_BACK_S, (name, helped, world.said)
    for name, (count, _) in world.sets.items():
        assert len([one for one in world.pods() if one.startswith(f"{name}-")]) >= min(count, 1) * bool(count)


def test_the_world_has_nodes_of_four_cores() -> None:
    assert a_node("n1").body["status"]["allocatable"]["cpu"] == "4"
