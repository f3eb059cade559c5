"""What a budget says of the policy that is tested, as the test gives it: an amount, what is spent and projected."""

from __future__ import annotations

from collections.abc import Mapping

from aiops.core.model import BudgetPeriod, BudgetStanding, Instant, Mode, PolicyKey
from aiops.core.money.periods import period_of
from aiops.core.policies import BudgetScope, CostBudget, PolicySet, Priority, Tested
from aiops.core.versions import template_key
from aiops.loop.seams import NoBooks
from aiops.policy.testing import Case
from aiops.policy.testing.surroundings import BudgetSpec
from simulators.policy_tests.spans import Spans

ALWAYS = 1e-9
"""A ratio of projected to amount that every given budget has."""


def given_budgets(case: Case, policy: Tested) -> tuple[CostBudget, ...]:
    """Return a budget over the policy for each that is given."""
    _, namespace, name = template_key(policy.key).split("/", 2)
    return tuple(_budget(one, number, (namespace, name)) for number, one in enumerate(case.spec.budgets))


def _budget(one: BudgetSpec, number: int, whose: tuple[str, str]) -> CostBudget:
    namespace, name = whose
    ceiling = () if one.ceiling is None else (
        Priority(policies=(name,), labels=None, max_replicas=one.ceiling, above=ALWAYS, full=2 * ALWAYS),
    )  # fmt: skip
    return CostBudget(
        key=_key(namespace, number),
        digest=str(number),
        document="{}",
        origin="the test",
        mode=Mode.ENFORCE if one.binds else Mode.DRY_RUN,
        amount=one.amount,
        currency="USD",
        period=one.period,
        time_zone="UTC",
        scope=BudgetScope(namespaces=(namespace,)),
        priorities=ceiling,
    )


def _key(namespace: str, number: int) -> PolicyKey:
    return f"CostBudget/{namespace}/given-{number + 1}"


class GivenBooks(NoBooks):
    """ports.Books that says what the test gives."""

    def __init__(self, case: Case, policy: Tested) -> None:
        self._namespace = policy.key.split("/", 2)[1]
        self._spans = Spans(case.spec.budgets, case.start)
        self._order = {id(one): number for number, one in enumerate(case.spec.budgets)}

    def standings(self, policies: PolicySet, at: Instant) -> Mapping[PolicyKey, BudgetStanding]:
        """Return how the budgets stand that are given now."""
        found = {}
        for _, _, one in self._spans.active(at):
            key = _key(self._namespace, self._order[id(one)])
            found[key] = _standing(key, one, at)
        return found


def _standing(key: PolicyKey, one: BudgetSpec, at: Instant) -> BudgetStanding:
    start, until = period_of(at, BudgetPeriod(one.period), "UTC")
    known = one.projected is not None
    return BudgetStanding(
        budget=key,
        period=one.period,
        at=at,
        start=start,
        until=until,
        amount=one.amount,
        spent=one.spent,
        projected=one.projected,
        low=one.projected,
        high=one.projected,
        chance_over=float(one.projected > one.amount) if one.projected is not None else None,
        days=28 if known else 0,
        why="" if known else "the test gives no projection",
    )
