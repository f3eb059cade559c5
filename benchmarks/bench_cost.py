"""Money: cost policies beside static fleets, HPAs, a schedule, and the oracle, over seeds, in scenarios about money.

    python benchmarks/bench_cost.py [--scenarios office-hours,spot-storm,...] [--seeds 5] [--first 1]
                                    [--hours H] [--containers 60] [--days 42] [--kill-usd 0.1] [--short-usd 0.236]

One table for each scenario: means over seeds of violating requests, node-hours, USD paid and USD in all (with the SLO
price of what violated), and by how much each contender costs more in all than `aiops`: the mean of the differences in
the same world (paired), with its 95 % interval by Student's t.

`fleet-sizes` is about requests: fleets of containers (bench_rightsize.py tells how they fare otherwise) under the
shipped estimator, as people requested, under the rules of the VerticalPodAutoscaler and of krr, and under who knows the
coming day, in USD a month. What violates there are kills for memory and the core-hours that were wanted and not given;
their prices are arguments, by default ten cents for a kill and ten times a core-hour's price for one that is missing.

`batch-...` are about work that can wait: begun by `defer`, at once, at a fixed hour of the night, and at the cheapest
turn within the deadline by whoever knows the curve and how long each Job takes. What violates there is done late.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.table import Table

from aiops.adapters.store import Store
from aiops.policy import load
from simulators.batch import rehearse as batch
from simulators.batch import scenario as batches
from simulators.run import Rehearsal, simulate
from simulators.scenario import Scenario, policies_for
from simulators.scenario import load as load_scenario
from simulators.scorecard import Score
from simulators.selected import expanded_in
from simulators.sizing import run as sizing
from simulators.sizing.fleet import Fleet, fleet
from simulators.sizing.run import Sizer
from simulators.sizing.sizers import Krr, Oracle, Ours, Static, Vpa

FLEETS = "fleet-sizes"
SCENARIOS = ("office-hours", "oversized-pool", "spot-storm", "spot-share", FLEETS, *batches.names())
SIZERS: Mapping[str, Callable[[Fleet], Sizer]] = {
    "aiops": Ours,
    "static": lambda _: Static(),
    "vpa": Vpa,
    "krr": Krr,
    "oracle": Oracle,
}
MONTH_H = 730.0
T95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 19: 2.093}
"""Student's t, two-sided 95 %, by degrees of freedom."""


def t95(freedom: int) -> float:
    """Return the quantile for the largest number of degrees of freedom that is known and not more.

    >>> t95(4), t95(12), t95(100)
    (2.776, 2.262, 2.093)
    """
    return T95[max(one for one in T95 if one <= freedom)]


def interval(differences: Sequence[float]) -> tuple[float, float]:
    """Return the mean and half of the 95 % interval, infinite for fewer than two.

    >>> interval([1.0, 2.0, 3.0])
    (2.0, 2.48433820832296)
    """
    count = len(differences)
    if count < 2:
        return (differences[0] if differences else math.nan), math.inf
    half = t95(count - 1) * statistics.stdev(differences) / math.sqrt(count)
    return statistics.fmean(differences), half


def run(scenario: Scenario, seed: int) -> tuple[Score, ...]:
    """Return every contender's score in one world."""
    policies = expanded_in(scenario, load([policies_for(scenario.spec.name)], scenario.spec.step))
    store = Store.open("sqlite://", batch=1000)
    store.journal.note_policies(policies)
    try:
        return simulate(scenario, policies, store.journal, Rehearsal(seed=seed)).scorecard.scores
    finally:
        store.close()


def table(name: str, seeds: Sequence[int], cards: Sequence[tuple[Score, ...]]) -> Table:
    """Return the means and the paired differences."""
    made = Table(title=f"{name}: seeds {seeds[0]} to {seeds[-1]}")
    for head in ("contender", "violating", "share", "node-hours", "paid USD", "in all USD", "more than aiops, USD"):
        made.add_column(head, justify="left" if head == "contender" else "right")
    for number, first in enumerate(cards[0]):
        scores = [card[number] for card in cards]
        mean, half = interval([card[number].total_usd - card[0].total_usd for card in cards])
        made.add_row(
            first.name,
            f"{statistics.fmean(one.violating for one in scores):,.0f}",
            f"{statistics.fmean(one.violating_ratio for one in scores):.3%}",
            f"{statistics.fmean(one.node_hours for one in scores):,.1f}",
            f"{statistics.fmean(one.cost_usd for one in scores):,.2f}",
            f"{statistics.fmean(one.total_usd for one in scores):,.2f}",
            "" if number == 0 else f"{mean:+,.2f} ± {half:,.2f}",
        )
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleets:
    """What fleets are played, and what it costs when containers get too little."""

    containers: int
    days: int
    kill_usd: float
    short_usd: float

    def month(self, score: sizing.Score) -> tuple[float, float]:
        """Return what a month costs: nodes, and with the price of what violated."""
        monthly = MONTH_H / 24.0 / (self.days - sizing.WARM_DAYS)
        violated = score.kills * monthly * self.kill_usd + score.short_cores * MONTH_H * self.short_usd
        return score.usd_nodes, score.usd_nodes + violated

    def table(self, seeds: Sequence[int]) -> Table:
        """Return the means over fleets, and the paired differences."""
        fleets = [fleet(seed, containers=self.containers, days=self.days) for seed in seeds]
        scores = {name: [sizing.score(one, made(one)) for one in fleets] for name, made in SIZERS.items()}
        table = Table(title=f"{FLEETS}: seeds {seeds[0]} to {seeds[-1]}, a month")
        for head in ("contender", "kills", "short", "node-hours", "paid USD", "in all USD", "more than aiops, USD"):
            table.add_column(head, justify="left" if head == "contender" else "right")
        best = [self.month(one)[1] for one in scores["aiops"]]
        for name, every in scores.items():
            mean, half = interval([self.month(one)[1] - than for one, than in zip(every, best, strict=True)])
            table.add_row(
                name,
                f"{statistics.fmean(one.kills for one in every):,.1f}",
                f"{statistics.fmean(one.short_ratio for one in every):.3%}",
                f"{statistics.fmean(one.nodes for one in every) * MONTH_H:,.1f}",
                f"{statistics.fmean(self.month(one)[0] for one in every):,.2f}",
                f"{statistics.fmean(self.month(one)[1] for one in every):,.2f}",
                "" if name == "aiops" else f"{mean:+,.2f} ± {half:,.2f}",
            )
        return table


def batch_table(name: str, seeds: Sequence[int]) -> Table:
    """Return how work that can wait fares: means over seeds, and the paired differences."""
    spec = batches.load(name)
    tasks = batch.seeded(spec, batch.contenders(batch.policy(spec, ()), baselines=True), seeds)
    found = [batch.fared_once(one) for one in tasks]
    ours = {one.seed: one.total_usd for one in found if one.rule == batch.OURS}
    made = Table(title=f"{name}: seeds {seeds[0]} to {seeds[-1]}, {spec.lasts / 3600.0:g} h")
    heads = ("contender", "Jobs", "late", "waited h", "kg CO2", "paid USD", "in all USD", "more than aiops, USD")
    for head in heads:
        made.add_column(head, justify="left" if head == "contender" else "right")
    for rule in dict.fromkeys(one.rule for one in found):
        mine = [one for one in found if one.rule == rule]
        mean, half = interval([one.total_usd - ours[one.seed] for one in mine])
        made.add_row(
            rule,
            f"{statistics.fmean(one.jobs for one in mine):,.0f}",
            f"{statistics.fmean(one.late for one in mine):,.1f}",
            f"{statistics.fmean(one.waited_s for one in mine) / 3600.0:,.1f}",
            f"{statistics.fmean(one.grams for one in mine) / 1000.0:,.2f}",
            f"{statistics.fmean(one.usd for one in mine):,.2f}",
            f"{statistics.fmean(one.total_usd for one in mine):,.2f}",
            "" if rule == batch.OURS else f"{mean:+,.2f} ± {half:,.2f}",
        )
    return made


def main() -> None:
    """Print one table for each scenario."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", default=",".join(SCENARIOS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--hours", type=float, default=None, help="end each scenario after so many hours")
    parser.add_argument("--containers", type=int, default=60, help="of a fleet of fleet-sizes")
    parser.add_argument("--days", type=int, default=42, help="of a fleet; the first two weeks count for nobody")
    parser.add_argument("--kill-usd", type=float, default=0.1, help="what a kill for memory costs")
    short = 10 * sizing.CORE_USD_PER_HOUR
    parser.add_argument("--short-usd", type=float, default=short, help="what a core-hour costs that is missing")
    args = parser.parse_args()
    seeds = list(range(args.first, args.first + args.seeds))
    console = Console(width=140)
    fleets = Fleets(containers=args.containers, days=args.days, kill_usd=args.kill_usd, short_usd=args.short_usd)
    for name in args.scenarios.split(","):
        if name == FLEETS:
            console.print(fleets.table(seeds))
            continue
        if batches.is_batch(name):
            console.print(batch_table(name, seeds))
            continue
        scenario = load_scenario(name)
        if args.hours is not None:
            ended = min(scenario.spec.duration, args.hours * 3600.0)
            scenario = replace(scenario, spec=scenario.spec.model_copy(update={"duration": ended}))
        console.print(table(name, seeds, [run(scenario, seed) for seed in seeds]))


if __name__ == "__main__":
    main()
