"""Scaling a real Deployment from the command line: through /scale, through an HPA's floor, and left to its owners (S4)."""

from __future__ import annotations

from tests.e2e.rig import Rig, scaling_policy


def test_the_daemon_scales_out_and_in_through_the_scale_subresource(rig: Rig, deploy):
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
    assert {event.action_id for event in writes} <= set(actions)
    assert {event.subresource for event in writes} == {"scale"}
    events = rig.plane.api("GET", f"/api/v1/namespaces/{rig.namespace}/events")["items"]
    ours = [one for one in events if (one.get("source") or {}).get("component") == "aiops"]
    assert {one["reason"] for one in ours} == {"Scaled"}
    assert all(any(action in one["message"] for action in actions) for one in ours)
