"""What the adapter adds to the bare HTTP query, over 1,000 watched series of a real Prometheus on loopback."""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from aiops.adapters.prometheus import PrometheusOptions, PrometheusSource
from aiops.core.bank import Bank
from aiops.policy import parse
from tests.integration.prometheus_server import running_prometheus

SERIES, ROUNDS = 1_000, 40
POLICY = """
apiVersion: policy.aiops/v1alpha1
kind: WatchPolicy
metadata: {name: many}
spec: {query: bench_load, identity: [pod], history: 1h}
"""


class Metrics(BaseHTTPRequestHandler):
    """A thousand gauges."""

    def do_GET(self) -> None:
        """Answer a scrape."""
        now = time.time()
        body = "".join(f'bench_load{{pod="p{n}"}} {n + now % 7}\n' for n in range(SERIES)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Log nothing."""


def timed(run: Callable[[], object]) -> float:
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    policies = parse(POLICY, "bench")
    queries = tuple(policy.query for policy in policies.watches)
    with tempfile.TemporaryDirectory() as folder:
        target = f"127.0.0.1:{server.server_address[1]}"
        with running_prometheus(Path(folder), target) as url:
            source = PrometheusSource(PrometheusOptions(url=url))
            bank = Bank(policies)
            bare = f"{url}/api/v1/query?{urllib.parse.urlencode({'query': 'bench_load'})}"

            def http() -> int:
                with urllib.request.urlopen(bare) as answer:
                    return len(answer.read())

            def read() -> int:
                return len(source.read((), queries, time.time()).frame.index)

            def turn() -> int:
                frame = source.read((), queries, time.time()).frame
                return len(bank.perceive(frame, {}, policies).findings)

            while read() < SERIES:
                time.sleep(0.5)
            named = (("bare HTTP query", http), ("adapter's read", read), ("read and perceive", turn))
            rows = [(name, timed(run)) for name, run in named]
            source.close()
    server.shutdown()
    print(f"{SERIES:,} series, median of {ROUNDS}")
    print(f"{'what':<22}{'ms':>8}{'of the bare query':>20}")
    for name, seconds in rows:
        print(f"{name:<22}{seconds * 1e3:>8.2f}{seconds / rows[0][1]:>20.2f}")


if __name__ == "__main__":
    main()
