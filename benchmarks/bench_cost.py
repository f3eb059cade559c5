"""Money: cost policies beside static fleets, HPAs, a schedule, and the oracle, over seeds, in scenarios about money.

    python benchmarks/bench_cost.py [--scenarios office-hours,spot-storm,...] [--seeds 5] [--first 1]
                                    [--hours H]

One table for each scenario: means over seeds of violating requests, node-hours, USD paid and USD in all (with the SLO
price of what violated), and by how much each contender costs more in all than `aiops`: the mean of the differences in
the same world (paired), with its 95 % interval by Student's t. Sizing of requests has its own fleets: VPA and krr stand
in benchmarks/bench_rightsize.py.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Sequence
from dataclasses import replace

from rich.console import Console
from rich.table import Table

from aiops.adapters.store import Store
from aiops.policy import load
from simulators.run import Rehearsal, simulate
from simulators.scenario import Scenario, policies_for
from simulators.scenario import load as load_scenario
from simulators.scorecard import Score
from simulators.selected import expanded_in

SCENARIOS = ("office-hours", "oversized-pool", "spot-storm", "spot-share")
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


def main() -> None:
    """Print one table for each scenario."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", default=",".join(SCENARIOS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--hours", type=float, default=None, help="end each scenario after so many hours")
    args = parser.parse_args()
    seeds = list(range(args.first, args.first + args.seeds))
    console = Console(width=140)
    for name in args.scenarios.split(","):
        scenario = load_scenario(name)
        if args.hours is not None:
            short = min(scenario.spec.duration, args.hours * 3600.0)
            scenario = replace(scenario, spec=scenario.spec.model_copy(update={"duration": short}))
        console.print(table(name, seeds, [run(scenario, seed) for seed in seeds]))


if __name__ == "__main__":
    main()
