"""PromQL at load: is it valid, and what must be asked beside it to know age and coverage (S1)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

OWN_METRICS = "aiops_"
MAX_CHARACTERS, MAX_NESTED, MAX_OPERATORS = 10_000, 32, 64
_LEVELS = re.compile(
    r"""#[^\n]*|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`|([()]|[-+*/%^]|[<>=!]=?|\b(?:and|or|unless|atan2)\b)""",
    re.I | re.S,
)
"""What deepens the tree, outside of comments and strings."""

TARGET_LABELS = ("cluster", "namespace", "service", "job", "instance", "pod")
"""Labels by which `up` knows the targets of a selector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Companions:
    """Queries that say how old and how whole the answer of another query is, one for each of its selectors."""

    age: tuple[str, ...] = ()
    coverage: tuple[str, ...] = ()
    up: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A query that parses. metrics: the names that it selects."""

    companions: Companions
    metrics: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Matched:
    """One matcher of a selector. regular: whether its value is a regular expression."""

    name: str
    value: str
    regular: bool


def parsed(expr: str) -> Any:
    """Return the tree of a query; raise ValueError, in a sentence, for what is no PromQL or too deep to be read.

    The parser is native and calls itself for every level: thousands of parentheses or terms end the process.
    """
    import promql_parser as promql

    if len(expr) > MAX_CHARACTERS:
        raise ValueError(f"PromQL: a query of {len(expr)} characters; {MAX_CHARACTERS} are enough for a rule")
    depth = deepest = operators = 0
    for mark in _LEVELS.findall(expr):
        depth += {"(": 1, ")": -1}.get(mark, 0)
        deepest = max(deepest, depth)
        operators += bool(mark) and mark not in "()"
    if deepest > MAX_NESTED or operators > MAX_OPERATORS:
        raise ValueError(f"PromQL: more than {MAX_NESTED} levels or {MAX_OPERATORS} operators: use a recording rule")
    try:
        return promql.parse(expr)
    except ValueError as err:
        raise ValueError(f"PromQL: {err}") from err


@lru_cache(maxsize=1024)
def checked(expr: str) -> Checked:
    """Return what is known of a query; raise ValueError, in a sentence, when it cannot be a signal."""
    import promql_parser as promql

    tree = parsed(expr)
    if isinstance(tree, promql.MatrixSelector | promql.SubqueryExpr):
        raise ValueError("PromQL: a range vector is no value at one instant; wrap it, such as in rate(...)")
    if isinstance(tree, promql.StringLiteral):
        raise ValueError("PromQL: a string is no value")
    selectors = _selectors(tree, promql)
    if not selectors:
        raise ValueError("PromQL: a query without a selector never changes")
    own = [name for name, _ in selectors.values() if name.startswith(OWN_METRICS)]
    if own:
        raise ValueError(f"PromQL: {own[0]} is the loop's own metric, which it must not steer by (S1)")
    companions = Companions(
        age=tuple(f"max(timestamp({text}))" for text in selectors),
        coverage=tuple(f"count({text})" for text in selectors),
        up=tuple(dict.fromkeys(up for _, up in selectors.values() if up)),
    )
    return Checked(companions=companions, metrics=tuple(dict.fromkeys(name for name, _ in selectors.values() if name)))


def _selectors(tree: Any, promql: Any) -> dict[str, tuple[str, str]]:
    """Return each selector's text without its range, with its metric name and the `up` of its targets."""
    found: dict[str, tuple[str, str]] = {}

    def visit(node: Any) -> bool:
        if isinstance(node, promql.VectorSelector):
            labels = [(m.name, m.op, m.value) for m in node.matchers.matchers]
            name = node.name or next((value for key, _, value in labels if key == "__name__"), "")
            found[node.prettify()] = (name, _up(labels, promql))
        return True

    promql.walk(tree, visit)
    return found


def matchers(expr: str) -> tuple[Matched, ...]:
    """Return the matchers of every selector of a query, but that of a metric's name; raise ValueError."""
    import promql_parser as promql

    found: list[Matched] = []

    def visit(node: Any) -> bool:
        if isinstance(node, promql.VectorSelector):
            named = [one for one in node.matchers.matchers if one.name != "__name__"]
            regular = (promql.MatchOp.Re, promql.MatchOp.NotRe)
            found.extend(Matched(one.name, one.value, regular=one.op in regular) for one in named)
        return True

    promql.walk(parsed(expr), visit)
    return tuple(found)


def normal(expr: str) -> str:
    """Return a query as the parser writes it; raise ValueError."""
    return str(parsed(expr).prettify())


def _up(labels: list[tuple[str, Any, str]], promql: Any) -> str:
    targets = [(n, v) for n, op, v in labels if n in TARGET_LABELS and op == promql.MatchOp.Equal]
    if not targets:
        return ""
    return "up{" + ",".join(f"{name}={_quoted(value)}" for name, value in sorted(targets)) + "}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
