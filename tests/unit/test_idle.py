"""Workloads that rest while nobody asks for anything: on evidence alone, and awake at the first sign of demand."""

from __future__ import annotations

import pytest

from aiops.core.model import Reason
from tests.unit.rested import API, HPA, TICK_S, TUESDAY, WEB, Daemon, hpa, nights, workload

IDLE = """
  mode: enforce
  target: {kinds: [Deployment], every: true, maxTargets: 20}
  signals:
    requests: {query: 'sum(rate(ingress_requests_total{namespace="dev"}[5m]))', unit: 1/s}
    queue: {query: 'sum(queue_length{namespace="dev"})', unit: "1"}
  idle:
    when: [{signal: requests, below: 0.1, above: 0.5}, {signal: queue, below: 1}]
    for: 30m
    napsPerDay: 2
"""
CALM = {"requests": 0.0, "queue": 0.0}


def idle(*changes: tuple[str, str]) -> Daemon:
    daemon = nights(IDLE, *changes, objects={WEB: workload(3), API: workload(4), HPA: hpa()})
    daemon.values = dict(CALM)
    return daemon


def later(daemon: Daemon, minutes: float) -> Daemon:
    daemon.run(daemon.cluster.now + 60.0 * minutes, step_s=60.0)
    return daemon


def replicas(daemon: Daemon) -> list[int]:
    return [daemon.cluster.value(one) for one in (WEB, API)]


def test_it_rests_after_all_signs_said_idle_for_long_enough_and_wakes_at_the_first_sign_of_demand():
    daemon = later(idle(), 29)
    assert replicas(daemon) == [3, 4]
    assert "of 1800 s" in daemon.said.detail
    assert replicas(later(daemon, 4)) == [0, 0]
    daemon.values["queue"] = 3.0
    daemon.cluster.now += TICK_S
    daemon.turn()
    assert replicas(daemon) == [3, 4]


def test_between_idleness_and_demand_nothing_changes():
    daemon = idle()
    daemon.values["requests"] = 0.3
    assert replicas(later(daemon, 60)) == [3, 4]
    daemon.values["requests"] = 0.0
    assert replicas(later(daemon, 35)) == [0, 0]
    daemon.values["requests"] = 0.3
    assert replicas(later(daemon, 60)) == [0, 0]
    daemon.values["requests"] = 0.6
    assert replicas(later(daemon, 2)) == [3, 4]


def test_one_busy_sign_begins_the_time_anew():
    daemon = later(idle(), 25)
    daemon.values["queue"] = 1.0
    later(daemon, 1)
    daemon.values["queue"] = 0.0
    assert replicas(later(daemon, 25)) == [3, 4]


def test_what_is_not_known_is_not_idle_s1_s2():
    daemon = idle()
    daemon.values["queue"] = "connection refused"
    assert replicas(later(daemon, 120)) == [3, 4]
    assert "whether it is idle is not known: queue" in daemon.said.detail
    assert daemon.did() == []


def test_at_rest_and_blind_for_long_it_is_woken_and_one_sign_is_enough_for_demand_s2():
    daemon = later(idle(), 35)
    daemon.values["queue"] = "connection refused"
    assert replicas(later(daemon, 8)) == [0, 0]
    assert replicas(later(daemon, 5)) == [3, 4]
    other = later(idle(), 35)
    other.values = {"queue": "connection refused", "requests": 2.0}
    assert replicas(later(other, 2)) == [3, 4]


def test_it_rests_only_so_often_within_a_day():
    daemon = idle()
    for _ in range(4):
        daemon.values = dict(CALM)
        later(daemon, 35)
        daemon.values["requests"] = 5.0
        later(daemon, 3)
    assert len([one for one in daemon.did() if "web: rests" in one]) == 2
    daemon.values = dict(CALM)
    later(daemon, 35)
    assert replicas(daemon) == [3, 4]
    assert daemon.said.reason is Reason.BUDGET
    daemon.cluster.now = TUESDAY + 26 * 3600.0
    daemon.turn()
    assert replicas(later(daemon, 35)) == [0, 0]


def test_a_floor_of_one_leaves_one_and_is_nothing_for_what_an_hpa_steers_s4():
    daemon = later(idle(("idle:", "idle:\n    to: 1")), 35)
    assert replicas(daemon) == [1, 4]
    assert daemon.said.reason is Reason.OWNED


def test_what_it_knows_goes_on_after_a_restart():
    daemon = later(idle(), 20)
    daemon.restart()
    assert replicas(later(daemon, 13)) == [0, 0]


def test_while_nobody_looked_it_was_not_idle_s2():
    daemon = later(idle(), 20)
    daemon.restart()
    daemon.cluster.now += 3_600.0
    daemon.turn()
    assert replicas(later(daemon, 28)) == [3, 4]
    assert replicas(later(daemon, 5)) == [0, 0]


@pytest.mark.parametrize("mode", ["dry-run", "observe"])
def test_a_mode_that_does_not_act_writes_nothing(mode):
    assert later(idle(("mode: enforce", f"mode: {mode}")), 60).did() == []
