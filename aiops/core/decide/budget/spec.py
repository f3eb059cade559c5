"""`CostBudget` as people write it."""

from __future__ import annotations

from pydantic import Field, field_validator, model_validator

from aiops.core.decide.quantities import Quantity, Whole
from aiops.core.decide.scaling.target_spec import SelectorSpec
from aiops.core.decide.spec import Spec, in_cel
from aiops.core.model import BudgetPeriod, Mode
from aiops.core.money.currency import known_currency

STEP_RATIO = 0.05
"""Each priority gives way so much later than the one before it, where the author does not say when."""

REACH_RATIO = 0.1
"""A ceiling has come down all the way when the projected overrun has grown by so much more."""


class BudgetScopeSpec(Spec):
    """Whose spend counts; all of it must hold. Without any of it: what the budget's own namespace spends."""

    team: str | None = Field(None, min_length=1, max_length=63, description="policies whose label team says so")
    namespaces: tuple[str, ...] = Field((), max_length=100, description="policies of these namespaces")
    selector: SelectorSpec | None = Field(None, description="policies with these labels in their metadata")


class PrioritySpec(Spec):
    """Policies whose growth stops sooner as the budget runs out; the first of the list gives way first."""

    policies: tuple[str, ...] = Field((), max_length=200, description="ScalingPolicies of this namespace, by name")
    selector: SelectorSpec | None = Field(None, description="or those with these labels in their metadata")
    max_replicas: Whole = Field(ge=1, description="the ceiling when it has come down all the way")
    above: Quantity | None = Field(
        None, gt=0, le=100, description="projected over budget at which it begins to come down; none: 1, 1.05, 1.1, ..."
    )

    @model_validator(mode="after")
    @in_cel(
        "(has(self.policies) && size(self.policies) > 0) != has(self.selector)",
        "write either policies or a selector",
    )
    def names_somebody(self) -> PrioritySpec:
        """Refuse a ceiling for nobody, and one said twice."""
        if bool(self.policies) == (self.selector is not None):
            raise ValueError("write either policies or a selector")
        return self


class BudgetSpec(Spec):
    """The spec of a CostBudget: money for a calendar period, and what gives way when more would be spent."""

    mode: Mode = Field(
        Mode.DRY_RUN, description="enforce lets ceilings bind; in dry-run they are told, in observe there are none"
    )
    amount: Quantity = Field(gt=0, description="how much may be spent in a period")
    currency: str = Field("USD", description="in which the amount is; the settings need a rate for any but USD")
    period: BudgetPeriod = Field(BudgetPeriod.MONTH, description="a calendar month or day")
    time_zone: str = Field("UTC", description="in which months and days begin: Europe/Berlin")
    scope: BudgetScopeSpec = Field(BudgetScopeSpec(), description="whose spend counts")
    priorities: tuple[PrioritySpec, ...] = Field(
        (), max_length=50, description="what gives way, in order: the first of them first"
    )

    @field_validator("currency")
    @classmethod
    def a_currency(cls, value: str) -> str:
        """Refuse what ISO 4217 would not call a currency."""
        return known_currency(value)


def begins(one: PrioritySpec, number: int) -> float:
    """Return the ratio of projected to budget at which a priority begins to give way. number: its place, from 0."""
    return one.above if one.above is not None else 1.0 + STEP_RATIO * number
