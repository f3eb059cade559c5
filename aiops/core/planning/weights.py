"""How much traffic each backend gets, as the object that steers it says: in percent, whatever it counts in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from aiops.core.model import SeenObject, TrafficLever
from aiops.core.planning.failover import Traffic

BACKEND_LABEL = "policy.aiops/backend-label"
"""The annotation of a Service that names the label by which its selector chooses a backend; `backend` without it."""

WEIGHTS = "policy.aiops/weights"
CANARY_WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
CANARY = "nginx.ingress.kubernetes.io/canary"

Weights = tuple[tuple[str, int], ...]


def percents(traffic: Traffic, backends: Sequence[str], seen: SeenObject) -> Weights | None:
    """Return the share of each backend, in their order, adding up to 100; None when the object does not say.

    A backend that is not in the object makes the whole unknown, and so does traffic that goes to nobody.
    """
    said = _said(traffic, backends, seen.body)
    if said is None or set(said) != set(backends) or sum(said.values()) <= 0:
        return None
    return apportioned({name: said[name] for name in backends})


def apportioned(shares: Mapping[str, float]) -> Weights:
    """Return whole percents in the same ratios, adding up to 100, by the largest remainders (Hamilton's method).

    >>> apportioned({"a": 1, "b": 2})
    (('a', 33), ('b', 67))
    """
    total = sum(shares.values())
    exact = {name: 100.0 * share / total for name, share in shares.items()}
    whole = {name: int(share) for name, share in exact.items()}
    rest = sorted(exact, key=lambda name: whole[name] - exact[name])
    for name in rest[: 100 - sum(whole.values())]:
        whole[name] += 1
    return tuple(whole.items())


def shifted(now: Weights, backend: str, percent: int) -> Weights:
    """Return the weights with `percent` at one backend, and the rest as it was among the others.

    >>> shifted((("a", 100), ("b", 0)), "b", 50)
    (('a', 50), ('b', 50))
    """
    others = {name: weight for name, weight in now if name != backend}
    rest = 100 - percent
    kept = dict.fromkeys(others, 0) if rest == 0 else _scaled(others, rest)
    return tuple((name, percent if name == backend else kept[name]) for name, _ in now)


def _scaled(others: Mapping[str, int], rest: int) -> dict[str, int]:
    if not sum(others.values()):
        others = dict.fromkeys(others, 1)
    first = next(iter(others))
    scaled = {name: weight * rest // sum(others.values()) for name, weight in others.items()}
    most = max(scaled, key=lambda name: scaled[name]) if any(scaled.values()) else first
    return {**scaled, most: scaled[most] + rest - sum(scaled.values())}


def _said(traffic: Traffic, backends: Sequence[str], body: Mapping[str, Any]) -> dict[str, int] | None:
    annotations = _texts(_at(body, "metadata", "annotations"))
    match traffic.lever:
        case TrafficLever.HTTP_ROUTE:
            refs = _at(body, "spec", "rules", traffic.rule, "backendRefs")
            found = [one for one in refs if isinstance(one, Mapping)] if isinstance(refs, list | tuple) else []
            return {one["name"]: _number(one.get("weight", 1)) for one in found if one.get("name") in backends}
        case TrafficLever.SERVICE_SELECTOR:
            label = annotations.get(BACKEND_LABEL, "backend")
            chosen = _texts(_at(body, "spec", "selector")).get(label)
            return {name: 100 if name == chosen else 0 for name in backends}
        case TrafficLever.INGRESS_CANARY:
            weight = annotations.get(CANARY_WEIGHT, "0")
            if annotations.get(CANARY) != "true" or not weight.isdecimal() or len(backends) != 2:
                return None
            share = min(100, int(weight))
            return {backends[0]: 100 - share, backends[1]: share}
        case TrafficLever.WEIGHT_ANNOTATION:
            pairs = (part.partition("=") for part in annotations.get(WEIGHTS, "").split(",") if part)
            told = {name.strip(): int(weight) for name, _, weight in pairs if weight.strip().isdecimal()}
            return {name: told[name] for name in backends if name in told}
        case unknown:
            assert_never(unknown)


def _at(body: Any, *path: str | int) -> Any:
    for step in path:
        if isinstance(step, str):
            body = body.get(step) if isinstance(body, Mapping) else None
        else:
            body = body[step] if isinstance(body, list | tuple) and step < len(body) else None
    return body


def _texts(value: Any) -> dict[str, str]:
    pairs = value.items() if isinstance(value, Mapping) else ()
    return {key: text for key, text in pairs if isinstance(key, str) and isinstance(text, str)}


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0
