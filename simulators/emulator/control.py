"""What the emulator is told while it runs, on loopback: loads, and what is wrong with the metrics."""

from __future__ import annotations

import math
from typing import Any

import orjson
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from aiops.errors import NotFound
from aiops.policy.document import dotted
from simulators.emulator.faults import FAULT
from simulators.emulator.fleet import Fleet


class Control:
    """`/load/{namespace}/{service}` and `/fault/...` (PUT, DELETE), `/state` and `/readyz` (GET)."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def application(self) -> Starlette:
        """Return the web application."""
        routes = [
            Route("/load/{namespace}/{name}", self.load, methods=["PUT", "DELETE"]),
            Route("/fault/{namespace}/{name}", self.fault, methods=["PUT", "DELETE"]),
            Route("/state", self.state),
            Route("/readyz", self.ready),
        ]
        return Starlette(routes=routes)

    async def load(self, request: Request) -> Response:
        """Set a load in requests per second, or give the configured one back."""
        try:
            rps = None if request.method == "DELETE" else _rate(await request.body())
            self._fleet.set_load(_key(request), rps)
        except ValueError as err:
            return _json({"error": str(err)}, 400)
        except NotFound as err:
            return _json({"error": str(err)}, 404)
        return _json({"requestsPerSecond": rps})

    async def fault(self, request: Request) -> Response:
        """Let a metric fault begin, or end all of a workload's."""
        try:
            fault = None if request.method == "DELETE" else FAULT.validate_python(orjson.loads(await request.body()))
            self._fleet.set_fault(_key(request), fault)
        except ValidationError as err:
            said = [f"{dotted(tuple(e['loc']))}: {e['msg']}".lstrip(": ") for e in err.errors(include_url=False)]
            return _json({"error": "; ".join(said)}, 400)
        except ValueError as err:
            return _json({"error": f"this is no JSON: {err}"}, 400)
        except NotFound as err:
            return _json({"error": str(err)}, 404)
        return _json({"fault": None if fault is None else fault.model_dump(mode="json", by_alias=True)})

    async def state(self, _: Request) -> Response:
        """Return how each workload and group is, whatever is wrong with its metrics."""
        workloads = {
            key: {
                "readyPods": one.book.ready,
                "synced": one.live,
                "offeredRequestsPerSecond": one.last.offered_rps,
                "cpuUtilisation": one.last.use_ratio,
                "queued": one.last.queue,
                "faults": {surface.value: fault.kind for surface, fault in one.faults.items()},
            }
            for key, one in self._fleet.workloads.items()
        }
        groups = {
            key: {"offeredRequestsPerSecond": one.offered_rps, "weights": one.book.weights, "synced": one.book.synced}
            for key, one in self._fleet.groups.items()
        }
        return _json({"workloads": workloads, "groups": groups})

    async def ready(self, _: Request) -> Response:
        """Return 200 once the pods of every workload and every route have been read."""
        workloads, groups = self._fleet.workloads.values(), self._fleet.groups.values()
        done = all(one.live for one in workloads) and all(one.book.synced for one in groups)
        return PlainTextResponse("ok" if done else "not every workload's pods are known", 200 if done else 503)


def _key(request: Request) -> str:
    return f"{request.path_params['namespace']}/{request.path_params['name']}"


def _rate(body: bytes) -> float:
    try:
        value = orjson.loads(body)
    except ValueError as err:
        raise ValueError(f"this is no JSON: {err}") from err
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError("a load is a number of requests per second, 0 or more")
    return float(value)


def _json(document: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(document), status, media_type="application/json")
