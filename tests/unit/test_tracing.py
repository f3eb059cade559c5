"""Traces of turns: one for each, of the stages that it went through, with what was counted in them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from pydantic import ValidationError

from aiops.adapters.metrics import LoopMetrics
from aiops.adapters.store import Store
from aiops.adapters.tracing import TracedTelemetry, provider
from aiops.app.settings import Settings
from aiops.app.tracing import TraceSettings, traced
from aiops.app.wiring import build
from aiops.core.model import LoopState
from simulators.ports import NoTelemetry
from tests.builders import NOW
from tests.loopback import serving
from tests.stored import acting
from tests.unit.test_answers import Journal, World, loop_over

ROOT = Path(__file__).parents[2]
WORLD = {"scenario": str(ROOT / "simulators" / "demo" / "demo.yaml")}


class Wall:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def kept() -> InMemorySpanExporter:
    return InMemorySpanExporter()


def telemetry(kept: InMemorySpanExporter, clock: Wall, ratio: float = 1.0, inner=None) -> TracedTelemetry:
    return TracedTelemetry(inner or NoTelemetry(), provider(SimpleSpanProcessor(kept), ratio, "1.2.3"), clock)


def lived(told: TracedTelemetry, clock: Wall) -> None:
    """Let one turn go by as the loop tells of it: 3 s of observing, 1 of perceiving, 2 of deciding, 4 of acting."""
    clock.at = 1004.0
    told.stage("observe", 3.0)
    told.stage("perceive", 1.0)
    clock.at = 1010.0
    told.stage("decide", 2.0)
    told.stage("act", 4.0)
    told.tick(acting().tick, LoopState())


def times(span: ReadableSpan) -> tuple[float, float]:
    return span.start_time / 1e9, span.end_time / 1e9


def by_name(kept: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in kept.get_finished_spans()}


# -- a turn ------------------------------------------------------------------------------------------------


def test_a_turn_is_one_trace_of_stages_that_follow_one_another(kept):
    clock = Wall()
    lived(telemetry(kept, clock), clock)
    spans = by_name(kept)
    assert {name: times(span) for name, span in spans.items()} == {
        "turn": (1000.0, 1010.0),
        "observe": (1000.0, 1003.0),
        "perceive": (1003.0, 1004.0),
        "decide": (1004.0, 1006.0),
        "act": (1006.0, 1010.0),
    }
    root = spans.pop("turn")
    assert root.parent is None
    assert {span.parent.span_id for span in spans.values()} == {root.context.span_id}
    assert {span.context.trace_id for span in spans.values()} == {root.context.trace_id}
    assert root.status.status_code is StatusCode.UNSET
    assert root.resource.attributes["service.name"] == "aiops"
    assert root.resource.attributes["service.version"] == "1.2.3"


def test_spans_say_what_was_counted(kept):
    clock = Wall()
    lived(telemetry(kept, clock), clock)
    spans = by_name(kept)
    assert spans["observe"].attributes == {"aiops.signals": 2, "aiops.signals.blind": 0}
    assert spans["decide"].attributes == {"aiops.decisions": 1, "aiops.decisions.allow": 1}
    assert spans["act"].attributes == {"aiops.actions": 1, "aiops.actions.dry_run": 0, "aiops.errands": 0}


def test_who_stands_by_observes_and_perceives(kept):
    clock = Wall()
    told = telemetry(kept, clock)
    told.stage("observe", 1.0)
    told.stage("perceive", 1.0)
    assert kept.get_finished_spans() == (), "it is not over yet, for all that is known"
    clock.at = 1015.0
    told.stage("observe", 1.0)
    assert {name: times(span) for name, span in by_name(kept).items()} == {
        "turn": (998.0, 1000.0),
        "observe": (998.0, 999.0),
        "perceive": (999.0, 1000.0),
    }


@pytest.mark.parametrize("kind", ["held", "store"])
def test_a_turn_that_is_held_has_failed_and_ends_there(kept, kind):
    told = telemetry(kept, Wall())
    told.stage("observe", 1.0)
    told.stage("perceive", 1.0)
    told.failure(kind)
    root = by_name(kept)["turn"]
    assert root.status.status_code is StatusCode.ERROR
    assert root.attributes["error.type"] == kind
    assert set(by_name(kept)) == {"turn", "observe", "perceive"}


def test_a_bug_of_one_policy_is_seen_on_the_turn_that_goes_on(kept):
    clock = Wall()
    told = telemetry(kept, clock)
    told.stage("observe", 1.0)
    told.failure("bug")
    told.stage("decide", 1.0)
    told.tick(acting().tick, LoopState())
    spans = by_name(kept)
    assert set(spans) == {"turn", "observe", "decide"}
    assert spans["turn"].attributes["error.type"] == "bug"


def test_the_fast_turn_of_plans_is_a_trace_of_its_own(kept):
    clock = Wall()
    told = telemetry(kept, clock)
    told.stage("plans", 0.5)
    assert {name: times(span) for name, span in by_name(kept).items()} == {"plans": (999.5, 1000.0)}


def test_a_share_of_the_turns_is_sent_and_every_turn_is_counted(kept):
    metrics, clock = LoopMetrics(), Wall()
    told = telemetry(kept, clock, ratio=0.0, inner=metrics)
    lived(told, clock)
    told.failure("bug")
    value = metrics.registry.get_sample_value
    assert kept.get_finished_spans() == ()
    assert value("aiops_ticks_total") == 1.0
    assert value("aiops_stage_duration_seconds_count", {"stage": "decide"}) == 1.0
    assert value("aiops_tick_failures_total", {"kind": "bug"}) == 1.0


def test_a_real_loop_tells_of_its_turns(kept):
    store = Store.open("sqlite://")
    loop = loop_over(store, World(), Journal(store.journal))
    loop.ports = replace(loop.ports, telemetry=telemetry(kept, Wall()))
    loop.run_once(NOW)
    assert set(by_name(kept)) == {"turn", "observe", "perceive", "decide", "act"}
    assert by_name(kept)["act"].attributes["aiops.actions"] == 1
    store.close()


# -- settings and the wire -----------------------------------------------------------------------------------


@pytest.fixture
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    got: list[ExportTraceServiceRequest] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            import gzip

            body = self.rfile.read(int(self.headers["Content-Length"]))
            zipped = self.headers.get("Content-Encoding") == "gzip"
            got.append(ExportTraceServiceRequest.FromString(gzip.decompress(body) if zipped else body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Log nothing."""

    with serving(Handler) as url:
        yield url, got


def test_a_daemon_sends_its_turns_to_a_collector(collector, tmp_path):
    url, got = collector
    settings = Settings(
        policies=(ROOT / "simulators" / "demo" / "policies" / "shop.yaml",),
        simulation=WORLD,
        store={"url": f"sqlite:///{tmp_path / 'aiops.db'}"},
        telemetry={"traces": {"endpoint": f"{url}/v1/traces"}},
    )
    built = build(settings)
    assert built.traces is not None
    built.tick()
    built.tick()
    built.traces.stop(10.0)
    built.store.close()
    spans = [span for one in got for each in one.resource_spans for scope in each.scope_spans for span in scope.spans]
    names = [span.name for span in spans]
    assert {name: names.count(name) for name in names} == dict.fromkeys(
        ("turn", "observe", "perceive", "decide", "act"), 2
    )


def test_a_collector_that_is_gone_holds_nothing_up(tmp_path):
    settings = TraceSettings(endpoint="http://127.0.0.1:9/v1/traces", timeout=0.5)
    metrics = LoopMetrics()
    told = traced(settings, metrics)
    lived(told, Wall())
    told.stop(0.5)
    assert metrics.registry.get_sample_value("aiops_ticks_total") == 1.0


def test_without_the_setting_there_is_nothing_and_nothing_is_imported():
    assert traced(None, NoTelemetry()) is None
    code = "import sys, aiops.app.wiring; print([name for name in sys.modules if name.startswith('opentelemetry')])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50, cwd=ROOT, check=True)
    assert json.loads(ran.stdout.replace("'", '"')) == []


@pytest.mark.parametrize(
    ("traces", "said"),
    [
        ({"endpoint": "collector:4317"}, "no URL of http or https"),
        ({"endpoint": "http://collector/v1/traces", "ratio": 1.5}, "less than or equal to 1"),
        ({"endpoint": "http://collector/v1/traces", "rate": 1.0}, "Extra inputs are not permitted"),
        ({}, "Field required"),
    ],
)
def test_settings_that_make_no_sense_are_refused(traces, said):
    with pytest.raises(ValidationError, match=said):
        Settings(simulation=WORLD, telemetry={"traces": traces})
