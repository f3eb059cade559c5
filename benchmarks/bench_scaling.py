"""Contests of autoscalers on recorded and on hostile load, against the clairvoyant optimum.

    python benchmarks/bench_scaling.py [--startups 60,180,600] [--days 2] [--seeds 1] [--traces core|hostile|NAME,...]
                                       [--data FOLDER] [--only NAME,...] [--curves out/scaling.svg]

One table for each start-up time: trace x autoscaler at the knob with which it just keeps its allowance of violating
requests on every trace (the cheapest such knob, the same for all traces), then the trade-off curves: mean pod hours
over the optimum against the worst trace's violations as the knob moves. What a pod carries is told to nobody. Steps
of 15 s, metrics a step late, pods billed from creation; the queue is M/M/c (simulators/lab). `ours` is
policies/storefront.yaml through the shipped core and guard chain (benchmarks/external.py); its knob is the SLO's
target.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from aiops.core.model import F64
from benchmarks.curves import Curve, draw
from benchmarks.external import Scaler
from simulators.autoscalers import AUTOSCALERS, Autoscaler, Sample
from simulators.lab.contest import Entry, Score, best_hours, contest
from simulators.lab.lanes import Service, Tables
from simulators.lab.traces import CORE, HOSTILE, Trace, load

ALLOWED = {60.0: 0.005, 180.0: 0.005, 600.0: 0.01}
"""Violating requests that are allowed on each trace, by start-up time."""

OURS = (0.98, 0.99, 0.995, 0.998)
TARGETS = (0.9, 0.85, 0.8, 0.77, 0.74, 0.72, 0.7, 0.68, 0.66, 0.64, 0.62, 0.6, 0.55, 0.5)
MARGINS = (0.9, 1.0, 1.2, 1.5)
USE = 0.75
"""Load is scaled so that about 20 pods are used by three quarters."""


class Ours:
    """The shipped policy in the contest's shoes."""

    name = "ours"

    def __init__(self, objective: float) -> None:
        self._scaler = Scaler(objective=objective)

    def fit(self, history_rps: F64, step_s: float, startup_s: float, slo_p95_s: float) -> None:
        """Learn from history."""
        self._scaler.fit(history_rps, step_s, startup_s, slo_p95_s)

    def decide(self, sample: Sample, ready: int, current: int) -> int:
        """Return the new replicas."""
        return self._scaler.decide(asdict(sample), ready, current)


def contender(name: str, knob: float) -> Autoscaler:
    return Ours(knob) if name == "ours" else AUTOSCALERS[name](knob)


def knobs(name: str) -> tuple[float, ...]:
    return OURS if name == "ours" else MARGINS if name == "static-peak" else TARGETS


@dataclass(frozen=True)
class Job:
    """One process's share: one trace and seed under one start-up time, every contender and knob."""

    trace: str
    seed: int
    startup_s: float
    names: tuple[str, ...]
    days: float
    data: Path


@dataclass(frozen=True)
class Lane:
    """A score over the optimum. seed and knob beside what the contest says."""

    seed: int
    knob: float
    over_best: float
    score: Score


def play(job: Job) -> list[Lane]:
    service = Service()
    tables = Tables(service)
    [trace] = load([job.trace], job.data, pod_rps=service.pod_rps * USE, days=job.days, seed=job.seed)
    pairs = [(name, knob) for name in job.names for knob in knobs(name)]
    entries = [Entry(trace=trace, name=name, autoscaler=contender(name, knob)) for name, knob in pairs]
    best = _best(trace, tables, job.startup_s)
    scores = contest(entries, tables, job.startup_s)
    return [Lane(job.seed, knob, score.pod_hours / best, score) for (_, knob), score in zip(pairs, scores, strict=True)]


def _best(trace: Trace, tables: Tables, startup_s: float) -> float:
    return best_hours(trace, tables, startup_s, ALLOWED.get(startup_s, 0.005))


def chosen_knob(lanes: Sequence[Lane], name: str, allowed: float) -> float | None:
    """Return the cheapest knob that keeps within the allowance on every trace and seed, None when none does."""
    costs: dict[float, float] = {}
    for knob in knobs(name):
        mine = [lane for lane in lanes if lane.score.name == name and lane.knob == knob]
        if mine and max(lane.score.violating_ratio for lane in mine) <= allowed:
            costs[knob] = float(np.mean([lane.over_best for lane in mine]))
    return min(costs, key=lambda knob: costs[knob]) if costs else None


def interval(values: Sequence[float]) -> str:
    """Return the mean, and half the width of its 95 % interval where there are several."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return f"{mean:.3f}"
    return f"{mean:.3f} +-{1.96 * float(np.std(values, ddof=1)) / math.sqrt(len(values)):.3f}"


def report(console: Console, lanes: Sequence[Lane], startup_s: float, names: Sequence[str]) -> None:
    allowed = ALLOWED.get(startup_s, 0.005)
    traces = list(dict.fromkeys(lane.score.trace for lane in lanes))
    table = Table(title=f"start-up {startup_s:.0f} s, at most {allowed:.1%} violating requests on each trace")
    for column in (
        "autoscaler",
        "knob",
        *(_short(trace) for trace in traces),
        "mean",
        "worst",
        "changes/d",
        "reversed/d",
    ):
        table.add_column(column, justify="left" if column == "autoscaler" else "right")
    for name in names:
        knob = chosen_knob(lanes, name, allowed)
        mine = [lane for lane in lanes if lane.score.name == name and lane.knob == knob]
        if not mine:
            table.add_row(name, "none keeps it", *[""] * (len(traces) + 4))
            continue
        cells = []
        for trace in traces:
            here = [lane for lane in mine if lane.score.trace == trace]
            violating = float(np.mean([lane.score.violating_ratio for lane in here]))
            cells.append(f"{interval([lane.over_best for lane in here])} ({violating:.2%})")
        table.add_row(
            name,
            f"{knob:g}",
            *cells,
            interval([lane.over_best for lane in mine]),
            f"{max(lane.over_best for lane in mine):.3f}",
            f"{np.mean([lane.score.changes_a_day for lane in mine]):.0f}",
            f"{np.mean([lane.score.reversed_a_day for lane in mine]):.0f}",
        )
    console.print(table)
    console.print("pod hours over the clairvoyant optimum (violating requests)\n")


def curves(lanes: Sequence[Lane], names: Sequence[str]) -> list[Curve]:
    """Return for each autoscaler its points (worst trace's violating ratio, mean pod hours over the optimum)."""
    out = []
    for name in names:
        points = []
        for knob in knobs(name):
            mine = [lane for lane in lanes if lane.score.name == name and lane.knob == knob]
            worst = max(lane.score.violating_ratio for lane in mine)
            points.append((worst, float(np.mean([lane.over_best for lane in mine])), knob))
        out.append(Curve(name=name, points=tuple(points)))
    return out


def report_curves(console: Console, found: Mapping[float, Sequence[Curve]]) -> None:
    for startup_s, each in found.items():
        console.print(f"start-up {startup_s:.0f} s: knob: worst trace's violating requests, mean over the optimum")
        for curve in each:
            points = "  ".join(f"{knob:g}: {violating:.2%} {cost:.3f}" for violating, cost, knob in curve.points)
            console.print(f"  {curve.name:18s} {points}", highlight=False)


def _short(trace: str) -> str:
    return trace.split("_", maxsplit=1)[0]


def options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="contests of autoscalers")
    parser.add_argument("--startups", default="60,180,600")
    parser.add_argument("--days", type=float, default=2.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--traces", default="core")
    parser.add_argument("--data", type=Path, default=Path(__file__).parent / "data")
    parser.add_argument("--only", default=",".join(("ours", *AUTOSCALERS)))
    parser.add_argument("--curves", type=Path, default=Path("out/scaling.svg"))
    parser.add_argument("--jobs", type=int, default=None)
    return parser.parse_args(words)


def main() -> None:
    asked = options(sys.argv[1:])
    console = Console(width=200)
    names = tuple(asked.only.split(","))
    traces = {"core": CORE, "hostile": HOSTILE}.get(asked.traces) or tuple(asked.traces.split(","))
    startups = [float(word) for word in asked.startups.split(",")]
    found: dict[float, list[Curve]] = {}
    with ProcessPoolExecutor(max_workers=asked.jobs) as pool:
        for startup_s in startups:
            jobs = [
                Job(trace, seed, startup_s, names, asked.days, asked.data)
                for trace in traces
                for seed in range(asked.seeds)
            ]
            lanes = [lane for part in pool.map(play, jobs) for lane in part]
            report(console, lanes, startup_s, names)
            found[startup_s] = curves(lanes, names)
    report_curves(console, found)
    asked.curves.parent.mkdir(parents=True, exist_ok=True)
    asked.curves.write_text(draw(found), encoding="utf-8")
    console.print(f"curves: {asked.curves}")


if __name__ == "__main__":
    main()
