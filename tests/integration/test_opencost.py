"""OpenCost: its metrics through a real Prometheus, and its API over HTTP."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from aiops.adapters.prices import OpenCostApi, OpenCostMetrics, OpenCostOptions, unread
from aiops.adapters.prometheus import PrometheusOptions, PrometheusSource
from aiops.core.model import Machine, PodShare, PriceGap, TargetRef
from aiops.core.money.pricing import Given, Stock, book
from aiops.errors import SourceUnavailable
from tests.integration.prometheus_server import running_prometheus

EMPTY = unread("opencost", 1800.0, ("USD", 1.0))
TARGET = TargetRef(namespace="shop", name="checkout")
NODE = Machine(cluster="default", node="a", cores=4.0, memory_gib=16.0)
POD = PodShare(pod="checkout-1", node="a", cores=1.0, memory_gib=2.0)
GIB = 2**30

NODES = 'instance="10.0.0.1",node="a",instance_type="m6i.xlarge",region="eu",provider_id="i-1",arch="amd64",uid="u"'
SHOP = 'namespace="shop",pod="checkout-1",instance="10.0.0.1",node="a",uid="u"'
METRICS = f"""\
node_total_hourly_cost{{{NODES}}} 0.2
node_cpu_hourly_cost{{{NODES}}} 0.03
node_ram_hourly_cost{{{NODES}}} 0.005
node_gpu_hourly_cost{{{NODES}}} 0
container_cpu_allocation{{{SHOP},container="web"}} 1.5
container_cpu_allocation{{{SHOP},container="proxy"}} 0.5
container_memory_allocation_bytes{{{SHOP},container="web"}} {GIB}
container_memory_allocation_bytes{{{SHOP},container="proxy"}} {GIB}
container_gpu_allocation{{{SHOP},container="web"}} 0
"""


@contextmanager
def served(body: bytes, status: int = 200, kind: str = "text/plain") -> Iterator[tuple[str, list[str]]]:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.headers.get('Authorization', '')} {self.path}")
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()


def replica(tariff, at: float):
    stock = Stock(pods={TARGET.key: (POD,)}, machines={NODE.key: NODE})
    return book((TARGET,), stock, tariff, Given(), at)


# -- its metrics -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_its_metrics_price_nodes_and_what_is_allocated_on_them(tmp_path):
    with served(METRICS.encode()) as (target, _), running_prometheus(tmp_path, target) as url:
        source = PrometheusSource(PrometheusOptions(url=url, jitter_s=0.0))
        reader = OpenCostMetrics(source=source, empty=EMPTY)
        meter = _when_scraped(reader)
        source.close()
    made = replica(meter, meter.as_of)
    assert made.nodes[NODE.key].usd_per_hour == 0.2
    # 2 cores are allocated, more than the 1 requested; 2 GiB both ways
    assert made.replicas[TARGET.key].usd_per_hour == pytest.approx(2 * 0.03 + 2 * 0.005)


def _when_scraped(reader: OpenCostMetrics):
    deadline = time.monotonic() + 30.0
    while time.monotonic() < deadline:
        with suppress(SourceUnavailable):
            meter = reader.read(time.time())
            if meter.shares:
                return meter
        time.sleep(0.2)
    return pytest.fail("OpenCost's metrics did not come")


def test_a_prometheus_without_its_metrics_says_so(tmp_path):
    with served(b"up 1\n") as (target, _), running_prometheus(tmp_path, target) as url:
        source = PrometheusSource(PrometheusOptions(url=url, jitter_s=0.0))
        with pytest.raises(SourceUnavailable, match=r"is OpenCost scraped by this Prometheus\?"):
            OpenCostMetrics(source=source, empty=EMPTY).read(time.time())
        source.close()


# -- its API ---------------------------------------------------------------------------------------------------


def allocation(namespace: str = "shop", pod: str = "checkout-1", hours: float = 12.0, **changes: object):
    """Return what OpenCost says of a pod that had 2 cores and 4 GiB."""
    return {
        "name": f"{namespace}/{pod}",
        "properties": {"cluster": "one", "node": "a", "namespace": namespace, "pod": pod},
        "minutes": hours * 60.0,
        "cpuCoreHours": 2.0 * hours,
        "cpuCost": round(2.0 * hours * 0.03, 5),
        "cpuCostAdjustment": 0.0,
        "ramByteHours": 4.0 * GIB * hours,
        "ramCost": round(4.0 * hours * 0.005, 5),
        "ramCostAdjustment": None,
        "gpuHours": 0.0,
        "gpuCost": 0.0,
        **changes,
    }


def answer(*every: dict) -> bytes:
    return json.dumps({"code": 200, "data": [{str(n): one for n, one in enumerate(every)}]}).encode()


def read(body: bytes, status: int = 200, **how: object):
    with served(body, status, "application/json") as (address, asked):
        api = OpenCostApi(OpenCostOptions(url=f"http://{address}", timeout_s=5.0, **how), EMPTY)
        try:
            return api.read(1_772_450_000.0), asked
        finally:
            api.close()


def test_its_api_prices_what_is_allocated():
    meter, (asked,) = read(answer(allocation()))
    made = replica(meter, meter.as_of)
    assert made.replicas[TARGET.key].usd_per_hour == pytest.approx(2 * 0.03 + 4 * 0.005, rel=1e-3)
    assert made.nodes[NODE.key].usd_per_hour == pytest.approx(4 * 0.03 + 16 * 0.005, rel=1e-3)
    query = parse_qs(urlsplit(asked.strip()).query)
    assert asked.strip().startswith("/allocation/compute?")
    assert query == {
        "window": ["1772363600,1772450000"],
        "aggregate": ["namespace,pod"],
        "accumulate": ["true"],
        "includeIdle": ["false"],
    }


def test_a_pod_that_ran_for_a_part_of_the_window_is_allocated_as_much():
    meter, _ = read(answer(allocation(hours=0.5)))
    share = meter.shares["shop/checkout-1"]
    assert (share.cores, share.memory_gib) == (pytest.approx(2.0), pytest.approx(4.0))


def test_idle_and_unallocated_are_no_pods():
    idle = {"name": "__idle__", "properties": {}, "minutes": 720.0, "cpuCost": 5.0}
    unmounted = allocation(pod="")
    meter, _ = read(answer(idle, unmounted, allocation()))
    assert list(meter.shares) == ["shop/checkout-1"]


def test_costs_that_are_rounded_away_have_no_price():
    meter, _ = read(answer(allocation(cpuCost=0.00001, ramCost=0.0)))
    assert meter.elsewhere(meter.as_of).gap is PriceGap.NOT_LISTED
    assert meter.node(NODE, meter.as_of).gap is PriceGap.NOT_LISTED


def test_hostile_numbers_price_nothing():
    odd = allocation(cpuCost="a lot", ramCost=-5.0, minutes=None)
    with pytest.raises(SourceUnavailable, match="no pod is allocated anything"):
        read(answer(odd))


def test_a_token_is_shown_and_read_each_time(tmp_path):
    token = tmp_path / "token"
    token.write_text("secret\n")
    _, (asked,) = read(answer(allocation()), bearer_token_file=token)
    assert asked.startswith("Bearer secret ")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"nope", 502, "refuses allocations \\(502 nope\\)"),
        (b"<html>", 200, "no allocations in the answer: is that OpenCost\\?"),
        (b'{"code": 200}', 200, "is that OpenCost\\?"),
        (b'{"code": 200, "data": []}', 200, "no pod is allocated anything"),
        (b'{"code": 200, "data": [null]}', 200, "is that OpenCost\\?|no pod is allocated anything"),
        (b'{"code": 200, "data": [{"a": 1}]}', 200, "no pod is allocated anything"),
        (b'{"code": 200, "data": [{"a": {"properties": [1], "minutes": 5}}]}', 200, "no pod is allocated anything"),
        (b'{"code": 200, "data": {"a": {}}}', 200, "is that OpenCost\\?"),
        (b'{"code": 200, "data": "none"}', 200, "is that OpenCost\\?"),
        (b"[1, 2]", 200, "is that OpenCost\\?"),
    ],
)
def test_what_is_no_answer_is_said(body, status, said):
    with pytest.raises(SourceUnavailable, match=said):
        read(body, status)


def test_nobody_there_is_said():
    api = OpenCostApi(OpenCostOptions(url="http://127.0.0.1:9", timeout_s=1.0), EMPTY)
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        api.read(1_772_450_000.0)
    api.close()


def test_an_answer_that_is_too_large_is_not_read_to_its_end():
    with pytest.raises(SourceUnavailable, match="larger than 100 bytes"):
        read(answer(allocation()), max_bytes=100)


def test_a_password_in_the_address_of_opencost_is_told_nobody():
    options = OpenCostOptions(url="https://ann:pass-word@opencost.example/model")
    assert (options.url, options.username, options.password) == ("https://opencost.example/model", "ann", "pass-word")
    assert "pass-word" not in repr(options)
