"""How budgets stand, as plain data: what was spent day by day, what will be, and whose ceilings come down."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from aiops.core.model import BudgetPeriod, BudgetStanding, PolicyKey
from aiops.core.money.books import Books
from aiops.core.money.metering import labels_of
from aiops.core.money.periods import day_of, days_between, midnight
from aiops.core.money.spend import NANO
from aiops.core.policies import CostBudget, PolicySet, Whose
from aiops.core.versions import is_version, template_key


def told(books: Books, policies: PolicySet, standings: Mapping[PolicyKey, BudgetStanding]) -> list[dict[str, Any]]:
    """Return every budget that stands."""
    return [_one(one, standings[one.key], books, policies) for one in policies.budgets if one.key in standings]


def stood(budgets: Sequence[Mapping[str, Any]]) -> list[BudgetStanding]:
    """Return what is to be known of budgets that were told before: since when they are overrun, and no more."""
    return [
        BudgetStanding(
            budget=str(one["key"]),
            period=BudgetPeriod(one["period"]),
            at=-math.inf,
            start=float(one["from"]),
            until=float(one["until"]),
            amount=float(one["amount"]),
            spent=float(one["spent"]),
            over_since=one["over_since"],
        )
        for one in budgets
    ]


def _one(one: CostBudget, stands: BudgetStanding, books: Books, policies: PolicySet) -> dict[str, Any]:
    _, namespace, name = one.key.split("/", 2)
    return {
        "key": one.key,
        "name": name,
        "namespace": namespace,
        "team": one.scope.team,
        "mode": one.mode.value,
        "period": one.period.value,
        "time_zone": one.time_zone,
        "currency": one.currency,
        "amount_in_currency": one.amount,
        "amount": stands.amount,
        "at": stands.at,
        "from": stands.start,
        "until": stands.until,
        "spent": stands.spent,
        "projected": stands.projected,
        "low": stands.low,
        "high": stands.high,
        "chance_over": stands.chance_over,
        "days_known": stands.days,
        "unpriced_ratio": stands.unpriced_ratio,
        "gap_hours": stands.gap_s / 3600.0,
        "ratio": stands.ratio,
        "over_since": stands.over_since,
        "why": stands.why,
        "ceilings": list(_ceilings(one, stands, policies)),
        "curve": list(_curve(one, stands, books)),
    }


def _ceilings(one: CostBudget, stands: BudgetStanding, policies: PolicySet) -> Iterator[dict[str, Any]]:
    for policy in policies.scaling:
        labels = labels_of(policy.key, policies)
        _, namespace, name = template_key(policy.key).split("/", 2)
        if is_version(policy.key) or policy.candidate_for or not one.scope.covers(namespace, labels):
            continue
        most = policy.bounds.at(stands.at)[1]
        left = one.allowance(Whose(name=name, namespace=namespace, labels=labels, most=most), stands)
        if left.ceiling is not None:
            yield {"policy": policy.key, "ceiling": left.ceiling, "max": most, "binds": left.binds}


def _curve(one: CostBudget, stands: BudgetStanding, books: Books) -> Iterator[dict[str, Any]]:
    """Yield what was spent in each day of the period so far."""
    hours = books.history.hours(books.places(one), stands.start, stands.at)
    today = day_of(stands.at, one.time_zone)
    for day in days_between(day_of(stands.start, one.time_zone), today + timedelta(days=1)):
        begins, ends = midnight(day, one.time_zone), midnight(day + timedelta(days=1), one.time_zone)
        yield {"date": day.isoformat(), "spent": hours.spent(max(begins, stands.start), min(ends, stands.at)) / NANO}
