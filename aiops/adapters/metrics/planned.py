"""What policies of plans are about: plans by status, what waits for a person, the health of sites."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from aiops.core.model import Instant, LoopState, PlanStatus, PolicyKey
from aiops.core.versions import label


class PlanCollector(Collector):
    """Tells what is carried from turn to turn. state: None while another process leads, who tells of it."""

    def __init__(self, state: Callable[[], LoopState | None], present: Callable[[], Instant]) -> None:
        self._state = state
        self._present = present

    def collect(self) -> Iterator[Metric]:
        """Return the metrics of one scrape."""
        state = self._state()
        if state is None:
            return
        plans = GaugeMetricFamily(
            "aiops_plans",
            "Plans that are under way, ended within the hour, or left something.",
            labels=["policy", "kind", "status"],
        )
        every = state.plans.values()
        for labels, count in sorted(Counter((label(p.policy), p.kind.value, p.status.value) for p in every).items()):
            plans.add_metric(labels, count)
        yield plans
        yield from self._questions(state)
        sites = GaugeMetricFamily(
            "aiops_site_health", "The health of a site, 1 for the one it has.", labels=["policy", "site", "health"]
        )
        for policy, group in sorted(state.groups.items()):
            for site, one in sorted(group.sites.items()):
                sites.add_metric([label(policy), site, one.health.value], 1.0)
        yield sites

    def _questions(self, state: LoopState) -> Iterator[Metric]:
        """Tell what waits for a person's yes, and how long it will."""
        until: dict[PolicyKey, list[Instant]] = {}
        for key, target in state.targets.items():
            if target.question is not None and target.question.expires_at > self._present():
                until.setdefault(label(key), []).append(target.question.expires_at)
        for plan in state.plans.values():
            if plan.status is PlanStatus.PROPOSED and plan.expires_at > self._present():
                until.setdefault(label(plan.policy), []).append(plan.expires_at)
        waiting = GaugeMetricFamily("aiops_questions", "What waits for a person's yes.", labels=["policy"])
        first = GaugeMetricFamily(
            "aiops_question_expiry_timestamp_seconds", "When the first of them is withdrawn.", labels=["policy"]
        )
        for policy, times in sorted(until.items()):
            waiting.add_metric([policy], len(times))
            first.add_metric([policy], min(times))
        yield from (waiting, first)

    def describe(self) -> list[Metric]:
        """Return nothing: names are known when there is something to tell."""
        return []
