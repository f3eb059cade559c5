"""An emulator as a process beside a test: what the fake pods of a namespace would show under a load."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulators.emulator import (
    Addresses,
    EmulatorClient,
    EmulatorConfig,
    apiservice_objects,
    permission_objects,
    server_names,
)
from tests.e2e.cluster import ControlPlane
from tests.e2e.processes import Process, eventually

ROOT = Path(__file__).parents[2]
CAPACITY_RPS = 50.0
APISERVICE = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io"


class Emulated:
    """An emulator as a process of its own, as a user who may read pods and routes and nothing else."""

    def __init__(self, plane: ControlPlane, namespace: str, folder: Path) -> None:
        self.plane, self.namespace, self.folder = plane, namespace, folder
        self.client: EmulatorClient
        self.process: Process

    def start(self, *services: str, group: dict[str, Any] | None = None) -> None:
        pair = self.plane.authority.issue(f"emulator-{self.namespace}", names=server_names())
        workloads = [
            {
                "namespace": self.namespace,
                "service": service,
                "selector": f"app={service}",
                "capacity": CAPACITY_RPS,
            }
            for service in services
        ]
        config = {
            "kubernetes": {"kubeconfig": str(self.plane.kubeconfig("emulator"))},
            "tls": {"certificate": str(pair.cert), "key": str(pair.key), "clientCa": str(self.plane.ca)},
            "step": "200ms",
            "window": "3s",
            "workloads": workloads,
            "groups": [] if group is None else [group],
        }
        checked = EmulatorConfig.model_validate(config)
        self.plane.apply(*permission_objects(checked, {"kind": "User", "name": "emulator"}))
        path, log = self.folder / "emulator.json", self.folder / "emulator.log"
        path.write_text(json.dumps(config))
        command = [sys.executable, "-m", "simulators.emulator", "--config", str(path)]
        self.process = Process(command, log=log, cwd=ROOT)
        said = eventually(self.process.log_lines, 20.0, "the emulator's addresses", self.process)[0]
        self.client = EmulatorClient(Addresses(**said))
        eventually(self.client.ready, 20.0, "the pods to be known", self.process)

    def stop(self) -> None:
        self.client.close()
        begun = time.monotonic()
        code = self.process.term(5.0)
        assert code == 0, self.process.tail()
        assert time.monotonic() - begun < 4.0

    def load(self, rps: float, name: str = "checkout") -> None:
        self.client.load(self.namespace, name, rps)

    def value(self, name: str, **labels: str) -> float:
        found = self.client.samples(name, **labels)
        assert len(found) == 1, f"{name} {labels}: {found}"
        return found[0]

    def until(self, look: Callable[[], Any], what: str, within_s: float = 60.0) -> Any:
        return eventually(look, within_s, what, self.process)

    def until_ready(self, count: int, service: str = "checkout", within_s: float = 60.0) -> None:
        said = f"{count} ready pods of {service}"
        self.until(lambda: self.value("emulator_ready_pods", service=service) == count, said, within_s)


def register(plane: ControlPlane, one: Emulated) -> None:
    """Put an emulator behind the aggregation layer, so that a stock HPA has something to read."""
    address = one.client.addresses.kubernetes_metrics
    assert address is not None
    plane.apply(*apiservice_objects(int(address.rpartition(":")[2]), plane.ca.read_text()))

    def available() -> bool:
        conditions = plane.api("GET", APISERVICE).get("status", {}).get("conditions", [])
        return any(each["type"] == "Available" and each["status"] == "True" for each in conditions)

    one.until(available, "metrics.k8s.io to be available")


def unregister(plane: ControlPlane) -> None:
    """Take it away again."""
    plane.delete(APISERVICE)
    plane.delete("/api/v1/namespaces/kube-system/services/emulated-metrics")


def is_active(plane: ControlPlane, path: str) -> bool:
    """Return whether an HPA can scale: it has something to read."""
    conditions = plane.api("GET", path).get("status", {}).get("conditions", [])
    return any(one["type"] == "ScalingActive" and one["status"] == "True" for one in conditions)


def hpa(namespace: str, percent: int, name: str = "checkout", least: int = 2, most: int = 20) -> dict[str, Any]:
    """Return an HPA that keeps the CPU use of a Deployment's pods at a percentage."""
    target = {"type": "Utilization", "averageUtilization": percent}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": least,
            "maxReplicas": most,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }
