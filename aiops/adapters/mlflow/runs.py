"""What a version of a model is as a run of MLflow: its lineage, what it was made of, how it has done, what it does."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from aiops.core.lineage.version import Role, Version
from aiops.core.model import Instant, PolicyKey

ID_TAG = "aiops.id"
_STATUS = {Role.RETIRED: "FINISHED", Role.REFUSED: "FAILED"}
"""Of versions that do nothing any more; all others are RUNNING."""

_LONGEST_PARAM, _LONGEST_TAG = 500, 5000
"""Characters; what every release of the server takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run. Times are milliseconds since the epoch, as MLflow has them."""

    name: str
    status: str
    started_ms: int
    ended_ms: int | None
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: tuple[Mapping[str, str | float | int], ...]


def identity(policy: PolicyKey, one: Version) -> str:
    """Return what names a version for ever: numbers begin anew when a checkpoint is lost, instants do not."""
    return f"{policy}/{one.number}/{one.made_at:.0f}"


def run_of(policy: PolicyKey, one: Version, now: Instant) -> Run:
    """Return a version as a run; now: at which its scores are what they are. What is not known is not written (S1)."""
    scores = one.scores
    told = {
        "judged_minutes": float(scores.judged),
        "pinball": scores.pinball,
        "loss_ratio": scores.ratio,
        "p_value": scores.p_value,
        "coverage_80": scores.coverage,
    }
    when = round(now * 1000.0)
    start, end = one.window
    params = {"model": one.model, "code": one.code, "window_start": _date(start), "window_end": _date(end)}
    tags = {
        ID_TAG: identity(policy, one),
        "aiops.policy": policy,
        "aiops.version": str(one.number),
        "aiops.parent": str(one.parent or ""),
        "aiops.state": one.role.value,
        "aiops.why": one.why,
        "aiops.detail": one.detail,
        "mlflow.source.name": "aiops",
        "mlflow.note.content": f"{one.why}; {one.detail}" if one.detail else one.why,
    }
    return Run(
        name=f"{policy} v{one.number}",
        status=_STATUS.get(one.role, "RUNNING"),
        started_ms=round(one.made_at * 1000.0),
        ended_ms=round(one.since * 1000.0) if one.role in _STATUS and math.isfinite(one.since) else None,
        params={key: value[:_LONGEST_PARAM] for key, value in {**params, **one.parameters}.items() if value},
        tags={key: value[:_LONGEST_TAG] for key, value in tags.items()},
        metrics=tuple(
            {"key": key, "value": value, "timestamp": when, "step": scores.judged}
            for key, value in told.items()
            if math.isfinite(value)
        ),
    )


def quoted(text: str) -> str:
    r"""Return a text as a string of MLflow's search language.

    >>> quoted("it's")
    '"it\\'s"'
    """
    return f'"{text}"' if "'" in text else f"'{text}'"


def _date(at: Instant) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds") if math.isfinite(at) else ""
