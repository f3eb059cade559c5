"""What people see of the models that foretell demand, and what they say to them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from aiops.core.lineage.lineage import Lineage
from aiops.core.lineage.next_minutes import NextMinutes
from aiops.core.lineage.version import Role, Scores, Version
from aiops.core.model import Inputs, Instant, PolicyKey
from aiops.errors import InvalidInput, NotFound

DOES = ("promote", "rollback", "refit")


def models(
    seen: Mapping[PolicyKey, Inputs], lineages: Mapping[PolicyKey, Lineage | NextMinutes]
) -> list[dict[str, Any]]:
    """Return the model of every policy that forecasts: which version acts, how well, and who is judged beside it."""
    return [_model(key, one, seen.get(key)) for key, one in sorted(lineages.items())]


def order(lineages: Mapping[PolicyKey, Lineage | NextMinutes], wish: Mapping[str, Any], now: Instant) -> dict[str, Any]:
    """Do what a person says to the models of a policy. Fields: policy, do, version (to promote), by, reason.

    Raises NotFound of a policy without a model, and InvalidInput when it makes no sense as things stand.
    """
    lineage = _named(lineages, str(wish.get("policy") or ""))
    said = f"{wish.get('by') or 'somebody'}: {wish.get('reason') or 'no reason given'}"
    match wish.get("do"):
        case "promote":
            number = wish.get("version")
            if not isinstance(number, int):
                raise InvalidInput("version: which one is to act; aiops models show")
            lineage.promote(number, said, now)
        case "rollback":
            lineage.roll_back(said, now)
        case "refit":
            lineage.refit(said)
        case other:
            raise InvalidInput(f"do: {other!r} is not one of {', '.join(DOES)}")
    return {"done": str(wish["do"]), **_model(lineage.policy, lineage, None)}


def _named(lineages: Mapping[PolicyKey, Lineage | NextMinutes], name: str) -> Lineage | NextMinutes:
    found = [one for key, one in lineages.items() if name in (key, key.split("/", 1)[1])]
    if len(found) != 1:
        known = ", ".join(sorted(lineages)) or "none"
        raise NotFound(f"there is no one policy {name!r} with a model; there are {known}")
    return found[0]


def _model(key: PolicyKey, lineage: Lineage | NextMinutes, inputs: Inputs | None) -> dict[str, Any]:
    champion, current, scores = lineage.champion, lineage.current, lineage.scores()
    own = Scores() if current is None else scores.get(current.number, Scores())
    forecast = None if inputs is None else inputs.forecast
    return {
        "policy": key,
        "signal": "" if forecast is None else forecast.signal,
        "model": champion.name,
        "version": None if current is None else current.number,
        "state": "acts" if champion.learned else "learning",
        "learned": champion.learned,
        "why": str(getattr(champion, "why", "")),
        "skill": _known(champion.skill),
        "coverage": _known(own.coverage),
        "history_s": champion.history_s,
        "drift": lineage.drift,
        "versions": [_version(one, scores) for one in reversed(lineage.versions)],
    }


def _version(one: Version, scores: Mapping[int, Scores]) -> dict[str, Any]:
    told = asdict(scores.get(one.number, one.scores) if one.role in _LIVE else one.scores)
    return {
        "number": one.number,
        "model": one.model,
        "code": one.code,
        "made_at": one.made_at,
        "why": one.why,
        "parent": one.parent or None,
        "state": one.role.value,
        "since": one.since,
        "detail": one.detail,
        "window": [_known(at) for at in one.window],
        "parameters": dict(one.parameters),
        "scores": {name: _known(value) for name, value in told.items()},
    }


_LIVE = frozenset({Role.CHAMPION, Role.CHALLENGER, Role.PREDECESSOR})


def _known(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
