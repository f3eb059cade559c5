"""Contests of autoscalers on recorded and on hostile load, against the clairvoyant optimum.

    python benchmarks/bench_scaling.py [--startups 60,180,600] [--scenario judged|tuning]
                                       [--traces core|hostile|NAME,...] [--no-hostile] [--data FOLDER]
                                       [--only NAME,...] [--curves out/scaling.svg] [--kept FILE] [--resolution S]

One table for each start-up time: trace x autoscaler at the knob with which it just keeps its allowance of violating
requests on every trace (the cheapest such knob, the same for all traces and seeds; and what it would cost if each trace
had a knob of its own), with the paired difference to ours
and its interval over traces, seeds and days (benchmarks/paired.py); then the trade-off curves: mean pod hours over the
optimum against the worst trace's violations as the knob moves. After that hostile load, on which each is as it is
shipped, and ours with its forecast taken out beside the reactive rule that it falls back to.

What a pod carries is told to nobody. Steps of 15 s, metrics a step late, pods billed from creation; the queue is M/M/c
(simulators/lab). `ours` is policies/storefront.yaml through the shipped core and guard chain (benchmarks/external.py);
its knob is the SLO's target. `mean-known` is no rival: it knows the mean and what a pod carries in advance
(simulators/lab/foreseen.py). Days and seeds are those of benchmarks/contenders.py.

--resolution: recorded traces that are finer are read in means of so many seconds, so that all five lose the same.

--kept: how rivals fare on recorded load is kept in this file, and those that stand in it are not played again: no
change of ours moves them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.contenders import MEAN_KNOWN, ONE_KNOB, SCENARIOS, SHIPPED, entries, knobs
from benchmarks.curves import Curve, draw
from benchmarks.kept_lanes import Kept, Lane
from benchmarks.paired import Cell, Interval, apart
from simulators.autoscalers import AUTOSCALERS, STOCK_KNOBS
from simulators.lab.contest import best_hours, contest
from simulators.lab.lanes import Service, Tables
from simulators.lab.traces import CORE, HOSTILE, MADE_UP, Part, Trace, load

ALLOWED = {60.0: 0.005, 180.0: 0.005, 600.0: 0.01}
"""Violating requests that are allowed on each trace, by start-up time."""

USE = 0.75
"""Load is scaled so that about 20 pods are used by three quarters."""

AS_SHIPPED = {"ours": SHIPPED, "hpa": STOCK_KNOBS["hpa"], **ONE_KNOB}
"""Who meets hostile load, each with its knob: ours, stock HPA at 70 %, ours with a budget as small as what that HPA
spends where it does not fail, and ours and an HPA without a forecast."""


@dataclass(frozen=True)
class Job:
    """One process's share: one trace under one start-up time, every contender, knob and seed."""

    trace: str
    parts: tuple[Part, ...]
    startup_s: float
    names: tuple[str, ...]
    data: Path
    hostile: bool = False


def play(job: Job) -> list[Lane]:
    service = Service()
    tables = Tables(service)
    traces = [load([job.trace], job.data, pod_rps=service.pod_rps * USE, part=part)[0] for part in job.parts]
    best = [_best(trace, tables, job) for trace in traces]
    lanes = []
    for name in job.names:
        values = (AS_SHIPPED[name],) if job.hostile else knobs(name)
        scores = contest(entries(name, values, traces, tables), tables, job.startup_s)
        places = product(range(len(traces)), values)
        lanes += [
            Lane(job.parts[place].seed, knob, best[place], score)
            for (place, knob), score in zip(places, scores, strict=True)
        ]
    return lanes


def _best(trace: Trace, tables: Tables, job: Job) -> float:
    return best_hours(trace, tables, job.startup_s, ALLOWED.get(job.startup_s, 0.005))


def of(lanes: Sequence[Lane], name: str, knob: float | None) -> list[Lane]:
    return [lane for lane in lanes if lane.score.name == name and lane.knob == knob]


def chosen_knob(lanes: Sequence[Lane], name: str, allowed: float) -> float | None:
    """Return the cheapest knob that keeps within the allowance on every trace, None when none does.

    Of a trace the mean over its seeds counts.
    """
    costs: dict[float, float] = {}
    for knob in knobs(name):
        mine = of(lanes, name, knob)
        if mine and max(by_trace(mine).values()) <= allowed:
            costs[knob] = mean_cost(mine)
    return min(costs, key=lambda knob: costs[knob]) if costs else None


def own_knobs_cost(lanes: Sequence[Lane], name: str, allowed: float) -> str:
    """Return the mean over traces if each had the cheapest knob that keeps its allowance, "none" where one has none."""
    costs = []
    for trace in dict.fromkeys(lane.score.trace for lane in lanes):
        here = [lane for lane in lanes if lane.score.trace == trace]
        knob = chosen_knob(here, name, allowed)
        if knob is None:
            return "none"
        costs.append(mean_cost(of(here, name, knob)))
    return f"{np.mean(costs):.3f}"


def by_trace(lanes: Sequence[Lane]) -> dict[str, float]:
    """Return the violating share of each trace, the mean over its seeds."""
    traces = dict.fromkeys(lane.score.trace for lane in lanes)
    return {
        trace: float(np.mean([lane.score.violating_ratio for lane in lanes if lane.score.trace == trace]))
        for trace in traces
    }


def mean_cost(lanes: Sequence[Lane]) -> float:
    return float(np.mean([lane.over_best for lane in lanes]))


def cells(lanes: Sequence[Lane], *, cost: bool) -> dict[Cell, float]:
    return {cell: value for lane in lanes for cell, value in (lane.costs() if cost else lane.violations()).items()}


def report(console: Console, lanes: Sequence[Lane], startup_s: float, names: Sequence[str]) -> None:
    allowed = ALLOWED.get(startup_s, 0.005)
    traces = list(dict.fromkeys(lane.score.trace for lane in lanes))
    table = Table(title=f"start-up {startup_s:.0f} s, at most {allowed:.1%} violating requests on each trace")
    heads = (
        "knob",
        *(trace.split("_", 1)[0] for trace in traces),
        "mean",
        "worst",
        "own knobs",
        "dearer than ours (95 %)",
    )
    table.add_column("autoscaler")
    for column in (*heads, "changes/d", "reversed/d"):
        table.add_column(column, justify="right")
    ours = of(lanes, "ours", chosen_knob(lanes, "ours", allowed))
    for name in names:
        mine = of(lanes, name, chosen_knob(lanes, name, allowed))
        if not mine:
            blank = [""] * (len(traces) + 2)
            table.add_row(name, "none keeps it", *blank, own_knobs_cost(lanes, name, allowed))
            continue
        violating = by_trace(mine)
        costs = {t: mean_cost([lane for lane in mine if lane.score.trace == t]) for t in traces}
        dearer = apart(cells(ours, cost=True), cells(mine, cost=True)).told() if ours and name != "ours" else ""
        table.add_row(
            name,
            f"{mine[0].knob:g}",
            *(f"{costs[trace]:.3f} ({violating[trace]:.2%})" for trace in traces),
            f"{mean_cost(mine):.3f}",
            f"{max(costs.values()):.3f}",
            own_knobs_cost(lanes, name, allowed),
            dearer,
            *_changes(mine),
        )
    console.print(table)
    console.print("pod hours over the clairvoyant optimum (violating requests)\n")


def _changes(lanes: Sequence[Lane]) -> tuple[str, str]:
    changes, back = ([getattr(lane.score, which) for lane in lanes] for which in ("changes_a_day", "reversed_a_day"))
    return f"{np.mean(changes):.0f}", f"{np.mean(back):.0f}"


def report_hostile(console: Console, lanes: Sequence[Lane], startup_s: float) -> None:
    traces = list(dict.fromkeys(lane.score.trace for lane in lanes))
    table = Table(title=f"hostile load, start-up {startup_s:.0f} s, each as it is shipped")
    table.add_column("autoscaler")
    for column in (*traces, "changes/d", "reversed/d"):
        table.add_column(column, justify="right")
    for name, knob in AS_SHIPPED.items():
        mine = of(lanes, name, knob)
        violating = by_trace(mine)
        costs = {t: mean_cost([lane for lane in mine if lane.score.trace == t]) for t in traces}
        row = [f"{costs[trace]:.3f} ({violating[trace]:.2%})" for trace in traces]
        table.add_row(f"{name} {knob:g}", *row, *_changes(mine))
    console.print(table)
    for title, one, other in (
        ("stock HPA violates more than ours by", "ours", "hpa"),
        ("stock HPA violates more than ours with the small budget by", "ours-careful", "hpa"),
        ("the reactive rule violates more than ours without its forecast by", "ours-unforeseen", "reactive"),
    ):
        each = {trace: _violates_more(lanes, trace, one, other) for trace in traces}
        told = "; ".join(
            f"{trace} {100 * gap.mean:+.2f} [{100 * gap.low:+.2f}, {100 * gap.high:+.2f}]"
            for trace, gap in each.items()
        )
        console.print(f"{title}, points: {told}", highlight=False)
    console.print(f"and ours is dearer than it by {_dearer(lanes, 'reactive', 'ours-unforeseen')} of the optimum")
    console.print(f"stock HPA is dearer than ours with the small budget by {_dearer(lanes, 'ours-careful', 'hpa')}\n")


def _dearer(lanes: Sequence[Lane], one: str, other: str) -> str:
    """Return by how much the other costs more, over all hostile load."""
    return apart(*(cells(of(lanes, name, AS_SHIPPED[name]), cost=True) for name in (one, other))).told()


def _violates_more(lanes: Sequence[Lane], trace: str, one: str, other: str) -> Interval:
    here = [lane for lane in lanes if lane.score.trace == trace]
    pair = [cells(of(here, name, AS_SHIPPED[name]), cost=False) for name in (one, other)]
    return apart(*pair)


def curves(lanes: Sequence[Lane], names: Sequence[str]) -> list[Curve]:
    """Return for each autoscaler its points (worst trace's violating ratio, mean pod hours over the optimum)."""
    out = []
    for name in names:
        points = []
        for knob in knobs(name):
            mine = of(lanes, name, knob)
            points.append((max(by_trace(mine).values()), mean_cost(mine), knob))
        out.append(Curve(name=name, points=tuple(points)))
    return out


def report_curves(console: Console, found: Mapping[float, Sequence[Curve]]) -> None:
    for startup_s, each in found.items():
        console.print(f"start-up {startup_s:.0f} s: knob: worst trace's violating requests, mean over the optimum")
        for curve in each:
            points = "  ".join(f"{knob:g}: {violating:.2%} {cost:.3f}" for violating, cost, knob in curve.points)
            console.print(f"  {curve.name:18s} {points}", highlight=False)


def options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="contests of autoscalers")
    parser.add_argument("--startups", default="60,180,600")
    parser.add_argument("--scenario", choices=tuple(SCENARIOS), default="judged")
    parser.add_argument("--traces", default="core")
    parser.add_argument("--data", type=Path, default=Path(__file__).parent / "data")
    parser.add_argument("--only", default=",".join(("ours", MEAN_KNOWN, *AUTOSCALERS)))
    parser.add_argument("--curves", type=Path, default=Path("out/scaling.svg"))
    parser.add_argument("--jobs", type=int, default=None)
    parser.add_argument("--no-hostile", action="store_true")
    parser.add_argument("--kept", type=Path, default=None)
    parser.add_argument("--resolution", type=float, default=0.0)
    return parser.parse_args(words)


def main() -> None:
    asked = options(sys.argv[1:])
    console = Console(width=200)
    names, parts = tuple(asked.only.split(",")), SCENARIOS[asked.scenario].parts(asked.resolution)
    hostile = tuple(trace for trace in HOSTILE if trace in MADE_UP or (asked.data / f"{trace}.csv").exists())
    traces = {"core": CORE, "hostile": ()}.get(asked.traces, tuple(asked.traces.split(",")))
    startups = [float(word) for word in asked.startups.split(",")]
    played = asked.scenario + (f", means of {asked.resolution:g} s" if asked.resolution else "")
    console.print(f"scenario {played}: {SCENARIOS[asked.scenario]}", highlight=False)
    found: dict[float, list[Curve]] = {}
    kept = Kept(asked.kept, played)
    with ProcessPoolExecutor(max_workers=asked.jobs) as pool:
        for startup_s in startups:
            if traces:
                left = [name for name in names if not kept.has(startup_s, traces, name)]
                jobs = [Job(trace, parts, startup_s, tuple(left), asked.data) for trace in traces]
                kept.add(startup_s, [lane for part in pool.map(play, jobs) for lane in part])
                lanes = [lane for lane in kept.lanes(startup_s, traces) if lane.score.name in names]
                report(console, lanes, startup_s, names)
                found[startup_s] = curves(lanes, names)
            if not asked.no_hostile and startup_s == startups[0]:
                jobs = [Job(trace, parts, startup_s, tuple(AS_SHIPPED), asked.data, hostile=True) for trace in hostile]
                report_hostile(console, [lane for part in pool.map(play, jobs) for lane in part], startup_s)
    if found:
        report_curves(console, found)
        asked.curves.parent.mkdir(parents=True, exist_ok=True)
        asked.curves.write_text(draw(found), encoding="utf-8")
        console.print(f"curves: {asked.curves}")


if __name__ == "__main__":
    main()
