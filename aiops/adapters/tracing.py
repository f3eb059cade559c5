"""Traces of the loop's turns: ports.Telemetry over the OpenTelemetry SDK, sent by OTLP/HTTP beside the loop.

A turn is one trace: `turn` with `observe`, `perceive`, `decide` and `act`. Its spans are made when it is over, of how
long its stages took, so that nothing is asked of the loop but what metrics ask of it.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

from aiops.core.model import LoopState, Outcome, Tick
from aiops.ports import Telemetry

NS = 1_000_000_000
_ENDS_A_TURN = ("held", "store")
"""Failures that end a turn; a bug of one policy does not."""

Counts = Mapping[str, int]


@dataclass(slots=True)
class _Turn:
    """What is known of a turn so far. ended_at: of its last stage, or of its failure."""

    ended_at: float
    stages: dict[str, float] = field(default_factory=dict)
    failure: str = ""


class TracedTelemetry:
    """Tells another telemetry everything, and traces the turns. clock: wall time in seconds."""

    def __init__(self, inner: Telemetry, provider: TracerProvider, clock: Callable[[], float]) -> None:
        self._inner = inner
        self._provider = provider
        self._tracer = provider.get_tracer("aiops")
        self._clock = clock
        self._turn: _Turn | None = None

    def stage(self, name: str, seconds: float) -> None:
        """Note how long a stage took; `observe` begins a turn, `plans` is one of its own."""
        self._inner.stage(name, seconds)
        begins = name in ("observe", "plans")
        if begins and self._turn is not None and (self._turn.stages or name == "observe"):
            self._emit({})
        turn = self._turn = self._turn or _Turn(ended_at=0.0)
        turn.stages[name], turn.ended_at = seconds, self._clock()
        if name == "plans":
            self._emit({})

    def tick(self, tick: Tick, state: LoopState) -> None:
        """Note what a tick decided, and let its trace go."""
        self._inner.tick(tick, state)
        if self._turn is not None:
            self._emit(counts(tick, state))

    def ended(self, outcomes: Sequence[Outcome]) -> None:
        """Note what became of actions at once."""
        self._inner.ended(outcomes)

    def failure(self, kind: str) -> None:
        """Note that a turn was held, or that something in it failed."""
        self._inner.failure(kind)
        turn = self._turn = self._turn or _Turn(ended_at=self._clock())
        turn.failure = kind
        if kind in _ENDS_A_TURN:
            self._emit({})

    def stop(self, timeout_s: float) -> None:
        """Send what waits, within a time."""
        if self._turn is not None:
            self._emit({})
        self._provider.force_flush(int(timeout_s * 1000))
        self._provider.shutdown()

    def _emit(self, told: Mapping[str, Counts]) -> None:
        """Make the spans of the turn, whose stages follow one another without a gap, and forget it."""
        turn, self._turn = self._turn, None
        if turn is None:
            return
        at = turn.ended_at - sum(turn.stages.values())
        alone = [*turn.stages] == ["plans"]
        root = self._tracer.start_span(
            "plans" if alone else "turn",
            kind=SpanKind.INTERNAL,
            start_time=int(at * NS),
            attributes=dict(told.get("turn", {})),
        )
        if turn.failure:
            root.set_attribute("error.type", turn.failure)
            root.set_status(Status(StatusCode.ERROR, turn.failure))
        context = set_span_in_context(root)
        for name, seconds in {} if alone else turn.stages.items():
            attributes = dict(told.get(name, {}))
            span = self._tracer.start_span(name, context, start_time=int(at * NS), attributes=attributes)
            at += seconds
            span.end(int(at * NS))
        root.end(int(turn.ended_at * NS))


def counts(tick: Tick, state: LoopState) -> Mapping[str, Counts]:
    """Return what spans say of a turn, by the span's name."""
    signals = [signal for decision in tick.decisions for signal in decision.signals]
    words = Counter(one.verdict.word.value for one in tick.decisions if one.verdict is not None)
    return {
        "turn": {"aiops.effects": len(state.effects), "aiops.plans": len(tick.plans)},
        "observe": {
            "aiops.signals": len(signals),
            "aiops.signals.blind": sum(not one.usable for one in signals),
        },
        "perceive": {"aiops.findings": len(tick.findings), "aiops.incidents": len(tick.incidents)},
        "decide": {
            "aiops.decisions": len(tick.decisions),
            **{f"aiops.decisions.{word}": count for word, count in sorted(words.items())},
        },
        "act": {
            "aiops.actions": len(tick.actions),
            "aiops.actions.dry_run": sum(one.dry_run for one in tick.actions),
            "aiops.errands": len(tick.errands),
        },
    }


def provider(processor: SpanProcessor, ratio: float, version: str) -> TracerProvider:
    """Return what makes spans of a share of the traces."""
    told = {"service.name": "aiops", "service.version": version, "service.instance.id": socket.gethostname()}
    made = TracerProvider(sampler=TraceIdRatioBased(ratio), resource=Resource.create(told), shutdown_on_exit=False)
    made.add_span_processor(processor)
    return made


def exported(endpoint: str, timeout_s: float) -> SpanProcessor:
    """Return what sends spans in batches, from a thread of its own; what nobody takes is logged and lost."""
    return BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, timeout=timeout_s))
