"""What a PromQL expression reads of the daemon's own metrics, against what is exported."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import promql_parser as promql

from aiops.policy.promql import parsed
from tests.exposition import WORDS, everything

OF_THE_TARGET = {"namespace", "job", "instance", "pod", "cluster", "le", "__name__"}
"""Labels that Prometheus gives to every series, or that histograms have."""


def misnamed(expr: str) -> list[str]:
    """Return what an expression reads that no daemon exports: names, labels, words of labels."""
    tree = parsed(expr)
    selectors = [node for node in _nodes(tree) if isinstance(node, promql.VectorSelector)]
    own = [one for one in selectors if (one.name or "").startswith("aiops_")]
    wrong = [said for one in own for said in _of_selector(one)]
    return wrong or [said for node in _nodes(tree) if isinstance(node, promql.AggregateExpr) for said in _of_sum(node)]


def _nodes(tree: Any) -> Iterator[Any]:
    found: list[Any] = []

    def visit(node: Any) -> bool:
        found.append(node)
        return True

    promql.walk(tree, visit)
    yield from found


def base(name: str) -> str:
    """Return the name under which the page tells of a sample's name."""
    known = everything()
    return next(
        (name.removesuffix(end) for end in ("_bucket", "_sum", "_count") if name.removesuffix(end) in known), name
    )


def _of_selector(one: Any) -> Iterator[str]:
    known = everything().get(base(one.name))
    if known is None:
        yield f"{one.name} is not exported"
        return
    for matcher in one.matchers.matchers:
        if matcher.name in OF_THE_TARGET:
            continue
        if matcher.name not in known.labels:
            yield f"{one.name} has no label {matcher.name}"
            continue
        words = _words(known.name, matcher.name)
        for word in _asked(matcher) if words else ():
            if word not in words:
                yield f"{one.name}: {matcher.name} is never {word!r}"


def _words(metric: str, label: str) -> set[str]:
    """Return the words that a label can say, none where that is no closed list."""
    for key, words in WORDS.items():
        name, _, of = key.replace("`", "").partition(" of ")
        if name == label and (not of or re.fullmatch(of.replace("*", ".*"), metric)):
            return {str(word) for word in words}
    return set()


def _asked(matcher: Any) -> Iterator[str]:
    """Yield the words that a matcher names; a(b|c)d names abd and acd; a pattern of another shape names none."""
    if matcher.op in (promql.MatchOp.Equal, promql.MatchOp.NotEqual):
        yield matcher.value
        return
    grouped = re.fullmatch(r"(\w*)\(([\w|-]+)\)(\w*)", matcher.value)
    head, middle, tail = grouped.groups() if grouped else ("", matcher.value, "")
    if re.fullmatch(r"[\w|-]+", middle):
        yield from (f"{head}{word}{tail}" for word in middle.split("|"))


def _of_sum(node: Any) -> Iterator[str]:
    """Yield labels by which is summed that none of the summed series has."""
    names = [one.name for one in _nodes(node.expr) if isinstance(one, promql.VectorSelector) and one.name]
    known = [everything()[base(name)] for name in names if base(name) in everything()]
    if node.modifier is None or not known:
        return
    for label in node.modifier.labels:
        if label not in OF_THE_TARGET and not any(label in one.labels for one in known):
            yield f"by ({label}): none of {', '.join(names)} has it"
