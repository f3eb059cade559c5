"""Two daemons, two sites and a witness, with the real loops: who fails is left, nothing else is, nobody fights (S8)."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from aiops.core.planning.failover import FailoverPolicy
from simulators.failover.daemon import DEFER_S, LEASE_S, LeaseAt, Witness
from simulators.failover.episodes import CALM, RIGHT, Setting, group, lived, one_observer, oracle
from simulators.failover.world import EDGE, NORTH, WEST, Fault, Kind, SitesWorld

LINKS = ((EDGE, WEST), (EDGE, NORTH), (WEST, NORTH))


@pytest.fixture(scope="module")
def policy() -> FailoverPolicy:
    return group()


@pytest.mark.parametrize("name", RIGHT)
def test_users_of_a_site_that_fails_are_sent_to_the_other_s8(name, policy):
    faults = RIGHT[name](np.random.default_rng([7, 1]))
    found, nothing = lived(faults, policy, [7, 1, 1]), lived(faults, None, [7, 1, 1])
    assert math.isfinite(found.mitigated_s)
    assert found.failovers == 1
    assert found.split_s == 0
    assert found.lost_s < 0.5 * nothing.lost_s


@pytest.mark.parametrize("name", CALM)
def test_nothing_is_moved_where_nothing_is_to_be_gained_s8(name, policy):
    faults = CALM[name](np.random.default_rng([7, 2]))
    found = lived(faults, policy, [7, 2, 1])
    assert found.moves == 0
    assert found.split_s == 0


@pytest.mark.parametrize("cut", [one for n in range(4) for one in itertools.combinations(LINKS, n)])
@pytest.mark.parametrize("crashed", ["", WEST, NORTH, EDGE])
@pytest.mark.parametrize("defer_s", [0.0, DEFER_S], ids=["west leads", "north leads"])
def test_no_partition_of_the_three_places_makes_two_daemons_fight_s8(defer_s, cut, crashed, policy):
    faults = [Fault(kind=Kind.CUT, place=one, other=other, at_s=120.0, until_s=500.0) for one, other in cut]
    if crashed:
        faults.append(Fault(kind=Kind.CRASH, place=crashed, at_s=150.0))
    found = lived(faults, policy, [7, 3, len(cut)], Setting(defer_s=defer_s))
    assert found.split_s == 0
    assert found.failovers <= 1
    unseen = {(EDGE, WEST), (WEST, NORTH)} <= set(cut) or (crashed == EDGE and (WEST, NORTH) in cut)
    if crashed != WEST and not unseen:
        assert found.moves == 0  # users of west are served throughout, and somebody outside of it sees that


def test_the_daemon_at_home_leaves_the_lease_to_the_other_and_takes_it_when_that_is_gone_s6():
    world = SitesWorld(faults=[], dice=np.random.default_rng(7))
    witness = Witness(world)
    home, other = LeaseAt(witness, WEST, DEFER_S), LeaseAt(witness, NORTH)
    home.strive()
    other.strive()
    assert [one.leadership(0.0).leader for one in (home, other)] == [False, True]
    taken_s = []
    while not taken_s and world.now < 100.0:
        world.step()
        home.strive()
        taken_s = [world.now] if home.leadership(0.0).leader else []
        assert not (taken_s and other.leadership(0.0).leader)
    assert taken_s == [LEASE_S + DEFER_S + 1.0]


def test_a_crash_of_home_takes_no_leader_with_it_and_users_are_well_sooner(policy):
    crash = RIGHT["crash"](np.random.default_rng([7, 5]))
    sooner, later = (lived(crash, policy, [7, 5, 1], Setting(standby=2, defer_s=one)) for one in (DEFER_S, 0.0))
    assert sooner.detected_s < later.detected_s - 5.0
    assert sooner.mitigated_s < later.mitigated_s
    assert sooner.lost_s < later.lost_s


def test_the_yardsticks_measure_the_oracle_is_soon_and_one_observer_moves_by_a_cut_link():
    crash = RIGHT["crash"](np.random.default_rng([7, 4]))
    assert lived(crash, oracle, [7, 4, 1]).detected_s < 2.0
    cut = CALM["north does not hear west"](np.random.default_rng([7, 4]))
    assert lived(cut, one_observer, [7, 4, 1]).moves == 1
