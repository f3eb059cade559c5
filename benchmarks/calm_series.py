"""Series without anomalies, and how many alarms the shipped detectors raise of them against their budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from scipy.stats import chi2

from aiops.core.detect import DETECTORS, TIERS, Tier
from aiops.core.detect.rest import Rest
from aiops.core.detect.rules import DAY_S, WEEK_S, usual
from aiops.core.model import F64

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


def alarms(tier: Tier, noise: Noise, rows: int) -> int:
    """Return the alarms that rows without an anomaly raise at the tier's budget, in the weeks after the first."""
    defaults, weeks = TIERS[tier], LEARNING_WEEKS + JUDGED_WEEKS
    rules = replace(usual(rows), false_alarms_per_week=np.full(rows, defaults.false_alarms_per_week))
    detector, rest, chance = DETECTORS[defaults.detector](rules), Rest(rows), np.random.default_rng(11)
    count, every, raised = round(weeks * WEEK_S / STEP_S), np.arange(rows), 0
    values = np.stack([noise(chance, count) for _ in range(rows)])
    for step in range(count):
        now = START + step * STEP_S
        score = detector.score(now, values[:, step]).score
        out = rest.alarms(now, every, score, STEP_S)
        raised += int(out.sum()) if step * STEP_S >= LEARNING_WEEKS * WEEK_S else 0
        detector.learn(now, values[:, step], np.ones(rows, np.bool_))
    return raised


def calibration(rows: Mapping[Tier, int]) -> None:
    """Print alarms against the budget, with exact 95 % intervals of what the rate may be; rows: series of each tier."""
    for tier, count in rows.items():
        budget = TIERS[tier].false_alarms_per_week
        expected = budget * count * JUDGED_WEEKS
        title = f"{tier.value} tier, budget {budget:g} a week"
        print(f"\n{title:34s} {'expected':>9s} {'came':>6s} {'ratio':>6s}  95 %")
        for name, noise in CALM.items():
            came = alarms(tier, noise, count)
            low, high = poisson_interval(came)
            told = f"{low / expected:.2f} to {high / expected:.2f}"
            print(f"{name:34s} {expected:9.0f} {came:6d} {came / expected:6.2f}  {told}", flush=True)


def poisson_interval(count: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a Poisson mean (Garwood, 1936)."""
    low = float(chi2.ppf(0.025, 2 * count)) / 2 if count else 0.0
    return low, float(chi2.ppf(0.975, 2 * count + 2)) / 2
