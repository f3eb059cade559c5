"""Who takes part in contests of autoscalers, with which knobs, on which days and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product

from aiops.core.model import F64
from benchmarks.external import POLICY, Scalers
from simulators.autoscalers import AUTOSCALERS, Autoscaler
from simulators.autoscalers.behavior import Behavior, Rate, Rules, Unit
from simulators.autoscalers.hpa import HpaAutoscaler
from simulators.autoscalers.replicas import Tolerance
from simulators.lab.contest import Crowd, Entry, Glance
from simulators.lab.foreseen import MeanKnownAutoscaler
from simulators.lab.lanes import Tables
from simulators.lab.traces import Part, Trace


@dataclass(frozen=True)
class Scenario:
    """Days of each recorded trace, counted from its first 40 % on, and seeds."""

    first_day: float
    days: float
    seeds: tuple[int, ...]

    def parts(self, resolution_s: float = 0.0) -> tuple[Part, ...]:
        """Return what is played, one for each seed."""
        days = Part(days=self.days, first_day=self.first_day, resolution_s=resolution_s)
        return tuple(replace(days, seed=seed) for seed in self.seeds)


SCENARIOS = {
    "tuning": Scenario(first_day=0.0, days=2.0, seeds=(0, 1)),
    "judged": Scenario(first_day=2.0, days=2.0, seeds=(11, 12, 13)),
}
"""Nothing is chosen by the days and seeds that are judged."""

OURS = (0.98, 0.99, 0.992, 0.994, 0.995, 0.996, 0.997, 0.998)
SHIPPED, CAREFUL = 0.995, 0.9995
TARGETS = (0.9, 0.85, 0.8, 0.77, 0.74, 0.72, 0.7, 0.68, 0.66, 0.64, 0.62, 0.6, 0.55, 0.5)
MARGINS = (0.9, 1.0, 1.2, 1.5)
MEAN_KNOWN = "mean-known"
MARGINS_ON_MEAN = tuple(share / 100 for share in range(0, 42, 2))

UNLEARNT_USE_RATIO = 0.6
ONE_KNOB = {"ours-careful": CAREFUL, "ours-unforeseen": SHIPPED, "reactive": UNLEARNT_USE_RATIO}
_FALLBACK = Behavior(
    up=Rules(
        rates=(Rate(unit=Unit.PERCENT, value=100, period_s=15.0), Rate(unit=Unit.PODS, value=10, period_s=15.0)),
        window_s=0.0,
    ),
    down=Rules(
        rates=(Rate(unit=Unit.PERCENT, value=30, period_s=60.0), Rate(unit=Unit.PODS, value=4, period_s=60.0)),
        window_s=120.0,
    ),
    tolerance=Tolerance(down=0.0, up=0.1),
)
"""The behaviour of policies/storefront.yaml."""


class Shipped:
    """The shipped policy with these SLO targets, one a lane, in one bank; `forecast`: as it is, or taken out."""

    def __init__(self, objectives: Sequence[float], *, forecast: bool = True) -> None:
        lines = POLICY.read_text(encoding="utf-8").splitlines(keepends=True)
        text = "".join(line for line in lines if forecast or not line.startswith("  forecast:"))
        self._scalers = Scalers(objectives, [text] * len(objectives))

    def fit_all(self, histories: Sequence[F64], step_s: float, startup_s: float, slo_p95_s: float) -> None:
        """Learn from the history of each lane."""
        self._scalers.fit(histories, step_s, startup_s, slo_p95_s)

    def decide_all(self, seen: Sequence[Glance]) -> list[int]:
        """Return the new replicas of each lane."""
        return self._scalers.decide([(asdict(one.sample), one.ready, one.current) for one in seen])


def knobs(name: str) -> tuple[float, ...]:
    """Return the values of a contender's safety knob, by which its curve is drawn."""
    if name == "ours":
        return OURS
    if name in ONE_KNOB:
        return (ONE_KNOB[name],)
    if name == MEAN_KNOWN:
        return MARGINS_ON_MEAN
    return MARGINS if name == "static-peak" else TARGETS


def single(name: str, knob: float) -> Autoscaler:
    """Return a fresh autoscaler of one lane."""
    if name == "reactive":
        return HpaAutoscaler(knob, _FALLBACK, name="reactive")
    return AUTOSCALERS[name](knob)


def entries(name: str, knob_values: Sequence[float], traces: Sequence[Trace], tables: Tables) -> list[Entry]:
    """Return a lane for each trace and knob, trace by trace. tables: what a pod is; only who knows all looks at it."""
    if name == MEAN_KNOWN:
        every = product(traces, knob_values)
        return [Entry(trace=t, name=name, autoscaler=MeanKnownAutoscaler(knob, t, tables)) for t, knob in every]
    if not name.startswith("ours"):
        return [Entry(trace=t, name=name, autoscaler=single(name, knob)) for t in traces for knob in knob_values]
    crowd: Crowd = Shipped(list(knob_values) * len(traces), forecast=name != "ours-unforeseen")
    return [Entry(trace=trace, name=name, autoscaler=crowd) for trace in traces for _ in knob_values]
