"""Simulated fleets: what a limit, a full node and a request do to containers, and what is counted of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simulators.sizing.fleet import DAY_STEPS, Fleet, Kind, fleet
from simulators.sizing.run import NODE_CORES, Score, Sizes, score
from simulators.sizing.sizers import Oracle, Ours, Static

MIB = 2.0**20


def flat(cores: float, size: float, pods: int = 1, days: int = 3, **more: object) -> Fleet:
    """Return a fleet of one container that always uses the same, and requests twice of it without limits."""
    steps = days * DAY_STEPS
    never = np.zeros((steps, pods), np.bool_)
    made = Fleet(
        kinds=np.array([Kind.STEADY]),
        of=np.zeros(pods, np.intp),
        cores=np.full((steps, pods), cores, np.float32),
        bytes=np.full((steps, pods), size, np.float32),
        leak=np.zeros(pods),
        start_ratio=np.ones(pods),
        releases=never,
        alive=~never,
        request_cores=np.array([2.0 * cores]),
        request_bytes=np.array([2.0 * size]),
        limit_cores=np.array([np.nan]),
        limit_bytes=np.array([np.nan]),
    )
    return replace(made, **more)


def played(made: Fleet) -> Score:
    return score(made, Static(), warm_days=1)


def test_slack_is_what_is_requested_and_not_used_in_the_busiest_hour():
    found = played(flat(1.0, 512 * MIB))
    assert found.slack_cpu == found.slack_memory == pytest.approx(0.5)
    assert found.idle == found.slack == pytest.approx(0.5)
    assert (found.kills, found.short_ratio, found.changes, found.nodes) == (0, 0.0, 0.0, 1.0)


def test_a_limit_of_cpu_throttles_and_one_of_memory_kills():
    slow = played(flat(1.0, 512 * MIB, limit_cores=np.array([0.75])))
    assert slow.throttled_ratio == slow.short_ratio == pytest.approx(0.25)
    dead = played(flat(1.0, 512 * MIB, limit_bytes=np.array([500.0 * MIB])))
    assert dead.kills == 2 * DAY_STEPS
    assert dead.node_kills == 0


def test_a_node_that_is_too_full_starves_its_pods():
    crowded = played(flat(8.0, 64 * MIB, pods=4, request_cores=np.array([4.0])))
    assert crowded.nodes == 1.0
    assert crowded.throttled_ratio == 0.0
    assert crowded.short_ratio == pytest.approx(1.0 - NODE_CORES / 32.0)
    roomy = played(flat(8.0, 64 * MIB, pods=4, request_cores=np.array([8.0])))
    assert (roomy.nodes, roomy.short_ratio) == (2.0, 0.0)


def test_a_node_without_memory_kills_those_above_their_requests():
    found = played(flat(1.0, 20.0 * 1024 * MIB, pods=4, request_bytes=np.array([16.0 * 1024 * MIB])))
    assert found.node_kills == found.kills == 2 * DAY_STEPS


def test_a_leak_grows_until_it_is_killed_and_begins_again():
    leak = np.array([1.0 * MIB])
    found = played(flat(1.0, 400 * MIB, leak=leak, limit_bytes=np.array([500.0 * MIB])))
    assert found.kills == pytest.approx(2 * DAY_STEPS / 101, abs=1)


def test_the_same_seed_makes_the_same_fleet_and_another_makes_another():
    one, two, other = (fleet(seed, containers=6, days=2) for seed in (7, 7, 8))
    assert np.array_equal(one.cores, two.cores)
    assert np.array_equal(one.request_bytes, two.request_bytes)
    assert one.cores.shape != other.cores.shape or not np.array_equal(one.cores, other.cores)


def test_people_request_more_than_is_used_and_some_too_little():
    made = fleet(3, containers=150, days=14)
    ratio = made.request_bytes / np.array([made.bytes[:, made.of == row].max() for row in range(150)])
    assert 1.3 < np.median(ratio) < 2.2
    assert ratio.max() > 3.0


def test_the_shipped_estimator_halves_the_slack_of_a_flat_service_and_harms_nobody():
    made = flat(1.0, 512 * MIB, pods=3, days=16)
    found, best = score(made, Ours(made), warm_days=8), score(made, Oracle(made), warm_days=8)
    assert found.slack < 0.27
    assert (found.kills, found.short_ratio) == (0, 0.0)
    assert best.slack < found.slack


def test_sizes_are_values():
    nothing = np.array([np.nan])
    sizes = Sizes(request_cores=nothing, request_bytes=nothing, limit_cores=nothing, limit_bytes=nothing)
    assert Static().decide(sizes, 0.0) is sizes
