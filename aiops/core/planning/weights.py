"""How much traffic each backend gets, as the object that steers it says: in percent, whatever it counts in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from aiops.core.model import SeenObject, ShiftTraffic, TrafficLever
from aiops.core.planning.failover import Traffic

BACKEND_LABEL = "policy.aiops/backend-label"
"""The annotation of a Service that names the label by which its selector chooses a backend; `backend` without it."""

WEIGHTS = "policy.aiops/weights"
"""The annotation of weights as text, `west=80,north=20`, for a DNS controller to follow."""

CANARY_WEIGHT = "nginx.ingress.kubernetes.io/canary-weight"
CANARY_TOTAL = "nginx.ingress.kubernetes.io/canary-weight-total"
CANARY = "nginx.ingress.kubernetes.io/canary"

Weights = tuple[tuple[str, int], ...]


def percents(traffic: Traffic, backends: Sequence[str], seen: SeenObject) -> Weights | None:
    """Return the share of each backend, in their order, adding up to 100; None when the object does not say.

    A backend that is not in the object makes the whole unknown, and so does traffic that goes to nobody.
    """
    said = counted(traffic.shift(tuple((name, 0) for name in backends)), seen)
    return None if said is None or sum(weight for _, weight in said) <= 0 else apportioned(dict(said))


def counted(operation: ShiftTraffic, seen: SeenObject) -> Weights | None:
    """Return the weights of an operation's backends as the object counts them, None when it does not say."""
    names = [name for name, _ in operation.weights]
    said = _said(operation, names, seen.body)
    return tuple((name, said[name]) for name in names) if names and set(names) <= set(said) else None


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


def told(body: Mapping[str, Any]) -> dict[str, int]:
    """Return the weights of the annotation that a DNS controller follows."""
    text = _texts(_at(body, "metadata", "annotations")).get(WEIGHTS, "")
    pairs = (part.partition("=") for part in text.split(",") if part)
    return {name.strip(): int(weight) for name, _, weight in pairs if weight.strip().isdecimal()}


def backend_label(body: Mapping[str, Any]) -> str:
    """Return the label by which a Service's selector chooses a backend."""
    return _texts(_at(body, "metadata", "annotations")).get(BACKEND_LABEL, "backend")


def _said(operation: ShiftTraffic, names: Sequence[str], body: Mapping[str, Any]) -> Mapping[str, int]:
    match operation.lever:
        case TrafficLever.HTTP_ROUTE:
            refs = _at(body, "spec", "rules", operation.rule, "backendRefs")
            found = [one for one in refs if isinstance(one, Mapping)] if isinstance(refs, list | tuple) else []
            return {one["name"]: _weight(one.get("weight")) for one in found if one.get("name") in names}
        case TrafficLever.SERVICE_SELECTOR:
            chosen = _texts(_at(body, "spec", "selector")).get(backend_label(body))
            return {name: 100 if name == chosen else 0 for name in names} if chosen in names else {}
        case TrafficLever.INGRESS_CANARY:
            annotations = _texts(_at(body, "metadata", "annotations"))
            weight, of = annotations.get(CANARY_WEIGHT, "0"), annotations.get(CANARY_TOTAL, "100")
            share = int(weight) if weight.isdecimal() else 101
            if annotations.get(CANARY) != "true" or share > 100 or of != "100" or len(names) != 2:
                return {}
            return {names[0]: 100 - share, names[1]: share}
        case TrafficLever.WEIGHT_ANNOTATION:
            return told(body)
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


def _weight(value: Any) -> int:
    """Return a weight; one that is not said is 1, as in the Gateway API."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 1
