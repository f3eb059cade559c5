"""ports.Telemetry over prometheus-client."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from aiops.core.model import IncidentState, LoopState, Outcome, OutcomeKind, Pass, Tick, VerdictWord
from aiops.core.versions import label

_BUCKETS = (0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0)
_FAILURES = ("held", "store", "bug")


class LoopMetrics:
    """What the loop says of itself. Labels are policies, stages, verdicts and reasons: bounded by what is loaded."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        self._stages = Histogram(
            "aiops_stage_duration_seconds",
            "How long each stage of a turn took.",
            ["stage"],
            registry=registry,
            buckets=_BUCKETS,
        )
        self._ticks = Counter("aiops_ticks_total", "Turns that decided, as the leader.", registry=registry)
        self._failures = Counter(
            "aiops_tick_failures_total",
            "Turns that were held, by what failed: what is asked (held), the record (store), this program (bug).",
            ["kind"],
            registry=registry,
        )
        self._decisions = Counter(
            "aiops_decisions_total", "Decisions about targets, by verdict.", ["policy", "verdict"], registry=registry
        )
        self._holds = Counter(
            "aiops_rulings_total",
            "Decisions in which a guard bound the wish, by its reason.",
            ["policy", "reason"],
            registry=registry,
        )
        self._actions = Counter(
            "aiops_actions_total",
            "Changes that were accepted, dry runs among them.",
            ["policy", "dry_run"],
            registry=registry,
        )
        self._outcomes = Counter(
            "aiops_outcomes_total", "Actions that ended, by how.", ["policy", "outcome"], registry=registry
        )
        self._replicas = Gauge(
            "aiops_target_replicas",
            "Replicas that there are, and that are wanted.",
            ["policy", "kind"],
            registry=registry,
        )
        self._findings = Gauge("aiops_findings", "Findings that are open.", registry=registry)
        self._incidents = Gauge("aiops_incidents", "Incidents that are open.", registry=registry)
        self._effects = Gauge(
            "aiops_outstanding_effects", "Changes that are to be handed back when this ends.", registry=registry
        )
        self._last = Gauge(
            "aiops_last_tick_timestamp_seconds", "When this process last decided, as the leader.", registry=registry
        )
        for kind in _FAILURES:  # a counter that is born with its first failure shows no increase
            self._failures.labels(kind)

    def stage(self, name: str, seconds: float) -> None:
        """Note how long a stage took."""
        self._stages.labels(name).observe(seconds)

    def tick(self, tick: Tick, state: LoopState) -> None:
        """Note what a tick decided."""
        self._ticks.inc()
        self._last.set(tick.at)
        self._findings.set(len(tick.findings))
        self._incidents.set(sum(one.state is IncidentState.OPEN for one in tick.incidents))
        self._effects.set(len(state.effects))
        for decision in tick.decisions:
            verdict, policy = decision.verdict, label(decision.policy)
            if verdict is None:
                continue
            self._decisions.labels(policy, verdict.word.value).inc()
            self._outcomes.labels(policy, OutcomeKind.FAILED.value)  # there before the first, as above
            bound = verdict.binding
            if bound is not None and not isinstance(bound.ruling, Pass):
                self._holds.labels(policy, bound.ruling.reason.value).inc()
            self._replicas.labels(policy, "current").set(verdict.change.before)
            self._replicas.labels(policy, "wanted").set(verdict.proposal.change.after)
            if verdict.word is VerdictWord.ALLOW:
                self._actions.labels(policy, str(verdict.dry_run).lower()).inc()
        self.ended(tick.outcomes)

    def ended(self, outcomes: Sequence[Outcome]) -> None:
        """Count ends of actions."""
        for outcome in outcomes:
            self._outcomes.labels(label(outcome.policy), outcome.kind.value).inc()

    def failure(self, kind: str) -> None:
        """Count a held or failed tick."""
        self._failures.labels(kind).inc()

    def exposition(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)
