"""Small outlooks for tests: one policy whose demand rises, and one that watches two series."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from aiops.core.capacity import Demand
from aiops.core.model import Finding, FindingKind, Frame, Percepts, SeriesIndex
from aiops.core.pipeline.outlook import Outlook, Viewer
from aiops.core.policies import ForecastSpec, PolicySet
from aiops.loop.lookout import Lookout, Seen
from tests.builders import KEY, NOW, answer, forecast, policy, snapshot
from tests.unit.fleet import WATCH, a_watch

AHEAD = ForecastSpec(model="seasonal-naive", history_s=1e6, quantile=0.95, lead_s=45.0, season_s=86400.0)
POLICIES = PolicySet(digest="p", scaling=(policy(forecast=AHEAD),), watches=(a_watch(),), step_s=15.0)
INDEX = SeriesIndex(keys=(f"{WATCH}#a", f"{WATCH}#b"), labels=({}, {}))
RISE = tuple(100.0 + 10.0 * minute for minute in range(30))
"""100 in a minute, 110 in two, ... 390 in half an hour."""


def rising(**changes):
    quantiles = (0.05, 0.5, 0.9, 0.95, 0.99)
    paths = tuple(tuple(share * value for value in RISE) for share in (0.5, 0.8, 0.9, 1.0, 1.2))
    return replace(forecast(), **{"quantiles": quantiles, "paths": paths, **changes})


def finding(score: float, series: str = "a") -> Finding:
    return Finding(
        policy=WATCH, series=series, labels={}, kind=FindingKind.POINT, at=NOW, since=NOW, score=score, p_value=1e-6,
        value=9.0, expected=1.0, lower=0.0, upper=2.0, reason="9 where 1 was expected",
    )  # fmt: skip


def sight(at: float = NOW, demand: float = 390.0, live: float = 1.0, **changes) -> Seen:
    issued = changes.pop("issued", rising())
    findings = changes.pop("findings", ())
    frame = Frame(at=at, index=INDEX, values=np.array([live, math.nan]), learn=np.ones(2, np.bool_))
    shown = answer(demand, newest_at=at - changes.pop("age_s", 5.0))
    made = Seen(
        policies=POLICIES,
        snapshot=replace(snapshot(demand=shown), at=at),
        frame=frame,
        demands={KEY: Demand(value=demand, whole=True)},
        percepts=Percepts(findings=findings, forecasts={} if issued is None else {KEY: issued}),
    )
    return replace(made, **changes)


def looked(*sights: Seen) -> Outlook:
    lookout = Lookout()
    for one in sights:
        lookout.look(one)
    return lookout.outlook


class Stage:
    """A lookout and a clock that a test sets, with the viewer that servers are given."""

    def __init__(self, *sights: Seen) -> None:
        self.now = NOW
        self.lookout = Lookout()
        self.viewer = Viewer(newest=lambda: self.lookout.outlook, present=lambda: self.now, max_age_s=180.0)
        self.look(*sights)

    def look(self, *sights: Seen) -> None:
        for one in sights:
            self.lookout.look(one)

    def forget(self) -> None:
        """Be as before the first turn."""
        self.lookout = Lookout()
