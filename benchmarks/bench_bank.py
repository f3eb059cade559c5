"""Forecasts of thousands of policies: processor time of a simulated minute, four turns of 15 s, in one bank.

What is measured is the bank's part of a daemon's turn: hearing, judging versions and issuing a forecast a minute for
each policy. `alone` is each policy's model by itself, on the same code and the same days, of the first 64 of them.
Histories are of 14 days in steps of a minute; 64 are learnt, and the others go on from copies of these with demand of
their own. The second table is what a fit costs, in batch and alone.

Run `python benchmarks/bench_bank.py [POLICIES ...]` (default 1000; 10000 needs 4 GB).
"""

from __future__ import annotations

import gc
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from aiops.core.bank import HORIZON_STEPS, STEP_S, Bank
from aiops.core.capacity import Demand
from aiops.core.forecast.combined import Combined
from aiops.core.forecast.fitting import fit
from aiops.core.forecast.fleet import Fleet
from aiops.core.forecast.grid import Grid
from aiops.core.lineage.lineage import Lineage
from aiops.core.lineage.version import Terms
from aiops.core.model import F64, Frame, SeriesIndex, TargetRef
from aiops.core.policies import ForecastSpec, PolicySet, ScalingPolicy
from aiops.policy import parse

POLICY = """
apiVersion: policy.aiops/v1alpha1
kind: ScalingPolicy
metadata: {name: NAME, namespace: shop}
spec:
  mode: enforce
  target: {name: NAME}
  signals:
    demand: {query: "sum(demand{service='NAME'})"}
  objective: {demand: demand, perReplica: 50}
  forecast: {model: MODEL}
  bounds: {minReplicas: 2, maxReplicas: 40}
"""
DAY_MIN, DAYS, TAUGHT, TURN_S = 1440, 14, 64, 15.0
BEGIN = 1_772_409_600.0
WARM, MEASURED = 2, 5


def histories() -> tuple[F64, F64]:
    """Return the times, and what 64 services had: days of their own size and hour, float64[64, minutes]."""
    chance = np.random.default_rng(7)
    minutes = np.arange(DAYS * DAY_MIN)
    size: F64 = chance.uniform(20.0, 2000.0, (TAUGHT, 1))
    hour = chance.uniform(0.0, 2.0 * np.pi, (TAUGHT, 1))
    day = 1.0 + 0.5 * np.sin(2.0 * np.pi * minutes / DAY_MIN + hour)
    times = np.asarray(BEGIN + (minutes - len(minutes)) * 60.0, np.float64)
    return times, size * (day + chance.normal(0.0, 0.05, (TAUGHT, len(minutes))))


def policies(count: int, model: str) -> PolicySet:
    """Return so many policies that look ahead with a model."""
    (one,) = parse(POLICY.replace("NAME", "s").replace("MODEL", model), "bench").scaling
    made = []
    for number in range(count):
        key, name = f"ScalingPolicy/shop/s{number}", f"s{number}"
        signal = one.signals["demand"]
        query = replace(signal.query, policy=key, expr=signal.query.expr.replace("'s'", f"'{name}'"))
        target = TargetRef(namespace="shop", name=name)
        made.append(replace(one, key=key, target=target, signals={"demand": replace(signal, query=query)}))
    return PolicySet(digest=f"{model}{count}", scaling=tuple(made))


class Fleets:
    """A bank that lives through minutes in turns of 15 s."""

    def __init__(self, count: int, model: str, past: tuple[F64, F64]) -> None:
        self.policies = policies(count, model)
        self.bank = Bank(self.policies, elsewhere=True)
        keys = [one.key for one in self.policies.scaling]
        for key, values in zip(keys, past[1], strict=False):
            self.bank.backfill_demand(key, past[0], values)
        every = [one.champion for one in self.bank.lineages.values() if isinstance(one, Lineage)]
        learnt = [dict(one.arrays()) for one in every[:TAUGHT]]
        for number, one in enumerate(every[TAUGHT:]):
            one.restore(learnt[number % TAUGHT])
        self.level = np.resize(past[1][:, -1], count)
        self.chance = np.random.default_rng(11)
        self.now = BEGIN

    def minute(self) -> float:
        """Return the milliseconds of processor time of the four turns of a minute."""
        spent = 0.0
        for _ in range(round(60.0 / TURN_S)):
            values = self.level * (1.0 + self.chance.normal(0.0, 0.05, len(self.level)))
            frame = Frame(at=self.now, index=_NO_SERIES, values=np.zeros(0), learn=np.zeros(0, np.bool_))
            pairs = zip(self.policies.scaling, values.tolist(), strict=True)
            demands = {policy.key: Demand(value, whole=True) for policy, value in pairs}
            began = time.process_time()
            percepts = self.bank.perceive(frame, demands, self.policies)
            spent += time.process_time() - began
            if len(percepts.forecasts) != len(self.policies.scaling):
                raise RuntimeError("a policy has no forecast")
            self.now += TURN_S
        return spent * 1e3


class Alone:
    """The same without a bank: every model is asked by itself."""

    def __init__(self, policies_: tuple[ScalingPolicy, ...], past: tuple[F64, F64]) -> None:
        self.lineages, self.now, self.chance = [], BEGIN, np.random.default_rng(11)
        for policy, values in zip(policies_, past[1], strict=False):
            if policy.forecast is None:
                raise RuntimeError("the policies of this benchmark look ahead")
            one = Lineage(policy.key, _combined(policy.forecast), _unasked, Terms(elsewhere=True))
            one.backfill(past[0], values)
            self.lineages.append((one, float(values[-1])))

    def minute(self) -> float:
        """Return the milliseconds of processor time of the four turns of a minute."""
        began = time.process_time()
        for turn in range(round(60.0 / TURN_S)):
            for one, level in self.lineages:
                one.learn(self.now, level * (1.0 + float(self.chance.normal(0.0, 0.05))))
                if turn == 0:
                    one.paths(self.now, HORIZON_STEPS)
            self.now += TURN_S
        return (time.process_time() - began) * 1e3


def _combined(spec: ForecastSpec) -> Combined:
    return Combined(spec, refits=False)


def _unasked(name: str) -> Combined:
    raise RuntimeError(f"no {name} was named")


def lived(minute: Callable[[], float]) -> float:
    """Return the median of some minutes, after some that are not counted."""
    for _ in range(WARM):
        minute()
    gc.collect()
    return statistics.median(minute() for _ in range(MEASURED))


def fits(past: tuple[F64, F64]) -> None:
    """Print what a fit and a refresh cost, by steps and by how many are fitted at once."""
    print(f"\n{'fit of 14 days, steps of':<26}{'at once':>9}{'fit ms':>9}{'refresh ms':>12}{'sum ms':>9}   (a series)")
    for step_s, at_once in ((300.0, TAUGHT), (300.0, 1), (STEP_S, TAUGHT), (STEP_S, 1)):
        grid, per = Grid.of(step_s), round(step_s / STEP_S)
        values = past[1].reshape(TAUGHT, -1, per).mean(axis=2)[:at_once]
        spent = []
        for _ in range(5):
            fleet = Fleet(grid, at_once, history_steps=values.shape[1])
            fleet.load(values, round(BEGIN / step_s))
            began = time.process_time()
            fleet.adopt(fit(fleet.history()))
            fitted = time.process_time()
            fleet.update(values[:, 0])
            fleet.predict(grid.season)
            spent.append(((fitted - began) / at_once * 1e3, (time.process_time() - fitted) / at_once * 1e3))
        fit_ms, refresh_ms = (statistics.median(column) for column in zip(*spent, strict=True))
        print(f"{step_s:>24g} s{at_once:>9}{fit_ms:>9.2f}{refresh_ms:>12.3f}{fit_ms + refresh_ms:>9.2f}")


_NO_SERIES = SeriesIndex(keys=(), labels=())


def main(sizes: list[int]) -> None:
    """Print the tables."""
    past = histories()
    alone = lived(Alone(policies(TAUGHT, "combined").scaling, past).minute) / TAUGHT
    print(f"{'policies':>9} {'model':<16}{'ms a minute':>12}{'ms a policy':>12}{'MB':>8}")
    print(f"{TAUGHT:>9} {'combined, alone':<16}{alone * TAUGHT:>12.0f}{alone:>12.3f}")
    for count in sizes:
        for model in ("seasonal-naive", "combined"):
            spent = lived(Fleets(count, model, past).minute)
            told = f"   alone / shared {alone / (spent / count):.1f}" if model == "combined" else ""
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{count:>9} {model:<16}{spent:>12.0f}{spent / count:>12.3f}{grown:>8.0f}{told}", flush=True)
    fits(past)


if __name__ == "__main__":
    main([int(one) for one in sys.argv[1:]] or [1000])
