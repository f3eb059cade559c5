"""Workloads of sites that are zones of one cluster: who may start elsewhere is told (S8)."""

from __future__ import annotations

from typing import Any

import pytest

from aiops.adapters.kubernetes import Clusters, KubernetesOptions
from aiops.app.doctor.findings import Status
from aiops.app.doctor.scene import Scene
from aiops.app.doctor.targets import objects
from aiops.app.settings import Settings
from aiops.core.model import Looked, SeenObject
from aiops.core.policies import PolicySet
from tests.unit.failing import a_group
from tests.unit.test_failover_zones import ZONES

ZONE = "topology.kubernetes.io/zone"


def affinity(*terms: list[dict[str, Any]]) -> dict[str, Any]:
    required = {"nodeSelectorTerms": [{"matchExpressions": one} for one in terms]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}


def within(*zones: str) -> dict[str, Any]:
    return {"key": ZONE, "operator": "In", "values": list(zones)}


class Shown:
    """Clusters that show every object with one pod template."""

    def __init__(self, pods: dict[str, Any]) -> None:
        self.pods = pods

    def look(self, wanted, at):
        body = {"spec": {"template": {"spec": self.pods}}, "metadata": {"labels": {"policy.aiops/managed": "true"}}}
        seen = {
            ref.key: SeenObject(ref=ref, uid="u", resource_version="1", as_of=at, body=body) for ref in wanted.objects
        }
        return Looked(objects=seen)

    def stop(self, within_s):
        """Stop nothing."""


@pytest.mark.parametrize(
    ("pods", "warned"),
    [
        ({"nodeSelector": {ZONE: "eu-1w"}}, ["target shop/storefront-north"]),
        (affinity([within("eu-1w"), {"key": "gpu", "operator": "Exists"}]), ["target shop/storefront-north"]),
        (affinity([within("eu-1w", "eu-1n")]), ["target shop/storefront-west", "target shop/storefront-north"]),
        (
            affinity([within("eu-1w")], [within("eu-1n")]),
            ["target shop/storefront-west", "target shop/storefront-north"],
        ),
        ({}, ["target shop/storefront-west", "target shop/storefront-north"]),
    ],
    ids=["selector", "affinity", "either zone", "one term or the other", "anywhere"],
)
def test_a_workload_whose_pods_may_start_in_another_zone_is_told(monkeypatch, pods, warned):
    monkeypatch.setattr(Clusters, "connect", lambda options: Shown(pods))
    scene = Scene(settings=Settings(), timeout_s=1.0, policies=PolicySet(digest="", plans=(a_group(*ZONES),)))
    found = objects("cluster shop", scene, "shop", KubernetesOptions())
    assert [one.name for one in found if one.status is Status.WARN] == warned
    assert all("zone" in one.what for one in found if one.status is Status.WARN)
