"""Recording: the history of policies' signals and of the replicas that ran, asked for in pieces.

A piece is a day at most, so that no request is larger than what Prometheus allows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from aiops.core.model import F64, Instant, TargetRef
from aiops.core.observe.environment import asks_nodes
from aiops.core.policies import PolicySet, SignalQuery, WatchQuery
from aiops.errors import InvalidContent, InvalidInput
from aiops.ports import History
from simulators.backtest.node_metrics import NODES
from simulators.backtest.pieces import Piece, Pieces
from simulators.backtest.price_metrics import PriceMetrics
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


def watch_of(column: str) -> str:
    """Return the WatchPolicy of a column of a watched series.

    >>> watch_of("watch:WatchPolicy/shop/web#pod=a")
    'WatchPolicy/shop/web'
    """
    return column.removeprefix("watch:").partition("#")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Everything that is asked. exprs: PromQL by column. watches: queries with many series."""

    exprs: Mapping[str, str]
    watches: tuple[WatchQuery, ...] = ()

    @property
    def named(self) -> Mapping[str, str]:
        """Return all of it by name, by which one recording is told from another."""
        return {**self.exprs, **{f"watch:{one.policy}": one.expr for one in self.watches}}

    def other_than(self, before: Recording) -> str:
        """Return what a recording was asked for otherwise, '' where all that it has is asked by the same queries."""
        has: Mapping[str, str] = before.about.get("queries", {})
        watched: Mapping[str, str] = before.about.get("watches", {})
        silent = sorted({watch_of(one) for one in before.columns if one.startswith("watch:")} - watched.keys())
        if not has and not watched:
            return "it does not say what was asked"
        if silent:
            return f"it does not say by what query it has the series of {silent[0]}"
        was = {**has, **{f"watch:{policy}": expr for policy, expr in watched.items()}}
        name = next((name for name, expr in sorted(was.items()) if self.named.get(name) != expr), None)
        if name is None:
            return ""
        now = f"and not by {self.named[name]}" if name in self.named else "which is not asked any more"
        return f"it has {name.removeprefix('watch:')} by {was[name]}, {now}"


def asked(policies: PolicySet, metrics: ReplicaMetrics, prices: PriceMetrics) -> Asked:
    """Return what is asked for policies."""
    exprs = {column: query.expr for column, query in queries(policies, metrics).items()}
    exprs |= dict(one for one in (prices.of(policy.target) for policy in policies.scaling) if one is not None)
    if any(asks_nodes(policy.seen) for policy in policies.scaling):
        exprs |= NODES
    return Asked(exprs=exprs, watches=tuple(watch.query for watch in policies.watches))


def record(
    history: History,
    what: Asked,
    span: Span,
    pieces: Pieces | None = None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Recording:
    """Return what the source remembers; raise SourceUnavailable, or InvalidContent when it remembers nothing at all.

    pieces: what an earlier call has already, and where this one keeps what it has.
    """
    times = span.times
    first, count = round(float(times[0]) / span.step_s), len(times)
    cuts = [first, *range((first // PIECE_STEPS + 1) * PIECE_STEPS, first + count, PIECE_STEPS), first + count]
    columns: dict[str, F64] = {column: np.full(count, np.nan) for column in what.exprs}
    for number, (begins, ends) in enumerate(pairwise(cuts)):
        progress(number, len(cuts) - 1)
        piece = _piece(history, what, (begins, ends, span.step_s), pieces)
        for name, values in piece.columns.items():
            column = columns.setdefault(name, np.full(count, np.nan))
            column[begins - first : ends - first] = values
    progress(len(cuts) - 1, len(cuts) - 1)
    if not any(bool(np.isfinite(values).any()) for values in columns.values()):
        raise InvalidContent("the source remembers nothing of any query in this time")
    silent = {name for name, one in columns.items() if name.startswith("price:") and not np.isfinite(one).any()}
    return Recording(
        origin="prometheus",
        times=times,
        step_s=span.step_s,
        columns={name: one for name, one in columns.items() if name not in silent},
        about={
            "step_s": span.step_s,
            "queries": {column: expr for column, expr in what.exprs.items() if column not in silent},
            "watches": {watch.policy: watch.expr for watch in what.watches},
        },
    )


def _piece(history: History, what: Asked, part: tuple[int, int, float], pieces: Pieces | None) -> Piece:
    """Return the steps of a piece: what there is of it already, and what comes before and after, asked for."""
    begins, ends, step_s = part
    had = None if pieces is None else pieces.found(begins, ends)
    if had is not None and (had.first, had.last) == (begins, ends):
        return had
    inside = [had] if had is not None else []
    gaps = [(begins, ends)] if had is None else [(begins, had.first), (had.last, ends)]
    some = sorted(
        [*inside, *(_asked(history, what, (a, b, step_s)) for a, b in gaps if a < b)], key=lambda one: one.first
    )
    made = _joined(some)
    if pieces is not None:
        pieces.keep(made)
    return made


def _joined(some: Sequence[Piece]) -> Piece:
    """Return pieces that follow each other as one."""
    names = dict.fromkeys(name for one in some for name in one.columns)
    parts = {name: [one.columns.get(name, np.full(one.last - one.first, np.nan)) for one in some] for name in names}
    return Piece(
        first=some[0].first, last=some[-1].last, columns={name: np.concatenate(one) for name, one in parts.items()}
    )


def _asked(history: History, what: Asked, part: tuple[int, int, float]) -> Piece:
    """Return some steps as the source remembers them; one that several columns ask for is asked for once."""
    begins, ends, step_s = part
    start, end, count = begins * step_s, (ends - 1) * step_s, ends - begins
    by_expr: dict[str, F64] = {}
    for expr in sorted(set(what.exprs.values())):
        values = history.range(_query(expr, expr), start, end, step_s).values
        by_expr[expr] = _cut(values[0], count) if len(values) else np.full(count, np.nan)
    columns = {column: by_expr[expr] for column, expr in what.exprs.items()}
    for watch in what.watches:
        matrix = history.range(watch, start, end, step_s)
        columns |= {f"watch:{key}": _cut(row, count) for key, row in zip(matrix.index.keys, matrix.values, strict=True)}
    return Piece(first=begins, last=ends, columns=columns)


def _cut(values: F64, count: int) -> F64:
    """Return so many values, NaN for what is missing at the end."""
    made = np.full(count, np.nan)
    made[: min(count, len(values))] = values[:count]
    return made


def appended(before: Recording, after: Recording) -> Recording:
    """Return two recordings that follow each other as one."""
    names = dict.fromkeys((*before.columns, *after.columns))

    def column(name: str) -> F64:
        parts = [one.columns.get(name, np.full(len(one.times), np.nan)) for one in (before, after)]
        return np.concatenate(parts)

    queries = {**before.about.get("queries", {}), **after.about.get("queries", {})}
    return replace(
        after,
        times=np.concatenate([before.times, after.times]),
        columns={name: column(name) for name in names},
        about={**before.about, **after.about, "queries": queries},
    )


def without_data(recording: Recording) -> Mapping[str, str]:
    """Return the queries that answered nothing in the whole time, by column."""
    asked: Mapping[str, str] = recording.about.get("queries", {})
    return {name: expr for name, expr in asked.items() if not bool(np.isfinite(recording.columns[name]).any())}
