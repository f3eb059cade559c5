"""external.metrics.k8s.io/v1beta1: what a stock HPA reads forecasts and anomaly scores from.

It stands behind the API server's aggregation layer, which has asked who calls and what they may before it asks here;
so only its client certificate is answered. An HPA adds up everything that its selector chooses, so a selector that
chooses the same forecast twice, or one part of which is missing, gets an error and no number (S1).
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from aiops.core.pipeline.outlook import METRICS, Missing, Reading, Viewer
from aiops.web.external_metrics_selector import selector

GROUP, VERSION = "external.metrics.k8s.io", "v1beta1"
GROUP_VERSION = f"{GROUP}/{VERSION}"
BASE = f"/apis/{GROUP_VERSION}"
PEER_NAMES = "peer_names"
"""The key of the connection's state under which the server leaves the names of the client's certificate."""

_HERE = {"groupVersion": GROUP_VERSION, "version": VERSION}
_GROUP = {"name": GROUP, "versions": [_HERE], "preferredVersion": _HERE}
_RESOURCES = [
    {"name": name, "singularName": "", "namespaced": True, "kind": "ExternalMetricValueList", "verbs": ["get"]}
    for name in METRICS
]
_DOCUMENTS: Mapping[str, dict[str, Any]] = {
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_GROUP]},
    f"/apis/{GROUP}": {"kind": "APIGroup", "apiVersion": "v1", **_GROUP},
    BASE: {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": GROUP_VERSION, "resources": _RESOURCES},
    "/openapi/v2": {"swagger": "2.0", "info": {"title": "aiops external metrics", "version": VERSION}, "paths": {}},
    "/openapi/v3": {"paths": {}},
}
_SHOWN = 3
"""How many reasons one answer gives."""

_MOST_MILLI = 2**63 - 1
_FUZZ = 1e-6
_REASONS = {400: "BadRequest", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed", 503: "ServiceUnavailable"}


def application(viewer: Viewer, allowed_names: Sequence[str]) -> ASGIApp:
    """Return the application, which answers clients whose certificate has one of these names."""
    fixed = [Route(path, _fixed(document)) for path, document in _DOCUMENTS.items()]
    healthy = [Route(path, _healthy) for path in ("/healthz", "/livez", "/readyz")]

    async def values(request: Request) -> Response:
        asked = request.path_params
        return _values(viewer, asked["namespace"], asked["metric"], request.query_params.get("labelSelector", ""))

    asked = Route(f"{BASE}/namespaces/{{namespace}}/{{metric}}", values)
    handlers = {404: _no_path, 405: _no_method}
    return _Guard(Starlette(routes=[*fixed, *healthy, asked], exception_handlers=handlers), allowed_names)


class _Guard:
    """Answers nobody but the clients that are allowed (S10)."""

    def __init__(self, inner: ASGIApp, allowed_names: Sequence[str]) -> None:
        self._inner = inner
        self._allowed = frozenset(allowed_names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._allowed.isdisjoint(scope.get("state", {}).get(PEER_NAMES, ())):
            refused = _status(403, "only the aggregation layer of the API server is answered here")
            await refused(scope, receive, send)
            return
        await self._inner(scope, receive, send)


# -- values -----------------------------------------------------------------------------------------


def _values(viewer: Viewer, namespace: str, metric: str, wanted: str) -> Response:
    if metric not in METRICS:
        return _status(404, f"there is no metric {_plain(metric)}; there are {', '.join(METRICS)}")
    try:
        chosen = selector(wanted)
    except ValueError as err:
        return _status(400, f"labelSelector: {err}")
    told = viewer.told(metric, namespace, chosen.may_hold)
    found = [one for one in told if isinstance(one, Reading) and chosen.holds(one.labels)]
    missing = [one for one in told if isinstance(one, Missing) and chosen.may_hold(one.labels)]
    if missing:
        return _status(503, _reasons(missing))
    if not found:
        return _status(404, _nothing(metric, namespace, [one.labels for one in viewer.told(metric, namespace)]))
    double = _twice(found)
    if double:
        return _status(400, double)
    items = [_item(one) for one in found]
    return _json({"kind": "ExternalMetricValueList", "apiVersion": GROUP_VERSION, "metadata": {}, "items": items})


def _twice(found: Sequence[Reading]) -> str:
    """Return what is wrong with a selector that chooses one forecast at several quantiles or horizons, else ''."""
    ways: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for one in found:
        for key in ("quantile", "horizon"):
            if key in one.labels:
                ways[one.labels["policy"], one.labels["signal"]][key].add(one.labels[key])
    for (policy, signal), keys in ways.items():
        for key, values in keys.items():
            if len(values) > 1:
                choice = ", ".join(sorted(values))
                many = f"{signal} of {policy} is chosen {len(values)} times, and an HPA would add it up"
                return f"{many}: name one {key} ({choice})"
    return ""


def _reasons(missing: Sequence[Missing]) -> str:
    said = [f"{_named(one.labels)}: {one.why}" for one in missing[:_SHOWN]]
    more = [f"and {len(missing) - _SHOWN} more"] if len(missing) > _SHOWN else []
    return "; ".join([*said, *more])


def _nothing(metric: str, namespace: str, labels: Sequence[Mapping[str, str]]) -> str:
    if not labels:
        return f"no policy of namespace {_plain(namespace)} has {metric}"
    keys = sorted({key for one in labels for key in one})
    known = "; ".join(f"{key}: {', '.join(sorted({one[key] for one in labels if key in one})[:20])}" for key in keys)
    return f"the selector chooses no {metric}; there are {known}"


def _named(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items())


def _item(one: Reading) -> dict[str, Any]:
    item: dict[str, Any] = {
        "metricName": one.metric,
        "metricLabels": dict(one.labels),
        "timestamp": datetime.fromtimestamp(one.as_of, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "value": quantity_text(one.value),
    }
    return {**item, "windowSeconds": round(one.window_s)} if one.window_s else item


def quantity_text(value: float) -> str:
    """Return a number as a Kubernetes quantity, rounded up to thousandths: capacity for too little is the worse error.

    Raises ValueError for what is no number.

    >>> quantity_text(5104.0), quantity_text(0.1414), quantity_text(0.0), quantity_text(-1.5)
    ('5104', '142m', '0', '-1500m')
    """
    if not math.isfinite(value):
        raise ValueError(f"{value} is no quantity")
    milli = math.ceil(value * 1000.0 - _FUZZ)
    if abs(milli) > _MOST_MILLI:
        return f"{value:.9e}"
    return str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"


# -- answers ----------------------------------------------------------------------------------------


def _fixed(document: dict[str, Any]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:
        return _json(document)

    return answer


async def _healthy(_: Request) -> Response:
    return PlainTextResponse("ok")


async def _no_path(request: Request, _: Exception) -> Response:
    return _status(404, f"there is nothing at {_plain(request.url.path)}")


async def _no_method(request: Request, _: Exception) -> Response:
    return _status(405, f"{_plain(request.method)} is not possible here")


def _plain(text: str) -> str:
    return re.sub("[^ -~]", "?", text)[:200]


def _json(document: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, media_type="application/json")


def _status(code: int, message: str) -> Response:
    document = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return _json({**document, "message": message, "reason": _REASONS[code], "code": code}, code)
