"""Fleets of containers under their own requests, under others' rules and under the shipped estimator.

    python benchmarks/bench_rightsize.py [--seeds 5] [--held-out 10] [--containers 60] [--days 42] [--only NAME,...]

Development seeds are those on which the estimator's constants were chosen; held-out seeds were played after that. Each
fleet is the same under every sizer, so differences are paired; intervals are of 95 %. The first two weeks are for
learning and count for nobody. slack: of requests against the busiest hour of each day (simulators/sizing/run.py);
idle: against the mean. kills: for memory. short: of the cores that were wanted, those that were not given, be it by a
limit or by a full node; limit: those that a limit took. See docs/rightsizing.md for what the models leave out.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from rich.console import Console
from rich.table import Table

from simulators.sizing.fleet import Fleet, fleet
from simulators.sizing.run import Score, Sizer, score
from simulators.sizing.sizers import Krr, Oracle, Ours, Static, Vpa

SIZERS: Mapping[str, Callable[[Fleet], Sizer]] = {
    "static": lambda _: Static(),
    "vpa": Vpa,
    "krr": Krr,
    "ours": Ours,
    "oracle": Oracle,
}
HELD_OUT = 3001
AIM = 0.23
HEADS = ("", "slack %", "cpu", "memory", "idle %", "kills", "short ‰", "limit ‰", "changes", "nodes", "USD/month")
_T95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26}
"""Student's t for so many seeds; 2.26 and less for more."""

Job = tuple[int, str, int, int]


def play(job: Job) -> tuple[int, str, Score]:
    seed, name, containers, days = job
    made = fleet(seed, containers=containers, days=days)
    return seed, name, score(made, SIZERS[name](made))


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean, and half the width of its 95 % interval."""
    count = len(values)
    if count < 2:
        return float(np.mean(values)), math.nan
    width = _T95.get(count, 2.26) * float(np.std(values, ddof=1)) / math.sqrt(count)
    return float(np.mean(values)), width


def shown(values: Sequence[float], digits: int, scale: float = 1.0) -> str:
    mean, half = interval([one * scale for one in values])
    return f"{mean:.{digits}f}" + ("" if math.isnan(half) else f" ± {half:.{digits}f}")


def tabled(title: str, scores: Mapping[str, list[Score]]) -> Table:
    table = Table(title=title)
    for head in (
        "",
        "slack %",
        "cpu",
        "memory",
        "idle %",
        "kills",
        "short ‰",
        "limit ‰",
        "changes",
        "nodes",
        "USD/month",
    ):
        table.add_column(head, justify="right" if head else "left")
    for name, every in scores.items():
        table.add_row(
            name,
            shown([one.slack for one in every], 1, 100),
            shown([one.slack_cpu for one in every], 1, 100),
            shown([one.slack_memory for one in every], 1, 100),
            shown([one.idle for one in every], 1, 100),
            shown([one.kills for one in every], 1),
            shown([one.short_ratio for one in every], 2, 1000),
            shown([one.throttled_ratio for one in every], 2, 1000),
            shown([one.changes for one in every], 1),
            shown([one.nodes for one in every], 1),
            shown([one.usd_requested for one in every], 0),
        )
    return table


def judged(scores: Mapping[str, list[Score]]) -> list[str]:
    """Return how the shipped estimator stands against the aim and against what there was before."""
    if not {"ours", "static"} <= set(scores):
        return []
    ours, before = scores["ours"], scores["static"]
    pairs = list(zip(ours, before, strict=True))
    slack = interval([one.slack for one in ours])[0]
    lines = [
        f"slack {interval([one.slack for one in before])[0]:.1%} -> {slack:.1%} (aim {AIM:.0%}): {_met(slack <= AIM)}"
    ]
    for what, read in (("kills", lambda one: one.kills), ("short", lambda one: one.short_ratio)):
        less = [read(one) - read(other) for one, other in pairs]
        worse = sum(1 for one in less if one > 0)
        mean = float(np.mean(less))
        digits = f"{mean:+.1f}" if what == "kills" else f"{mean * 1000:+.3f} ‰"
        lines.append(
            f"{what}: {digits} a fleet against before, worse on {worse} of {len(less)} fleets: {_met(mean <= 0)}"
        )
    money = [1.0 - one.usd_requested / other.usd_requested for one, other in pairs]
    nodes = [1.0 - one.nodes / other.nodes for one, other in pairs]
    lines.append(f"requested money -{shown(money, 1, 100)} %, nodes -{shown(nodes, 1, 100)} %")
    return lines


def _met(yes: bool) -> str:
    return "met" if yes else "missed"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--held-out", type=int, default=10)
    parser.add_argument("--containers", type=int, default=60)
    parser.add_argument("--days", type=int, default=42)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", default=",".join(SIZERS))
    asked = parser.parse_args()
    names = asked.only.split(",")
    sets = {"development": range(1, asked.seeds + 1), "held out": range(HELD_OUT, HELD_OUT + asked.held_out)}
    console = Console(width=140)
    with ProcessPoolExecutor(asked.jobs) as pool:
        for title, seeds in sets.items():
            jobs = [(seed, name, asked.containers, asked.days) for seed in seeds for name in names]
            found = list(pool.map(play, jobs))
            if not found:
                continue
            scores = {name: [one for _, of, one in found if of == name] for name in names}
            console.print(
                tabled(f"{title}: {len(seeds)} fleets of {asked.containers} containers, {asked.days} days", scores)
            )
            for line in judged(scores):
                console.print(line)


if __name__ == "__main__":
    main()
