"""A small shop: its past, as the text that promtool makes blocks of, and its `/metrics` from then on."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import accumulate

STEP_S = 15
DAYS = 0.5
CARRIES_RPS = 60.0
BOUNDS_S = (0.05, 0.1, 0.25, 0.5)


def demand_rps(at: float, peak: float) -> float:
    """Return what comes in: a day's wave with ripples."""
    hour = at / 3600.0
    return peak * (0.6 - 0.4 * math.cos(2 * math.pi * hour / 24)) * (1 + 0.05 * math.sin(hour * 7))


def replicas(rps: float) -> int:
    """Return how many an HPA at 70 % would run."""
    return max(2, math.ceil(rps / (0.7 * CARRIES_RPS)))


def past(days: float = DAYS) -> Iterator[str]:
    """Yield OpenMetrics text up to now, family by family."""
    now = math.floor(time.time() / STEP_S) * STEP_S
    times = [now - days * 86400 + STEP_S * step for step in range(int(days * 86400 / STEP_S) + 1)]
    peaks = {"checkout": 400.0, "web": 200.0, "frontend": 800.0}
    loads = {name: [demand_rps(at, peak) for at in times] for name, peak in peaks.items()}
    yield from _requests(times, loads)
    yield from _latency(times, loads)
    yield from _replicas(times, loads)
    yield "# EOF\n"


def _requests(times: list[float], loads: dict[str, list[float]]) -> Iterator[str]:
    yield "# TYPE http_requests counter\n"
    for name, rates in loads.items():
        for code, share in (("200", 0.999), ("500", 0.001)):
            for at, total in zip(times, accumulate(rate * STEP_S * share for rate in rates), strict=True):
                yield f'http_requests_total{{namespace="shop",service="{name}",code="{code}"}} {total:.1f} {at:.0f}\n'


def _latency(times: list[float], loads: dict[str, list[float]]) -> Iterator[str]:
    """Yield a histogram of exponential service times that grow with the use of what runs."""
    yield "# TYPE http_request_duration_seconds histogram\n"
    for name, rates in loads.items():
        below = [0.0] * (len(BOUNDS_S) + 1)
        for at, rate in zip(times, rates, strict=True):
            mean_s = 0.02 / (1.0 - min(rate / (replicas(rate) * CARRIES_RPS), 0.95))
            for place, bound in enumerate((*BOUNDS_S, math.inf)):
                below[place] += rate * STEP_S * (1 - math.exp(-bound / mean_s))
                le = "+Inf" if math.isinf(bound) else f"{bound:g}"
                labels = f'namespace="shop",service="{name}",le="{le}"'
                yield f"http_request_duration_seconds_bucket{{{labels}}} {below[place]:.1f} {at:.0f}\n"


def _replicas(times: list[float], loads: dict[str, list[float]]) -> Iterator[str]:
    for metric in ("status_replicas", "status_replicas_ready", "spec_replicas"):
        yield f"# TYPE kube_deployment_{metric} gauge\n"
        for name, rates in loads.items():
            for at, rate in zip(times, rates, strict=True):
                yield f'kube_deployment_{metric}{{namespace="shop",deployment="{name}"}} {replicas(rate)} {at:.0f}\n'


OPEN_RPS = 340.0
"""What comes in from now on, of checkout."""


@contextmanager
def open_shop() -> Iterator[str]:
    """Serve the metrics of the shop on loopback; yields the address."""
    began = time.time()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            total = OPEN_RPS * (time.time() - began)
            labels = 'namespace="shop",service="checkout",code="200"'
            body = f"# TYPE http_requests counter\nhttp_requests_total{{{labels}}} {total:.3f}\n".encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
