"""A Knative Service on a real API server: its kinds are served, its controllers are played by the test."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.rig import Rig, scaling_policy

SERVING, INTERNAL = "serving.knative.dev", "autoscaling.internal.knative.dev"
MIN_SCALE = "autoscaling.knative.dev/min-scale"
RESTORE = "policy.aiops/restore"


def definition(group: str, version: str, kind: str, plural: str) -> dict[str, Any]:
    """Return a definition that takes anything; like Knative's, without a scale subresource."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    shape = {"type": "object", "properties": {"spec": anything, "status": anything}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": shape},
                    "subresources": {"status": {}},
                }
            ],
        },
    }


@pytest.fixture(scope="module")
def knative(plane):
    """Knative's kinds, served."""
    for one in (
        definition(SERVING, "v1", "Service", "services"),
        definition(INTERNAL, "v1alpha1", "PodAutoscaler", "podautoscalers"),
    ):
        plane.apply(one)
        plane.kubectl("wait", "--for=condition=Established", f"crd/{one['metadata']['name']}", "--timeout=30s")


class Thumbs:
    """The Service, and what Knative's controllers write for its revisions."""

    def __init__(self, rig: Rig) -> None:
        self._plane, self._namespace = rig.plane, rig.namespace
        self.services = f"/apis/{SERVING}/v1/namespaces/{rig.namespace}/services"
        self.autoscalers = f"/apis/{INTERNAL}/v1alpha1/namespaces/{rig.namespace}/podautoscalers"
        body = {"apiVersion": f"{SERVING}/v1", "kind": "Service", "metadata": {"name": "thumbs"}, "spec": {}}
        self._plane.api("POST", self.services, body)

    def revision(self, number: int, wanted: int = 2, **percents: int) -> str:
        """Let a revision be made, become ready and serve, or get what is said of the traffic."""
        name = f"thumbs-{number:05d}"
        labels = {f"{SERVING}/service": "thumbs", f"{SERVING}/revision": name}
        body = {
            "apiVersion": f"{INTERNAL}/v1alpha1",
            "kind": "PodAutoscaler",
            "metadata": {"name": name, "labels": labels, "annotations": {"autoscaling.knative.dev/max-scale": "15"}},
            "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": f"{name}-deployment"}},
        }
        self._plane.api("POST", f"{self.autoscalers}?fieldManager=controller", body)
        self._status(f"{self.autoscalers}/{name}", {"desiredScale": wanted, "actualScale": wanted})
        generation = self._plane.api("GET", f"{self.services}/thumbs")["metadata"]["generation"]
        ready = {"latestReadyRevisionName": name, "latestCreatedRevisionName": name, "observedGeneration": generation}
        self._status(f"{self.services}/thumbs", ready)
        self.route(**(percents or {name: 100}))
        return name

    def route(self, **percents: int) -> None:
        """Let the route have another traffic."""
        traffic = [
            {"revisionName": name.replace("_", "-"), "percent": share, "latestRevision": False}
            for name, share in percents.items()
        ]
        routed = {"traffic": traffic, "conditions": [{"type": "RoutesReady", "status": "True"}]}
        self._status(f"{self.services}/thumbs", routed)

    def _status(self, path: str, status: dict[str, Any]) -> None:
        self._plane.patch(f"{path}/status", {"status": status}, manager="controller")

    def notes(self, name: str) -> dict[str, str]:
        return dict(self._plane.api("GET", f"{self.autoscalers}/{name}")["metadata"].get("annotations") or {})

    def floor(self, name: str) -> str | None:
        return self.notes(name).get(MIN_SCALE)

    def is_bare(self, name: str) -> bool:
        """Return whether nothing of ours is left."""
        return not {MIN_SCALE, RESTORE} & set(self.notes(name))


@pytest.mark.timeout(240)
def test_the_floor_of_the_revision_that_serves_is_moved_and_handed_back_s4_s9(rig: Rig, knative):
    thumbs = Thumbs(rig)
    first = thumbs.revision(1)
    target = {"apiVersion": f"{SERVING}/v1", "kind": "Service", "name": "thumbs"}
    changes = {"target": target, "lever": "knative-min-scale", "scaleIn": "allowed"}
    rig.policy(scaling_policy(rig.namespace, "thumbs", **changes))
    rig.demand(390.0)
    rig.daemon()
    rig.until(lambda: thumbs.floor(first) == "8", "a floor of 8 on the first revision", 60)
    assert json.loads(thumbs.notes(first)[RESTORE])["minReplicas"] == 0
    # the ceiling of the revision holds
    rig.demand(5000.0)
    rig.until(lambda: thumbs.floor(first) == "15", "the revision's own ceiling")
    # a new revision serves: its floor is moved, what is left on the former one goes back
    second = thumbs.revision(2)
    rig.until(lambda: thumbs.floor(second) == "15", "a floor on the second revision")
    rig.until(lambda: thumbs.is_bare(first), "the first one's floor given back", 60)
    rig.until(lambda: [one.object.name for one in rig.effects()] == [second], "one effect that stands")
    # nothing but autoscalers was written, and nobody asked for more than was granted
    assert {event.resource for event in rig.writes()} == {"podautoscalers"}
    assert [event for event in rig.audit() if event.code == 403] == []
    # the policy goes, and its floor with it
    (rig.policies / "policies.yaml").unlink()
    rig.until(lambda: thumbs.is_bare(second), "the second one's floor given back", 90)
    rig.check()


@pytest.mark.timeout(240)
def test_a_floor_follows_the_traffic_and_stays_where_any_is_left_s7(rig: Rig, knative):
    thumbs = Thumbs(rig)
    first = thumbs.revision(1)
    target = {"apiVersion": f"{SERVING}/v1", "kind": "Service", "name": "thumbs"}
    changes = {"target": target, "lever": "knative-min-scale", "scaleIn": "allowed"}
    rig.policy(scaling_policy(rig.namespace, "thumbs", **changes))
    rig.demand(390.0)
    rig.daemon()
    rig.until(lambda: thumbs.floor(first) == "8", "a floor of 8 on the first revision", 60)
    # a canary: what is needed goes on to the revision that has most of the traffic
    second = thumbs.revision(2, thumbs_00001=90, thumbs_00002=10)
    rig.demand(480.0)
    rig.until(lambda: thumbs.floor(first) == "10", "a floor of 10 on the first revision")
    assert thumbs.floor(second) is None
    # most of it has moved on: the second one is raised, and the first one keeps what it has
    thumbs.route(thumbs_00001=10, thumbs_00002=90)
    rig.demand(590.0)
    rig.until(lambda: thumbs.floor(second) == "12", "a floor of 12 on the second revision")
    assert thumbs.floor(first) == "10"
    assert {one.object.name for one in rig.effects()} == {first, second}
    # all of it has: the first one's goes back
    thumbs.route(thumbs_00002=100)
    rig.until(lambda: thumbs.is_bare(first), "the first one's floor given back", 60)
    assert thumbs.floor(second) == "12"
    # rolled back by traffic, while the second is the newest for ever
    thumbs.route(thumbs_00001=100)
    rig.until(lambda: thumbs.floor(first) == "12", "a floor on the first revision again")
    rig.until(lambda: thumbs.is_bare(second), "the second one's floor given back", 60)
    assert {event.resource for event in rig.writes()} == {"podautoscalers"}
    rig.check()
