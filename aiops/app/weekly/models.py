"""How well forecasts were: what was foretold held against what came, from the record alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from aiops.core.model import Inputs
from aiops.core.record.codec import from_text

if TYPE_CHECKING:
    from aiops.adapters.store import Store
    from aiops.adapters.store.weeks import Weeks


class Point(NamedTuple):
    """One tick: when, what was asked for then, and what was foretold for the time from then on."""

    at: float
    demand: float | None
    foretold: float | None


LEAST = 30
"""Forecasts that are needed to say how well they were."""

MOST_JUDGED = 100
"""Policies whose every tick is read; a week of one has 40,000."""


def models(store: Store, weeks: Weeks, step_s: float) -> list[dict[str, Any]]:
    """Return for each policy that forecast its demand the model, its skill, and how often the demand stayed below.

    coverage: share of moments after which the demand, until the lead time was over, was never above the greatest 95 %
    quantile that was foretold for it; None with fewer than 30 of them. skill: as the newest record of inputs has it.
    """
    found: list[dict[str, Any]] = []
    for one in weeks.foretold():
        if not one["forecast"]:
            continue
        newest = _inputs(store, one["policy"])
        forecast = None if newest is None else newest.forecast
        judged = covered = 0
        if len(found) < MOST_JUDGED:
            judged, covered = kept(
                [Point(*row) for row in weeks.path(one["policy"])], _lead_s(store, one["policy"]) + step_s
            )
        found.append(
            {
                "policy": one["policy"],
                "model": None if forecast is None else forecast.model,
                "learned": None if forecast is None else forecast.learned,
                "skill": None if forecast is None else forecast.skill,
                "history_days": None if forecast is None else forecast.history_s / 86_400,
                "forecast_ratio": one["forecast"] / one["ticks"] if one["ticks"] else None,
                "judged": judged,
                "coverage": covered / judged if judged >= LEAST else None,
            }
        )
    return found


def _inputs(store: Store, policy: str) -> Inputs | None:
    text = store.versions.last_inputs(policy)
    try:
        return None if text is None else from_text(text, Inputs)
    except ValueError:
        return None  # of a version that this one cannot read


def _lead_s(store: Store, policy: str) -> float:
    """Return the lead time with which a policy decided last, 0 where none is known."""
    newest = store.views.last_of(policy)
    if newest is None:
        return 0.0
    verdict = store.reader.decision(newest["id"]).decision.verdict
    return 0.0 if verdict is None else verdict.proposal.need.lead_s


def kept(path: Sequence[Point], span_s: float) -> tuple[int, int]:
    """Return how many forecasts can be judged, and for how many of them the demand stayed below for `span_s`.

    path: time, demand, and what was foretold for the time from then on; a forecast whose span reaches over the end, or
    within which no demand is known, is not judged.

    >>> kept([Point(0.0, 1.0, 2.0), Point(10.0, 2.0, 2.0), Point(20.0, 3.0, None)], 10.0)
    (2, 1)
    """
    judged = covered = ahead = 0
    highest: deque[tuple[float, float]] = deque()  # (time, demand), falling: the first is the most that is to come
    for one in path:
        while ahead < len(path) and path[ahead].at <= one.at + span_s:
            demand = path[ahead].demand
            if demand is not None:
                while highest and highest[-1][1] <= demand:
                    highest.pop()
                highest.append((path[ahead].at, demand))
            ahead += 1
        while highest and highest[0][0] <= one.at:
            highest.popleft()
        if one.foretold is None or not highest or path[-1].at < one.at + span_s:
            continue
        judged += 1
        covered += highest[0][1] <= one.foretold
    return judged, covered
