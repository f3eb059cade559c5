"""What the page shows of many policies at a glance, and of one over time: plain data."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiops.core.model import Forecast, GroupState, Instant, SiteState
from aiops.errors import NotFound

if TYPE_CHECKING:
    from aiops.adapters.store import Store

HOUR_S = 3600.0
_SHOWN_QUANTILES = (0.05, 0.5, 0.95)

_QUIET: Mapping[str, Any] = {
    "decision": None,
    "target": "",
    "mode": None,
    "verdict": "",
    "reason": "",
    "story": "",
    "current": None,
    "wanted": None,
    "ready": None,
    "at": None,
    "shadow": False,
}


def policies(store: Store) -> list[dict[str, Any]]:
    """Return every policy that ever decided, with its newest decision, as the record has it."""
    return [
        {
            **_QUIET,
            "policy": row["policy"],
            "decision": row["id"],
            "target": row["target"],
            "verdict": row["verdict"],
            "reason": row["reason"],
            "story": row["story"],
            "current": row["before"],
            "wanted": row["after"],
            "at": row["at"],
        }
        for row in store.views.newest()
    ]


def listed(targets: list[dict[str, Any]], every: Mapping[str, str], at: Instant | None) -> list[dict[str, Any]]:
    """Return every policy in force with what it decided last. every: the mode of each by its key, '' for none."""
    rows = {
        one["policy"]: {**_QUIET, **{name: one[name] for name in _QUIET if name in one}, "policy": one["policy"]}
        for one in targets
    }
    silent = {key: {**_QUIET, "policy": key, "mode": mode or None} for key, mode in every.items() if key not in rows}
    return [{**row, "at": at if row["verdict"] else None} for _, row in sorted({**rows, **silent}.items())]


def timeline(store: Store, policy: str, within: tuple[Instant, Instant], forecast: Forecast | None) -> dict[str, Any]:
    """Return one policy over time: curves, what each argument asked for, anomalies and actions; raise NotFound."""
    since, until = within
    views = store.views
    last = views.last_of(policy)
    document = store.views.document(policy)
    if last is None and document is None:
        raise NotFound(f"nothing is known of a policy {policy}")
    target = "" if last is None else str(last["target"])
    return {
        "policy": policy,
        "target": target,
        "since": since,
        "until": until,
        **_about(document or {}),
        "curves": views.curves(policy, since, until),
        "wishes": views.wishes(policy, since, until),
        **views.marks(policy, target, since, until),
        "forecast": None if forecast is None else _paths(forecast),
    }


def groups(known: Mapping[str, GroupState]) -> list[dict[str, Any]]:
    """Return failover groups: each site's health, its share of the traffic, and how each vantage point sees it."""
    return [
        {
            "policy": key,
            "moved_at": _known(state.moved_at),
            "sites": [_site(name, site, state) for name, site in sorted(state.sites.items())],
        }
        for key, state in sorted(known.items())
    ]


def _site(name: str, site: SiteState, state: GroupState) -> dict[str, Any]:
    seen = [(at, view) for at, view in sorted(state.views.items()) if at.partition("@")[0] == name]
    return {
        "name": name,
        "health": site.health.value,
        "since": _known(site.since),
        "weight": dict(state.weights).get(name),
        "views": [
            {"vantage": at.partition("@")[2], "share": _known(view.share), "bad": view.bad, "at": _known(view.at)}
            for at, view in seen
        ],
    }


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _about(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a chart says of a policy beside its curves, as its author wrote it."""
    spec = document.get("spec") or {}
    objective, signals = spec.get("objective") or {}, spec.get("signals") or {}
    demand = objective.get("demand")
    slo = objective.get("slo") or {}
    bounds = spec.get("bounds") or {}
    signal = signals.get(demand) if isinstance(signals, dict) else None
    return {
        "demand": demand,
        "unit": (signal or {}).get("unit", ""),
        "units": {name: one.get("unit") or "" for name, one in signals.items()} if isinstance(signals, dict) else {},
        "slo": None if not slo else {"signal": slo.get("signal"), "at_most": slo.get("atMost")},
        "bounds": {"min": bounds.get("minReplicas"), "max": bounds.get("maxReplicas")},
        "document": json.dumps(document, indent=2, ensure_ascii=False),
    }


def _paths(forecast: Forecast) -> dict[str, Any]:
    """Return the lower end, the middle and the upper end of a forecast on its grid."""
    known = forecast.quantiles
    near = [min(range(len(known)), key=lambda n, q=q: abs(known[n] - q)) for q in _SHOWN_QUANTILES]  # type: ignore[misc]
    return {
        "issued_at": forecast.issued_at,
        "step_s": forecast.step_s,
        "quantiles": [known[n] for n in near],
        "paths": [[value if value == value else None for value in forecast.paths[n]] for n in near],  # noqa: PLR0124
        "model": forecast.model,
        "skill": forecast.skill,
        "learned": forecast.learned,
        "history_s": forecast.history_s,
    }
