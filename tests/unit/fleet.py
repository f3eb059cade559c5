"""Builders of what the fleet's models are asked for: policies and frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from aiops.core.bank import Bank
from aiops.core.capacity import Demand
from aiops.core.detect.elsewhere import Elsewhere
from aiops.core.detect.suspects import Dependencies
from aiops.core.model import Frame, Mode, Percepts, SeriesIndex, TargetRef
from aiops.core.policies import (
    Bounds,
    ForecastSpec,
    Lever,
    Limits,
    Objective,
    PolicySet,
    ScalingPolicy,
    ScalingRules,
    Select,
    Side,
    SignalQuery,
    SignalSpec,
    Verification,
    WatchPolicy,
    WatchQuery,
)

START = 1_772_409_600.0
DAY_S = 86_400.0
WATCH = "WatchPolicy/shop/latency"
SCALING = "ScalingPolicy/shop/checkout"


def a_watch(key: str = WATCH, **changes: object) -> WatchPolicy:
    expr = changes.pop("expr", "latency")
    policy = WatchPolicy(
        key=key,
        digest="d",
        document="",
        origin="test",
        query=WatchQuery(policy=key, expr=str(expr), identity=(), max_series=1000),
        detector="familiar",
        side=Side.BOTH,
        false_alarms_per_week=1.0,
        min_deviation=0.0,
        min_deviation_ratio=0.0,
        history_s=14 * DAY_S,
        season_s=DAY_S,
    )
    return replace(policy, **changes)


def a_scaling(key: str = SCALING, *, expr: str = "rate", forecast: bool = True) -> ScalingPolicy:
    query = SignalQuery(policy=key, name="demand", expr=expr, age_exprs=(), coverage_exprs=())
    rules = ScalingRules(stabilisation_s=0.0, rates=(), select=Select.MAX, tolerance_ratio=0.1)
    spec = ForecastSpec(model="seasonal-naive", history_s=14 * DAY_S, quantile=0.95, lead_s=60.0, season_s=DAY_S)
    return ScalingPolicy(
        key=key,
        digest="d",
        document="",
        origin="test",
        mode=Mode.ENFORCE,
        target=TargetRef(namespace="shop", name="checkout"),
        lever=Lever.REPLICAS,
        signals={"demand": SignalSpec(query=query, unit="req/s", max_age_s=90.0)},
        objective=Objective(demand="demand", per_replica=50.0),
        forecast=spec if forecast else None,
        bounds=Bounds(min_replicas=1, max_replicas=9),
        up=rules,
        down=rules,
        limits=Limits(cooldown_out_s=0.0, cooldown_in_s=0.0, changes_per_hour=10),
        verify=Verification(within_s=300.0),
    )


def a_set(*policies: WatchPolicy | ScalingPolicy) -> PolicySet:
    """A policy set whose digest follows from what is in it."""
    return PolicySet(
        digest=str(hash(repr(policies))),
        scaling=tuple(p for p in policies if isinstance(p, ScalingPolicy)),
        watches=tuple(p for p in policies if isinstance(p, WatchPolicy)),
    )


def an_index(labels: Sequence[Mapping[str, str]], policy: str = WATCH) -> SeriesIndex:
    keys = [f"{policy}#{','.join(f'{k}={v}' for k, v in sorted(one.items()))}" for one in labels]
    return SeriesIndex(keys=tuple(keys), labels=tuple(labels))


def services(*names: str, policy: str = WATCH) -> SeriesIndex:
    return an_index([{"service": name} for name in names], policy)


def a_frame(at: float, index: SeriesIndex, values: Sequence[float], *, learn: bool = True) -> Frame:
    return Frame(at=at, index=index, values=np.array(values, np.float64), learn=np.full(len(index), learn))


class Days:
    """A bank that is led through time, 15 s a step; `usual` is noise around what the rows usually are."""

    def __init__(
        self,
        policies: PolicySet,
        index: SeriesIndex,
        *,
        seed: int = 1,
        step_s: float = 15.0,
        dependencies: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.bank, self.policies, self.index = Bank(policies, Dependencies(dependencies)), policies, index
        self.now, self.step_s = START, step_s
        self.chance = np.random.default_rng(seed)

    def usual(self) -> np.ndarray:
        return 100.0 + self.chance.normal(0, 2, len(self.index))

    def learn_history(self, days: float) -> None:
        times = START - DAY_S * days + np.arange(round(days * 1440)) * 60.0
        values = 100.0 + self.chance.normal(0, 2, (len(self.index), len(times)))
        self.bank.backfill_watch(times, values, self.index)

    def tick(
        self,
        values: Sequence[float] | None = None,
        *,
        learn: bool = True,
        demand: float = 100.0,
        beside: Elsewhere | None = None,
    ) -> Percepts:
        self.now += self.step_s
        frame = a_frame(self.now, self.index, self.usual() if values is None else values, learn=learn)
        demands = {policy.key: Demand(demand, whole=True) for policy in self.policies.scaling}
        return self.bank.perceive(frame, demands, self.policies, beside or Elsewhere())

    def ticks(self, count: int, values: Sequence[float] | None = None) -> list[Percepts]:
        return [self.tick(values) for _ in range(count)]


def demand_history(days: float) -> tuple[np.ndarray, np.ndarray]:
    """Return times (s) and demand of so many days before the start, minute by minute: a sine of a day."""
    times = START - days * DAY_S + np.arange(round(days * 1440)) * 60.0
    return times, 500.0 + 300.0 * np.sin(2 * np.pi * times / DAY_S)
