"""What is kept of pods and nodes is all that is read of them, and little (S10: the daemon stays small)."""

from __future__ import annotations

import copy
import json

import pytest

from aiops.adapters.kubernetes.informer import _lines
from aiops.adapters.kubernetes.inventory import Around, pods_of, workload
from aiops.adapters.kubernetes.kept import keeps
from aiops.adapters.kubernetes.startups import FirstReady
from aiops.adapters.kubernetes.stock import machine, node_ready
from tests.builders import NOW, TARGET

PODS, NODES = "/api/v1/namespaces/shop/pods", "/api/v1/nodes"
OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "checkout-7d9", "controller": True, "uid": "r"}
MANAGED = [
    {"manager": "kubelet", "operation": "Update", "fieldsV1": {f"f:status{n}": {"f:phase": {}} for n in range(40)}}
]


INIT = {
    "name": "migrate",
    "restartCount": 0,
    "ready": True,
    "state": {
        "terminated": {
            "exitCode": 0,
            "startedAt": "2026-03-02T07:08:05Z",
            "finishedAt": "2026-03-02T07:08:09Z",
            "containerID": "c" * 70,
        }
    },
}


def pod(name: str = "checkout-7d9-x", *, ready: str = "True", restarts: int = 0, **metadata) -> dict:
    """Return a pod as the API shows it, with much that nobody here reads."""
    conditions = [
        {"type": kind, "status": "True", "lastTransitionTime": "2026-03-02T07:08:01Z", "lastProbeTime": None}
        for kind in ("PodScheduled", "Initialized", "ContainersReady")
    ]
    conditions.append({"type": "Ready", "status": ready, "lastTransitionTime": "2026-03-02T07:08:31Z"})
    container = {"name": "web", "image": "web:1", "env": [{"name": f"E{n}", "value": "x" * 40} for n in range(30)]}
    for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
        container[probe] = {"httpGet": {"path": "/ready", "port": 8080, "scheme": "HTTP"}, "periodSeconds": 5}
    gone = [
        {"key": f"node.kubernetes.io/{what}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        for what in ("not-ready", "unreachable")
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": f"uid-{name}",
            "labels": {"app": "checkout"},
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "y" * 500},
            "creationTimestamp": "2026-03-02T07:08:00Z",
            "ownerReferences": [OWNER],
            "managedFields": MANAGED,
            **metadata,
        },
        "spec": {
            "containers": [container],
            "tolerations": gone,
            "volumes": [{"name": "token", "projected": {"sources": []}}],
        },
        "status": {
            "phase": "Running",
            "hostIP": "10.0.3.17",
            "podIP": "10.244.12.207",
            "podIPs": [{"ip": "10.244.12.207"}],
            "qosClass": "Burstable",
            "startTime": "2026-03-02T07:08:01Z",
            "conditions": conditions,
            "containerStatuses": [
                {
                    "name": "web",
                    "restartCount": restarts,
                    "imageID": "z" * 100,
                    "image": "registry.example.com/shop/web:1.27.3",
                    "containerID": "containerd://" + "c" * 64,
                    "ready": ready == "True",
                    "started": True,
                    "lastState": {},
                    "state": {"running": {"startedAt": "2026-03-02T07:08:21Z"}},
                }
            ],
        },
    }


CASES = {
    "ready": pod(),
    "not ready": pod(ready="False"),
    "being deleted": pod(deletionTimestamp="2026-03-02T08:00:00Z"),
    "restarted": pod(restarts=3),
    "after an init container": {**pod(), "status": {**pod()["status"], "initContainerStatuses": [INIT]}},
    "of another owner": pod(ownerReferences=[{**OWNER, "kind": "Job", "name": "other"}]),
    "of nobody": pod(ownerReferences=None),
    "of other labels": pod(labels={"app": "cart"}),
    "not scheduled yet": {"metadata": {"name": "checkout-7d9-z", "labels": {"app": "checkout"}}},
}


def seen(*pods: dict) -> object:
    """Return the workload of these pods, under a budget that counts them, and how they started."""
    spec = {"replicas": 3, "selector": {"matchLabels": {"app": "checkout"}}}
    item = {"metadata": {"name": "checkout", "namespace": "shop", "uid": "u"}, "spec": spec, "status": {}}
    pdb = {"spec": {"minAvailable": "50%", "selector": spec["selector"]}, "status": {}}
    around = Around(namespace=None, pods=pods, hpas=(), pdbs=(pdb,))
    started = FirstReady().of(TARGET.key, pods_of(TARGET, item, around))
    return workload(TARGET, item, around, NOW), started


@pytest.mark.parametrize("case", CASES)
def test_a_workload_is_read_alike_from_what_is_kept_of_its_pods(case):
    whole = CASES[case]
    before = copy.deepcopy(whole)
    kept = keeps(PODS)(whole)
    assert repr(seen(kept, pod("checkout-7d9-y"))) == repr(seen(whole, pod("checkout-7d9-y")))
    assert whole == before


def test_the_cases_differ_in_what_is_read_of_them():
    assert len({repr(seen(one)) for one in CASES.values()}) >= 4


def test_of_a_pod_a_tenth_is_kept():
    assert len(json.dumps(keeps(PODS)(pod()))) < len(json.dumps(pod())) / 8


@pytest.mark.parametrize("ready", ["True", "False", "Unknown"])
@pytest.mark.parametrize("unschedulable", [True, False])
def test_a_node_is_read_alike_from_what_is_kept_of_it(ready, unschedulable):
    conditions = [{"type": "DiskPressure", "status": "True"}, {"type": "Ready", "status": ready}]
    images = [{"names": ["image" * 20], "sizeBytes": 1} for _ in range(50)]
    room = {"capacity": {"cpu": "4", "memory": "16Gi"}, "allocatable": {"cpu": "3500m", "memory": "14Gi"}}
    labels = {"karpenter.sh/nodepool": "web", "topology.kubernetes.io/zone": "eu-1a"}
    status = {"conditions": conditions, "images": images, **room}
    node = {"metadata": {"name": "n", "labels": labels}, "spec": {}, "status": status}
    if unschedulable:
        node["spec"]["unschedulable"] = True
    kept = keeps(NODES)(node)
    assert node_ready(kept) == node_ready(node) == (ready == "True")
    assert kept["spec"].get("unschedulable", False) == unschedulable
    assert machine("eu", kept) == machine("eu", node)
    assert (machine("eu", kept).pool, machine("eu", kept).allocatable_cores) == ("web", 3.5)
    assert "images" not in kept["status"]


@pytest.mark.parametrize("path", ["/apis/apps/v1/namespaces/shop/deployments", "/api/v1/namespaces"])
def test_of_other_kinds_everything_is_kept(path):
    whole = pod()
    assert keeps(path)(whole) is whole


class Streamed:
    """An answer to a watch."""

    def __init__(self, *parts: bytes) -> None:
        self._parts = parts

    def stream(self, **_: object):
        return iter(self._parts)


def test_events_share_the_names_of_their_fields():
    line = json.dumps({"type": "ADDED", "object": CASES["ready"]}).encode() + b"\n"
    first, second = (one for one in _lines(Streamed(line[:100], line[100:] + line)) if one is not None)
    assert first == second
    assert [id(name) for name in first["object"]["spec"]] == [id(name) for name in second["object"]["spec"]]
