"""How soon a FailoverPolicy finds that users fail, and how often it is wrong: `python benchmarks/bench_failover.py`.

Prints, for each kind of episode, failovers of all episodes with the upper bound of their rate (Clopper and Pearson
1934, one-sided 95 %), and the seconds until the plan is wanted: median and 95 %. Seeds are arguments.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from benchmarks import failover_episodes as of
from benchmarks.failover_episodes import Episode, Probing

LENGTH_S = 600
PROBINGS = {
    "10 every 1 s": Probing(every_s=1, requests=10, scrape_s=1),
    "1 every 1 s": Probing(every_s=1, requests=1, scrape_s=1),
    "20 every 5 s": Probing(every_s=5, requests=20, scrape_s=1),
    "1 every 5 s": Probing(every_s=5, requests=1, scrape_s=5),
}

Made = Callable[[np.random.Generator, float, float], Episode]
"""An episode, from dice, its start and how many requests fail at any time."""


def _blips(dice: np.random.Generator, start_s: float, background: float) -> Episode:
    number = int(dice.integers(1, 4))
    lengths = tuple(float(one) for one in dice.uniform(1.0, 15.0, number))
    return of.blips(start_s, background, lengths, gap_s=float(dice.uniform(45.0, 120.0)))


def _loss(*points: str) -> Made:
    return lambda dice, start_s, back: of.probe_loss(start_s, back, points, float(dice.uniform(0.2, 0.5)))


EPISODES: dict[str, tuple[bool, Made]] = {
    "crash": (True, lambda _, start_s, back: of.crash(start_s, back)),
    "isolation": (True, lambda _, start_s, back: of.isolation(start_s, back)),
    "grey, 50 %": (True, lambda _, start_s, back: of.grey(start_s, back)),
    "grey, 25 %": (True, lambda _, start_s, back: of.grey(start_s, back, 0.25)),
    "quiet": (False, lambda _, start_s, back: of.deafness(start_s, back, ())),
    "blips of 1 to 15 s": (False, _blips),
    "blip of 15 s": (False, lambda _, start_s, back: of.blips(start_s, back, (15.0,), 0.0)),
    "edge loses 20 to 50 %": (False, _loss("edge")),
    "all lose 20 to 50 %": (False, _loss("edge", "west", "north")),
    "edge sees nobody": (False, lambda _, start_s, back: of.probe_loss(start_s, back, ("edge",), 1.0)),
    "edge does not reach west": (False, lambda _, start_s, back: of.path_loss(start_s, back, 1.0)),
    "one observer deaf": (False, lambda _, start_s, back: of.deafness(start_s, back, ("north",))),
    "two observers deaf": (False, lambda _, start_s, back: of.deafness(start_s, back, ("north", "west"))),
    "all metrics lost": (False, lambda _, start_s, back: of.deafness(start_s, back, of.POINTS)),
}


def upper_bound(events: int, trials: int, level: float = 0.95) -> float:
    """Return the one-sided upper bound of a rate of which `events` were seen in `trials` (Clopper and Pearson 1934)."""
    from scipy.stats import beta

    return 1.0 if events >= trials else float(beta.ppf(level, events + 1, trials - events))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=("faults", "calm"), help="those with a right plan, or without one")
    parser.add_argument("--background", type=float, default=0.005, help="share of requests that fail at any time")
    asked = parser.parse_args()
    print(f"{'episode':26} {'probes':14} {'failovers':>10} {'rate <=':>8} {'p50 s':>7} {'p95 s':>7} {'missed':>7}")
    chosen = {name: one for name, one in EPISODES.items() if asked.only in (None, "faults" if one[0] else "calm")}
    for name, (wanted, make) in chosen.items():
        for said, probing in PROBINGS.items():
            times, policy = [], of.shipped(probing)
            for run in range(asked.runs):
                dice = np.random.default_rng([asked.seed, run])
                start_s = float(dice.uniform(120.0, 125.0))
                episode = make(dice, start_s, asked.background)
                found = of.first_plan(policy, episode, probing, dice, LENGTH_S)
                if found is not None:
                    times.append(found[0])
            bound = "" if wanted else f"{upper_bound(len(times), asked.runs):.1%}"
            median, late = np.quantile(times, [0.5, 0.95]) if times else (np.nan, np.nan)
            missed = str(asked.runs - len(times)) if wanted else ""
            print(
                f"{name:26} {said:14} {len(times):>10} {bound:>8} {median:>7.1f} {late:>7.1f} {missed:>7}", flush=True
            )


if __name__ == "__main__":
    main()
