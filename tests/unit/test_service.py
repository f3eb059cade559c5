"""The line in front of a service's pods, held against requests drawn one by one, and its pods."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.core.queueing import line_after, line_at, use_at
from simulators.service import Queue, ServiceSpec, Startup

SERVICE_S, TIMEOUT_S, SLO_S = 0.05, 2.0, 0.25
BIN_S = 15.0


def spec(servers: int, **changed) -> ServiceSpec:
    given = {
        "name": "checkout",
        "namespace": "shop",
        "capacity_rps": servers / SERVICE_S,
        "service_s": SERVICE_S,
        "timeout_s": TIMEOUT_S,
        "slo_s": SLO_S,
        "error_ratio": 0.0,
        "replicas": 1,
        "startup": Startup(median_s=30.0, p95_s=45.0),
        "usd_per_hour": 0.04,
    }
    return ServiceSpec(**{**given, **changed})


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Per bin of 15 s: the shares of requests that were slower than the SLO or failed, and that failed; the times."""

    violating: np.ndarray
    failed: np.ndarray
    requests: np.ndarray
    times: list[np.ndarray]


def drawn(servers: int, loads: list[tuple[float, float]], runs: int) -> Seen:
    """Return what many runs of single requests see: arrivals at random, exponential service, first come first served.

    loads: (seconds, utilisation), one after the other.
    """
    dice = np.random.default_rng(7)
    end = sum(seconds for seconds, _ in loads)
    bins = int(end / BIN_S)
    came, slow, lost = np.zeros(bins), np.zeros(bins), np.zeros(bins)
    times: list[list[np.ndarray]] = [[] for _ in range(bins)]
    for _ in range(runs):
        at, start = [], 0.0
        for seconds, rho in loads:
            count = dice.poisson(seconds * rho * servers / SERVICE_S)
            at.append(np.sort(dice.uniform(start, start + seconds, count)))
            start += seconds
        arrivals = np.concatenate(at)
        took = _one_run(arrivals.tolist(), dice.exponential(SERVICE_S, len(arrivals)).tolist(), servers)
        place = (arrivals // BIN_S).astype(int)
        came += np.bincount(place, minlength=bins)
        slow += np.bincount(place, weights=took > SLO_S, minlength=bins)
        lost += np.bincount(place, weights=np.isinf(took), minlength=bins)
        for number in range(bins):
            times[number].append(took[(place == number) & np.isfinite(took)])
    return Seen(
        violating=slow / came, failed=lost / came, requests=came / runs, times=[np.concatenate(one) for one in times]
    )


def _one_run(arrivals: list[float], services: list[float], servers: int) -> np.ndarray:
    free, took = [0.0] * servers, []
    for at, service in zip(arrivals, services, strict=True):
        wait = max(0.0, free[0] - at)
        if wait > TIMEOUT_S:
            took.append(math.inf)
            continue
        heapq.heapreplace(free, at + wait + service)
        took.append(wait + service)
    return np.array(took)


def served(servers: int, loads: list[tuple[float, float]], step_s: float = BIN_S):
    queue, out = Queue(spec(servers)), []
    for seconds, rho in loads:
        for _ in range(round(seconds / step_s)):
            queue.serve(step_s, rho * servers / SERVICE_S, 1)
            out.append(queue.drain(1, 1, step_s))
    return out


@pytest.mark.parametrize(("servers", "rho"), [(1, 0.5), (3, 0.7), (12, 0.85), (40, 0.93)])
def test_a_steady_queue_answers_as_requests_drawn_one_by_one_do(servers, rho):
    seen = drawn(servers, [(90.0, rho)], runs=max(3, 240 // servers))
    late = np.concatenate(seen.times[2:])
    shown = served(servers, [(90.0, rho)])[-1]
    assert shown.p95_s == pytest.approx(np.quantile(late, 0.95), rel=0.05)
    assert shown.p50_s == pytest.approx(np.quantile(late, 0.5), rel=0.05)
    assert shown.violating / shown.offered == pytest.approx(np.mean(late > SLO_S), rel=0.12, abs=0.001)


@pytest.mark.parametrize(
    ("servers", "peak", "within"), [(12, 1.25, 0.03), (4, 1.5, 0.03), (12, 0.99, 0.15), (4, 1.0, 0.1)]
)
def test_an_overload_builds_up_and_drains_as_requests_drawn_one_by_one_do(servers, peak, within):
    loads = [(30.0, 0.7), (90.0, peak), (60.0, 0.75)]
    seen, shown = drawn(servers, loads, runs=36), served(servers, loads)
    violating = float(np.sum(seen.violating * seen.requests))
    assert sum(one.violating for one in shown) == pytest.approx(violating, rel=within)
    failed = [one.failed / one.offered for one in shown]
    assert failed == pytest.approx(list(seen.failed), abs=0.02)
    last_of_peak, calm = shown[7], shown[-1]
    assert last_of_peak.p50_s == pytest.approx(float(np.median(seen.times[7])), rel=0.15)
    assert calm.p95_s == pytest.approx(float(np.quantile(seen.times[-1], 0.95)), rel=0.05)
    assert calm.queue == 0.0


def test_an_overload_is_the_same_in_steps_of_1_and_of_15_seconds():
    loads = [(60.0, 0.7), (60.0, 1.2), (60.0, 0.985), (120.0, 0.8)]
    coarse, fine = served(20, loads, 15.0), served(20, loads, 1.0)
    for name in ("offered", "served", "failed", "violating"):
        assert sum(getattr(one, name) for one in fine) == pytest.approx(
            sum(getattr(one, name) for one in coarse), rel=1e-6
        )


def test_every_request_is_served_or_fails_and_none_appears_from_nowhere():
    queue = Queue(spec(10, error_ratio=0.01))
    offered = answered = 0.0
    for rate, ready in ((150.0, 1), (400.0, 1), (190.0, 1), (50.0, 0), (300.0, 2), (20.0, 2)):
        queue.serve(30.0, rate, ready)
        one = queue.drain(ready, ready, 0.0)
        offered, answered = offered + one.offered, answered + one.served + one.failed
        assert one.violating <= one.offered + 1e-9
    assert queue.backlog == 0.0
    assert answered == pytest.approx(offered, abs=5.0)  # the steady lines at either end


@given(
    servers=st.floats(0.5, 1500.0),
    line=st.floats(0.0, 1e5),
    load=st.floats(0.0, 3.0),
    seconds=st.floats(0.01, 15.0),
)
def test_the_line_moves_towards_the_steady_one_and_keeps_count(servers, line, load, seconds):
    able = servers / SERVICE_S * seconds
    after = line_after(servers, line, load * able, able)
    assert after >= 0.0
    done = line + load * able - after
    assert -1e-6 <= done <= able * (1.0 + 1e-9) + 1e-6
    assert done == pytest.approx(able * use_at(servers, after), rel=1e-3, abs=1e-3 * able)


@given(servers=st.floats(0.5, 1500.0), rho=st.floats(0.01, 0.9999))
def test_the_use_of_a_steady_line_is_the_one_that_made_it(servers, rho):
    assert use_at(servers, line_at(servers, rho)) == pytest.approx(rho, rel=1e-6)
