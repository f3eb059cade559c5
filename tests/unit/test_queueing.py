"""Queueing theory as the simulator uses it, against the exact formulas and against events drawn one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.core.queueing import (
    response_quantile,
    response_quantiles,
    slower_share,
    slower_shares,
    wait_probabilities,
    wait_probability,
)

SERVERS = (1, 2, 3, 5, 8, 13, 20, 35, 60, 100, 150, 250, 400)
RHOS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.96, 0.97)
SERVICE_S = 0.05


def erlang_c(servers: int, rho: float) -> float:
    """Return the exact delay probability, by Erlang's recursion on the loss probability."""
    offered, loss = servers * rho, 1.0
    for busy in range(1, servers + 1):
        loss = offered * loss / (busy + offered * loss)
    return loss / (1.0 - rho * (1.0 - loss))


def exact_quantile(q: float, service_s: float, drain_per_s: float, waiting: float) -> float:
    """Return a quantile of the response time by halving: the wait is 0 or exponential, the service exponential."""
    rate, low, high = 1.0 / service_s, 0.0, 1e4
    for _ in range(100):
        t = (low + high) / 2.0
        waited = rate * (math.exp(-rate * t) - math.exp(-drain_per_s * t)) / (drain_per_s - rate)
        low, high = (t, high) if math.exp(-rate * t) + waiting * waited > 1.0 - q else (low, t)
    return low


@pytest.mark.parametrize("servers", SERVERS)
def test_the_mean_wait_is_within_a_fifth_of_a_percent_of_erlang_c_from_1_to_400_servers(servers):
    exact = np.array([erlang_c(servers, rho) for rho in RHOS])
    drain = servers / SERVICE_S * (1.0 - np.array(RHOS))
    wait_s = wait_probabilities(float(servers), np.array(RHOS)) / drain
    assert wait_s == pytest.approx(exact / drain, rel=0.002, abs=0.0)


@pytest.mark.parametrize("servers", SERVERS)
def test_the_95th_percentile_of_the_response_is_within_half_a_percent_of_the_exact_one(servers):
    rhos = np.array([rho + 1e-4 for rho in RHOS])
    drain = servers / SERVICE_S * (1.0 - rhos)
    exact = [
        exact_quantile(0.95, SERVICE_S, d, erlang_c(servers, rho)) for d, rho in zip(drain, rhos.tolist(), strict=True)
    ]
    found = response_quantiles(0.95, SERVICE_S, drain, wait_probabilities(float(servers), rhos))
    assert found == pytest.approx(np.array(exact), rel=0.005)


def test_a_pod_may_serve_a_number_of_requests_at_a_time_that_is_not_whole():
    lower, between, upper = wait_probabilities(np.array([3.0, 3.5, 4.0]), 0.8)
    assert lower > between > upper
    assert between == pytest.approx((lower * upper) ** 0.5, rel=0.01)


@given(
    servers=st.floats(0.5, 1200.0),
    rho=st.floats(0.0, 1.0),
    service_s=st.floats(1e-3, 10.0),
    q=st.sampled_from((0.5, 0.9, 0.95, 0.99)),
)
def test_arrays_and_single_numbers_are_the_same_formula(servers, rho, service_s, q):
    waiting = wait_probability(servers, rho)
    assert 0.0 <= waiting <= 1.0
    assert wait_probabilities(np.array([servers]), np.array([rho])) == pytest.approx(waiting, rel=1e-5, abs=1e-12)
    drain = max(servers / service_s * (1.0 - rho), 1e-3 / service_s)
    t_s = response_quantile(q, service_s, drain, waiting)
    late = slower_share(t_s, service_s, drain, waiting)
    assert late == pytest.approx(1.0 - q, rel=0.01)
    lane = np.array([drain, 2.0 * drain])
    assert response_quantiles(q, service_s, lane, np.full(2, waiting))[0] == pytest.approx(t_s, rel=2e-3)
    assert slower_shares(t_s, service_s, lane, np.full(2, waiting))[0] == pytest.approx(late, rel=1e-4, abs=1e-9)


@given(servers=st.floats(0.5, 1200.0), rho=st.floats(0.0, 0.98), more=st.floats(0.0, 0.02))
def test_more_load_never_waits_less(servers, rho, more):
    assert wait_probability(servers, rho + more) >= wait_probability(servers, rho) * (1.0 - 1e-9)


def test_arrays_broadcast_over_lanes_and_never_leave_their_range():
    servers = np.array([[0.0], [1.0], [30.0], [5000.0]])
    rho = np.array([0.0, 1e-15, 0.5, 0.999999, 1.0, 1.7])
    waiting = wait_probabilities(servers, rho)
    assert waiting.shape == (4, 6)
    assert np.all((waiting >= 0.0) & (waiting <= 1.0))
    assert np.all(waiting[:, 0] == 0.0)
    assert waiting[:, 4:] == pytest.approx(1.0)
    late = slower_shares(np.array([-1.0, 0.0, 0.1]), np.array([0.05, 0.05, 0.1]), np.array([5.0, 20.0, 10.0]), 1.0)
    assert late[:2].tolist() == [1.0, 1.0]
    assert late[2] == pytest.approx(2.0 * math.exp(-1.0), rel=1e-4)


def test_a_line_that_drains_exactly_as_fast_as_one_request_is_served_is_no_special_case():
    rate, near = 20.0, 20.0 * (1.0 + 1e-4)
    for q in (0.5, 0.95):
        at = response_quantile(q, 1.0 / rate, rate, 0.6)
        assert at == pytest.approx(response_quantile(q, 1.0 / rate, near, 0.6), rel=1e-3)
        assert response_quantiles(q, 1.0 / rate, np.array([rate]), np.array([0.6])) == pytest.approx(at, rel=1e-3)
        assert slower_share(at, 1.0 / rate, rate, 0.6) == pytest.approx(1.0 - q, rel=2e-3)
