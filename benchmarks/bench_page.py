"""How long a page takes over loopback with many policies and decisions stored: the first view, and every page's HTML.

CPU: of server and client together, which a busy machine does not change; the other times it does.

PYTHONPATH=. python benchmarks/bench_page.py [--policies 1000] [--decisions 100000] [--browser]
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

from aiops.adapters.store import Store
from aiops.app.service import Service
from aiops.web.locks.doors import Doors
from aiops.web.locks.rates import Rates
from aiops.web.server import WebServer
from tests import page_store

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROUNDS = 15
VIEWS = 7
ASSETS = (
    "/static/saying.js", "/static/charts.js", "/static/page.js", "/static/vendor/htmx.min.js",
    "/static/vendor/idiomorph-ext.min.js", "/static/vendor/uPlot.iife.min.js",
)  # fmt: skip
KEY = "ScalingPolicy/team-07/service-0007"
PATHS = {
    "overview": "/",
    "policies": "/policies",
    "policies, searched": "/policies?q=team-07",
    "a policy": f"/policies/{KEY}",
    "its curve": f"/api/v1/timeline?policy={KEY}&hours=1",
    "decisions": "/decisions",
    "decisions of one policy": f"/decisions?policy={KEY}",
    "decisions by verdict": "/decisions?verdict=deny",
    "decisions by reason": "/decisions?reason=none_such",
    "decisions by words, none fits": "/decisions?text=none+such",
    "incidents": "/incidents",
    "approvals": "/approvals",
    "plans": "/plans",
    "effects": "/effects",
    "audit": "/audit",
    "cost": "/cost",
    "models": "/models",
    "rehearsals": "/rehearsals",
    "status, as JSON": "/api/v1/status",
}


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--policies", type=int, default=1000)
    asked.add_argument("--decisions", type=int, default=100_000)
    asked.add_argument("--browser", action="store_true", help="Ask a real browser, too (Debian's chromium).")
    how = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "aiops.db"
        store = page_store.small(path)
        began = time.perf_counter()
        page_store.grow(store, how.policies, how.decisions)
        counts = store.reader.status()["stored"]
        size = sum(one.stat().st_size for one in Path(folder).iterdir())
        print(f"{how.policies} policies, {counts['decisions']} decisions, {size / 1e6:.0f} MB, made in "
              f"{time.perf_counter() - began:.0f} s")  # fmt: skip
        measured(store)
        if how.browser:
            seen(store)
        store.close()


def measured(store: Store) -> None:
    server = WebServer(Service(store), ("127.0.0.1", 0), Doors(rates=Rates(), hosts=frozenset()))
    server.start()
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    print(f"\n{'page':<32}{'status':>7}{'kB':>8}{'first ms':>10}{'median ms':>11}{'worst ms':>10}{'CPU ms':>9}")
    for name, path in PATHS.items():
        used = time.process_time()
        took = [_asked(connection, path) for _ in range(ROUNDS)]
        used = (time.process_time() - used) * 1e3 / ROUNDS
        times = [one[0] for one in took]
        print(f"{name:<32}{took[0][2]:>7}{took[0][1] / 1e3:>8.1f}{times[0]:>10.1f}{statistics.median(times):>11.1f}"
              f"{max(times):>10.1f}{used:>9.1f}")  # fmt: skip
    first = sum(_asked(connection, path)[0] for path in ("/", *ASSETS))
    print(f"\nthe overview and all it is made of, one after the other: {first:.0f} ms")
    server.stop(5)


def _asked(connection: http.client.HTTPConnection, path: str) -> tuple[float, int, int]:
    began = time.perf_counter()
    connection.request("GET", path, headers={"Accept": "text/html"})
    answer = connection.getresponse()
    size = len(answer.read())
    return (time.perf_counter() - began) * 1e3, size, answer.status


def seen(store: Store) -> None:
    """Ask a real browser, its cache empty each time, when the first view stands; beside it a page of one word."""
    from tests.e2e.browser import running_browser

    server = WebServer(Service(store), ("127.0.0.1", 0), Doors())
    server.start()
    bare = HTTPServer(("127.0.0.1", 0), _Bare)
    threading.Thread(target=bare.serve_forever, daemon=True).start()
    with running_browser() as browser:
        shown: dict[str, list[tuple[float, float]]] = {"overview": [], "a page of one word": []}
        for _ in range(VIEWS):
            for name, port in zip(shown, (server.port, bare.server_port), strict=True):
                shown[name].append(_view(browser, port))
    for name, found in shown.items():
        paint, ready = (sorted(one[place] for one in found) for place in (0, 1))
        print(f"in Chromium, {name}: first view {statistics.median(paint):.0f} ms (worst {paint[-1]:.0f}), "
              f"page usable {statistics.median(ready):.0f} ms (worst {ready[-1]:.0f})")  # fmt: skip
    bare.shutdown()
    server.stop(5)


class _Bare(BaseHTTPRequestHandler):
    """What a browser takes for a page in which there is nothing."""

    def do_GET(self) -> None:
        body = b"<!doctype html><title>aiops</title><p>aiops"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _view(browser: Browser, port: int) -> tuple[float, float]:
    """Return when there was something to see, and when the page could be used, in milliseconds."""
    context = browser.new_context()
    page = context.new_page()
    page.wait_for_timeout(500)  # until the new window stands: it is not the page
    page.goto(f"http://127.0.0.1:{port}/", wait_until="load")
    page.wait_for_timeout(300)
    found = page.evaluate(
        "[performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN, "
        "performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd]"
    )
    context.close()
    return float(found[0]), float(found[1])


if __name__ == "__main__":
    main()
