"""Two daemons, two sites and a witness, with the real loops: who fails is left, nothing else is, nobody fights (S8)."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from aiops.core.planning.failover import FailoverPolicy
from simulators.failover.episodes import CALM, RIGHT, group, lived, one_observer, oracle
from simulators.failover.world import EDGE, NORTH, WEST, Fault, Kind

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
def test_no_partition_of_the_three_places_makes_two_daemons_fight_s8(cut, crashed, policy):
    faults = [Fault(kind=Kind.CUT, place=one, other=other, at_s=120.0, until_s=500.0) for one, other in cut]
    if crashed:
        faults.append(Fault(kind=Kind.CRASH, place=crashed, at_s=150.0))
    found = lived(faults, policy, [7, 3, len(cut)])
    assert found.split_s == 0
    assert found.failovers <= 1
    unseen = {(EDGE, WEST), (WEST, NORTH)} <= set(cut) or (crashed == EDGE and (WEST, NORTH) in cut)
    if crashed != WEST and not unseen:
        assert found.moves == 0  # users of west are served throughout, and somebody outside of it sees that


def test_the_yardsticks_measure_the_oracle_is_soon_and_one_observer_moves_by_a_cut_link():
    crash = RIGHT["crash"](np.random.default_rng([7, 4]))
    assert lived(crash, oracle, [7, 4, 1]).detected_s < 2.0
    cut = CALM["north does not hear west"](np.random.default_rng([7, 4]))
    assert lived(cut, one_observer, [7, 4, 1]).moves == 1
