"""Pods that warm up and differ, and nodes that come and go for them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulators.nodes import NodePool, NodePoolSpec
from simulators.pods import Fleet, Pods, Slower, Startup, WarmUp

START = 1000.0
AT_ONCE = Startup(median_s=10.0, p95_s=10.0)


def dice() -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(5))


def pool(**changed) -> NodePool:
    given = {
        "name": "general",
        "pods_per_node": 4,
        "most": 3,
        "least": 1,
        "provisioning": Startup(median_s=100.0, p95_s=100.0),
        "usd_per_hour": 0.2,
        "empty_for_s": 300.0,
    }
    return NodePool(NodePoolSpec(**{**given, **changed}), dice())


def pods(count: int, where: NodePool | None = None, **changed) -> Pods:
    return Pods(Fleet(**{"startup": AT_ONCE, **changed}), dice(), count, where)


def test_a_pod_without_room_waits_for_a_node_then_starts():
    where = pool()
    mine = pods(4, where)
    mine.resize(6, START)
    assert (mine.ready, mine.pending, mine.count, len(where.nodes)) == (4, 2, 6, 2)
    where.advance(START, START + 90.0)
    mine.settle(START + 90.0)
    assert mine.pending == 2
    where.advance(START + 90.0, START + 105.0)
    assert (mine.pending, mine.ready) == (0, 4)
    assert mine.next_ready == pytest.approx(START + 110.0)
    mine.settle(START + 110.0)
    assert mine.ready == 6
    assert [(one.total_s, one.pending_s) for one in mine.startups][-2:] == [(110.0, 100.0)] * 2


def test_a_full_pool_leaves_pods_pending_until_somebody_goes():
    where = pool(most=2)
    mine, other = pods(3, where), pods(4, where)
    mine.resize(6, START)
    where.advance(START, START + 15.0)
    assert (mine.pending, other.pending, len(where.nodes)) == (2, 0, 2)
    other.resize(2, START + 15.0)
    where.advance(START + 15.0, START + 30.0)
    assert mine.pending == 0
    assert mine.next_ready == pytest.approx(START + 10.0)
    mine.settle(START + 30.0)
    assert (mine.ready, mine.startups[-1].total_s) == (6, 25.0)


def test_pods_that_wait_leave_first_and_then_those_that_start():
    where = pool(most=2)
    mine = pods(4, where)
    mine.resize(10, START)
    assert (mine.ready, mine.pending) == (4, 6)
    mine.resize(6, START)
    assert (mine.ready, mine.pending, where.pending) == (4, 2, 2)
    mine.resize(3, START)
    assert (mine.ready, mine.pending, where.pending) == (3, 0, 0)


def test_nodes_are_billed_from_the_asking_and_given_back_when_they_stay_empty():
    where = pool()
    mine = pods(4, where)
    assert where.advance(START, START + 100.0) == pytest.approx(100.0)
    mine.resize(5, START + 100.0)
    assert where.advance(START + 100.0, START + 200.0) == pytest.approx(200.0)
    mine.settle(START + 210.0)
    mine.resize(4, START + 210.0)
    assert where.advance(START + 200.0, START + 400.0) == pytest.approx(400.0)
    assert where.advance(START + 400.0, START + 600.0) == pytest.approx(200.0 + 110.0)
    assert (len(where.nodes), where.node_s) == (1, pytest.approx(1010.0))
    mine.resize(0, START + 600.0)
    where.advance(START + 600.0, START + 6000.0)
    assert len(where.nodes) == 1


def test_pods_fill_the_fullest_node_so_that_empty_ones_stay_empty():
    where = pool(most=3, least=3)
    pods(5, where)
    assert sorted(node.pods for node in where.nodes.values()) == [0, 1, 4]


def test_a_pool_is_at_once_as_large_as_the_first_pods_need_and_no_larger_than_it_may_be():
    where = pool()
    assert len(where.nodes) == 1
    pods(9, where)
    assert len(where.nodes) == 3
    with pytest.raises(ValueError, match="no room"):
        pods(13, pool())


@given(st.lists(st.tuples(st.sampled_from(("mine", "yours")), st.integers(0, 14)), max_size=25))
def test_no_pod_is_lost_or_placed_twice_whatever_is_asked_for(wishes):
    where = pool(empty_for_s=40.0)
    both = {"mine": pods(2, where), "yours": pods(1, where)}
    now = START
    for who, count in wishes:
        both[who].resize(count, now)
        billed = where.advance(now, now + 15.0)
        now += 15.0
        for one in both.values():
            one.settle(now)
            assert one.count >= one.ready >= 0
        assert both[who].count == count
        placed = sum(one.count - one.pending for one in both.values())
        assert sum(node.pods for node in where.nodes.values()) == placed
        assert all(0 <= node.pods <= 4 for node in where.nodes.values())
        assert sum(one.pending for one in both.values()) == where.pending
        assert 1 <= len(where.nodes) <= 3
        assert 15.0 - 1e-6 <= billed <= 45.0 + 1e-6


def test_a_new_pod_carries_less_until_its_caches_are_warm():
    mine = pods(2, warm_up=WarmUp(factor=3.0, over_s=180.0))
    assert (mine.power(START), mine.cold(START)) == (2.0, False)
    mine.resize(3, START)
    mine.settle(START + 10.0)
    assert mine.power(START + 10.0) == pytest.approx(2.0 + 1.0 / 3.0)
    assert mine.power(START + 190.0) == pytest.approx(2.0 + 1.0 / (1.0 + 2.0 * math.exp(-3.0)))
    assert mine.cold(START + 190.0)
    assert (mine.power(START + 1000.0), mine.cold(START + 1000.0)) == (3.0, False)
    mine.resize(2, START + 11.0)
    assert mine.power(START + 11.0) == 2.0


def test_a_share_of_pods_is_slower_and_start_ups_do_not_depend_on_it():
    plain = pods(0, startup=Startup(median_s=40.0, p95_s=70.0))
    mixed = pods(0, startup=Startup(median_s=40.0, p95_s=70.0), slower=Slower(share_ratio=0.25, capacity_ratio=0.6))
    for one in (plain, mixed):
        one.resize(400, START)
        one.settle(START + 1000.0)
    assert mixed.power(START + 1000.0) == pytest.approx(400 * (0.75 + 0.25 * 0.6), rel=0.05)
    assert list(plain.startups) == list(mixed.startups)
    mixed.resize(0, START + 1000.0)
    assert mixed.power(START + 1000.0) == pytest.approx(0.0, abs=1e-9)


def test_pods_of_every_age_are_lost_and_made_anew():
    where = pool()
    mine = pods(4, where)
    mine.lose(3, START)
    assert (mine.ready, mine.count, mine.resized) == (1, 4, [])
    mine.settle(START + 10.0)
    assert mine.ready == 4
    assert sum(node.pods for node in where.nodes.values()) == 4


def test_at_the_end_of_time_every_pod_is_ready_and_warm():
    mine = pods(0, pool(), warm_up=WarmUp(factor=3.0))
    mine.resize(9, START)
    mine.settle(math.inf)
    assert (mine.ready, mine.pending) == (9, 0)
    assert mine.power(START) == 9.0
