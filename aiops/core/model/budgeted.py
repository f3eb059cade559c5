"""Budgets as they stand at one instant, and what they leave to one policy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from aiops.core.model.names import Instant, PolicyKey


class BudgetPeriod(StrEnum):
    """For how long an amount is: a calendar month, or a day, of the budget's time zone."""

    MONTH = "month"
    DAY = "day"


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetStanding:
    """How a CostBudget stands. Amounts are USD; of spent only what is known: a gap or a missing price adds nothing.

    start, until: of the period. projected: what the period will have cost, None while that is not known, and why. low,
    high: its 80 % interval, and chance_over the probability that it is more than the amount; None while fewer than
    three whole days were seen. days: whole days by which it is projected. unpriced_ratio: how much of the
    replica-hours of the period has no price; gap_s: for how long nobody looked. over_since: since when an overrun is
    projected, None while none is.
    """

    budget: PolicyKey
    period: BudgetPeriod
    at: Instant
    start: Instant
    until: Instant
    amount: float
    spent: float
    projected: float | None = None
    low: float | None = None
    high: float | None = None
    chance_over: float | None = None
    days: int = 0
    unpriced_ratio: float = 0.0
    gap_s: float = 0.0
    why: str = ""
    over_since: Instant | None = None

    @property
    def ratio(self) -> float | None:
        """Return projected over budget, None while it is not known."""
        return None if self.projected is None or self.amount <= 0.0 else self.projected / self.amount

    @property
    def burn(self) -> float | None:
        """Return spent over what an even use would have spent by now; None before the period has begun.

        1 ends on the amount: Google SRE Workbook, Alerting on SLOs, with money for errors.
        """
        elapsed = (self.at - self.start) / (self.until - self.start) if self.until > self.start else 0.0
        return None if elapsed <= 0.0 or self.amount <= 0.0 else self.spent / self.amount / min(1.0, elapsed)

    @property
    def exhausted(self) -> bool:
        """Return whether all of it is spent."""
        return 0.0 < self.amount <= self.spent


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a budget leaves to one policy. ceiling: None where it gives way to nothing now, or never.

    binds: whether the ceiling holds growth; of a budget in dry-run it is only told.
    """

    standing: BudgetStanding
    ceiling: int | None = None
    binds: bool = False
