"""An emulator's fleet without a cluster, whose clock the test moves."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import orjson
from prometheus_client.parser import text_string_to_metric_families

from simulators.emulator import EmulatorConfig, page
from simulators.emulator.faults import FAULT
from simulators.emulator.fleet import Fleet
from simulators.emulator.resource import ResourceMetrics

START = 1_780_000_000.0
CHECKOUT = {
    "namespace": "shop",
    "service": "checkout",
    "selector": "app=checkout",
    "capacity": 50,
    "serviceTime": "50ms",
    "timeout": "2s",
}
BASE = "/apis/metrics.k8s.io/v1beta1"


def config(**changes: Any) -> EmulatorConfig:
    made = {"kubernetes": {"kubeconfig": "k"}, "workloads": [{**CHECKOUT, "load": 100}]}
    return EmulatorConfig.model_validate({**made, **changes})


def pod(number: int, *, ready: bool = True, cpu: str | None = "200m", **metadata: Any) -> dict[str, Any]:
    resources = {"requests": {"cpu": cpu}} if cpu else {}
    return {
        "metadata": {"name": f"p{number}", "namespace": "shop", "labels": {"app": "checkout"}, **metadata},
        "spec": {"nodeName": "node-1", "containers": [{"name": "main", "resources": resources}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}]},
    }


def route(*weights: tuple[str, int | None]) -> dict[str, Any]:
    refs = [{"name": name, **({} if weight is None else {"weight": weight})} for name, weight in weights]
    return {"metadata": {"name": "front", "namespace": "shop"}, "spec": {"rules": [{"backendRefs": refs}, {}]}}


class Living:
    """A fleet whose clock the test moves."""

    def __init__(self, made: EmulatorConfig, pods: int = 4, folder: Path = Path()) -> None:
        self.fleet = Fleet(made, folder, START)
        self.now = START
        self.pods(pods)

    def pods(self, count: int, key: str = "shop/checkout") -> None:
        self.fleet.workloads[key].book.replace([pod(number) for number in range(count)])

    def live(self, seconds: float, step_s: float = 0.5) -> None:
        end = self.now + seconds
        while self.now < end - 1e-9:
            self.now += step_s
            self.fleet.step(self.now)

    def samples(self, name: str, **labels: str) -> list[float]:
        found = []
        for family in text_string_to_metric_families(page.text(self.fleet, True)):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    found.append(sample.value)
        return found

    def value(self, name: str, **labels: str) -> float:
        (only,) = self.samples(name, **labels)
        return only

    def fault(self, said: Any) -> None:
        self.fleet.set_fault("shop/checkout", None if said is None else FAULT.validate_python(said))

    def ask(self, path: str) -> Any:
        return ask(ResourceMetrics(self.fleet).application(), "GET", path)[1]


def ask(application: Any, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    async def once() -> tuple[int, Any]:
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url="http://e") as client:
            answer = await client.request(method, path, content=None if body is None else orjson.dumps(body))
            is_json = "json" in answer.headers.get("content-type", "")
            return answer.status_code, answer.json() if is_json else answer.text

    return asyncio.run(once())
