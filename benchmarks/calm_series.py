"""Series without anomalies, and how many alarms the shipped detectors raise of them against their budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
from scipy.stats import chi2

from aiops.core.detect import DETECTORS, TIERS, Tier
from aiops.core.detect.fleet import Fleet
from aiops.core.detect.rest import Rest
from aiops.core.detect.rules import DAY_S, WEEK_S, usual
from aiops.core.model import F64, Frame, Rows, SeriesIndex
from aiops.policy import parse

STEP_S = 600.0
START = 1_772_409_600.0
LEARNING_WEEKS, JUDGED_WEEKS = 1, 3

Noise = Callable[[np.random.Generator, int], F64]


def _autoregressive(chance: np.random.Generator, count: int, memory: float) -> F64:
    out, news = np.zeros(count), chance.normal(0, 1, count)
    for row in range(1, count):
        out[row] = memory * out[row - 1] + news[row]
    return out


def _day(count: int) -> F64:
    return np.asarray(np.sin(2 * np.pi * np.arange(count) * STEP_S / DAY_S))


CALM: Mapping[str, Noise] = {
    "normal": lambda chance, n: 100.0 + 5.0 * chance.normal(0, 1, n),
    "normal, a day's season": lambda chance, n: 100.0 + 40.0 * _day(n) + 5.0 * chance.normal(0, 1, n),
    "Laplace": lambda chance, n: 100.0 + 5.0 * chance.laplace(0, 1, n),
    "Student's t, 3 degrees": lambda chance, n: 100.0 + 3.0 * chance.standard_t(3, n),
    "log-normal": lambda chance, n: np.exp(chance.normal(0, 1, n)),
    "Poisson, mean 3": lambda chance, n: chance.poisson(3.0, n).astype(np.float64),
    "98 % zeros (Poisson 0.02)": lambda chance, n: chance.poisson(0.02, n).astype(np.float64),
    "constant": lambda chance, n: np.full(n, 7.0),
    "a ratio that saturates at 1": lambda chance, n: np.minimum(0.97 + 0.03 * chance.normal(0, 1, n), 1.0),
    "autoregressive, 0.9": lambda chance, n: 100.0 + _autoregressive(chance, n, 0.9),
    "autoregressive, 0.99": lambda chance, n: 100.0 + _autoregressive(chance, n, 0.99),
}


def alarms(tier: Tier, noise: Noise, rows: int) -> Rows:
    """Return how many alarms each row without an anomaly raises at the tier's budget, in the weeks after the first."""
    defaults = TIERS[tier]
    rules = replace(usual(rows), false_alarms_per_week=np.full(rows, defaults.false_alarms_per_week))
    detector, rest = DETECTORS[defaults.detector](rules), Rest(rows)
    every, learn, raised = np.arange(rows), np.ones(rows, np.bool_), np.zeros(rows, np.intp)
    for now, values, judged in _weeks(noise, rows):
        out = rest.alarms(now, every, detector.score(now, values).score, STEP_S)
        raised += out & judged
        detector.learn(now, values, learn)
    return raised


def selector_alarms(noise: Noise, rows: int, budget: float) -> int:
    """Return how many times a WatchPolicy of the fleet tier calls that has one budget a week for all its series."""
    document = f"""apiVersion: policy.aiops/v1alpha1
kind: WatchPolicy
metadata: {{name: calm, namespace: bench}}
spec: {{query: up, budget: {budget:g}}}"""
    (watch,) = parse(document, "calm").watches
    labels = [{"row": str(row)} for row in range(rows)]
    index = SeriesIndex(keys=tuple(f"{watch.key}#row={row}" for row in range(rows)), labels=tuple(labels))
    fleet, learn, raised = Fleet([watch]), np.ones(rows, np.bool_), 0
    for now, values, judged in _weeks(noise, rows):
        found = fleet.find(Frame(at=now, index=index, values=values, learn=learn))
        raised += sum(one.alarm for one in found) if judged else 0
    return raised


def _weeks(noise: Noise, rows: int) -> Iterator[tuple[float, F64, bool]]:
    """Yield instants, a value of each row, and whether alarms count yet."""
    chance, count = np.random.default_rng(11), round((LEARNING_WEEKS + JUDGED_WEEKS) * WEEK_S / STEP_S)
    values = np.stack([noise(chance, count) for _ in range(rows)])
    for step in range(count):
        yield START + step * STEP_S, values[:, step], step * STEP_S >= LEARNING_WEEKS * WEEK_S


def calibration(rows: Mapping[Tier, int]) -> None:
    """Print alarms against budgets, with exact 95 % intervals of what the rate may be; rows: series of each tier.

    `holds`: the whole interval lies within half to twice the budget. Said of all rows, and of the first third of them:
    an interval of few alarms is itself so wide that a detector that is right seldom passes.
    """
    for tier, count in rows.items():
        budget = TIERS[tier].false_alarms_per_week
        third = count // 3
        print(f"\n{f'{tier.value} tier, budget {budget:g} a week':34s} {_HEAD}   {_HEAD}")
        for name, noise in CALM.items():
            came = alarms(tier, noise, count)
            few = _told(int(came[:third].sum()), budget * third * JUDGED_WEEKS)
            print(f"{name:34s} {_told(int(came.sum()), budget * count * JUDGED_WEEKS)}   {few}", flush=True)
    count = rows.get(Tier.FLEET, 0)
    budget = TIERS[Tier.FLEET].false_alarms_per_week * count
    print(f"\n{f'one budget of {budget:g} for {count} series':34s} {_HEAD}")
    for name, noise in CALM.items():
        print(f"{name:34s} {_told(selector_alarms(noise, count, budget), budget * JUDGED_WEEKS)}", flush=True)


_HEAD = f"{'expected':>9s} {'came':>6s} {'ratio':>6s}  {'95 %':14s} holds"


def _told(came: int, expected: float) -> str:
    low, high = (bound / expected for bound in poisson_interval(came))
    holds = "yes" if low >= 0.5 and high <= 2.0 else "no"
    return f"{expected:9.0f} {came:6d} {came / expected:6.2f}  {f'{low:.2f} to {high:.2f}':14s} {holds:>5s}"


def poisson_interval(count: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a Poisson mean (Garwood, 1936)."""
    low = float(chi2.ppf(0.025, 2 * count)) / 2 if count else 0.0
    return low, float(chi2.ppf(0.975, 2 * count + 2)) / 2
