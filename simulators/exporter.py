"""The world's metrics as Prometheus scrapes them: live over HTTP, and its past as OpenMetrics for a backfill."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from aiops.core.model import Instant
from simulators.world import Service, World

EDGES = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 10.0)
_Z95 = 1.6448536269514722


@dataclass(slots=True)
class _Totals:
    """Counters of one service since the process began."""

    served: float = 0.0
    failed: float = 0.0
    below: list[float] = field(default_factory=lambda: [0.0] * len(EDGES))


class Exporter:
    """Serves `/metrics` of a world. `note()` is called after each step of the world; scrapes see the last one."""

    def __init__(self, world: World, host: str = "127.0.0.1", port: int = 0) -> None:
        self._world = world
        self._totals = {key: _Totals() for key in world.services}
        self._text = ""
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the standard library's name
                body = exporter._text.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the standard library's name
                """Log nothing."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="exporter", daemon=True)

    @property
    def address(self) -> str:
        """Return `host:port`."""
        host, port = self._server.server_address[:2]
        return f"{host!s}:{port}"

    def start(self) -> None:
        """Serve in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    def note(self) -> None:
        """Count what the last step of the world did."""
        lines = ["# TYPE http_requests_total counter"]
        durations = ["# TYPE http_request_duration_seconds histogram"]
        for key, service in self._world.services.items():
            totals = self._totals[key]
            _count(service, totals)
            labels = f'namespace="{service.spec.namespace}",service="{service.spec.name}"'
            lines.append(f'http_requests_total{{{labels},code="200"}} {totals.served}')
            lines.append(f'http_requests_total{{{labels},code="500"}} {totals.failed}')
            durations += _histogram(labels, totals)
        self._text = "\n".join([*lines, *durations]) + "\n"


def past(world: World, seconds: float, step_s: float) -> Iterator[str]:
    """Yield OpenMetrics text of what was before the world began: the request counters of every service."""
    yield "# TYPE http_requests counter\n"
    times = np.asarray(np.arange(world.start - seconds, world.start, step_s), np.float64)
    for service in world.services.values():
        counted = np.cumsum(service.load.rates(times) * step_s)
        labels = f'namespace="{service.spec.namespace}",service="{service.spec.name}",code="200"'
        for at, total in zip(times.tolist(), counted.tolist(), strict=True):
            yield f"http_requests_total{{{labels}}} {total:.3f} {at:.3f}\n"
    yield "# EOF\n"


def _count(service: Service, totals: _Totals) -> None:
    last = service.last
    if last is None:
        return
    totals.served += last.served
    totals.failed += last.failed
    answered = last.served + last.failed
    for place, edge in enumerate(EDGES):
        totals.below[place] += answered * share_below(edge, last.p50_s, last.p95_s)


def share_below(edge: float, p50_s: Instant, p95_s: Instant) -> float:
    """Return the share of a lognormal with this median and 95th percentile that lies below `edge`."""
    if math.isnan(p50_s) or p50_s <= 0 or p95_s <= p50_s:
        return 1.0 if edge >= (p50_s if p50_s > 0 else 0.0) else 0.0
    z = math.log(edge / p50_s) / (math.log(p95_s / p50_s) / _Z95)
    return 0.5 * (1.0 + math.erf(z / math.sqrt(2.0)))


def _histogram(labels: str, totals: _Totals) -> list[str]:
    every = totals.served + totals.failed
    name = "http_request_duration_seconds"
    lines = [f'{name}_bucket{{{labels},le="{edge}"}} {n}' for edge, n in zip(EDGES, totals.below, strict=True)]
    return [*lines, f'{name}_bucket{{{labels},le="+Inf"}} {every}', f"{name}_count{{{labels}}} {every}"]
