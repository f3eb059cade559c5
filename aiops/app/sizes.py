"""What cost policies recommend of the sizes of containers, as plain data: the same in every mode."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from aiops.core.decide.cost.rightsize.report import recommendations
from aiops.core.decide.cost.rightsize.sizes import Recommendation, text
from aiops.core.model import Inputs
from aiops.core.planning.cost_rightsize import RightsizePolicy
from aiops.core.record.codec import from_text
from aiops.errors import InvalidPolicy, NotFound
from aiops.policy import recompile

if TYPE_CHECKING:
    from aiops.adapters.store import Store


def rows(asked: Iterable[tuple[RightsizePolicy, Inputs]]) -> list[dict[str, Any]]:
    """Return every container and resource, the greatest saving first; null where a number is not known."""
    made = [
        _row(policy, inputs, one)
        for policy, inputs in asked
        for one in sorted(recommendations(policy, inputs), key=lambda each: (each.workload, each.container))
    ]
    return sorted(made, key=lambda row: (not row["changes"], -abs(row["usd_per_month"] or 0.0)))


def recorded(store: Store) -> list[dict[str, Any]]:
    """Return what the newest decisions on record would recommend, of policies that rightsize."""
    return rows(_recorded(store))


def _recorded(store: Store) -> Iterable[tuple[RightsizePolicy, Inputs]]:
    for row in store.views.newest():
        if not str(row["policy"]).startswith("CostPolicy/"):
            continue
        try:
            inputs = from_text(store.reader.inputs(row["id"]), Inputs)
            policy = recompile(store.reader.policy_document(inputs.policy_digest))
        except (NotFound, InvalidPolicy, ValueError):
            continue
        if isinstance(policy, RightsizePolicy):
            yield policy, inputs


def _row(policy: RightsizePolicy, inputs: Inputs, one: Recommendation) -> dict[str, Any]:
    _, namespace, _, kind, name = _parts(one.workload)
    return {
        "policy": policy.key,
        "at": inputs.snapshot.at,
        "namespace": namespace,
        "kind": kind,
        "workload": name,
        "container": one.container,
        "resource": one.resource,
        "pods": one.pods,
        "request": text(one.resource, one.request) or None,
        "wished": text(one.resource, one.wished) or None,
        "limit": text(one.resource, one.limit) or None,
        "wished_limit": text(one.resource, one.wished_limit) or None,
        "estimate": text(one.resource, one.target) or None,
        "lower": text(one.resource, one.lower) or None,
        "upper": text(one.resource, one.upper) or None,
        "history_days": round(one.days, 3),
        "kills": one.kills,
        "changes": one.changes,
        "reason": one.why,
        "said": one.said,
        "usd_per_month": None if one.usd_per_month is None else _finite(one.usd_per_month),
    }


def _parts(key: str) -> tuple[str, str, str, str, str]:
    """Return cluster, namespace, api version, kind and name of a target's key."""
    cluster, namespace, *version, kind, name = key.split("/")
    return cluster, namespace, "/".join(version), kind, name


def _finite(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
