"""PromQL over scraped samples: the tree of promql-parser, evaluated for a whole grid of instants at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from aiops.adapters.scrape.buffer import Buffer, Millis, stale
from aiops.adapters.scrape.functions import absent, called
from aiops.adapters.scrape.grouping import Grouping, aggregated
from aiops.adapters.scrape.joining import Joining, joined
from aiops.adapters.scrape.matching import Matcher
from aiops.adapters.scrape.ranges import over
from aiops.adapters.scrape.vectors import (
    NAME,
    Dialect,
    Scalar,
    Unanswerable,
    Value,
    Vector,
    Windows,
    windows,
    without_name,
)
from aiops.policy import locally, promql

LOOKBACK_MS = 300_000
"""Prometheus' --query.lookback-delta: so long the newest sample of a series counts, unless it has ended."""

_OPS = {"MatchOp.Equal": "=", "MatchOp.NotEqual": "!=", "MatchOp.Re": "=~", "MatchOp.NotRe": "!~"}


@lru_cache(maxsize=1024)
def _tree(expr: str) -> Any:
    tree = promql.parsed(expr)
    refused = locally.refusals(expr)
    if refused:
        raise Unanswerable(refused[0].message)
    return tree


class Evaluator:
    """Answers queries from a buffer as Prometheus would, had it scraped the same samples."""

    def __init__(self, buffer: Buffer, dialect: Dialect = Dialect.THREE) -> None:
        self._buffer = buffer
        self._dialect = dialect

    def answer(self, expr: str, times_ms: Millis) -> Value:
        """Return a query's value at each instant; raise ValueError for what is no query, or has no answer."""
        return _Evaluation(self._buffer, self._dialect, times_ms).of(_tree(expr))


class _Evaluation:
    """One query over one grid of instants."""

    def __init__(self, buffer: Buffer, dialect: Dialect, times_ms: Millis) -> None:
        self._buffer = buffer
        self._dialect = dialect
        self._times = times_ms
        self._kinds: Mapping[str, Callable[[Any], Value]] = {
            "NumberLiteral": lambda node: self._number(node.val),
            "ParenExpr": lambda node: self.of(node.expr),
            "UnaryExpr": self._negated,
            "VectorSelector": self._instants,
            "AggregateExpr": self._aggregated,
            "BinaryExpr": self._joined,
            "Call": self._called,
        }

    def of(self, node: Any) -> Value:
        """Return the value of a node of the tree."""
        kind = type(node).__name__
        if kind not in self._kinds:
            raise Unanswerable(f"{kind} is no value at one instant")
        return self._kinds[kind](node)

    def _number(self, value: float) -> Scalar:
        return Scalar(values=np.full(len(self._times), value))

    def _negated(self, node: Any) -> Value:
        inner = self.of(node.expr)
        if isinstance(inner, Scalar):
            return Scalar(values=-inner.values)
        return without_name(replace(inner, values=-inner.values))

    # -- selectors ---------------------------------------------------------------------------------------

    def _seen(self, node: Any, range_ms: int, *, living: bool) -> Windows:
        offset = 0 if node.offset is None else round(node.offset.total_seconds() * 1000)
        ends = self._times - offset
        first, last = (int(ends.min()), int(ends.max())) if len(ends) else (0, 0)
        samples = self._buffer.select(_matchers(node), first - range_ms, last)
        return windows(samples.living() if living else samples, ends, range_ms, self._dialect)

    def _newest(self, node: Any) -> tuple[Vector, Vector]:
        """Return the newest value of each series, and its time in seconds; nothing of a series that has ended."""
        seen = self._seen(node, LOOKBACK_MS, living=False)
        labels, count = seen.samples.labels, len(seen.samples.values)
        there = seen.high > seen.low
        if not count:
            nothing = Vector(labels=labels, values=np.zeros(there.shape), there=there)
            return nothing, nothing
        places = np.clip(seen.high - 1, 0, count - 1)
        there &= ~stale(seen.samples.values)[places]
        times = seen.samples.times_ms[places] / 1000.0
        values = Vector(labels=labels, values=seen.samples.values[places], there=there)
        return values, Vector(labels=labels, values=times, there=there)

    def _instants(self, node: Any) -> Vector:
        return self._newest(node)[0]

    # -- operators ---------------------------------------------------------------------------------------

    def _aggregated(self, node: Any) -> Value:
        inner = self.of(node.expr)
        if isinstance(inner, Scalar):
            raise Unanswerable(f"{node.op} aggregates a vector, not a number")
        by = Grouping()
        if node.modifier is not None:
            without = str(node.modifier.type).endswith("Without")
            by = Grouping(labels=tuple(node.modifier.labels), without=without)
        return aggregated(str(node.op), inner, by)

    def _joined(self, node: Any) -> Value:
        how = Joining()
        if node.modifier is not None:
            matching = node.modifier.matching
            how = Joining(
                labels=() if matching is None else tuple(matching.labels),
                on=matching is not None and str(matching.type).endswith("Include"),
                as_bool=node.modifier.return_bool,
            )
        return joined(str(node.op), self.of(node.lhs), self.of(node.rhs), how)

    # -- functions ---------------------------------------------------------------------------------------

    def _called(self, node: Any) -> Value:
        name, arguments = node.func.name, list(node.args)
        if name == "time":
            return Scalar(values=self._times / 1000.0)
        if name == "timestamp":
            return self._timestamp(arguments[0])
        if name == "absent":
            return absent(_vector(self.of(arguments[0])), _matchers_of(arguments[0]))
        if name in locally.RANGES:
            return self._of_range(name, arguments[0])
        if name == "vector" and not arguments:
            raise Unanswerable("vector() needs a number")
        return called(name, [one.val if type(one).__name__ == "StringLiteral" else self.of(one) for one in arguments])

    def _timestamp(self, argument: Any) -> Vector:
        """Return when samples were taken; of what is no selector the instant of the evaluation."""
        inner = _unwrapped(argument)
        if type(inner).__name__ == "VectorSelector":
            return without_name(self._newest(inner)[1])
        vector = _vector(self.of(inner))
        values = np.broadcast_to(self._times[None, :] / 1000.0, vector.values.shape)
        return without_name(replace(vector, values=values))

    def _of_range(self, name: str, argument: Any) -> Vector:
        matrix = _unwrapped(argument)
        if type(matrix).__name__ != "MatrixSelector":
            raise Unanswerable(f"{name}() needs a window, such as [5m]")
        node = matrix.vector_selector
        seen = self._seen(node, round(matrix.range.total_seconds() * 1000), living=True)
        if name == "absent_over_time":
            return absent(over("present_over_time", seen, self._dialect), _matchers(node))
        return over(name, seen, self._dialect)


def _vector(value: Value) -> Vector:
    if isinstance(value, Scalar):
        raise Unanswerable("a vector is needed, not a number")
    return value


def _unwrapped(node: Any) -> Any:
    while type(node).__name__ == "ParenExpr":
        node = node.expr
    return node


def _matchers_of(node: Any) -> tuple[Matcher, ...]:
    return _matchers(node) if type(node).__name__ == "VectorSelector" else ()


def _matchers(node: Any) -> tuple[Matcher, ...]:
    found = [Matcher(one.name, _OPS[str(one.op)], one.value) for one in node.matchers.matchers]
    if node.name:
        found.append(Matcher(NAME, "=", node.name))
    return tuple(found)
