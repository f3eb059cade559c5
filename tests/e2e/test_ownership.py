"""Whoever owns a field on the real API server is not fought: by name, by mark, by a write after ours (S4)."""

from __future__ import annotations

from typing import Any

import pytest

from aiops.core.model import Reason
from tests.e2e.emulated import hpa
from tests.e2e.rig import Rig, scaling_policy

DEPLOYMENT = "apps/v1"


def held(rig: Rig, reason: Reason) -> dict[str, Any]:
    """Return the decision that holds for a reason, and see that nothing at all was written."""
    row = rig.until(lambda: next(iter(rig.decisions(reason=reason.value)), None), f"a decision with {reason.value}")
    assert rig.writes() == []
    return dict(row)


def replicas_by(rig: Rig, path: str, manager: str, replicas: int = 4) -> None:
    """Let another controller apply the replicas, as Argo CD, Flux and KEDA do: under its own field manager."""
    name = path.rpartition("/")[2]
    body = {
        "apiVersion": DEPLOYMENT,
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": rig.namespace},
        "spec": {"replicas": replicas},
    }
    query = f"?fieldManager={manager}&force=true"
    rig.plane.api("PATCH", f"{path}{query}", body, "application/apply-patch+yaml")


@pytest.mark.parametrize("manager", ["argocd-controller", "kustomize-controller", "helm-controller", "keda-operator"])
def test_replicas_that_a_controller_applies_are_left_to_it_by_name_s4(rig: Rig, deploy, manager):
    path = deploy(replicas=4)
    replicas_by(rig, path, manager)
    rig.demand(440.0)
    rig.policy(scaling_policy(rig.namespace))
    rig.daemon()
    row = held(rig, Reason.OWNED)
    assert manager in row["story"]
    assert rig.replicas(path) == 4


def test_replicas_that_an_hpa_steers_are_left_to_it_s4(rig: Rig, deploy):
    deploy(replicas=4)
    rig.plane.apply(hpa(rig.namespace, 50))
    rig.demand(440.0)
    rig.policy(scaling_policy(rig.namespace))
    rig.daemon()
    assert "HPA checkout steers the replicas" in held(rig, Reason.OWNED)["story"]


MARKS: dict[str, dict[str, Any]] = {
    "keda": {"labels": {"scaledobject.keda.sh/name": "checkout"}},
    "argo-cd": {"annotations": {"argocd.argoproj.io/tracking-id": "shop:autoscaling/HorizontalPodAutoscaler:x/y"}},
    "flux": {"labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}},
}


@pytest.mark.parametrize("owner", MARKS)
def test_the_floor_of_an_hpa_that_another_tool_makes_is_left_alone_s4(rig: Rig, deploy, owner):
    deploy(replicas=4)
    made = hpa(rig.namespace, 50)
    made["metadata"].update(MARKS[owner])
    rig.plane.apply(made)
    rig.demand(440.0)
    rig.policy(scaling_policy(rig.namespace, lever="hpa-floor"))
    rig.daemon()
    assert owner in held(rig, Reason.OWNED)["story"]


def test_an_hpa_that_keda_owns_is_left_alone_by_its_owner_reference_s4(rig: Rig, deploy):
    deploy(replicas=4)
    made = hpa(rig.namespace, 50)
    owner = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": "checkout", "uid": "0000-keda"}
    made["metadata"]["ownerReferences"] = [owner]
    rig.plane.apply(made)
    rig.demand(440.0)
    rig.policy(scaling_policy(rig.namespace, lever="hpa-floor"))
    rig.daemon()
    assert "keda" in held(rig, Reason.OWNED)["story"]


def test_a_persons_kubectl_scale_after_ours_makes_the_loop_yield_s4(rig: Rig, deploy):
    """A write through /scale leaves no time behind: that the field was ours and is not any more must tell it."""
    path = deploy(replicas=4)
    rig.demand(330.0)
    rig.policy(scaling_policy(rig.namespace, manualOverride="12s"))
    daemon = rig.daemon()
    rig.until(lambda: rig.replicas(path) == 7, "7 replicas")
    rig.until(lambda: any("steady 7" in one for one in daemon.sentences()), "the loop to see them")
    rig.plane.kubectl("scale", "-n", rig.namespace, "deployment/checkout", "--replicas=12")
    row = rig.until(lambda: next(iter(rig.decisions(reason="manual_override")), None), "the loop to yield")
    assert "somebody wrote replicas after us" in row["story"]
    assert rig.replicas(path) == 12
    rig.until(lambda: rig.replicas(path) == 7, "the loop to come back when the time is over", 40)
    rig.check()


def test_a_restart_does_not_forget_to_yield_s4_s6(rig: Rig, deploy):
    path = deploy(replicas=4)
    rig.demand(330.0)
    rig.policy(scaling_policy(rig.namespace))
    first = rig.daemon()
    rig.until(lambda: rig.replicas(path) == 7, "7 replicas")
    rig.until(lambda: any("steady 7" in one for one in first.sentences()), "the loop to see them")
    first.process.term()
    rig.plane.kubectl("scale", "-n", rig.namespace, "deployment/checkout", "--replicas=12")
    second = rig.daemon("b")
    rig.until(lambda: rig.decisions(reason="manual_override"), "the successor to yield")
    said = len(second.sentences())
    rig.until(lambda: len(second.sentences()) > said + 3, "some turns")
    assert rig.replicas(path) == 12
    rig.check()


def test_what_a_person_scaled_to_zero_stays_off_s4(rig: Rig, deploy):
    path = deploy(replicas=4)
    rig.plane.kubectl("scale", "-n", rig.namespace, "deployment/checkout", "--replicas=0")
    rig.demand(440.0)
    rig.policy(scaling_policy(rig.namespace))
    rig.daemon()
    held(rig, Reason.SWITCHED_OFF)
    assert rig.replicas(path) == 0


def test_a_namespace_that_did_not_opt_in_is_not_written_s3(rig: Rig, deploy):
    deploy(replicas=4)
    rig.plane.patch(f"/api/v1/namespaces/{rig.namespace}", {"metadata": {"labels": {"policy.aiops/managed": None}}})
    rig.demand(440.0)
    rig.policy(scaling_policy(rig.namespace))
    rig.daemon()
    held(rig, Reason.NOT_OPTED_IN)
