"""Failover of two sites with a witness, by two daemons and by other rules: `python benchmarks/bench_sites.py`.

Each row is one kind of episode with seeds of its own; every rule lives through the same episodes. The last column is
the upper bound of the rate of false failovers (Clopper and Pearson 1934, one-sided 95 %).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from statistics import median

import numpy as np

from aiops.core.planning.failover import FailoverPolicy
from benchmarks.bench_failover import upper_bound
from simulators.failover.episodes import CALM, RIGHT, RULES, Faults, Lived, Rule, Setting, group, lived
from simulators.failover.rehearse import fared
from simulators.failover.scenario import POLICY, Right, load, names
from simulators.failover.world import PROBES

BUILT_WITH = 1
"""The seed that was looked at while this was built; others were not."""


def runs(faults: Faults, rule: Rule | FailoverPolicy | None, seed: int, number: int, setting: Setting) -> list[Lived]:
    """Return what became of so many episodes."""
    found = []
    for run in range(number):
        made = faults(np.random.default_rng([seed, run]))
        found.append(lived(made, rule, [seed, run, 1], setting))
    return found


def quantiles(values: Sequence[float]) -> str:
    """Return median and 95 % quantile, with infinity for never."""
    ordered = sorted(values)
    return " / ".join(
        "never" if math.isinf(one) else f"{one:.0f}"
        for one in (ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, math.ceil(0.95 * len(ordered)) - 1)])
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="episodes of each kind in which traffic must move")
    parser.add_argument("--calm", type=int, default=25, help="episodes of each kind in which nothing must move")
    parser.add_argument("--scenarios", type=int, default=24, help="seeds of each shipped scenario")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--rules", action=argparse.BooleanOptionalAction, default=True, help="the other rules, too")
    parser.add_argument("--probes", type=int, default=PROBES, help="requests a second of each observer to each site")
    asked = parser.parse_args()
    setting = Setting(probes=asked.probes)
    policy = group()
    rules: dict[str, Rule | FailoverPolicy | None] = {"aiops, two daemons": policy}
    if asked.rules:
        rules |= {**RULES, "nothing is done": None}
    print(f"{'episode':44} {'rule':42} {'detect s':>12} {'mitigate s':>12} {'missed':>6} {'split s':>7} {'lost s':>7}")
    for name, faults in RIGHT.items():
        for said, rule in rules.items():
            found = runs(faults, rule, asked.seed, asked.runs, setting)
            missed = sum(1 for one in found if math.isinf(one.mitigated_s))
            print(
                f"{name:44} {said:42} {quantiles([one.detected_s for one in found]):>12} "
                f"{quantiles([one.mitigated_s for one in found]):>12} {missed:>6} "
                f"{sum(one.split_s for one in found):>7.0f} {np.mean([one.lost_s for one in found]):>7.1f}",
                flush=True,
            )
    print(f"\n{'nothing must move':48} {'rule':42} {'false':>9} {'rate <=':>8} {'split s':>7}")
    false, every = dict.fromkeys(rules, 0), dict.fromkeys(rules, 0)
    for name, faults in CALM.items():
        for said, rule in rules.items():
            found = runs(faults, rule, asked.seed, asked.calm, setting)
            moved = sum(1 for one in found if one.moves)
            false[said], every[said] = false[said] + moved, every[said] + len(found)
            print(
                f"{name:48} {said:42} {moved:>4}/{len(found):<4} {upper_bound(moved, len(found)):>8.1%} "
                f"{sum(one.split_s for one in found):>7.0f}",
                flush=True,
            )
    for said in rules:
        bound = upper_bound(false[said], every[said])
        print(f"{'all of them':48} {said:42} {false[said]:>4}/{every[said]:<4} {bound:>8.1%}")
    scenarios(asked.seed, asked.scenarios, asked.probes)


def scenarios(seed: int, number: int, probes: int) -> None:
    """Print how the shipped scenarios go; what is saved against doing nothing: paired by seed, 95 % intervals."""
    policy, calm, false, ratios = group(POLICY), 0, 0, []
    times = f"{'oracle s':>13} {'mitigate s':>13} {'ratio':>6}"
    heads = f"{'scenario':24} {'right':9} {'done':>6} {times} {'split s':>7} {'asked':>6}"
    print(f"\n{heads}  user-minutes saved against doing nothing")
    for name in names():
        spec = load(name).model_copy(update={"probes": probes})
        seeds = range(1000 * seed, 1000 * seed + number)
        ours, nothing, knows = (
            fared(spec, (said, rule), seeds, lambda: None)
            for said, rule in (("ours", policy), ("nothing", None), ("oracle", RULES["oracle"]))
        )
        saved = np.array([two.user_minutes - one.user_minutes for one, two in zip(ours, nothing, strict=True)])
        half = 1.96 * float(saved.std(ddof=1)) / math.sqrt(len(saved))
        right = sum(one.right for one in ours)
        if spec.right is not Right.FAILOVER:
            calm, false = calm + len(ours), false + len(ours) - right
        else:
            mine, best = (median(one.lived.mitigated_s for one in every) for every in (ours, knows))
            ratios.append(mine / best)
        ratio = f"{ratios[-1]:.2f}" if spec.right is Right.FAILOVER else ""
        print(
            f"{name:24} {spec.right.value:9} {right:>3}/{len(ours):<2} "
            f"{quantiles([one.lived.mitigated_s for one in knows]):>13} "
            f"{quantiles([one.lived.mitigated_s for one in ours]):>13} {ratio:>6} "
            f"{sum(one.lived.split_s for one in ours):>7.0f} {sum(one.lived.asked for one in ours):>3}/{len(ours):<2}"
            f"  {saved.mean():>8,.0f} +- {half:,.0f}",
            flush=True,
        )
    print(f"{len(ratios)} scenarios that need a failover: median of the ratios to the oracle {median(ratios):.2f}")
    print(f"false failovers where nothing is to be moved: {false}/{calm}, rate <= {upper_bound(false, calm):.1%}")


if __name__ == "__main__":
    main()
