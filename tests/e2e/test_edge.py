"""The edge profile: its memory and processor time, its own scraping, and days without an API server or a way out."""

from __future__ import annotations

import json
import math
import os
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from aiops.adapters.notify.routes import Route
from aiops.adapters.prometheus import PrometheusOptions, PrometheusSource
from aiops.adapters.scrape.buffer import Buffer
from aiops.adapters.scrape.client import Fetched
from aiops.adapters.scrape.options import Target
from aiops.adapters.scrape.scraper import Scraping
from aiops.adapters.store import Asked, Store
from aiops.app.scraping import ScrapedAsker
from aiops.core.bank import Bank
from aiops.core.model import (
    Action,
    Instant,
    Mode,
    PriceBook,
    Reason,
    Scope,
    Step,
    StepResult,
    StepStatus,
    TargetRef,
)
from aiops.errors import ClusterUnavailable
from aiops.loop import ControlLoop, Ports, Setup
from aiops.policy import parse
from aiops.ports import Inventory
from simulators.ports import FixedPolicies, NoTelemetry, SimControls, SimLease, StillClock
from tests.builders import workload
from tests.e2e.processes import Process, eventually
from tests.integration.prometheus_server import free_port
from tests.loopback import page, serving
from tests.unit.test_following import Channels, entry, following

ROOT = Path(__file__).parents[2]
AIM_BYTES, AIM_RATIO = 150e6, 0.05
STEP_S = 30.0
"""Of the profile; the tests turn faster, and reckon what a turn costs by it."""

SERIES = 200
WATCHING = """
apiVersion: policy.aiops/v1alpha1
kind: WatchPolicy
metadata: {name: everything, namespace: edge}
spec: {query: '{job="node",__name__=~"node_.*"}'}
---
apiVersion: policy.aiops/v1alpha1
kind: WatchPolicy
metadata: {name: requests, namespace: edge}
spec: {query: 'sum by (service) (rate(http_requests_total[1m]))', identity: [service]}
---
apiVersion: policy.aiops/v1alpha1
kind: ScalingPolicy
metadata: {name: checkout, namespace: shop}
spec:
  mode: enforce
  target: {kind: Deployment, name: checkout}
  signals:
    demand: {query: 'sum(rate(http_requests_total{service="checkout"}[2m]))', unit: req/s, maxAge: 90s}
  objective: {demand: demand, perReplica: 10}
  bounds: {minReplicas: 1, maxReplicas: 20}
"""
NOWHERE = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
    "users": [{"name": "u", "user": {"token": "x"}}],
    "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    "current-context": "c",
}


# -- its size ----------------------------------------------------------------------------------------------


def exposed(now: float) -> str:
    """What a node exposes: 200 series that move."""
    lines = ["# TYPE http_requests_total counter\n", f'http_requests_total{{service="checkout"}} {40 * now:.0f}\n']
    for number in range(SERIES - 1):
        value = 50 + 10 * math.sin(now / 60 + number) + random.random()
        lines.append(f'node_thing_{number % 9}{{device="d{number}"}} {value:.3f}\n')
    return "".join(lines)


class Node(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = exposed(time.time()).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Log nothing."""


@dataclass
class Edge:
    """A daemon with config/edge.yaml, faster, on ports of its own, whose API server is away."""

    folder: Path
    url: str
    port: int = field(default_factory=free_port)

    def start(self) -> Process:
        (self.folder / "kubeconfig").write_text(json.dumps(NOWHERE))
        (self.folder / "policies.yaml").write_text(WATCHING)
        environment = {
            "AIOPS_POLICIES": json.dumps([str(self.folder / "policies.yaml")]),
            "AIOPS_CLUSTERS": json.dumps({"default": {"kubeconfig": str(self.folder / "kubeconfig")}}),
            "AIOPS_SCRAPE__JOBS": json.dumps({"node": {"targets": [self.url], "interval": "1s", "timeout": "1s"}}),
            "AIOPS_STEP": "2s",
            "AIOPS_TELEMETRY__PORT": str(self.port),
            "AIOPS_LOG__FORMAT": "json",
        }
        command = [sys.executable, "-m", "aiops", "run", "--config", str(ROOT / "config/edge.yaml")]
        return Process(command, log=self.folder / "daemon.log", environment=environment, cwd=self.folder)

    def number(self, name: str) -> float:
        text = page(self.port, "/metrics")[1]
        return next((float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"{name} ")), 0.0)

    def past(self) -> list[int]:
        """How many samples each process found of those before it."""
        lines = (self.folder / "daemon.log").read_text().splitlines()
        return [json.loads(line)["samples"] for line in lines if '"scraped_past"' in line]

    def known(self) -> bool:
        """Whether the rate of requests is what it is."""
        lines = [line for line in page(self.port, "/metrics")[1].splitlines() if line.startswith("y{")]
        rates = [float(line.split()[-1]) for line in lines if 'for="edge/requests"' in line]
        return rates == [pytest.approx(40.0, rel=0.3)]

    def turned(self, more: int) -> None:
        wanted = self.number("aiops_ticks_total") + more
        eventually(lambda: self.number("aiops_ticks_total") >= wanted, 240, f"{more} turns")


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    with serving(Node) as url:
        yield Edge(tmp_path_factory.mktemp("edge"), f"{url}/metrics")


def resident_bytes(process: Process) -> int:
    """The memory of a process and of what it started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    pages = [int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in (process.pid, *children)]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.timeout(900)
def test_200_series_fit_into_the_memory_and_processor_time_of_the_profile_and_outlive_a_restart(edge, capsys):
    with edge.start() as process:
        edge.turned(8)  # what is imported at first use, and learnt at start, is behind it
        began, turns = process.cpu_seconds(), edge.number("aiops_ticks_total")
        edge.turned(15)
        spent_s = (process.cpu_seconds() - began) / (edge.number("aiops_ticks_total") - turns)
        resident = resident_bytes(process)
        with capsys.disabled():
            print(f"\nedge: {resident / 1e6:.0f} MB, {spent_s * 1000:.1f} ms of a core for a turn and a scrape")
        assert resident < AIM_BYTES, process.tail()
        assert spent_s / STEP_S < AIM_RATIO
        # what it scraped is known, though the API is away
        eventually(edge.known, 180, "a rate of 40 requests a second")
        assert process.term() == 0
    with edge.start():
        eventually(lambda: len(edge.past()) == 2, 180, "a second process")
    assert edge.past()[0] == 0
    assert edge.past()[1] >= 15 * SERIES


# -- days without ------------------------------------------------------------------------------------------

DAY_S, TURN_S = 86_400.0, 120.0
START = 1_780_000_000.0
ACTING = parse(WATCHING.replace("[2m]", "[5m]").replace("90s", "5m"), "edge.yaml", TURN_S)


@dataclass
class Api:
    """A cluster of one Deployment whose API may be away."""

    away: bool = False
    replicas: int = 4
    sent: list[tuple[Instant, int]] = field(default_factory=list)

    def inventory(self, targets: Sequence[TargetRef], at: Instant) -> Inventory:
        if self.away:
            raise ClusterUnavailable("https://10.0.0.1: Connection refused")
        shown = workload(ref=targets[0], replicas=self.replicas, ready=self.replicas, as_of=at)
        return Inventory(workloads={targets[0].key: shown})

    def send(self, action: Action, step: Step, at: Instant) -> StepResult:
        self.replicas = action.change.after
        self.sent.append((at, self.replicas))
        return StepResult(action_id=action.id, status=StepStatus.DONE, at=at)

    def announce(self, *_: object) -> None:
        """Tell nobody."""

    def book(self, targets: Sequence[TargetRef], inventory: Inventory, at: Instant) -> PriceBook:
        return PriceBook(replicas={})


class Days:
    """A loop on a clock of the test, which scrapes a target of the test into a buffer and records in SQLite."""

    def __init__(self, folder: Path) -> None:
        self.now, self.total, self.rps = START, 0.0, 40.0
        self.api = Api()
        self.store = Store.open(f"sqlite:///{folder / 'aiops.db'}", writer=True)
        self.store.journal.note_policies(ACTING)
        self.buffer = Buffer(max_series=100, max_samples=40_000, keep_s=DAY_S)
        target = Target(job="node", url="http://10.0.0.9/metrics")
        self.scraping = Scraping(target, self.buffer, lambda: Fetched(body=self._exposed(), content_type=""))
        source = PrometheusSource(PrometheusOptions(url="scrape", concurrency=1), ScrapedAsker(self))
        ports = Ports(
            policies=FixedPolicies(ACTING),
            source=source,
            cluster=self.api,
            dry=self.api,
            journal=self.store.journal,
            lease=SimLease(),
            controls=SimControls(),
            prices=self.api,
            telemetry=NoTelemetry(),
            clock=StillClock(),
        )
        self.loop = ControlLoop(ports, Bank(ACTING), Setup(scope=Scope(ceiling=Mode.ENFORCE)))

    def _exposed(self) -> bytes:
        lines = [f'http_requests_total{{service="checkout"}} {self.total:.1f}\n']
        lines += [f'node_thing{{device="d{number}"}} {math.sin(self.now / 600 + number):.3f}\n' for number in range(9)]
        return "".join(lines).encode()

    def live(self, seconds: float) -> list[str]:
        """Turn until so much time has gone by; return what was decided, each sentence once."""
        said = dict[str, None]()
        for _ in range(round(seconds / TURN_S)):
            self.now += TURN_S
            self.total += self.rps * TURN_S
            self.scraping.scrape(int(self.now * 1000))
            self.loop.run_once(self.now)
            said.update(dict.fromkeys(one.story for one in self.loop.last.decisions))
            if self.now % 7200.0 < TURN_S:
                self.buffer.prune(int(self.now * 1000))
                self.store.prune(self.now, 30 * DAY_S, 200_000_000, 400 * DAY_S)
        return list(said)

    def stored(self) -> int:
        return len(self.store.reader.decisions(Asked(limit=5000)))


@pytest.mark.timeout(900)
def test_three_days_without_the_api_are_held_and_bounded_and_what_is_due_then_is_done_once(tmp_path):
    days = Days(tmp_path)
    days.live(1800.0)
    assert days.api.replicas == 4
    days.api.away, days.rps = True, 90.0
    days.live(DAY_S)
    rows, size, samples = days.stored(), days.store.used_bytes(), days.buffer.size()
    said = days.live(2 * DAY_S)
    # nothing was sent; what is scraped here is known all the while, and that what runs is not
    assert days.api.sent == []
    newest = days.loop.last.decisions[0]
    assert newest.signals[0].value == pytest.approx(90.0, rel=0.01)
    assert Reason.CLUSTER_UNAVAILABLE in {getattr(one.ruling, "reason", None) for one in newest.verdict.rulings}
    assert all("Connection refused" in one for one in said)
    # two more days are recorded as what they are: the same, and no larger
    assert days.stored() <= rows + 2
    assert days.store.used_bytes() <= size + 3_000_000
    assert days.buffer.size()[1] <= max(samples[1], 40_000)
    # back, need is met at once and by one change after the other, not by what was missed
    back_at, days.api.away = days.now, False
    days.live(1800.0)
    assert days.api.replicas == 9
    assert days.api.sent[0][0] - back_at <= 2 * TURN_S
    assert [replicas for _, replicas in days.api.sent] == sorted({replicas for _, replicas in days.api.sent})
    days.store.close()


@pytest.mark.timeout(600)
def test_what_people_were_to_be_told_for_three_days_comes_after_as_a_few_messages(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path / 'aiops.db'}", writer=True)
    channels = Channels(down={"ops"})
    people = following(store, channels, Route(name="all", channel="ops", group_wait_s=30.0), keep_s=4 * DAY_S)
    begin = channels.now
    for hour in range(72):
        store.audit.note(entry(f"e{hour}", channels.now))
        channels.run(people, channels.now - begin + 3600.0, step_s=600.0)
    tries = channels.tries
    channels.down = set()
    channels.run(people, channels.now - begin + 2 * 3600.0)
    # all that failed is told, in a message or two, and a channel that is down is tried with patience
    text = "\n".join(text for *_, text in channels.got)
    assert 1 <= len(channels.got) <= 4
    assert "e1 failed" in text
    assert "more: aiops audit list" in text
    assert tries <= 72 * 6
    assert people.given_up == {}
    store.close()
