"""Whatever nodes are taken away, whoever scales, and however requests end: a share never takes more than it may."""

from __future__ import annotations

import math
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.core.decide.cost.spot.risk import Stakes, best, expected_loss, in_pools, limit, lost_at_once, worth
from aiops.core.model import LoopState
from tests.unit.spotting import BASE, SPEC, SPOT, World, a_policy

POOLS = st.dictionaries(st.sampled_from("abcdef"), st.floats(0.01, 1.0), min_size=1, max_size=5)


@st.composite
def stakes(draw: st.DrawFn) -> Stakes:
    """Return what may be at stake."""
    raw = draw(POOLS)
    whole = sum(raw.values())
    total = draw(st.integers(1, 60))
    return Stakes(
        total=total,
        floor=draw(st.integers(1, 60)),
        saves_usd=draw(st.floats(-0.1, 1.0)),
        lost_usd=draw(st.floats(0.01, 100.0)),
        replace_s=draw(st.floats(10.0, 3600.0)),
        rates={pool: draw(st.floats(0.001, 20.0)) for pool in raw},
        shares={pool: one / whole for pool, one in raw.items()},
        survive=draw(st.sampled_from((1.0, 1.0, 0.999, 0.9, 0.5))),
        risky=draw(st.integers(0, 5)),
        most=draw(st.integers(0, 60)),
    )


@given(stakes())
def test_the_floor_is_left_when_any_one_pool_goes_and_when_all_go_where_that_is_asked_for(one: Stakes) -> None:
    spot = best(one)
    assert 0 <= spot <= min(one.most, one.total)
    if spot == 0:
        return
    assert one.total - lost_at_once(one, spot) >= one.floor
    if one.survive >= 1.0:
        assert one.total - spot - one.risky >= one.floor
    # no fewer are worth more, and none at all is worth no more
    assert worth(one, spot) >= max(worth(one, fewer) for fewer in range(spot))
    assert worth(one, spot) >= 0.0


@given(stakes(), st.integers(0, 59))
def test_more_on_spot_nodes_loses_no_less_and_pools_hold_all_of_it(one: Stakes, spot: int) -> None:
    assert expected_loss(one, spot + 1) >= expected_loss(one, spot) - 1e-12
    assert sum(in_pools(one, spot).values()) >= spot
    assert lost_at_once(one, spot) <= spot + one.risky
    assert limit(one) <= min(one.most, one.total)


def a_world(dice: Random) -> World:
    """Return a workload with or without an HPA, of some size, in one to three pools."""
    floor = dice.choice(("30%", "50%", "70%"))
    spec = SPEC.replace("floorShare: 50%", f"floorShare: {floor}\n    maxShare: 90%").replace("every: 5m", "every: 1m")
    size = dice.randint(2, 14)
    return World(
        a_policy(spec.replace("watchFor: 60s", "watchFor: 15s").replace("comeBack: 10m", "comeBack: 2m")),
        replicas=size,
        needed=size,
        hpa=(1, 40) if dice.random() < 0.4 else None,
        zones=("a", "b", "c")[: dice.randint(1, 3)],
    )


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 2**32))
def test_the_floor_is_served_whatever_pool_goes_and_nothing_is_lost_of_what_there_was(seed: int) -> None:
    dice = Random(seed)
    world = a_world(dice)
    whole = world.needed
    least = max(1, math.ceil(world.policy.floor_ratio * whole - 1e-9))
    for turn in range(60):
        if turn % 10 == 6:
            what = dice.random()
            if what < 0.5:
                world.take(*dice.sample(world.zones, dice.randint(1, len(world.zones))))
            elif what < 0.6:
                world.state = LoopState()
            elif what < 0.7:
                world.dry = not world.dry
        world.turn()
        # what is on demand and ready serves the floor by itself: all spot nodes may go at this instant
        assert world.ready(BASE) >= least, (turn, world.split, world.said)
        assert sum(world.split) >= whole, (turn, world.split, world.said)
    for _ in range(8):
        world.turn()  # a store that was lost at the last moment is no more known to anybody
    world.in_force, world.dry, world.slow = False, False, False
    for _ in range(30):
        world.turn()
    assert world.replicas_of(SPOT) == 0
    assert world.hpa is not None or world.replicas_of(BASE) >= whole
