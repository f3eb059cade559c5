"""docs/metrics.md tells of every metric that is exported, with its labels, and of no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector

from aiops.adapters import metrics
from aiops.adapters.metrics.anomalies import VARIABLES
from aiops.app.settings import Settings
from aiops.app.standing import SelfWatch
from aiops.app.wiring import build
from tests.exposition import Told, chapters, everything, page, told

ROOT = Path(__file__).parents[2]
_NAME = re.compile(r"aiops_[a-z_]+")


def test_the_page_is_what_the_collectors_export():
    written = (ROOT / "docs" / "metrics.md").read_text()
    assert written == page(), "python -m tests.exposition > docs/metrics.md"


def test_every_collector_is_shown_by_example():
    shown = {type(source) for source in chapters().values()} - {CollectorRegistry}
    there = {one for one in vars(metrics).values() if isinstance(one, type) and Collector in one.__mro__}
    assert shown == there


def named() -> Iterator[str]:
    """Yield every name of a metric that stands in the source of the collectors."""
    for file in sorted((ROOT / "aiops" / "adapters" / "metrics").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _NAME.fullmatch(node.value):
                yield node.value


def test_every_metric_of_the_source_is_shown_by_example():
    known = {name.removesuffix("_total") for name in everything()}
    missing = {name for name in named() if name.removesuffix("_total") not in known} - {"aiops_budget_"}
    assert not missing
    assert len([*named()]) > 30


def test_each_metric_says_what_it_means_and_its_unit():
    for one in everything().values():
        assert re.fullmatch(r"[A-Z].*\.", one.meaning), one
        assert (one.kind == "counter") == one.name.endswith("_total"), one
        if {"timestamp", "age", "duration", "interval", "time"} & set(one.name.split("_")):
            assert one.name.endswith("_seconds"), one
        assert one.name.startswith("aiops_") or one.name in VARIABLES, one


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Iterator[list[Told]]:
    """What a daemon over the simulated shop exports after some turns."""
    demo = ROOT / "simulators" / "demo"
    built = build(
        Settings(
            mode="enforce",
            policies=(demo / "policies" / "shop.yaml",),
            simulation={"scenario": str(demo / "demo.yaml")},
            store={"url": f"sqlite:///{tmp_path_factory.mktemp('metrics') / 'aiops.db'}"},
        )
    )
    SelfWatch(built).register(built.metrics)
    for _ in range(8):
        built.tick()
    yield told(built.metrics.registry)
    built.store.close()


def test_a_daemon_exports_nothing_that_the_page_does_not_tell_of(exported):
    own = [one for one in exported if not one.name.startswith("process_")]
    known = everything()
    assert {one.name for one in own} <= known.keys()
    for one in own:
        assert one.kind == known[one.name].kind
        if one.name.startswith("aiops_") and one.labels:
            assert set(one.labels) == set(known[one.name].labels), one.name


def test_most_of_the_page_is_seen_in_a_daemon_that_runs(exported):
    there = {one.name for one in exported}
    assert {"aiops_leads", "aiops_plans", "aiops_ticks_total", "process_resident_memory_bytes"} <= there
    assert len([one for one in exported if one.name.startswith("aiops_") and one.labels]) > 10
