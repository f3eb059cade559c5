"""Remediation of a workload and its nodes, by policies and by other rules: `python benchmarks/bench_remediation.py`.

Every rule lives through the same episodes. Seconds are medians until users are well; what is saved is against
Kubernetes alone, paired by seed, with 95 % intervals. The last line has the upper bound of the rate of needless acts
(Clopper and Pearson 1934, one-sided 95 %).
"""

from __future__ import annotations

import argparse
import math

import numpy as np

from benchmarks.bench_failover import upper_bound
from simulators.remediation.rehearse import KUBERNETES, NOTHING, OURS, contenders, fared, policies, seconds
from simulators.remediation.scenario import POLICIES, Right, load, names

RULES = ("oracle", OURS, "thresholds", KUBERNETES)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=8, help="seeds of each shipped scenario")
    parser.add_argument("--seed", type=int, default=2, help="which thousand of seeds")
    asked = parser.parse_args()
    every = {name: rule for name, rule in contenders(policies([POLICIES]), baselines=True).items() if name != NOTHING}
    needless = calm = 0
    print(
        f"{'scenario':24} {'right':9} {'done':>6} " + " ".join(f"{name:>18}" for name in RULES) + "  user-minutes saved"
    )
    for name in names():
        spec, seeds = load(name), range(1000 * asked.seed, 1000 * asked.seed + asked.seeds)
        found = {who: [fared(spec, (who, rule), seed) for seed in seeds] for who, rule in every.items()}
        ours = found[OURS]
        saved = np.array(
            [two.user_minutes - one.user_minutes for one, two in zip(ours, found[KUBERNETES], strict=True)]
        )
        half = 1.96 * float(saved.std(ddof=1)) / math.sqrt(len(saved))
        if spec.right in (Right.NOTHING, Right.ASK):
            calm, needless = calm + len(ours), needless + sum(one.acts > 0 for one in ours)
        times = " ".join(f"{seconds([one.mitigated_s for one in found[who]]):>18}" for who in RULES)
        done = f"{sum(one.right for one in ours)}/{len(ours)}"
        print(f"{name:24} {spec.right.value:9} {done:>6} {times}  {saved.mean():>8,.0f} +- {half:,.0f}", flush=True)
    print(f"acts where nothing is to be done: {needless}/{calm}, rate <= {upper_bound(needless, calm):.1%}")


if __name__ == "__main__":
    main()
