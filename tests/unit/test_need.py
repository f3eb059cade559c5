"""How many pods carry a demand: against counting, beyond the table, in arrays and one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.core.decide.scaling.carrying import replicas_for
from aiops.core.decide.scaling.need import carried_by, pods_for, pods_of

PODS = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)


@st.composite
def tables(draw: st.DrawFn) -> tuple[float, ...]:
    """Return what `PODS` carry: more with every pod, and never less for each."""
    steps = draw(st.lists(st.floats(0.5, 200.0), min_size=len(PODS), max_size=len(PODS)))
    return tuple(np.cumsum(steps).tolist())


demands = st.integers(0, 500_000).map(lambda cents: cents / 100.0)


def counted(demand: float, carried: tuple[float, ...]) -> int:
    """Return the least number of pods whose capacity is reached by adding one pod after the other."""
    pods = 0
    while (carried_by(pods, PODS, carried) if pods else 0.0) < demand * (1.0 - 1e-12) - 1e-9:
        pods += 1
    return pods


@given(tables(), demands)
def test_it_is_the_least_number_of_pods_that_carries_the_demand(carried, demand):
    pods = pods_of(demand, PODS, carried)
    assert abs(pods - counted(demand, carried)) <= (1 if _on_the_edge(demand, carried) else 0)


def _on_the_edge(demand: float, carried: tuple[float, ...]) -> bool:
    """Return whether the demand is what a whole number of pods carries, but for rounding."""
    near = counted(demand, carried)
    return any(abs(carried_by(n, PODS, carried) - demand) < 1e-6 for n in (near - 1, near, near + 1) if n > 0)


@given(tables(), st.lists(demands, min_size=1, max_size=8))
def test_a_thousand_workloads_are_decided_as_one_by_one(carried, wanted):
    rows = np.tile(np.array(carried), (len(wanted), 1))
    together = pods_for(np.array(wanted), np.array(PODS), rows)
    assert together.tolist() == [pods_of(demand, PODS, carried) for demand in wanted]


@given(tables(), demands, demands)
def test_more_demand_never_needs_fewer_pods(carried, one, other):
    low, high = sorted((one, other))
    assert pods_of(low, PODS, carried) <= pods_of(high, PODS, carried)


@given(st.floats(0.1, 500.0), demands)
def test_a_table_that_is_a_straight_line_agrees_with_a_capacity_that_is_given(per_replica, demand):
    carried = tuple(per_replica * pods for pods in PODS)
    exact = demand / per_replica
    if abs(exact - round(exact)) > 1e-6:
        assert pods_of(demand, PODS, carried) == replicas_for(demand, per_replica)


@pytest.mark.parametrize(
    ("demand", "pods"),
    [(0.0, 0), (-5.0, 0), (0.1, 1), (100.0, 1), (100.1, 2), (250.0, 2), (325.0, 3), (1200.0, 12), (1201.0, 13)],
)
def test_named_demands(demand, pods):
    carried = (100.0, 250.0, 350.0, 450.0, 650.0, 800.0, 1200.0)
    assert pods_of(demand, PODS, carried) == pods
    assert pods_for(np.array([demand]), np.array(PODS), np.array([carried])).tolist() == [pods]


def test_beyond_the_table_each_pod_carries_what_the_last_ones_do():
    carried = (100.0, 250.0, 350.0, 450.0, 650.0, 800.0, 1200.0)
    assert pods_of(12_000.0, PODS, carried) == 120
    assert carried_by(120, PODS, carried) == 12_000.0


def test_rows_have_tables_of_their_own():
    rows = np.array([[10.0 * pods for pods in PODS], [50.0 * pods for pods in PODS]])
    assert pods_for(np.array([100.0, 100.0]), np.array(PODS), rows).tolist() == [10, 2]
    assert pods_for(np.zeros(0), np.array(PODS), np.zeros((0, len(PODS)))).tolist() == []


@given(tables(), st.integers(1, 40))
def test_what_so_many_carry_needs_so_many(carried, replicas):
    demand = carried_by(replicas, PODS, carried)
    assert pods_of(demand * (1.0 - 1e-9), PODS, carried) <= replicas
    assert pods_of(demand * 1.001 + 0.01, PODS, carried) > replicas
