"""metrics.k8s.io/v1beta1: the CPU and memory use of the pods, in the shape of metrics-server.

It stands behind the API server's aggregation layer, which asks who calls and what they may; here nobody is asked, so
it listens on loopback alone.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from aiops.core.model import Instant
from simulators.emulator.faults import Surface
from simulators.emulator.fleet import Fleet
from simulators.emulator.pods import Pod
from simulators.emulator.selectors import Selector
from simulators.emulator.workload import Shown, Workload

GROUP, VERSION = "metrics.k8s.io", "v1beta1"
_GROUP_VERSION = f"{GROUP}/{VERSION}"
_BASE = f"/apis/{_GROUP_VERSION}"
_HERE = {"groupVersion": _GROUP_VERSION, "version": VERSION}
_GROUP = {"name": GROUP, "versions": [_HERE], "preferredVersion": _HERE}
_RESOURCES = [
    {"name": "nodes", "singularName": "", "namespaced": False, "kind": "NodeMetrics", "verbs": ["get", "list"]},
    {"name": "pods", "singularName": "", "namespaced": True, "kind": "PodMetrics", "verbs": ["get", "list"]},
]
_DOCUMENTS: dict[str, dict[str, Any]] = {
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_GROUP]},
    f"/apis/{GROUP}": {"kind": "APIGroup", "apiVersion": "v1", **_GROUP},
    _BASE: {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": _GROUP_VERSION, "resources": _RESOURCES},
    "/openapi/v2": {"swagger": "2.0", "info": {"title": "emulator", "version": VERSION}, "paths": {}},
    "/openapi/v3": {"paths": {}},
}


class ResourceMetrics:
    """Answers from a fleet as it is at each request."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def application(self) -> Starlette:
        """Return the web application."""
        fixed = [Route(path, _fixed(document)) for path, document in _DOCUMENTS.items()]
        healthy = [Route(path, _healthy) for path in ("/healthz", "/livez", "/readyz")]
        asked = [
            Route(f"{_BASE}/pods", self.pods),
            Route(f"{_BASE}/namespaces/{{namespace}}/pods", self.pods),
            Route(f"{_BASE}/namespaces/{{namespace}}/pods/{{name}}", self.pod),
            Route(f"{_BASE}/nodes", self.nodes),
            Route(f"{_BASE}/nodes/{{name}}", self.node),
        ]
        return Starlette(routes=[*fixed, *healthy, *asked], exception_handlers={404: _no_path})

    async def pods(self, request: Request) -> Response:
        """Return the use of pods that a label selector chooses."""
        try:
            selector = Selector.parse(request.query_params.get("labelSelector", ""))
        except ValueError as err:
            return _status(400, "BadRequest", str(err))
        items = [
            _pod_metrics(pod, one, shown, self._fleet.window_s)
            for pod, one, shown in self._seen(request.path_params.get("namespace"))
            if selector.holds(pod.labels)
        ]
        return _json({"kind": "PodMetricsList", "apiVersion": _GROUP_VERSION, "metadata": {}, "items": items})

    async def pod(self, request: Request) -> Response:
        """Return the use of one pod."""
        name = request.path_params["name"]
        for pod, one, shown in self._seen(request.path_params["namespace"]):
            if pod.name == name:
                return _json(_pod_metrics(pod, one, shown, self._fleet.window_s))
        return _status(404, "NotFound", f'podmetrics.metrics.k8s.io "{name}" not found')

    async def nodes(self, _: Request) -> Response:
        """Return the use of every node that has pods of the workloads."""
        return _json(
            {"kind": "NodeMetricsList", "apiVersion": _GROUP_VERSION, "metadata": {}, "items": self._node_metrics()}
        )

    async def node(self, request: Request) -> Response:
        """Return the use of one node."""
        name = request.path_params["name"]
        for item in self._node_metrics():
            if item["metadata"]["name"] == name:
                return _json(item)
        return _status(404, "NotFound", f'nodemetrics.metrics.k8s.io "{name}" not found')

    def _seen(self, namespace: str | None) -> Iterator[tuple[Pod, Workload, Shown]]:
        for one in self._fleet.workloads.values():
            shown = one.shown(Surface.KUBERNETES) if namespace in (None, one.spec.namespace) else None
            if shown is not None:
                for pod in one.book.pods:
                    yield pod, one, shown

    def _node_metrics(self) -> list[dict[str, Any]]:
        use: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
        for pod, one, shown in self._seen(None):
            so_far = use[pod.node]
            so_far[0] += shown.use_ratio * pod.cpu_cores if pod.ready else 0.0
            so_far[1] += one.spec.memory * len(pod.containers)
            so_far[2] = max(so_far[2], shown.at)
        return [
            {"metadata": {"name": name}, **_when(at, self._fleet.window_s), "usage": _usage(cores, memory)}
            for name, (cores, memory, at) in use.items()
            if name
        ]


def _pod_metrics(pod: Pod, one: Workload, shown: Shown, window_s: float) -> dict[str, Any]:
    use_ratio = shown.use_ratio if pod.ready else 0.0
    containers = [
        {"name": container.name, "usage": _usage(use_ratio * container.cpu_cores, one.spec.memory)}
        for container in pod.containers
    ]
    return {
        "kind": "PodMetrics",
        "apiVersion": _GROUP_VERSION,
        "metadata": {"name": pod.name, "namespace": pod.namespace, "labels": dict(pod.labels)},
        **_when(shown.at, window_s),
        "containers": containers,
    }


def _when(at: Instant, window_s: float) -> dict[str, str]:
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"timestamp": stamp, "window": f"{window_s:g}s"}


def _usage(cpu_cores: float, memory_bytes: float) -> dict[str, str]:
    return {"cpu": f"{round(cpu_cores * 1e9)}n", "memory": f"{round(memory_bytes / 1024)}Ki"}


def _fixed(document: dict[str, Any]) -> Any:
    async def answer(_: Request) -> Response:
        return _json(document)

    return answer


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok")


async def _no_path(request: Request, _: Exception) -> Response:
    return _status(404, "NotFound", f"the server could not find {re.sub('[^ -~]', '?', request.url.path)}")


def _json(document: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, media_type="application/json")


def _status(code: int, reason: str, message: str) -> Response:
    document = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return _json({**document, "message": message, "reason": reason, "code": code}, code)
