"""What the simulated services export, and the PromQL over it that the simulator can answer without a Prometheus.

The menu is small and honest: rates of `http_requests_total` and `queue_messages_published_total`, quantiles of
`http_request_duration_seconds_bucket`, `service_utilisation_ratio` and `queue_messages_waiting`, summed over everything
or `by (service)`. Any other query fails, and says so. The
real PromQL is tested against a real Prometheus, which scrapes the same metrics (simulators/exporter.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from simulators.world import Scrape, mean

REQUESTS = "http_requests_total"
DURATIONS = "http_request_duration_seconds_bucket"
UTILISATION = "service_utilisation_ratio"
PUBLISHED = "queue_messages_published_total"
WAITING = "queue_messages_waiting"
COUNTED = "kube_deployment_status_replicas_ready"
_PLAIN = {UTILISATION: "utilisation_ratio", COUNTED: "ready", PUBLISHED: "arrivals", WAITING: "waiting"}


@dataclass(frozen=True, slots=True)
class Plan:
    """How a query is answered. kind: the field of a scrape. services: who matches. window_s: what is averaged over."""

    kind: str
    matchers: tuple[tuple[str, str, str], ...]
    window_s: float
    by_service: bool
    name: str
    total: bool

    def matches(self, namespace: str, service: str) -> bool:
        """Return whether a service's series are selected."""
        labels = {"namespace": namespace, "service": service}
        return all(_holds(labels[name], op, value) for name, op, value in self.matchers if name in labels)

    def value(self, scrapes: Sequence[Scrape]) -> float:
        """Return the answer for one service: the mean over the window that ends with the newest scrape."""
        start = scrapes[-1].at - self.window_s
        return mean([getattr(scrape, self.kind) for scrape in scrapes if scrape.at > start or scrape is scrapes[-1]])


class NotOnTheMenu(ValueError):
    """The simulator does not answer this query."""


@lru_cache(maxsize=1024)
def plan(expr: str) -> Plan:
    """Return how a query is answered; raise NotOnTheMenu."""
    import promql_parser as promql

    try:
        tree: Any = promql.parse(expr)
    except ValueError as err:
        raise NotOnTheMenu(f"PromQL: {err}") from err
    selectors: list[Any] = []
    windows: list[float] = []
    by: set[str] = set()

    def visit(node: Any) -> bool:
        if isinstance(node, promql.VectorSelector):
            selectors.append(node)
        elif isinstance(node, promql.MatrixSelector):
            windows.append(node.range.total_seconds())
        elif isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            by.update(node.modifier.labels)
        return True

    promql.walk(tree, visit)
    if len(selectors) != 1:
        raise NotOnTheMenu(f"the simulator answers queries with one selector, not {expr!r}")
    selector = selectors[0]
    matchers = tuple((m.name, _op(m.op, promql), m.value) for m in selector.matchers.matchers)
    return Plan(
        kind=_kind(expr, selector.name or "", matchers),
        matchers=matchers,
        window_s=max(windows, default=0.0),
        by_service="service" in by,
        name=selector.name or "",
        total=isinstance(tree, promql.AggregateExpr | promql.Call),
    )


def _kind(expr: str, metric: str, matchers: tuple[tuple[str, str, str], ...]) -> str:
    if metric == REQUESTS:
        failing = any(name == "code" and value.startswith("5") for name, _, value in matchers)
        return "errors" if failing else "requests"
    if metric == DURATIONS:
        quantile = re.search(r"histogram_quantile\(\s*(0\.\d+)", expr)
        kinds = {0.5: "p50_s", 0.95: "p95_s"}
        if quantile is not None and float(quantile[1]) in kinds:
            return kinds[float(quantile[1])]
        raise NotOnTheMenu(f"the simulator answers histogram_quantile of 0.5 and 0.95, not {expr!r}")
    kind = _PLAIN.get(metric)
    if kind is None:
        known = ", ".join((REQUESTS, DURATIONS, *_PLAIN))
        raise NotOnTheMenu(f"the simulator exports {known}, not {metric!r}")
    return kind


def _op(op: Any, promql: Any) -> str:
    names = ((promql.MatchOp.Equal, "="), (promql.MatchOp.NotEqual, "!="), (promql.MatchOp.Re, "=~"))
    return next((text for one, text in names if one == op), "!~")


def _holds(actual: str, op: str, value: str) -> bool:
    match op:
        case "=":
            return actual == value
        case "!=":
            return actual != value
        case "=~":
            return re.fullmatch(value, actual) is not None
        case _:
            return re.fullmatch(value, actual) is None
