"""Parting a PromQL query by the values of one label: each part is answered by the source itself, exactly.

A matcher on the label is pushed into every selector. That gives the same series as the whole query, those with one of
the values, where each series of the answer is computed from series with its own value of the label alone; a query of
which this cannot be seen is not parted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from aiops.policy.promql import parsed

_FROM_NOWHERE = frozenset({"absent", "absent_over_time", "scalar", "vector", "info", "time"})
"""Functions whose answer does not keep the labels of what they are asked of."""

_OF_BUCKETS = frozenset({"histogram_quantile", "histogram_quantiles", "histogram_fraction"})
"""Functions that look at all buckets of a classic histogram together, and so at all values of `le`."""

_RELABELS = frozenset({"label_replace", "label_join"})
MANY = ("instance", "pod", "node", "host", "container", "service", "deployment", "statefulset", "workload", "app")
"""Labels that usually have many values, and each about as many series."""

_MOST_CHARACTERS = 1_000_000
"""A longer list of values is refused: more shards, or a coarser label, make it shorter."""


@lru_cache(maxsize=4096)
def parts_by(expr: str, label: str) -> bool:
    """Return whether a query can be parted by a label.

    >>> parts_by("sum by (node) (rate(x[5m]))", "node"), parts_by("sum by (le) (rate(x[5m]))", "node")
    (True, False)
    """
    try:
        return _Carried(label).by(parsed(expr))
    except ValueError:
        return False


def label_of(expr: str, identity: tuple[str, ...], preferred: str = "") -> str:
    """Return the label by which a query is parted, '' for none: the preferred one, else one of its identity.

    Of these first one that usually has many values, as an identity is kept in the order of the alphabet.
    """
    usual = [name for name in MANY if name in identity]
    wanted = ([preferred] if preferred else []) + usual + [name for name in identity if name not in usual]
    return next((name for name in wanted if parts_by(expr, name)), "")


def listing(expr: str, label: str) -> str:
    """Return the query that says which values of a label there are, and how many series have each."""
    return f"count by ({label}) ({expr})"


def narrowed(expr: str, label: str, values: Iterable[str]) -> str:
    """Return the part of a query whose series have one of the values; '' stands for series without the label.

    Raises ValueError when the values are too many to be asked for at once.

    >>> narrowed('rate(x{a="b"}[5m])', "node", ["n-1", "n-2"])
    'rate(x{a="b",node=~"n-1|n-2"}[5m])'
    """
    import promql_parser as promql

    pattern = "|".join(_escaped(value) for value in sorted(values))
    if len(pattern) > _MOST_CHARACTERS:
        raise ValueError(f"{len(pattern)} characters of values of {label} in one query; more shards make it shorter")
    quoted = pattern.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    matcher = f'{label}=~"{quoted}"'

    def visit(node: Any) -> Any:
        return promql.parse(_with(node, matcher)) if isinstance(node, promql.VectorSelector) else None

    return str(promql.transform(parsed(expr), None, visit).prettify())


def _escaped(value: str) -> str:
    """Return a value as RE2 reads it as itself; Python escapes what RE2 does not know, such as a space or a hyphen."""
    return re.sub(r"([\\.+*?()|\[\]{}^$])", r"\\\1", value)


def _with(selector: Any, matcher: str) -> str:
    """Return a selector's text with one matcher more."""
    text, name = str(selector.prettify()), str(selector.name or "")
    rest = text[len(name) :]
    if not rest.startswith("{"):
        return f"{name}{{{matcher}}}{rest}"
    return f"{name}{{{matcher}{'' if rest.startswith('{}') else ','}{rest[1:]}"


class _Carried:
    """Whether each series of an expression has the label as the series have it that it is computed from."""

    def __init__(self, label: str) -> None:
        import promql_parser as promql

        self._label, self._promql = label, promql

    def by(self, node: Any) -> bool:
        """Return whether it is so; what is not known is not."""
        promql = self._promql
        if isinstance(node, promql.VectorSelector):
            text, name = str(node.prettify()), str(node.name or "")
            return text.startswith(name) and not node.matchers.or_matchers and self._label != "__name__"
        if isinstance(node, promql.MatrixSelector):
            return self.by(node.vector_selector)
        if isinstance(node, promql.SubqueryExpr | promql.ParenExpr | promql.UnaryExpr):
            return self.by(node.expr)
        if isinstance(node, promql.Call):
            return self._call(node)
        if isinstance(node, promql.AggregateExpr):
            return self._aggregate(node)
        return isinstance(node, promql.BinaryExpr) and self._binary(node)

    def _call(self, node: Any) -> bool:
        name, label = str(node.func.name), self._label
        if name in _FROM_NOWHERE or (name in _OF_BUCKETS and label == "le"):
            return False
        if name in _RELABELS and label in (str(one.val) for one in node.args if self._is(one, "StringLiteral")):
            return False
        series = [one for one in node.args if not self._plain(one)]
        return bool(series) and all(self.by(one) for one in series)

    def _aggregate(self, node: Any) -> bool:
        modifier = node.modifier
        if modifier is None or (node.param is not None and not self._plain(node.param)):
            return False
        named = self._label in modifier.labels
        kept = named if str(modifier.type).endswith("By") else not named
        value_named = self._is(node.param, "StringLiteral") and str(node.param.val) == self._label
        return kept and not value_named and self.by(node.expr)

    def _binary(self, node: Any) -> bool:
        left, right, modifier = node.lhs, node.rhs, node.modifier
        if self._plain(left) or self._plain(right):
            return self.by(right if self._plain(left) else left)
        matching = None if modifier is None else modifier.matching
        if matching is not None:
            named = self._label in matching.labels
            if named is not str(matching.type).endswith("Include"):
                return False
        if modifier is not None and self._label in (modifier.group_labels or ()):
            return False
        return self.by(left) and self.by(right)

    def _plain(self, node: Any) -> bool:
        """Return whether a part is a number or a string that hangs on no series."""
        promql = self._promql
        if isinstance(node, promql.NumberLiteral | promql.StringLiteral):
            return True
        if isinstance(node, promql.ParenExpr | promql.UnaryExpr):
            return self._plain(node.expr)
        if isinstance(node, promql.Call):
            return str(node.func.name) == "time" or (str(node.func.name) == "pi")
        return isinstance(node, promql.BinaryExpr) and self._plain(node.lhs) and self._plain(node.rhs)

    def _is(self, node: Any, kind: str) -> bool:
        return isinstance(node, getattr(self._promql, kind))
