"""Scaling by price against scaling by SLO: what each costs at the same violations, and all in all.

    python benchmarks/bench_pricing.py [--startup 180] [--days 1] [--traces NAME,...] [--jobs N] [--data FOLDER]

Both are policies/storefront.yaml through the shipped core (benchmarks/external.py) in the contests of bench_scaling.py:
by SLO as its target moves, by price (at the loosest of the targets) as the price of a late request moves, a
replica-hour being 1. Late are all requests of a step whose 95th percentile breaks the SLO. First table: for each price,
what it led to, and the pod hours of scaling by SLO at the same violations, between the targets on both sides (linear in
the logarithm). Second: the whole bill, replica-hours and late requests, by price and by each target.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from aiops.core.model import F64
from benchmarks.external import POLICY, Scaler
from simulators.autoscalers import Sample
from simulators.lab.contest import Entry, contest
from simulators.lab.lanes import Service, Tables
from simulators.lab.traces import CORE, Part, load

TARGETS = (0.97, 0.98, 0.99, 0.995, 0.998)
LATE = (5e-5, 1e-4, 2e-4, 5e-4, 1e-3)
"""Prices of a late request, in replica-hours."""

USE = 0.75


class Steered:
    """The shipped policy with an SLO's target and, unless it is 0, a price of a late request."""

    name = "ours"

    def __init__(self, target: float, late: float) -> None:
        text = POLICY.read_text(encoding="utf-8")
        priced = f"    price: {{replicaHour: 1, violatedRequest: {late:.9f}}}\n"
        text = text.replace("    perReplica: learn\n", "    perReplica: learn\n" + (priced if late else ""))
        self._scaler = Scaler(text, objective=target)

    def fit(self, history_rps: F64, step_s: float, startup_s: float, slo_p95_s: float) -> None:
        """Learn from history."""
        self._scaler.fit(history_rps, step_s, startup_s, slo_p95_s)

    def decide(self, sample: Sample, ready: int, current: int) -> int:
        """Return the new replicas."""
        return self._scaler.decide(asdict(sample), ready, current)


@dataclass(frozen=True)
class Job:
    """One process's share: one trace, every target and price."""

    trace: str
    startup_s: float
    days: float
    data: Path


@dataclass(frozen=True)
class Lane:
    """late: the price of a late request, 0 for a policy without. offered: requests."""

    trace: str
    target: float
    late: float
    violating_ratio: float
    pod_hours: float
    offered: float


def play(job: Job) -> list[Lane]:
    service = Service()
    [trace] = load([job.trace], job.data, pod_rps=service.pod_rps * USE, part=Part(days=job.days))
    pairs = [(target, 0.0) for target in TARGETS] + [(TARGETS[0], late) for late in LATE]
    entries = [Entry(trace=trace, name="ours", autoscaler=Steered(target, late)) for target, late in pairs]
    scores = contest(entries, Tables(service), job.startup_s)
    offered = float(np.sum(trace.rps)) * 15.0
    return [
        Lane(job.trace, target, late, score.violating_ratio, score.pod_hours, offered)
        for (target, late), score in zip(pairs, scores, strict=True)
    ]


def hours_at(lanes: Sequence[Lane], violating: float) -> float | None:
    """Return the pod hours of scaling by SLO at a share of violating requests; None beyond its targets."""
    cheapest: dict[float, float] = {}
    for lane in lanes:
        if not lane.late:
            share = max(lane.violating_ratio, 1e-6)
            cheapest[share] = min(lane.pod_hours, cheapest.get(share, math.inf))
    points = sorted(cheapest.items())
    logs = [math.log(share) for share, _ in points]
    at = math.log(max(violating, 1e-6))
    if not logs[0] <= at <= logs[-1]:
        return None
    return float(np.interp(at, logs, [hours for _, hours in points]))


def bill(lane: Lane, late: float) -> float:
    """Return replica-hours and late requests, in replica-hours."""
    return lane.pod_hours + late * lane.violating_ratio * lane.offered


def same_violations(console: Console, lanes: Sequence[Lane]) -> None:
    table = Table(title="pod hours by price over those by SLO at the same violations (violating requests)")
    traces = list(dict.fromkeys(lane.trace for lane in lanes))
    for name in ("late request", *(one.split("_")[0] for one in traces), "mean"):
        table.add_column(name, justify="right")
    every: list[float] = []
    for late in LATE:
        cells, ratios = [], []
        for trace in traces:
            mine = [lane for lane in lanes if lane.trace == trace]
            [priced] = [lane for lane in mine if lane.late == late]
            hours = hours_at(mine, priced.violating_ratio)
            ratios += [] if hours is None else [priced.pod_hours / hours]
            told = "-" if hours is None else f"{priced.pod_hours / hours:.3f}"
            cells.append(f"{told} ({priced.violating_ratio:.2%})")
        every += ratios
        table.add_row(f"{late:g}", *cells, f"{np.mean(ratios):.3f}" if ratios else "-")
    console.print(table)
    console.print(f"over all: {np.mean(every):.4f} (worst {max(every):.3f}, {len(every)} points)\n")


def whole_bills(console: Console, lanes: Sequence[Lane]) -> None:
    table = Table(title="the whole bill over the cheapest of all, mean over traces")
    for name in ("late request", "by price", *(f"SLO {target:g}" for target in TARGETS)):
        table.add_column(name, justify="right")
    traces = list(dict.fromkeys(lane.trace for lane in lanes))
    for late in LATE:
        over: dict[float, list[float]] = {}
        for trace in traces:
            mine = [lane for lane in lanes if lane.trace == trace and lane.late in (0.0, late)]
            cheapest = min(bill(lane, late) for lane in mine)
            for lane in mine:
                over.setdefault(-1.0 if lane.late else lane.target, []).append(bill(lane, late) / cheapest)
        table.add_row(f"{late:g}", *(f"{np.mean(over[one]):.3f}" for one in (-1.0, *TARGETS)))
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description="scaling by price against scaling by SLO")
    parser.add_argument("--startup", type=float, default=180.0)
    parser.add_argument("--days", type=float, default=1.0)
    parser.add_argument("--traces", default=",".join(CORE))
    parser.add_argument("--data", type=Path, default=Path(__file__).parent / "data")
    parser.add_argument("--jobs", type=int, default=None)
    asked = parser.parse_args(sys.argv[1:])
    jobs = [Job(trace, asked.startup, asked.days, asked.data) for trace in asked.traces.split(",")]
    with ProcessPoolExecutor(max_workers=asked.jobs) as pool:
        lanes = [lane for part in pool.map(play, jobs) for lane in part]
    console = Console(width=160)
    for lane in lanes:
        what = f"late {lane.late:g}" if lane.late else f"SLO {lane.target:g}"
        console.print(f"{lane.trace.split('_')[0]:12s} {what:12s} {lane.violating_ratio:.3%} {lane.pod_hours:.1f} h")
    same_violations(console, lanes)
    whole_bills(console, lanes)


if __name__ == "__main__":
    main()
