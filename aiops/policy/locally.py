"""The part of PromQL that is answered from samples scraped by this process itself; docs/edge.md lists it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from aiops.policy import promql

RANGES = frozenset(
    {
        *("rate", "increase", "irate", "delta", "idelta", "changes", "resets"),
        *("avg_over_time", "max_over_time", "min_over_time", "sum_over_time", "count_over_time", "last_over_time"),
        *("present_over_time", "absent_over_time"),
    }
)
"""Functions of a range vector."""

VECTORS = frozenset(
    {
        *("abs", "ceil", "floor", "sqrt", "exp", "ln", "log2", "log10", "sgn", "round"),
        *("clamp", "clamp_min", "clamp_max"),
        *("absent", "scalar", "vector", "time", "timestamp", "histogram_quantile", "label_replace"),
    }
)
"""Functions of an instant vector or of a number."""

FUNCTIONS = RANGES | VECTORS
AGGREGATIONS = frozenset({"sum", "avg", "min", "max", "count", "group"})
ARITHMETIC = frozenset({"+", "-", "*", "/", "%", "^"})
COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})
SETS = frozenset({"and", "or", "unless"})
OPERATORS = ARITHMETIC | COMPARISONS | SETS

_OTHER_REGEX = re.compile(r"\[\[:|\\[pPzQEC]|\(\?[^:imsP]|\(\?P[^<]|\(\?[a-z]*[U-]")
"""What regular expressions of Prometheus can say and ours cannot, or the other way round."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What of a query is not answered locally. offset: where it stands in the query, as far as that is known."""

    offset: int
    message: str


@lru_cache(maxsize=1024)
def refusals(expr: str) -> tuple[Refusal, ...]:
    """Return everything in a query, which is known to parse, that is not answered from scraped samples."""
    found = dict.fromkeys(_refused(promql.parsed(expr)))
    return tuple(Refusal(_offset(expr, word), message) for word, message in found)


def _refused(node: Any) -> Iterator[tuple[str, str]]:
    """Yield a word of the query and what is wrong with it."""
    match type(node).__name__:
        case "Call" if node.func.name not in FUNCTIONS:
            yield node.func.name, f"the function {node.func.name}() is not answered from scraped samples"
        case "AggregateExpr" if str(node.op) not in AGGREGATIONS:
            yield str(node.op), f"the aggregation {node.op} is not answered from scraped samples"
        case "BinaryExpr":
            yield from _operator(node)
        case "SubqueryExpr":
            yield "[", "a subquery is not answered from scraped samples: widen the window of its selector"
        case "MatrixSelector":
            yield from _selector(node.vector_selector)
        case "VectorSelector":
            yield from _selector(node)
    for one in (*getattr(node, "args", ()), *(getattr(node, name, None) for name in ("lhs", "rhs", "expr"))):
        if one is not None:
            yield from _refused(one)


def _operator(node: Any) -> Iterator[tuple[str, str]]:
    if str(node.op) not in OPERATORS:
        yield str(node.op), f"the operator {node.op} is not answered from scraped samples"
    card = "" if node.modifier is None else str(node.modifier.card)
    for word, many in (("group_left", "ManyToOne"), ("group_right", "OneToMany")):
        if card.endswith(many):
            yield word, f"{word} is not answered from scraped samples: aggregate the side of many first"


def _selector(node: Any) -> Iterator[tuple[str, str]]:
    if node.at is not None:
        yield "@", "the modifier @ is not answered from scraped samples"
    if node.matchers.or_matchers:
        yield " or ", "`or` between matchers is not answered from scraped samples: use =~"
    for one in node.matchers.matchers:
        if str(one.op) in ("MatchOp.Re", "MatchOp.NotRe") and _other_regex(one.value):
            yield one.value, f"the regular expression {one.value!r} is read otherwise by Prometheus: say it more simply"


def _other_regex(text: str) -> bool:
    if _OTHER_REGEX.search(text) is not None:
        return True
    try:
        re.compile(text, re.ASCII)
    except re.error:
        return True
    return False


def _offset(expr: str, word: str) -> int:
    bounded = re.compile(rf"\b{re.escape(word)}\b") if word.isidentifier() else re.compile(re.escape(word))
    found = bounded.search(expr)
    return 0 if found is None else found.start()
