"""An HPA that reads our own metric is known by its metrics, whoever serves them (S4)."""

from __future__ import annotations

import pytest

from aiops.adapters.kubernetes.inventory import Around, workload
from aiops.core.guard.context import Wish
from aiops.core.guard.ownership import ownership
from aiops.core.model import Deny, Reason
from aiops.core.policies import Lever
from tests.builders import NOW, TARGET, context, policy, proposal, snapshot

CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}


def external(name: str, kind: str = "external"):
    return {"type": kind.title(), kind: {"metric": {"name": name}, "target": {"type": "AverageValue"}}}


def seen(*metrics):
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"}
    hpa = {
        "metadata": {"name": "checkout", "uid": "h", "resourceVersion": "7"},
        "spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 20, "metrics": list(metrics)},
        "status": {"conditions": [{"type": "ScalingActive", "status": "True"}], "desiredReplicas": 4},
    }
    namespace = {"metadata": {"name": "shop", "labels": {"policy.aiops/managed": "true"}}}
    around = Around(namespace=namespace, pods=(), hpas=(hpa,), pdbs=())
    return workload(TARGET, {"metadata": {"uid": "u"}, "spec": {"replicas": 4}}, around, NOW)


@pytest.mark.parametrize(
    ("metrics", "ours"),
    [
        ((external("aiops_forecast_peak"),), True),
        ((CPU, external("aiops_anomaly_score")), True),
        ((external("s0-aiops_forecast"),), True),
        ((external("s12-aiops_forecast_peak"),), True),
        ((external("aiops_forecast", "object"),), True),
        ((external("aiops_forecast", "pods"),), True),
        ((external("queue_length"),), False),
        ((external("s0-prometheus"),), False),
        ((external("my_aiops_forecast"),), False),
        ((CPU,), False),
        ((), False),
    ],
)
def test_an_hpa_that_reads_our_metric_gets_no_floor_moves_s4(metrics, ours):
    found = seen(*metrics)
    assert found.hpas[0].reads_our_metric is ours
    shot = snapshot(workloads={TARGET.key: found})
    floor = context(snapshot=shot, policy=policy(lever=Lever.HPA_FLOOR))
    ruling = ownership(Wish(proposal(2, 6), 6), floor)
    assert (isinstance(ruling, Deny) and ruling.reason is Reason.OWNED) is ours
