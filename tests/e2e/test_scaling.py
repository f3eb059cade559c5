"""Scaling a real Deployment from the command line: through /scale, and through the floor of a real HPA (S4, S6, S9).

The load, its metrics and what the HPA reads come from the workload emulator; pods run on fake nodes.
"""

from __future__ import annotations

import json
import time

import pytest

from aiops.core.act.set_floor import ACTION, RESTORE
from tests.e2e.emulated import CAPACITY_RPS, Emulated, hpa, is_active
from tests.e2e.rig import Rig, scaling_policy
from tests.integration.prometheus_server import running_prometheus


def events_of_ours(rig: Rig) -> list[dict]:
    events = rig.plane.api("GET", f"/api/v1/namespaces/{rig.namespace}/events")["items"]
    return [one for one in events if (one.get("source") or {}).get("component") == "aiops"]


def test_the_daemon_scales_out_and_in_through_the_scale_subresource_s6(rig: Rig, deploy):
    path = deploy(replicas=4)
    rig.demand(330.0)
    rig.policy(scaling_policy(rig.namespace))
    daemon = rig.daemon()
    rig.until(lambda: rig.replicas(path) == 7, "7 replicas")
    rig.until(lambda: rig.plane.api("GET", path)["status"].get("readyReplicas") == 7, "7 ready pods on fake nodes")
    rig.demand(110.0)
    rig.until(lambda: rig.replicas(path) == 3, "3 replicas")
    assert daemon.ready()[0] == 200
    # each write names its action, in the audit log and in the Event
    writes = [event for event in rig.writes("deployments") if event.action_id]
    actions = {row["id"]: row for row in rig.actions()}
    assert {event.action_id for event in writes} == set(actions)
    assert {event.subresource for event in writes} == {"scale"}
    told = rig.until(lambda: len(e := events_of_ours(rig)) >= len(actions) and e, "an Event for each action")
    assert {one["reason"] for one in told} == {"Scaled"}
    assert all(any(action in one["message"] for one in told) for action in actions)
    rig.check()


@pytest.mark.timeout(240)
def test_pods_are_there_before_the_load_needs_them_and_go_after_it(rig: Rig, deploy, emulated: Emulated, tmp_path):
    """The whole loop over a real Prometheus and a real API server: a ramp is met with hardly a request that fails."""
    path = deploy(replicas=3, ready_after="3s")
    emulated.start("checkout")
    emulated.load(100.0)
    with running_prometheus(tmp_path, emulated.client.addresses.metrics) as url:
        # half of what a pod carries is kept free, so that a ramp of 5 req/s each second meets pods that are ready
        query = f'sum(rate(http_requests_total{{namespace="{rig.namespace}"}}[5s]))'
        signals = {"demand": {"query": query, "unit": "req/s", "maxAge": "5s"}}
        objective = {"demand": "demand", "perReplica": CAPACITY_RPS / 2}
        rig.policy(scaling_policy(rig.namespace, signals=signals, objective=objective))
        rig.daemon(prometheus={"url": url, "jitter": "0s", "timeout": "2s", "retries": 0})
        rig.until(lambda: rig.replicas(path) in (4, 5), "4 or 5 replicas for 100 req/s", 60)
        before = [sum(emulated.client.samples("http_requests_total", code=code)) for code in ("200", "500")]
        for rps in range(105, 305, 5):
            emulated.load(float(rps))
            time.sleep(1.0)  # the ramp is one of the wall clock's
        rig.until(lambda: 11 <= rig.replicas(path) <= 14, "enough replicas for 300 req/s", 30)
        after = [sum(emulated.client.samples("http_requests_total", code=code)) for code in ("200", "500")]
        served, failed = (now - then for now, then in zip(after, before, strict=True))
        assert failed / (served + failed) < 0.01
        emulated.load(60.0)
        rig.until(lambda: rig.replicas(path) <= 4, "scale-in after the ramp", 60)
    rig.check()


@pytest.fixture
def floor(rig: Rig, deploy, emulated: Emulated, aggregated) -> str:
    """A Deployment with a real HPA that is active, whose floor is 2. Returns the HPA's path."""
    deploy(replicas=3)
    emulated.start("checkout")
    aggregated(emulated)
    emulated.load(100.0)
    rig.plane.apply(hpa(rig.namespace, 80))
    path = f"/apis/autoscaling/v2/namespaces/{rig.namespace}/horizontalpodautoscalers/checkout"
    rig.until(lambda: is_active(rig.plane, path), "the HPA to be active", 60)
    rig.policy(scaling_policy(rig.namespace, lever="hpa-floor"))
    return path


def least(rig: Rig, path: str) -> int:
    return int(rig.plane.api("GET", path)["spec"]["minReplicas"])


@pytest.mark.timeout(300)
def test_the_floor_of_a_real_hpa_is_moved_and_handed_back_s4_s9(rig: Rig, floor: str):
    rig.demand(440.0)
    daemon = rig.daemon()
    rig.until(lambda: least(rig, floor) == 9, "a floor of 9")
    deployment = f"/apis/apps/v1/namespaces/{rig.namespace}/deployments/checkout"
    rig.until(lambda: rig.replicas(deployment) >= 9, "the HPA to follow its floor", 40)
    item = rig.plane.api("GET", floor)
    record = json.loads(item["metadata"]["annotations"][RESTORE])
    assert (record["minReplicas"], record["written"]) == (2, 9)
    assert item["metadata"]["annotations"][ACTION] in {row["id"] for row in rig.actions()}
    # nobody but the HPA writes the replicas
    assert rig.writes("deployments") == []
    config = daemon.process.command[-1]
    rig.aiops("--config", config, "release", "--all", "--reason", "the test is over")
    rig.until(lambda: least(rig, floor) == 2, "the floor of before", 60)
    notes = rig.plane.api("GET", floor)["metadata"].get("annotations", {})
    assert not [one for one in notes if one.startswith("policy.aiops/")]
    assert rig.effects() == []
    rig.check()


@pytest.mark.timeout(300)
def test_a_floor_is_not_lowered_while_the_hpa_cannot_scale_s4(rig: Rig, floor: str, emulated: Emulated):
    rig.demand(440.0)
    daemon = rig.daemon()
    rig.until(lambda: least(rig, floor) == 9, "a floor of 9")
    emulated.client.fault(rig.namespace, "checkout", {"kind": "absent", "on": ["kubernetes-metrics"]})
    rig.until(lambda: not is_active(rig.plane, floor), "the HPA to be inactive", 60)
    rig.demand(60.0)
    rig.until(lambda: rig.decisions(reason="scaling_inactive"), "the loop to say so")
    rig.policy(grant=False)  # the policy is gone: not even to hand it back
    rig.until(lambda: any("not handed back yet" in one for one in daemon.sentences()), "the wait to be said", 60)
    assert least(rig, floor) == 9
    emulated.client.fault(rig.namespace, "checkout", None)
    rig.until(lambda: least(rig, floor) == 2, "the floor of before, once the HPA scales again", 60)
    rig.check()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("restarted", [False, True], ids=["while the daemon runs", "while no daemon runs"])
def test_deleting_the_last_policy_of_a_folder_hands_back_s9(rig: Rig, floor: str, restarted: bool):
    rig.demand(440.0)
    daemon = rig.daemon()
    rig.until(lambda: least(rig, floor) == 9, "a floor of 9")
    if restarted:
        rig.until(rig.effects, "the effect in the record")
        assert daemon.process.term() == 0
    (rig.policies / "policies.yaml").unlink()
    if restarted:
        rig.daemon("again")
    rig.until(lambda: least(rig, floor) == 2, "the floor of before", 90)
    rig.until(lambda: not rig.effects(), "the effect to be forgotten", 90)
    rig.check()
