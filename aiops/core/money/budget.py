"""How a CostBudget stands: what was spent in its period, what it will have cost when it ends, and whether that is over.

Only what is known counts as spent. The projection takes the past four weeks' whole days (see `burn`); while more than a
twentieth of the replica-hours of the period has no price, there is none: what is not known is not nothing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from aiops.core.model import BudgetPeriod, BudgetStanding, Finding, FindingKind, Instant, PolicyKey
from aiops.core.money.burn import LEAST_COVERAGE, Ahead, Burn, PastDay, burn
from aiops.core.money.history import Hours
from aiops.core.money.periods import day_of, days_between, midnight, period_of, weekend
from aiops.core.money.spend import DAY_S, NANO
from aiops.core.policies import CostBudget

PAST_DAYS = 28
MOST_UNPRICED = 0.05
OPENS_AT, CLOSES_AT = 0.8, 0.5
"""The probability of an overrun at which it is found, and below which it is over."""


def span(budget: CostBudget, at: Instant) -> tuple[Instant, Instant]:
    """Return from when to when hours are looked at."""
    start, until = period_of(at, budget.period, budget.time_zone)
    first = midnight(day_of(at, budget.time_zone) - timedelta(days=PAST_DAYS), budget.time_zone)
    return min(start, first), until


def stands(budget: CostBudget, hours: Hours, at: Instant, rate: float = 1.0) -> BudgetStanding:
    """Return how a budget stands. hours: of its scope, see `span`; rate: USD for one of its currency."""
    start, until = period_of(at, budget.period, budget.time_zone)
    spent = hours.spent(start, at) / NANO
    seen_s = hours.seen_s(start, at)
    unpriced = hours.unpriced(start, at)
    made = BudgetStanding(
        budget=budget.key,
        period=budget.period,
        at=at,
        start=start,
        until=until,
        amount=budget.amount * rate,
        spent=spent,
        unpriced_ratio=unpriced,
        gap_s=max(0.0, at - start - seen_s),
    )
    if unpriced > MOST_UNPRICED:
        return replace(made, why=f"{unpriced:.0%} of the replica-hours have no price")
    past = _past(budget, hours, at)
    found = burn(spent, past, _ahead(budget, at, (start, until, made.gap_s)))
    if found is None:
        return _by_rate(made, seen_s)
    return _projected(made, found, len(past))


def _projected(made: BudgetStanding, found: Burn, days: int) -> BudgetStanding:
    return replace(
        made,
        projected=found.expected,
        low=found.low,
        high=found.high,
        chance_over=found.chance_over(made.amount),
        days=days,
        why="" if found.low is not None else f"{days} whole days were seen, an interval needs 3",
    )


def _by_rate(made: BudgetStanding, seen_s: float) -> BudgetStanding:
    """Return the projection of a first day: as much an hour as was seen so far, without an interval."""
    if seen_s < 3600.0:
        return replace(made, why="less than an hour was seen")
    left_s = made.until - made.at + made.gap_s
    return replace(made, projected=made.spent + made.spent / seen_s * left_s, why="no whole day was seen yet")


def _past(budget: CostBudget, hours: Hours, at: Instant) -> list[PastDay]:
    """Return the whole days before today that were seen well enough, each scaled to all of it."""
    name, today = budget.time_zone, day_of(at, budget.time_zone)
    into_s = at - midnight(today, name)
    found = []
    for day in days_between(today - timedelta(days=PAST_DAYS), today):
        begins, ends = midnight(day, name), midnight(day + timedelta(days=1), name)
        covered = hours.seen_s(begins, ends) / (ends - begins)
        if covered < LEAST_COVERAGE or hours.unpriced(begins, ends) > MOST_UNPRICED:
            continue
        scale = 1.0 / (covered * NANO)
        found.append(
            PastDay(
                usd=hours.spent(begins, ends) * scale,
                rest_usd=hours.spent(min(begins + into_s, ends), ends) * scale,
                weekend=weekend(day),
            )
        )
    return found


def _ahead(budget: CostBudget, at: Instant, known: tuple[Instant, Instant, float]) -> Ahead:
    _, until, gap_s = known
    today = day_of(at, budget.time_zone)
    coming = list(days_between(today + timedelta(days=1), day_of(until, budget.time_zone)))
    ends = sum(weekend(day) for day in coming)
    return Ahead(today_weekend=weekend(today), days=(len(coming) - ends, ends), gap_days=gap_s / DAY_S)


# -- overruns ------------------------------------------------------------------------------------------


def since(now: BudgetStanding, before: BudgetStanding | None) -> Instant | None:
    """Return since when an overrun stands: it opens at 80 % probability, or when all is spent, and ends below 50 %."""
    stood = None if before is None or before.start != now.start else before.over_since
    if now.exhausted:
        return now.at if stood is None else stood
    chance = now.chance_over
    if chance is None:
        return stood
    if stood is None:
        return now.at if chance >= OPENS_AT else None
    return stood if chance >= CLOSES_AT else None


def finding(budget: CostBudget, now: BudgetStanding, labels: tuple[tuple[str, str], ...]) -> Finding | None:
    """Return what is found of a budget that will be overrun, None while none will; people are called once for it."""
    if now.over_since is None:
        return None
    expected = now.spent if now.projected is None else now.projected
    chance = 1.0 if now.exhausted else (now.chance_over or 0.0)
    return Finding(
        policy=budget.key,
        series=f"{budget.key}#{now.period.value}",
        labels={"namespace": budget.namespace, "budget": budget.key.rpartition("/")[2], **dict(labels)},
        kind=FindingKind.OVERRUN,
        at=now.at,
        since=now.over_since,
        score=max(expected / now.amount, 1.0),
        p_value=1.0 - chance,
        value=expected,
        expected=now.amount,
        lower=now.spent if now.low is None else now.low,
        upper=expected if now.high is None else now.high,
        reason=told(now),
        alarm=now.at == now.over_since,
        evidence={"spent": now.spent, "amount": now.amount, "chance": chance, "days": float(now.days)},
    )


def told(now: BudgetStanding) -> str:
    """Return how a budget that is overrun stands, in one sentence."""
    period = "this month" if now.period is BudgetPeriod.MONTH else "today"
    if now.exhausted:
        return f"all is spent: {now.spent:,.2f} of {now.amount:,.2f} USD {period}"
    between = "" if now.low is None or now.high is None else f" ({now.low:,.2f} to {now.high:,.2f})"
    return f"{now.projected or 0.0:,.2f}{between} of {now.amount:,.2f} USD will be spent {period}"


def overrun_findings(
    budgets: tuple[CostBudget, ...],
    standings: dict[PolicyKey, BudgetStanding],
    labels: dict[PolicyKey, tuple[tuple[str, str], ...]],
) -> tuple[Finding, ...]:
    """Return the overruns of all budgets."""
    made = (finding(one, standings[one.key], labels.get(one.key, ())) for one in budgets if one.key in standings)
    return tuple(one for one in made if one is not None)
