"""Whether a new revision is worse than the old one, by a sequential test that may be looked at at every tick.

Each failed request of either revision is the new one's with probability r w / (r w + 1 - w), where w is the new
revision's share of the requests of that tick and r the ratio of the two failure rates: both are seen at the same time,
so that what hurts both is blamed on neither. The likelihood of r over that of the null hypothesis is a martingale under
it, a mixture over many r is one, too (Robbins 1970), and by Ville's inequality the least value of its inverse so far is
a p-value at whatever time it is looked at (Johari et al., Always Valid Inference, Operations Research 2022). Rates
times the tick are taken for counts; failures come in bursts, so the logarithm is divided by `DISPERSION`, as a
quasi-likelihood does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from aiops.core.model import Instant, RolloutState

RATIOS = tuple(2.0 ** (step / 2.0) for step in range(1, 14))
"""How many times as bad as the null hypothesis allows: 1.4 to 90, evenly in the logarithm."""

DISPERSION = 2.0

MOST_TICK_S = 120.0
"""A longer pause between two looks counts as this: what a rate says of it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Requests per second of both revisions, and those of them that were bad."""

    new_bad: float
    new_total: float
    old_bad: float
    old_total: float

    @property
    def comparable(self) -> bool:
        """Return whether both serve, and nothing is negative or no number."""
        every = (self.new_bad, self.new_total, self.old_bad, self.old_total)
        known = all(math.isfinite(one) and one >= 0.0 for one in every)
        return known and self.new_total > 0.0 and self.old_total > 0.0


def compared(rollout: RolloutState, rates: Rates, now: Instant, worse_by: float) -> RolloutState:
    """Return the comparison with one more look. worse_by: the null hypothesis is a ratio of at most this."""
    span_s = min(MOST_TICK_S, now - rollout.at) if math.isfinite(rollout.at) else 0.0
    if not rates.comparable or span_s <= 0.0:
        return replace(rollout, at=now)
    new_bad = min(rates.new_bad, rates.new_total) * span_s
    old_bad = min(rates.old_bad, rates.old_total) * span_s
    share = rates.new_total / (rates.new_total + rates.old_total)
    null = worse_by * share + 1.0 - share
    grown = tuple(
        log
        + (new_bad * math.log(ratio) - (new_bad + old_bad) * math.log((ratio * worse_by * share + 1.0 - share) / null))
        / DISPERSION
        for log, ratio in zip(rollout.log_evidence or (0.0,) * len(RATIOS), RATIOS, strict=True)
    )
    return replace(
        rollout,
        at=now,
        log_evidence=grown,
        p_value=min(rollout.p_value, p_value(grown)),
        new_bad=rollout.new_bad + new_bad,
        new_total=rollout.new_total + rates.new_total * span_s,
        old_bad=rollout.old_bad + old_bad,
        old_total=rollout.old_total + rates.old_total * span_s,
    )


def p_value(log_evidence: tuple[float, ...]) -> float:
    """Return the inverse of the mixture, at most 1.

    >>> p_value(()), round(p_value((math.log(200.0),) * 2), 6)
    (1.0, 0.005)
    """
    if not log_evidence:
        return 1.0
    most = max(log_evidence)
    log_mixture = most + math.log(sum(math.exp(one - most) for one in log_evidence) / len(log_evidence))
    return min(1.0, math.exp(min(0.0, -log_mixture)))
