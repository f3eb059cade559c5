"""How the daemon itself stands: does it turn, does it lead, who does not answer, is its record whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from aiops.core.model import Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSeen:
    """What the last look at the audit chain found, and when."""

    whole: bool
    records: int
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How it stands at one moment. turn_age_s: since the last turn that was not held, or since the start.

    leads: None before the first turn. unanswered: sources and clusters that did not answer in the last turn.
    policies: how many are in force, by kind and mode. problems: those that are not. audit: None before the first look.
    """

    version: str
    turn_age_s: float
    turn_every_s: float
    leads: bool | None = None
    epoch: int = 0
    unanswered: int = 0
    policies: Mapping[tuple[str, str], int] = field(default_factory=dict)
    problems: int = 0
    audit: AuditSeen | None = None


class StandingCollector(Collector):
    """Tells how the daemon stands at the moment of a scrape."""

    def __init__(self, standing: Callable[[], Standing]) -> None:
        self._standing = standing

    def collect(self) -> Iterator[Metric]:
        """Return the metrics of one scrape; what is not known is absent, never zero (S1)."""
        now = self._standing()
        build = GaugeMetricFamily("aiops_build_info", "The version that runs; always 1.", labels=["version"])
        build.add_metric([now.version], 1.0)
        yield build
        age, every = now.turn_age_s, now.turn_every_s
        yield GaugeMetricFamily("aiops_turn_age_seconds", "Since a turn was last not held, or the start.", value=age)
        yield GaugeMetricFamily("aiops_turn_interval_seconds", "How often the loop is to turn.", value=every)
        if now.leads is not None:
            yield GaugeMetricFamily("aiops_leads", "Whether this process leads (1) or stands by (0).", value=now.leads)
            yield GaugeMetricFamily("aiops_leader_epoch", "The epoch of who leads, as known here.", value=now.epoch)
            unanswered = "Sources and clusters that did not answer in the last turn."
            yield GaugeMetricFamily("aiops_unanswered", unanswered, value=now.unanswered)
        policies = GaugeMetricFamily("aiops_policies", "Policies that are in force.", labels=["kind", "mode"])
        for labels, count in sorted(now.policies.items()):
            policies.add_metric(labels, count)
        yield policies
        problems = "Policies, or parts of them, that are not in force because something is wrong with them."
        yield GaugeMetricFamily("aiops_policy_problems", problems, value=now.problems)
        yield from _audit(now.audit)

    def describe(self) -> list[Metric]:
        """Return nothing: names are known when there is something to tell."""
        return []


def _audit(seen: AuditSeen | None) -> Iterator[Metric]:
    if seen is None:
        return
    whole = "Whether the audit chain was whole (1) or not (0) when it was last checked."
    yield GaugeMetricFamily("aiops_audit_whole", whole, value=seen.whole)
    yield GaugeMetricFamily("aiops_audit_records", "Records that were checked then.", value=seen.records)
    yield GaugeMetricFamily("aiops_audit_checked_timestamp_seconds", "When it was last checked.", value=seen.at)
