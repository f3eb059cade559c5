"""Whether policies ask scraped samples for no more than what they answer; see docs/edge.md."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from aiops.errors import Problem

if TYPE_CHECKING:
    from aiops.core.policies import AnyPolicy
    from aiops.policy.document import Document
    from aiops.policy.lint.asked import Asked


def refused(made: Iterable[tuple[Document, AnyPolicy]], local: Collection[str]) -> tuple[Problem, ...]:
    """Return the queries of policies that scraped samples do not answer, at their places.

    local: the names of sources that are scraped samples, '' for the one that all policies ask.
    """
    if not local:
        return ()
    from aiops.policy.compile import Problems
    from aiops.policy.lint.asked import asked
    from aiops.policy.locally import refusals

    found: list[Problem] = []
    for document, policy in made:
        problems = Problems(document)
        sources = {spec.query.source for spec in getattr(policy, "signals", {}).values()} or {""}
        if sources.isdisjoint(local):
            continue
        for one in asked(policy):
            text = _written(document, one)
            for refusal in refusals(text):
                problems.add_inside(one.path, (text, refusal.offset), refusal.message, code="not-scraped")
        found += problems.found
    return tuple(found)


def _written(document: Document, one: Asked) -> str:
    """Return a query as it stands in the document: filled placeholders would move what stands behind them."""
    value: Any = document.data
    try:
        for part in one.path:
            value = value[part]
    except (KeyError, IndexError, TypeError):
        return one.expr
    return value if isinstance(value, str) and "$(" not in value else one.expr
