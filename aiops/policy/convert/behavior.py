"""autoscaling/v2 `behavior` as a policy's: the same fields, and the HPA's tolerance where none is written."""

from __future__ import annotations

from typing import Any

from aiops.policy.convert.manifest import Fields

TOLERANCE = 0.1
"""--horizontal-pod-autoscaler-tolerance, of the whole cluster."""

_RULES = ("stabilizationWindowSeconds", "selectPolicy", "policies", "tolerance")
_MOST_S = {"stabilizationWindowSeconds": 3600, "periodSeconds": 1800}


def behavior(fields: Fields) -> dict[str, Any]:
    """Return the policy's behaviour of an HPA's; a direction that is not written has the HPA's defaults."""
    fields.unknown(("scaleUp", "scaleDown"))
    return {key: _rules(fields.within(key)) for key in ("scaleUp", "scaleDown")}


def _rules(fields: Fields) -> dict[str, Any]:
    fields.unknown(_RULES)
    made: dict[str, Any] = {}
    window = _at_most(fields, "stabilizationWindowSeconds")
    if window is not None:
        made["stabilizationWindowSeconds"] = window
    select = fields.text("selectPolicy")
    if select and select not in ("Max", "Min", "Disabled"):
        fields.log.wrong(fields.manifest, (*fields.path, "selectPolicy"), f"{select!r} is not Max, Min or Disabled")
    elif select:
        made["selectPolicy"] = select
    policies = [one for one in map(_rate, fields.items("policies")) if one is not None]
    if policies:
        made["policies"] = policies
    tolerance = fields.number("tolerance")
    made["tolerance"] = TOLERANCE if tolerance is None else tolerance
    return made


def _rate(fields: Fields) -> dict[str, Any] | None:
    fields.unknown(("type", "value", "periodSeconds"))
    kind = fields.text("type", needed=True)
    value = fields.whole("value", needed=True, least=1)
    period = fields.whole("periodSeconds", needed=True, least=1)
    _at_most(fields, "periodSeconds")
    if kind not in ("Pods", "Percent"):
        if kind:
            fields.log.wrong(fields.manifest, (*fields.path, "type"), f"{kind!r} is not Pods or Percent")
        return None
    return {"type": kind, "value": value, "periodSeconds": period}


def _at_most(fields: Fields, key: str) -> int | None:
    found = fields.whole(key)
    if found is not None and found > _MOST_S[key]:
        fields.log.wrong(fields.manifest, (*fields.path, key), f"{found} is more than {_MOST_S[key]}")
    return found
