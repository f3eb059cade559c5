"""A daemon with the permissions that `aiops rbac` prints resizes a StatefulSet on a real API server, pods first.

The API server validates what is resized in place; nobody plays the kubelet, so a resize that it took is done.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from aiops.core.model import Plan, PlanStatus
from tests.e2e.conftest import deployment
from tests.e2e.grants import denied
from tests.e2e.rig import Rig

BEFORE = {"cpu": "100m", "memory": "64Mi"}


def by_pod(namespace: str, gauge: str) -> str:
    """Return a query that answers the same of both pods."""
    read = f'label_replace(sum({gauge}{{ns="{namespace}"}}), "container", "main", "", "")'
    return " or ".join(f'label_replace({read}, "pod", "checkout-{number}", "", "")' for number in (0, 1))


def policy(namespace: str, **more: Any) -> dict[str, Any]:
    """Return a CostPolicy that rightsizes: quick to look, for a test."""
    rightsize = {
        "every": "15s",
        "resources": ["cpu"],
        "cpu": {"query": by_pod(namespace, "demand")},
        "memory": {"query": by_pod(namespace, "latency")},
        "canary": {"share": "50%", "watchFor": "10s"},
        "watch": {"watchFor": "10s"},
        **more,
    }
    metadata = {"name": "fleet", "namespace": namespace}
    target = {"kinds": ["StatefulSet"], "name": "checkout"}
    spec = {"mode": "enforce", "target": target, "rightsize": rightsize}
    return {"apiVersion": "policy.aiops/v1alpha1", "kind": "CostPolicy", "metadata": metadata, "spec": spec}


def deployed(rig: Rig, *, in_place: bool = True) -> str:
    """Make a StatefulSet of two pods that request a tenth of a core and use two, and return its path.

    in_place: whether the pods' nodes say that they can resize.
    """
    made = deployment(rig.namespace, "checkout", 2)
    made["kind"] = "StatefulSet"
    made["spec"]["serviceName"] = "checkout"
    rig.plane.apply(made)
    rig.demand(2.0)
    rig.gauges.set("latency", rig.namespace, 40.0 * 2**20)
    path = f"/apis/apps/v1/namespaces/{rig.namespace}/statefulsets/checkout"
    rig.until(lambda: (rig.plane.api("GET", path).get("status") or {}).get("availableReplicas") == 2, "the pods")
    for number in (0, 1) if in_place else ():
        # a kubelet that can resize says what a container has; an API server refuses a resize where none does
        said = {"containerStatuses": [{"name": "main", "resources": {"requests": BEFORE}}]}
        rig.plane.api("PATCH", f"{pod(rig, number)}/status", {"status": said}, "application/strategic-merge-patch+json")
    return path


def pod(rig: Rig, number: int) -> str:
    return f"/api/v1/namespaces/{rig.namespace}/pods/checkout-{number}"


def requests(rig: Rig, path: str) -> dict[str, str]:
    found = rig.plane.find(path)
    if found is None:
        return {}
    spec = found["spec"]["template"]["spec"] if found["kind"] == "StatefulSet" else found["spec"]
    return dict(spec["containers"][0]["resources"]["requests"])


def plans(rig: Rig) -> tuple[Plan, ...]:
    """Return the plans, newest first."""
    if not (rig.folder / "aiops.db").exists():
        return ()
    with rig.store() as store:
        return store.plans.every()


def killed(rig: Rig, path: str) -> None:
    """Say of a pod what the kubelet would after a kill for memory."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ended = {"reason": "OOMKilled", "exitCode": 137, "startedAt": now, "finishedAt": now}
    status = {"name": "main", "image": "none", "imageID": "", "ready": True, "restartCount": 1}
    said = {"containerStatuses": [{**status, "lastState": {"terminated": ended}}]}
    rig.plane.api("PATCH", f"{path}/status", {"status": said}, "application/strategic-merge-patch+json")


@pytest.mark.timeout(300)
def test_what_is_too_small_is_resized_in_place_on_one_pod_and_then_by_the_template_s6_s10(rig: Rig):
    path = deployed(rig)
    uid = rig.plane.api("GET", pod(rig, 0))["metadata"]["uid"]
    rig.policy(policy(rig.namespace))
    rig.daemon()
    rig.until(lambda: requests(rig, pod(rig, 0)) != BEFORE, "the first pod", 90.0)
    first = rig.plane.api("GET", pod(rig, 0))
    assert first["metadata"]["uid"] == uid  # the very same pod
    assert requests(rig, path) == requests(rig, pod(rig, 1)) == BEFORE
    rig.until(lambda: requests(rig, path) != BEFORE, "the template", 60.0)
    rig.until(lambda: plans(rig)[0].status is PlanStatus.DONE, "the plan to end", 120.0)
    sized = requests(rig, path)
    assert float(sized["cpu"].removesuffix("m")) >= 2100.0  # two cores, and 5 % of them
    assert sized["memory"] == BEFORE["memory"]
    assert requests(rig, pod(rig, 0)) == requests(rig, pod(rig, 1)) == sized
    writes = [(event.resource, event.subresource) for event in rig.writes() if event.resource != "leases"]
    assert ("pods", "resize") in writes
    assert ("statefulsets", "") in writes
    assert denied(rig.audit()) == []
    config = next(rig.folder.glob("a-*.yaml"))
    [row] = json.loads(rig.aiops("--config", str(config), "-o", "json", "rightsize", "--all"))
    assert (row["workload"], row["container"], row["resource"]) == ("checkout", "main", "cpu")


@pytest.mark.timeout(300)
def test_a_pod_that_is_killed_after_its_resize_gets_back_what_it_had_and_is_left_alone_s7(rig: Rig):
    path = deployed(rig)
    rig.policy(policy(rig.namespace, canary={"share": "50%", "watchFor": "60s"}))
    rig.daemon()
    rig.until(lambda: requests(rig, pod(rig, 0)) != BEFORE, "the first pod", 90.0)
    time.sleep(2.0)
    killed(rig, pod(rig, 0))
    rig.until(lambda: plans(rig)[0].status is PlanStatus.ROLLED_BACK, "the plan to be taken back", 60.0)
    assert requests(rig, pod(rig, 0)) == requests(rig, path) == BEFORE
    said = " ".join(note.text for note in plans(rig)[0].notes)
    assert "settled" in said
    rig.until(
        lambda: any(one["reason"] == "back_off" for one in rig.decisions(policy=f"CostPolicy/{rig.namespace}/fleet")),
        "the next try to be put off",
        60.0,
    )
    assert len(plans(rig)) == 1


@pytest.mark.timeout(300)
def test_where_nodes_cannot_resize_the_template_says_what_pods_get_s6(rig: Rig):
    path = deployed(rig, in_place=False)
    rig.policy(policy(rig.namespace))
    rig.daemon()
    rig.until(lambda: requests(rig, path) != BEFORE, "the template", 90.0)
    rig.until(lambda: plans(rig)[0].status is PlanStatus.DONE, "the plan to end", 120.0)
    said = " ".join(note.text for note in plans(rig)[0].notes)
    assert "node without support for resize; passed over" in said
    assert requests(rig, pod(rig, 0)) == requests(rig, path)


def limited(rig: Rig, kind: str, spec: dict[str, Any]) -> None:
    rig.plane.apply(
        {"apiVersion": "v1", "kind": kind, "metadata": {"name": "team", "namespace": rig.namespace}, "spec": spec}
    )


@pytest.mark.timeout(400)
def test_a_namespace_lets_in_what_its_limit_range_allows_and_nothing_beyond_its_quota_s10(rig: Rig):
    limited(rig, "LimitRange", {"limits": [{"type": "Container", "max": {"cpu": "1500m"}}]})
    limited(rig, "ResourceQuota", {"hard": {"requests.cpu": "2500m"}})
    path = deployed(rig, in_place=False)
    quota = f"/api/v1/namespaces/{rig.namespace}/resourcequotas/team"
    rig.until(lambda: rig.plane.api("GET", quota)["status"]["used"] == {"requests.cpu": "200m"}, "the quota to count")
    rig.policy(policy(rig.namespace))
    daemon = rig.daemon()
    no = f"ResourceQuota {rig.namespace}/team has 2.3 requests.cpu left, not 2.8 more"
    rig.until(lambda: any(no in sentence for sentence in daemon.sentences()), "a no", 90.0)
    assert requests(rig, path) == requests(rig, pod(rig, 0)) == BEFORE
    assert plans(rig) == ()
    limited(rig, "ResourceQuota", {"hard": {"requests.cpu": "4"}})
    rig.until(lambda: requests(rig, path) != BEFORE, "the template", 90.0)
    rig.until(lambda: plans(rig)[0].status is PlanStatus.DONE, "the plan to end", 120.0)
    # two cores are used: more than that would have made no pod
    assert (
        requests(rig, path)["cpu"] == requests(rig, pod(rig, 0))["cpu"] == requests(rig, pod(rig, 1))["cpu"] == "1500m"
    )
    assert f"LimitRange {rig.namespace}/team allows cpu of 0..1500m" in plans(rig)[0].reason
    assert denied(rig.audit()) == []
