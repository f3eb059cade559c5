"""Objects that operations are tried on, one of each kind, and the operations."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

from aiops.core.model import (
    AwaitRemoval,
    CallWebhook,
    Cordon,
    DeletePod,
    Drain,
    Notify,
    Operation,
    RaiseNodeLimits,
    ResizePods,
    RestartWorkload,
    RestLever,
    RollBack,
    RunJob,
    ScaleTo,
    SetResources,
    ShiftTraffic,
    Sleep,
    SplitReplicas,
    StartJob,
    SuspendCronJob,
    TargetRef,
    TrafficLever,
    Wake,
)
from aiops.core.objects.resting import MARK, RECORD, SleepRecord
from aiops.core.plans.operations import Origin, verbs
from tests.fake_api import FakeApi

NOW = 1_772_450_000.0
ORIGIN = Origin(plan_id="P1", policy="RemediationPolicy/shop/checkout", key="E1", epoch=3, now=NOW)


def ref(kind: str, name: str, api_version: str = "apps/v1", namespace: str = "shop") -> TargetRef:
    return TargetRef(namespace=namespace, api_version=api_version, kind=kind, name=name)


CHECKOUT = ref("Deployment", "checkout")
HPA = ref("HorizontalPodAutoscaler", "checkout", "autoscaling/v2")
VPA = ref("VerticalPodAutoscaler", "checkout", "autoscaling.k8s.io/v1")
PDB = ref("PodDisruptionBudget", "checkout", "policy/v1")
NODE, CORDONED = ref("Node", "n1", "v1", ""), ref("Node", "n2", "v1", "")
POOL = ref("NodePool", "general", "karpenter.sh/v1", "")
POD = ref("Pod", "checkout-1", "v1")
CRON = ref("CronJob", "repair", "batch/v1")
JOB = ref("Job", "aiops-p1", "batch/v1")
WAITING = ref("Job", "report", "batch/v1")
RESTING = ref("Deployment", "resting")
COMPANION = ref("Deployment", "checkout-spot")
ROUTE = ref("HTTPRoute", "storefront", "gateway.networking.k8s.io/v1")
SERVICE = ref("Service", "storefront", "v1")
INGRESS = ref("Ingress", "storefront", "networking.k8s.io/v1")
DNS = ref("Service", "storefront-dns", "v1")


def deployment() -> dict[str, Any]:
    resources = {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi", "example.com/gpu": "1"}}
    template = {
        "metadata": {"labels": {"app": "checkout"}},
        "spec": {"containers": [{"name": "main", "image": "shop:1", "resources": resources}, {"name": "proxy"}]},
    }
    return {
        "metadata": {"generation": 1},
        "spec": {"replicas": 4, "selector": {"matchLabels": {"app": "checkout"}}, "template": template},
        "status": {"observedGeneration": 1, "replicas": 4, "updatedReplicas": 4, "availableReplicas": 4},
    }


def hpa(floor: int = 2, metrics: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    aim = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"}
    spec = {"minReplicas": floor, "maxReplicas": 10, "scaleTargetRef": aim}
    return {"spec": spec if metrics is None else {**spec, "metrics": metrics}}


def budget(allowed: int, healthy: int = 4, desired: int = 4, expected: int = 4, **spec: Any) -> dict[str, Any]:
    counts = zip(
        ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"),
        (allowed, healthy, desired, expected),
        strict=True,
    )
    return {"spec": {"selector": {"matchLabels": {"app": "checkout"}}, **spec}, "status": dict(counts)}


def pod(node: str = "n2", owner: str = "ReplicaSet", **metadata: Any) -> dict[str, Any]:
    owners = [{"kind": owner, "name": "checkout-abc", "controller": True}] if owner else []
    return {
        "metadata": {"labels": {"app": "checkout"}, "ownerReferences": owners, **metadata},
        "spec": {"nodeName": node, "containers": deployment()["spec"]["template"]["spec"]["containers"]},
        "status": {"phase": "Running"},
    }


def cron() -> dict[str, Any]:
    container = {
        "name": "main",
        "image": "tool:1",
        "env": [{"name": "NODE", "value": ""}, {"name": "MODE", "value": "x"}],
    }
    pod_spec = {"restartPolicy": "Never", "containers": [container, {"name": "side"}]}
    return {
        "metadata": {"labels": {"policy.aiops/runbook": "true"}},
        "spec": {
            "schedule": "0 0 1 1 *",
            "suspend": False,
            "jobTemplate": {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"ttlSecondsAfterFinished": 0, "template": {"spec": pod_spec}},
            },
        },
    }


def route(*weights: int | None) -> dict[str, Any]:
    refs = [
        {"name": name, "port": 80} | ({} if weight is None else {"weight": weight})
        for name, weight in zip(("west", "north", "third"), weights, strict=False)
    ]
    return {
        "spec": {
            "rules": [
                {"backendRefs": [{"name": "other", "port": 80}]},
                {"matches": [{"path": {"value": "/"}}], "backendRefs": refs},
            ]
        }
    }


def service(backend: str = "west") -> dict[str, Any]:
    return {"spec": {"selector": {"app": "storefront", "backend": backend}}}


def ingress(weight: str | None = "0", canary: str = "north", of: str | None = None) -> dict[str, Any]:
    prefix = "nginx.ingress.kubernetes.io/canary"
    said = {prefix: "true", f"{prefix}-weight": weight, f"{prefix}-weight-total": of}
    notes = {name: value for name, value in said.items() if value is not None}
    path = {"path": "/", "backend": {"service": {"name": canary, "port": {"number": 80}}}}
    return {
        "metadata": {"annotations": notes},
        "spec": {"rules": [{"host": "shop.example.com", "http": {"paths": [path]}}]},
    }


def dns(text: str = "west=100,north=0") -> dict[str, Any]:
    return {"metadata": {"annotations": {"policy.aiops/weights": text}}, "spec": {"type": "ExternalName"}}


def record(**other: Any) -> str:
    """Return the record of a Deployment that rests, and had 3 replicas."""
    made = SleepRecord(
        policy=ORIGIN.policy, plan="P0", uid="uid-Deployment-resting", lever=RestLever.REPLICAS, original="3", to="0",
        since=NOW,
    )  # fmt: skip
    return replace(made, **other).text


def resting() -> dict[str, Any]:
    notes = {RECORD: record(), MARK: "P0"}
    return {"metadata": {"annotations": notes}, "spec": {"replicas": 0}}


def api() -> FakeApi:
    """Return a cluster in which every operation has something to do."""
    one = FakeApi()
    for where, body in {
        CHECKOUT: deployment(),
        NODE: {"spec": {"podCIDR": "10.0.0.0/24"}},
        CORDONED: {"spec": {"unschedulable": True}},
        POOL: {"spec": {"limits": {"cpu": "100", "memory": "400Gi"}, "weight": 10}},
        POD: pod(),
        CRON: cron(),
        WAITING: {"spec": {"suspend": True}},
        RESTING: resting(),
        COMPANION: {**deployment(), "spec": {**deployment()["spec"], "replicas": 0}},
        ROUTE: route(1, 0),
        SERVICE: service(),
        INGRESS: ingress(),
        DNS: dns(),
    }.items():
        one.put(where, body)
    body = one.objects[CHECKOUT]
    older = copy.deepcopy(body["spec"]["template"])
    older["spec"]["containers"][0]["image"] = "shop:0"
    older["spec"]["containers"][0]["command"] = ["run"]
    one.revision(CHECKOUT, older)
    one.revision(CHECKOUT, body["spec"]["template"])
    return one


def hashes(one: FakeApi) -> list[str]:
    """Return the hashes of the Deployment's revisions, the oldest first."""
    sets = [body["metadata"] for where, body in one.objects.items() if where.kind == "ReplicaSet"]
    ordered = sorted(sets, key=lambda metadata: int(metadata["annotations"]["deployment.kubernetes.io/revision"]))
    return [metadata["labels"]["pod-template-hash"] for metadata in ordered]


def shift(lever: TrafficLever, where: TargetRef, west: int, north: int) -> ShiftTraffic:
    return ShiftTraffic(lever=lever, object=where, weights=(("west", west), ("north", north)), rule=1)


def operations(one: FakeApi) -> dict[str, Operation]:
    """Return one operation of each sort, by its name."""
    return {
        "http-route": shift(TrafficLever.HTTP_ROUTE, ROUTE, 50, 50),
        "service-selector": shift(TrafficLever.SERVICE_SELECTOR, SERVICE, 0, 100),
        "ingress-canary": shift(TrafficLever.INGRESS_CANARY, INGRESS, 70, 30),
        "weight-annotation": shift(TrafficLever.WEIGHT_ANNOTATION, DNS, 0, 100),
        "scale-up": ScaleTo(target=CHECKOUT, replicas=6, only_up=True),
        "scale": ScaleTo(target=CHECKOUT, replicas=2),
        "resources": SetResources(
            target=CHECKOUT, container="main", requests={"cpu": "0.25", "memory": ""}, limits={"cpu": "2"}
        ),
        "resize": ResizePods(
            target=CHECKOUT,
            pods=(POD.name,),
            container="main",
            requests={"cpu": "0.25", "memory": "512Mi"},
            limits={"memory": "768Mi"},
        ),
        "node-limits": RaiseNodeLimits(pool=POOL, limits={"cpu": "150", "memory": "0.3Ti"}),
        "cordon": Cordon(node=NODE),
        "drain": Drain(node=CORDONED, grace_s=30),
        "await-removal": AwaitRemoval(node=CORDONED, uid="uid-Node-n2", by="Karpenter"),
        "restart": RestartWorkload(target=CHECKOUT, mark="P1-0"),
        "roll-back": RollBack(target=CHECKOUT, template_hash=hashes(one)[0]),
        "delete-pod": DeletePod(pod=POD, uid="uid-Pod-checkout-1"),
        "run-job": RunJob(template=CRON, name="aiops-p1", arguments=(("NODE", "n1 $(MODE) $HOME"),)),
        "suspend": SuspendCronJob(target=CRON),
        "sleep": Sleep(
            target=CHECKOUT,
            object=CHECKOUT,
            uid="uid-Deployment-checkout",
            lever=RestLever.REPLICAS,
            seen="4",
            original="4",
            to="0",
            mark="P1",
        ),
        "wake": Wake(
            target=RESTING,
            object=RESTING,
            uid="uid-Deployment-resting",
            lever=RestLever.REPLICAS,
            original="3",
            to="0",
            mark="P0",
        ),
        "split": SplitReplicas(
            base=CHECKOUT,
            spot=COMPANION,
            base_uid="uid-Deployment-checkout",
            spot_uid="uid-Deployment-checkout-spot",
            seen=0,
            replicas=2,
            steered=True,
        ),
        "start-job": StartJob(job=WAITING, uid="uid-Job-report"),
        "webhook": CallWebhook(endpoint="tickets", fields=(("node", "n1"),)),
        "notify": Notify(title="Sick", text="checkout"),
    }


def do(one: FakeApi, operation: Operation) -> int:
    """Do an operation until it has nothing to send, and return how many requests that took."""
    does, sent = verbs(operation), 0
    for _ in range(20):
        looked = one.look(does.wanted(operation), NOW)
        assert does.refusal(operation, looked) is None
        requests = does.requests(operation, looked, ORIGIN)
        if not requests.steps:
            return sent
        one.apply(*requests.steps)
        sent += len(requests.steps)
    raise AssertionError(f"{does.says(operation)} never ends")


def plain(one: FakeApi) -> dict[str, Any]:
    """Return the objects without what tells of who wrote them when, and without revisions, which only grow."""
    kept = {}
    for where, body in one.objects.items():
        if where.kind == "ReplicaSet":
            continue
        bare = copy.deepcopy(body)
        bare.pop("status", None)
        metadata = bare["metadata"]
        notes = {
            key: text
            for key, text in (metadata.pop("annotations", None) or {}).items()
            if key in KEPT or not key.startswith("policy.aiops/")
        }
        kept[where.key] = {
            "metadata": {"annotations": notes, "labels": metadata.get("labels")},
            **{key: value for key, value in bare.items() if key != "metadata"},
        }
    return kept


KEPT = ("policy.aiops/weights", RECORD, MARK)


def asked(one, operation):
    does = verbs(operation)
    return does, one.look(does.wanted(operation), NOW)


def refused(one, operation):
    does, looked = asked(one, operation)
    said = does.refusal(operation, looked)
    return None if said is None else said[0]


def why(one, operation) -> str:
    does, looked = asked(one, operation)
    said = does.refusal(operation, looked)
    return "" if said is None else said[1]


def reached(one, operation):
    does, looked = asked(one, operation)
    return does.reached(operation, looked)
