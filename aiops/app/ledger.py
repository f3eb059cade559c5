"""The running cost of what is scaled, against a fleet that is sized for the peak."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from aiops.core.bank import Bank
from aiops.core.model import Instant, Tick
from aiops.core.policies import PolicySet

MARGIN = 1.2
"""What people add to the greatest demand that they remember."""


@dataclass(slots=True)
class Ledger:
    """Costs since the daemon began, in USD. A policy whose price is unknown does not count."""

    actual_usd: float = 0.0
    static_usd: float = 0.0
    since: Instant | None = None
    _last_at: Instant | None = None
    _peaks: dict[str, int] = field(default_factory=dict)

    def note(self, tick: Tick, policies: PolicySet, bank: Bank) -> None:
        """Count the time since the last tick."""
        hours = 0.0 if self._last_at is None else max(0.0, tick.at - self._last_at) / 3600.0
        self.since, self._last_at = tick.at if self.since is None else self.since, tick.at
        by_key = {policy.key: policy for policy in policies.scaling}
        for decision in tick.decisions:
            policy, verdict, sample = by_key.get(decision.policy), decision.verdict, decision.sample
            if decision.candidate_for:
                continue  # what runs is counted with the policy that acts
            if policy is None or verdict is None or sample is None or sample.usd_per_hour is None:
                continue
            replicas = max(1, verdict.change.before)
            if policy.key not in self._peaks:
                peak = bank.peak_demand(policy.key)
                carries = policy.objective.per_replica or verdict.proposal.need.capacity
                if peak is None or carries <= 0.0:
                    continue
                wanted = math.ceil(peak * MARGIN / carries)
                self._peaks[policy.key] = max(policy.bounds.min_replicas, min(wanted, policy.bounds.max_replicas))
            self.actual_usd += sample.usd_per_hour * hours
            self.static_usd += sample.usd_per_hour / replicas * self._peaks[policy.key] * hours

    @property
    def saved_ratio(self) -> float | None:
        """Return the share that is saved against the static fleet, None before there is anything to compare."""
        return None if self.static_usd <= 0 else 1.0 - self.actual_usd / self.static_usd

    def sentence(self) -> str:
        """Return the costs as people read them, nothing while they are unknown."""
        saved = self.saved_ratio
        if saved is None:
            return ""
        return f"cost {self.actual_usd:.3f} USD, a fleet for the peak {self.static_usd:.3f} ({-saved:+.0%})"
