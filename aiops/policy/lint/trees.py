"""What a PromQL tree says of what is read and answered: selectors, windows, aggregations, how many series."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from aiops.policy import promql

COUNTER_FUNCTIONS = frozenset({"rate", "irate", "increase", "resets"})
SMOOTHED = frozenset({"rate", "increase"})
EVENTS = frozenset(
    {"absent", "absent_over_time", "count", "count_over_time", "group", "present_over_time", "timestamp"}
)
"""What looks at whether there are samples, not at their values."""

_ALWAYS_ONE = frozenset({"absent", "absent_over_time", "pi", "scalar", "time", "vector"})
_SEVERAL = frozenset({"topk", "bottomk", "count_values", "limitk", "limit_ratio"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Matcher:
    """One matcher of a selector. op: =, !=, =~ or !~."""

    name: str
    op: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """One selector of a query. range_s: of its own window, 0 without one. subquery_s: of the windows around it.

    within: the functions and aggregations around it, the outermost first.
    """

    metric: str
    matchers: tuple[Matcher, ...]
    range_s: float
    subquery_s: float
    subquery_step_s: float
    within: tuple[str, ...]

    @property
    def text(self) -> str:
        """Return the selector as people write it, without its window, its matchers in one order."""
        inside = ",".join(f'{one.name}{one.op}"{one.value}"' for one in sorted(self.matchers, key=str))
        return f"{self.metric}{{{inside}}}" if inside else self.metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles:
    """One histogram_quantile. buckets: the classic ones that it reads. drops: whether `le` is aggregated away."""

    buckets: tuple[str, ...]
    drops: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a query without asking it.

    single: it answers one series at most. labels: those that it can answer; None when that is not known. top: the
    outermost function or aggregation. normal: its text in one form, whoever wrote it.
    """

    selectors: tuple[Selector, ...]
    quantiles: tuple[Quantiles, ...]
    single: bool
    labels: frozenset[str] | None
    top: str
    normal: str


@lru_cache(maxsize=2048)
def facts(expr: str) -> Facts:
    """Return the facts of a query that is known to parse; several rules ask for those of one."""
    tree = promql.parsed(expr)
    reader = _Reader()
    reader.read(tree, _Around())
    return Facts(
        selectors=tuple(reader.selectors),
        quantiles=tuple(reader.quantiles),
        single=_single(tree),
        labels=_labels(tree),
        top=_top(tree),
        normal=tree.prettify(),
    )


@dataclass(frozen=True, slots=True)
class _Around:
    within: tuple[str, ...] = ()
    subquery_s: float = 0.0
    step_s: float = 0.0

    def inside(self, name: str) -> _Around:
        return _Around((*self.within, name), self.subquery_s, self.step_s)


@dataclass(slots=True)
class _Reader:
    selectors: list[Selector] = field(default_factory=list)
    quantiles: list[Quantiles] = field(default_factory=list)

    def read(self, node: Any, around: _Around) -> None:
        kind = type(node).__name__
        if kind == "VectorSelector":
            self._select(node, 0.0, around)
        elif kind == "MatrixSelector":
            self._select(node.vector_selector, node.range.total_seconds(), around)
        elif kind == "SubqueryExpr":
            step_s = node.step.total_seconds() if node.step is not None else 0.0
            wider = _Around(around.within, around.subquery_s + node.range.total_seconds(), step_s)
            self.read(node.expr, wider)
        elif kind == "Call":
            if node.func.name == "histogram_quantile":
                self._quantile(node)
            for one in node.args:
                self.read(one, around.inside(node.func.name))
        else:
            name = str(node.op) if kind == "AggregateExpr" else ""
            for one in _children(node):
                self.read(one, around.inside(name) if name else around)

    def _select(self, node: Any, range_s: float, around: _Around) -> None:
        matchers = tuple(_matcher(one) for one in node.matchers.matchers)
        named = next((one.value for one in matchers if (one.name, one.op) == ("__name__", "=")), "")
        self.selectors.append(
            Selector(
                metric=node.name or named,
                matchers=tuple(one for one in matchers if one.name != "__name__" or one.op != "="),
                range_s=range_s,
                subquery_s=around.subquery_s,
                subquery_step_s=around.step_s,
                within=around.within,
            )
        )

    def _quantile(self, node: Any) -> None:
        inner = _Reader()
        inner.read(node.args[-1], _Around())
        buckets = tuple(dict.fromkeys(one.metric for one in inner.selectors if one.metric.endswith("_bucket")))
        labels = _labels(node.args[-1])
        self.quantiles.append(Quantiles(buckets=buckets, drops=labels is not None and "le" not in labels))


def _children(node: Any) -> Iterator[Any]:
    for name in ("lhs", "rhs", "expr", "param"):
        child = getattr(node, name, None)
        if child is not None and hasattr(child, "prettify"):
            yield child


def _matcher(one: Any) -> Matcher:
    op = {"MatchOp.Equal": "=", "MatchOp.NotEqual": "!=", "MatchOp.Re": "=~", "MatchOp.NotRe": "!~"}[str(one.op)]
    return Matcher(name=one.name, op=op, value=one.value)


def _top(node: Any) -> str:
    kind = type(node).__name__
    if kind == "AggregateExpr":
        return str(node.op)
    if kind == "Call":
        return str(node.func.name)
    return _top(node.expr) if kind in ("ParenExpr", "UnaryExpr") else ""


def _single(node: Any) -> bool:
    """Return whether a tree answers one series at most."""
    kind = type(node).__name__
    if kind in ("NumberLiteral", "StringLiteral"):
        return True
    if kind == "AggregateExpr":
        return str(node.op) not in _SEVERAL and _labels(node) == frozenset()
    if kind == "Call":
        vectors = [one for one in node.args if not _scalar(one)]
        return node.func.name in _ALWAYS_ONE or all(_labels(one) in (frozenset(), _LE) for one in vectors)
    if kind == "BinaryExpr":
        sides = (_single(node.lhs), _single(node.rhs))
        if _scalar(node.lhs) or _scalar(node.rhs) or str(node.op) == "or" or _many_to_one(node):
            return all(sides)
        return any(sides)
    return kind in ("ParenExpr", "UnaryExpr", "SubqueryExpr") and _single(node.expr)


_LE = frozenset({"le"})


def _many_to_one(node: Any) -> bool:
    return (
        node.modifier is not None and "ToOne" in str(node.modifier.card) and "OneToOne" not in str(node.modifier.card)
    )


def _scalar(node: Any) -> bool:
    kind = type(node).__name__
    if kind == "ParenExpr":
        return _scalar(node.expr)
    if kind == "BinaryExpr":
        return _scalar(node.lhs) and _scalar(node.rhs)
    return kind in ("NumberLiteral", "StringLiteral") or (kind == "Call" and node.func.name in ("scalar", "time", "pi"))


def _labels(node: Any) -> frozenset[str] | None:
    """Return the labels that the answer can have; None for any."""
    kind = type(node).__name__
    if kind == "AggregateExpr":
        return _aggregated(node)
    if kind == "Call":
        return _called(node)
    if kind == "BinaryExpr":
        return _joined(node)
    return _labels(node.expr) if kind in ("ParenExpr", "UnaryExpr", "SubqueryExpr") else None


def _aggregated(node: Any) -> frozenset[str] | None:
    inner = _labels(node.expr)
    if str(node.op) in _SEVERAL:
        return None if str(node.op) == "count_values" else inner
    if node.modifier is None:
        return frozenset()
    named = frozenset(node.modifier.labels)
    if str(node.modifier.type).endswith("Without"):
        return None if inner is None else inner - named
    return named if inner is None else inner & named


def _called(node: Any) -> frozenset[str] | None:
    name = node.func.name
    if name in ("vector", "scalar", "time", "pi"):
        return frozenset()
    if name in ("label_replace", "label_join", "absent", "absent_over_time"):
        return None
    inner = [_labels(one) for one in node.args if not _scalar(one)]
    found = inner[-1] if inner else frozenset()
    return found - _LE if found is not None and name == "histogram_quantile" else found


def _joined(node: Any) -> frozenset[str] | None:
    if _scalar(node.lhs):
        return _labels(node.rhs)
    left = _labels(node.lhs)
    if _scalar(node.rhs) or str(node.op) in ("and", "unless"):
        return left
    right = _labels(node.rhs)
    if left is not None and right is not None:
        return left | right
    # one to one: both sides have the labels of the one that is known
    return None if _many_to_one(node) else left if right is None else right
