"""A daemon with the permissions that `aiops rbac` prints moves a share to spot nodes on a real API server, and back.

Scheduler and controllers are Kubernetes' own; nodes and pods are KWOK's. Who takes spot nodes away is the test.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aiops.core.model import PlanStatus
from tests.e2e.cluster import ControlPlane, fake_node
from tests.e2e.grants import denied
from tests.e2e.rig import Rig
from tests.e2e.test_pack import plans, whole

CAPACITY = "karpenter.sh/capacity-type"
PRICES = """
currency: USD
entries:
  - {capacity: on-demand, coreHour: 0.04, gibHour: 0.004}
  - {capacity: spot, coreHour: 0.012, gibHour: 0.0012}
"""


def policy(namespace: str, **more: Any) -> dict[str, Any]:
    """Return a CostPolicy with `spot`: quick to act, for a test."""
    spot = {"lostReplicaHour": 0.001, "step": "100%", "every": "60s", "watchFor": "2s", "replaceWithin": "30s", **more}
    metadata = {"name": "spot", "namespace": namespace}
    spec = {"mode": "enforce", "target": {"name": "checkout"}, "spot": spot}
    return {"apiVersion": "policy.aiops/v1alpha1", "kind": "CostPolicy", "metadata": metadata, "spec": spec}


@pytest.fixture
def spots(plane: ControlPlane) -> Iterator[list[str]]:
    """Two spot nodes in two zones, on which only what tolerates them runs."""
    names = ["spot-0", "spot-1"]
    for number, name in enumerate(names):
        made = fake_node(name, f"zone-{number}")
        made["metadata"]["labels"] |= {CAPACITY: "spot"}
        made["spec"] = {"taints": [{"key": "spot", "value": "true", "effect": "NoSchedule"}]}
        plane.apply(made)
    yield names
    for name in names:
        plane.kubectl("delete", "node", name, "--ignore-not-found")


def _companion(deploy: Callable[..., str]) -> str:
    """Make the companion: the same pods, on spot nodes alone."""
    labels = {"app": "checkout-spot"}
    container = {"name": "main", "image": "none", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}
    spec = {
        "containers": [container],
        "terminationGracePeriodSeconds": 1,
        "nodeSelector": {CAPACITY: "spot"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
    }
    metadata = {"labels": labels, "annotations": {"e2e.aiops/ready-after": "1s"}}
    return deploy("checkout-spot", replicas=0, template={"metadata": metadata, "spec": spec})


@pytest.mark.timeout(400)
def test_a_share_moves_and_is_back_at_once_when_spot_nodes_are_taken_away_s4_s7_s10(
    rig: Rig, spots: list[str], deploy: Callable[..., str]
) -> None:
    base, companion = deploy(replicas=8), _companion(deploy)
    prices = rig.folder / "prices.yaml"
    prices.write_text(PRICES)
    rig.until(whole(rig, base), "the pods", 60.0)
    rig.policy(policy(rig.namespace))
    first = rig.daemon(prices={"list": str(prices)})
    rig.until(lambda: rig.replicas(companion) == 3, "the companion to grow", 90.0)
    first.process.kill9()  # wherever it is: what is done can be told from the objects
    rig.daemon("b", prices={"list": str(prices)})
    rig.until(lambda: (rig.replicas(base), rig.replicas(companion)) == (5, 3), "the base to give up as many", 90.0)
    rig.until(lambda: plans(rig)[0].status is PlanStatus.DONE, "the plan to end", 60.0)
    notes = rig.plane.api("GET", companion)["metadata"]["annotations"]
    assert json.loads(notes["policy.aiops/spot"]) == {"set": 3, "home": 0}
    assert rig.plane.api("GET", base)["metadata"]["annotations"]["policy.aiops/on-spot"] == "3"
    for name in spots:
        rig.plane.kubectl("delete", "node", name)
    rig.until(lambda: rig.replicas(base) == 8, "everything to be asked for on demand", 30.0)
    rig.until(lambda: rig.replicas(companion) == 0 and whole(rig, base)(), "everything to run on demand", 90.0)
    rig.until(lambda: plans(rig)[0].status is PlanStatus.ROLLED_BACK, "the plan to be taken back", 60.0)
    assert rig.decisions(reason="storm") or any("taken away" in note.text for note in plans(rig)[0].notes)
    assert denied(rig.audit()) == []
