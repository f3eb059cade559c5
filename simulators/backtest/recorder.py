"""Recording: the history of policies' signals and of the replicas that ran, asked for in pieces.

A piece is a day at most, so that no request is larger than what Prometheus allows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from aiops.core.model import F64, Instant, TargetRef
from aiops.core.policies import PolicySet, SignalQuery, WatchQuery
from aiops.errors import InvalidInput
from aiops.ports import History
from simulators.backtest.recording import Recording

PIECE_STEPS = 5_760
"""A day at 15 s: one request for each query."""

_LABELS = {"Deployment": "deployment", "StatefulSet": "statefulset", "ReplicaSet": "replicaset"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaMetrics:
    """The metrics of kube-state-metrics by what they mean; `{kind}` is the target's kind in small letters."""

    replicas: str = "kube_{kind}_status_replicas"
    ready: str = "kube_{kind}_status_replicas_ready"
    wanted: str = "kube_{kind}_spec_replicas"

    def queries(self, target: TargetRef) -> Iterator[tuple[str, str]]:
        """Yield (column, PromQL) for a target."""
        kind = _LABELS.get(target.kind, target.kind.lower())
        labels = f'namespace="{target.namespace}",{kind}="{target.name}"'
        wanted = "kube_statefulset_replicas" if kind == "statefulset" and "{kind}" in self.wanted else self.wanted
        for name, metric in (("replicas", self.replicas), ("ready", self.ready), ("wanted", wanted)):
            yield f"{name}:{target.namespace}/{target.name}", f"max({metric.format(kind=kind)}{{{labels}}})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From when to when, and how fine."""

    start: Instant
    end: Instant
    step_s: float

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise InvalidInput("--from is after --to")
        if (self.end - self.start) / self.step_s < 2:
            raise InvalidInput(f"--from and --to are less than two steps of {self.step_s:g} s apart")

    @property
    def times(self) -> F64:
        """Return the grid."""
        first = np.ceil(self.start / self.step_s)
        count = int(np.floor(self.end / self.step_s) - first) + 1
        return np.asarray((first + np.arange(count)) * self.step_s, np.float64)


def queries(policies: PolicySet, metrics: ReplicaMetrics) -> dict[str, SignalQuery]:
    """Return what is asked for the policies' signals and targets, by column."""
    asked: dict[str, SignalQuery] = {}
    for policy in policies.scaling:
        for name, spec in policy.signals.items():
            asked[f"{policy.key}#{name}"] = _query(name, spec.query.expr)
            if spec.query.presence_expr is not None:
                asked[f"{policy.key}#{name}?presence"] = _query(name, spec.query.presence_expr)
        for column, expr in metrics.queries(policy.target):
            asked[column] = _query(column, expr)
    return asked


def _query(name: str, expr: str) -> SignalQuery:
    return SignalQuery(policy="record", name=name, expr=expr, age_exprs=(), coverage_exprs=())


def record(
    history: History,
    policies: PolicySet,
    span: Span,
    metrics: ReplicaMetrics,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Recording:
    """Return what the source remembers; raise SourceUnavailable, or InvalidInput when it remembers nothing at all."""
    times = span.times
    asked = queries(policies, metrics)
    distinct = sorted({query.expr for query in asked.values()})
    watches = [watch.query for watch in policies.watches]
    pieces = [(first, min(first + PIECE_STEPS, len(times))) for first in range(0, len(times), PIECE_STEPS)]
    whole, done = len(pieces) * (len(distinct) + len(watches)), 0
    by_expr = {expr: np.full(len(times), np.nan) for expr in distinct}
    columns: dict[str, F64] = {}
    for first, last in pieces:
        for expr in distinct:
            matrix = history.range(_query(expr, expr), float(times[first]), float(times[last - 1]), span.step_s)
            if len(matrix.values):
                by_expr[expr][first:last] = matrix.values[0][: last - first]
            progress(done := done + 1, whole)
        for watch in watches:
            _watched(history, watch, (times, first, last, span.step_s), columns)
            progress(done := done + 1, whole)
    columns |= {column: by_expr[query.expr] for column, query in asked.items()}
    if not any(bool(np.isfinite(values).any()) for values in columns.values()):
        raise InvalidInput("the source remembers nothing of any query in this time")
    return Recording(
        origin="prometheus",
        times=times,
        step_s=span.step_s,
        columns=columns,
        about={"step_s": span.step_s, "queries": {column: query.expr for column, query in asked.items()}},
    )


def _watched(history: History, watch: WatchQuery, part: tuple[F64, int, int, float], columns: dict[str, F64]) -> None:
    times, first, last, step_s = part
    matrix = history.range(watch, float(times[first]), float(times[last - 1]), step_s)
    for key, row in zip(matrix.index.keys, matrix.values, strict=True):
        column = columns.setdefault(f"watch:{key}", np.full(len(times), np.nan))
        column[first:last] = row[: last - first]


def without_data(recording: Recording) -> Mapping[str, str]:
    """Return the queries that answered nothing in the whole time, by column."""
    asked: Mapping[str, str] = recording.about.get("queries", {})
    return {name: expr for name, expr in asked.items() if not bool(np.isfinite(recording.columns[name]).any())}
