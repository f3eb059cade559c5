"""Every panel of every dashboard is asked of a real Prometheus that remembers two hours of two replicas."""

from __future__ import annotations

import json
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator

import pytest

from tests.exposition import chapters
from tests.integration.prometheus_server import running_prometheus
from tests.unit.test_dashboards import BOARDS, panels, plain

PAST_S, STEP_S = 7200, 60
PROCESS = ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds")
EMPTY = {
    ("plans", "Asking"),
    ("plans", "Failed"),
    ("plans", "Remediations"),
    ("plans", "Savings and what gives them back"),
    ("money", "Budgets that will be overrun"),
    ("scaling", "Failed in the last day"),
}
"""Panels of what has not happened in the example."""


def samples() -> Iterator[tuple[str, dict[str, str], float, bool]]:
    """Yield name, labels and value of each sample of the example, and whether it grows."""
    for source in chapters().values():
        for family in source.collect():
            grows = family.type in ("counter", "histogram")
            for one in family.samples:
                if not one.name.endswith("_created"):
                    yield one.name, dict(one.labels), float(one.value), grows
    yield from ((name, {}, 1.0, name.endswith("_total")) for name in PROCESS)


def past(end: int) -> Iterator[str]:
    """Yield two hours of two replicas as OpenMetrics; what grows does so with each scrape."""
    for name, labels, value, grows in samples():
        for instance in ("aiops-0:9464", "aiops-1:9464"):
            full = {**labels, "namespace": "aiops", "job": "aiops", "instance": instance}
            text = ",".join(f"{key}={json.dumps(said)}" for key, said in full.items())
            for turn, at in enumerate(range(end - PAST_S, end, STEP_S)):
                yield f"{name}{{{text}}} {value * (1 + turn) if grows else value} {at}\n"
    yield "# EOF\n"


@pytest.mark.slow
def test_every_panel_has_an_answer(tmp_path):
    now = int(time.time()) - STEP_S
    with running_prometheus(tmp_path, "127.0.0.1:1", past(now)) as url:
        for name, board in BOARDS.items():
            for panel in panels(board):
                for target in panel["targets"]:
                    asked = urllib.parse.urlencode({"query": plain(target["expr"]), "time": now - 1})
                    with urllib.request.urlopen(f"{url}/api/v1/query?{asked}", timeout=10) as answer:
                        told = json.load(answer)
                    assert told["status"] == "success"
                    found = told["data"]["result"]
                    where = (name, panel["title"])
                    assert found or where in EMPTY or len(panel["targets"]) > 1, (where, target["expr"])
                    if panel["type"] == "stat" and name != "loop":
                        assert len(found) <= 1, where
