"""The real bank, with what a test gives in place of what is learnt."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from aiops.core.bank import Bank
from aiops.core.capacity import Demand
from aiops.core.detect.elsewhere import Elsewhere
from aiops.core.model import (
    F64,
    Capacity,
    Finding,
    Forecast,
    Frame,
    Incident,
    Instant,
    Percepts,
    PolicyKey,
    Suspect,
)
from aiops.core.policies import PolicySet, ScalingPolicy
from aiops.policy.testing import Case
from simulators.policy_tests.observed import watched
from simulators.policy_tests.spans import Spans

AHEAD_S = 1800.0
QUANTILES = (0.5, 0.9, 0.95, 0.99)
MOST_PODS = 100_000.0


def bank_for(case: Case, policies: PolicySet) -> GivenBank:
    """Return the bank of a test, having learnt its history; where a forecast is given, no model runs."""
    known = policies
    if case.forecast is not None:
        # the same digest: the set is still the one in force, but the bank foresees nothing of it
        known = replace(policies, scaling=tuple(replace(one, forecast=None) for one in policies.scaling))
    bank = GivenBank(known, case)
    history = case.spec.given.history
    if history is not None and isinstance(case.policy, ScalingPolicy):
        bank.backfill_demand(case.policy.key, *_past(case, history.step))
    elif history is not None:
        times, values = _past(case, history.step)
        index = watched(case)
        bank.backfill_watch(times, np.tile(values, (len(index), 1)), index)
    return bank


def _past(case: Case, step_s: float) -> tuple[F64, F64]:
    """Return times and values of the history, which ends a step before the start."""
    values = np.array([one if isinstance(one, float) else math.nan for one in case.history], np.float64)
    times = np.asarray(case.start.timestamp() - step_s * np.arange(len(values), 0, -1), np.float64)
    return times, values


_NOTHING = Elsewhere()


class GivenBank(Bank):
    """Perceives as ever, and adds what is given: a forecast, what a replica carries, findings and incidents."""

    def __init__(self, policies: PolicySet, case: Case) -> None:
        super().__init__(policies)
        self._case = case
        self._begun = case.start.timestamp()
        self._found = Spans(case.spec.findings, case.start)
        self._grouped = Spans(case.spec.incidents, case.start)
        self._capacity = _capacity(case)

    def perceive(
        self,
        frame: Frame,
        demands: Mapping[PolicyKey, Demand],
        policies: PolicySet,
        beside: Elsewhere = _NOTHING,
    ) -> Percepts:
        """Return what the models make of a frame, and what is given."""
        learnt = super().perceive(frame, demands, policies, beside)
        case, key = self._case, self._case.policy.key
        foreseen = self._foreseen(frame.at)
        return Percepts(
            findings=(*learnt.findings, *self._findings_at(frame.at)),
            incidents=(*learnt.incidents, *self._incidents_at(frame.at)),
            forecasts=learnt.forecasts if foreseen is None else {key: foreseen},
            nowcasts=learnt.nowcasts if case.forecast is None else {},
            capacities=learnt.capacities if self._capacity is None else {key: self._capacity},
        )

    def _foreseen(self, at: Instant) -> Forecast | None:
        """Return the series from now on as a forecast that is sure of it."""
        case = self._case
        if not case.forecast or not isinstance(case.policy, ScalingPolicy):
            return None
        place = round((at - self._begun) / case.step_s)
        steps = max(1, math.ceil(AHEAD_S / case.step_s))
        entries = case.forecast[place + 1 : place + 1 + steps]
        path = tuple(one if isinstance(one, float) else math.nan for one in entries) or (math.nan,)
        return Forecast(
            policy=case.policy.key,
            signal=case.policy.objective.demand,
            issued_at=at,
            step_s=case.step_s,
            quantiles=QUANTILES,
            paths=(path,) * len(QUANTILES),
            model="given",
            history_s=0.0,
            learned=any(math.isfinite(one) for one in path),
        )

    def _findings_at(self, at: Instant) -> tuple[Finding, ...]:
        namespace = self._case.policy.key.split("/")[1]
        return tuple(
            Finding(
                policy=f"WatchPolicy/{namespace}/{one.watch}" if one.watch else "WatchPolicy/given/by-the-test",
                series=one.series,
                labels=one.labels,
                kind=one.kind,
                at=at,
                since=since,
                score=one.score,
                p_value=0.001,
                value=math.nan,
                expected=math.nan,
                lower=math.nan,
                upper=math.nan,
                reason="given by the test",
            )
            for since, _, one in self._found.active(at)
        )

    def _incidents_at(self, at: Instant) -> tuple[Incident, ...]:
        return tuple(
            Incident(
                id=f"given-{number}",
                kind=one.kind,
                since=since,
                labels=one.labels,
                series=("a series",),
                peak_score=one.score,
                suspects=tuple(_suspect(name, since, one.score) for name in one.suspects),
            )
            for number, (since, _, one) in enumerate(self._grouped.active(at))
        )


def _suspect(name: str, since: Instant, score: float) -> Suspect:
    return Suspect(name=name, series="a series", kind="point", since=since, score=score)


def _capacity(case: Case) -> Capacity | None:
    each, policy = case.spec.given.per_replica, case.policy
    if each is None or not isinstance(policy, ScalingPolicy) or policy.objective.per_replica is not None:
        return None
    return Capacity(pods=(1.0, MOST_PODS), carried=(each, each * MOST_PODS), busy=each, doubt_ratio=0.0, learned=True)
