"""The judgement of releases while pods change over, second by second: `python benchmarks/bench_releases.py`.

Rollouts are looked at every 15 s through rates over a minute. Pods of the new revision serve three tenths of 120
requests a second from second 5 on; the old one is gone after 35 s, 60 s or not within the four minutes that are played.
Outages hurt both revisions from some second of the change on: whoever blames the release is wrong. Bad releases fail
from their first request on, beside an old revision of which 0.5 % fail.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aiops.core.decide.remediation.regression import Null, Rates, compared
from aiops.core.model import F64, RolloutState

LENGTH_S, BEFORE_S, WINDOW_S, LOOK_S = 240, 60, 60, 15
RATE_RPS, PART, WELL, ALPHA = 120.0, 0.3, 0.005, 0.01
NEVER = LENGTH_S + 1


@dataclass(frozen=True, slots=True)
class Lived:
    """One rollout. new, old: float64[seconds], the share that fails. gone_s: when the old revision is."""

    new: F64
    old: F64
    gone_s: int
    seed: int

    def blamed_s(self) -> float:
        """Return after how many seconds the release is blamed, infinite when it is not."""
        dice, second = np.random.default_rng(self.seed), _seconds()
        part = np.where(second < 5, 0.0, np.where(second >= self.gone_s, 1.0, PART))
        mine, theirs = dice.poisson(RATE_RPS * part), dice.poisson(RATE_RPS * (1.0 - part))
        counts = np.stack([dice.binomial(mine, self.new), mine, dice.binomial(theirs, self.old), theirs], axis=1)
        state = RolloutState(new="b", old="a", since=0.0)
        for at in range(LOOK_S, LENGTH_S + 1, LOOK_S):
            new_bad, new_total, old_bad, old_total = counts[BEFORE_S + at - WINDOW_S : BEFORE_S + at].mean(axis=0)
            rates = Rates(new_bad=new_bad, new_total=new_total, old_bad=old_bad, old_total=old_total)
            state = compared(state, rates, float(at), Null(1.5, float(WINDOW_S)))
            if state.p_value <= ALPHA:
                return float(at)
        return float("inf")


def _seconds() -> F64:
    return np.arange(-BEFORE_S, LENGTH_S, dtype=np.float64)


def outage(seed: int) -> Lived:
    """Return a rollout of a good release in which everything begins to fail from second 2 to 41 on."""
    share, gone_s = (0.2, 0.5, 1.0)[seed % 3], (NEVER, 35, 60)[seed // 3 % 3]
    hurt = np.where(_seconds() >= 2 + seed % 40, share, WELL)
    return Lived(hurt, hurt, gone_s, seed)


def bad(share: float, gone_s: int, seed: int) -> Lived:
    """Return a rollout of a release that fails a share of what it is asked."""
    ones = np.ones(BEFORE_S + LENGTH_S)
    return Lived(share * ones, WELL * ones, gone_s, seed)


def main() -> None:
    """Print the table."""
    blamed = sum(np.isfinite(outage(seed).blamed_s()) for seed in range(450))
    print(f"good releases blamed for an outage: {blamed} of 450")
    print(f"{'the release fails':>18} {'old one gone after':>20} {'found':>10} {'median s':>9}")
    for share in (0.03, 0.1, 0.4):
        for gone_s in (35, 60, NEVER):
            after = [bad(share, gone_s, 1000 + seed).blamed_s() for seed in range(60)]
            gone = "never" if gone_s == NEVER else f"{gone_s} s"
            print(f"{share:>18.0%} {gone:>20} {sum(np.isfinite(after)):>4} of 60 {np.median(after):>9.0f}", flush=True)


if __name__ == "__main__":
    main()
