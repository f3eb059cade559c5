"""The weights of an HTTPRoute's first rule, as the API server shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

WEIGHT_WHEN_UNSAID = 1
"""The weight of a backendRef without one (Gateway API v1)."""


class RouteBook:
    """Keeps one route's backends. weights: of `namespace/service`, None while there is no such route."""

    def __init__(self) -> None:
        self.weights: Mapping[str, int] | None = None
        self.synced = False

    def replace(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Take this as the route; none when it is empty."""
        self.weights = _weights(items[0]) if items else None
        self.synced = True

    def note(self, kind: str, item: Mapping[str, Any]) -> None:
        """Take one change."""
        self.weights = None if kind == "DELETED" else _weights(item)

    def shares(self) -> dict[str, float]:
        """Return the share of the load of each backend; empty when there is none or the weights sum to 0."""
        weights = self.weights or {}
        whole = sum(weights.values())
        return {key: weight / whole for key, weight in weights.items()} if whole > 0 else {}


def _weights(item: Mapping[str, Any]) -> dict[str, int]:
    rules: Sequence[Mapping[str, Any]] = item["spec"].get("rules") or ({},)
    found: dict[str, int] = {}
    for one in rules[0].get("backendRefs") or ():
        key = f"{one.get('namespace') or item['metadata']['namespace']}/{one['name']}"
        weight = one.get("weight")
        found[key] = found.get(key, 0) + (WEIGHT_WHEN_UNSAID if weight is None else int(weight))
    return found
