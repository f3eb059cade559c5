"""The two prices of an objective as people write them."""

from __future__ import annotations

from pydantic import Field, field_validator

from aiops.core.decide.quantities import NumberOrNone
from aiops.core.decide.spec import Spec
from aiops.core.money.currency import ISO_4217, USD, known_currency

MOST_AMOUNT = 1e8
"""In any currency; a thousand USD are no more than this in any that circulates."""


class ObjectivePriceSpec(Spec):
    """What safety costs and what it is worth: the served quantile of demand follows from both."""

    violated_request: float = Field(
        gt=0,
        le=MOST_AMOUNT,
        description="what a request that breaks the SLO costs, or any other unit of demand that is served too late",
    )
    replica_hour: NumberOrNone = Field(
        None, gt=0, le=MOST_AMOUNT, description="what one replica costs per hour; none: what the price feed says"
    )
    currency: str = Field(
        USD, description="of both, by its code in ISO 4217", json_schema_extra={"enum": [*sorted(ISO_4217)]}
    )

    @field_validator("currency")
    @classmethod
    def a_known_currency(cls, value: str) -> str:
        """Refuse money that does not exist."""
        return known_currency(value)
