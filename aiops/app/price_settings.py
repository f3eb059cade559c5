"""Settings of money: where prices come from, in which currency, and by which rates they are made one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from aiops.app.section import BaseUrl, Section
from aiops.core.decide.quantities import Duration, Quantity
from aiops.core.money.currency import USD, known_currency, usd_per
from aiops.core.money.prices import MOST_USD_PER_HOUR

MOST_RATE = 10_000.0
"""USD for one of any currency: more is a rate the wrong way round, or of the wrong currency."""

Currency = Annotated[str, AfterValidator(known_currency)]
ReplicaHour = Annotated[float, Field(ge=0)]
Rate = Annotated[float, Field(gt=0, le=MOST_RATE)]


class OpenCostSettings(Section):
    """An OpenCost that knows what nodes cost: by its metrics in Prometheus, or by its API.

    source: which of the named metrics sources has its metrics; '' is prometheus. url, window: of the API, and over
    which costs are accumulated. cluster: whose nodes it knows; of all of them without a name. currency: in which it is
    configured to count. max_age: a reading that is older is not known any more.
    """

    by: Literal["metrics", "api"] = "metrics"
    source: str = ""
    url: BaseUrl | None = None
    window: Duration = Field(86_400.0, ge=3600)
    cluster: str = ""
    currency: Currency = USD
    max_age: Duration = Field(1800.0, ge=120)
    timeout: Duration = Field(30.0, gt=0)
    max_bytes: Quantity = 64e6
    bearer_token_file: Path | None = None
    ca_file: Path | None = None

    @model_validator(mode="after")
    def api_needs_a_url(self) -> OpenCostSettings:
        """Tie the URL to the API."""
        if (self.by == "api") != (self.url is not None):
            raise ValueError("url belongs to `by: api`, which needs it; the metrics are in prometheus")
        return self


class PriceSettings(Section):
    """What things cost. currency: of default, targets and of a list that names none.

    default, targets: of a replica per hour: otherwise, and by `namespace/name`. rates: USD for one of each other
    currency. list: a file with prices of nodes. every: between two readings.
    """

    currency: Currency = USD
    rates: dict[str, Rate] = Field(default_factory=dict)
    default: ReplicaHour | None = None
    targets: dict[str, ReplicaHour] = Field(default_factory=dict)
    list: Path | None = None
    opencost: OpenCostSettings | None = None
    every: Duration = Field(60.0, ge=5)

    @field_validator("opencost", mode="before")
    @classmethod
    def one_word(cls, value: Any) -> Any:
        """Accept `opencost: metrics` in place of `opencost: {by: metrics}`, and a URL in place of the API's."""
        if isinstance(value, str):
            return {"by": "api", "url": value} if "://" in value else {"by": value}
        return value

    @field_validator("rates")
    @classmethod
    def of_currencies(cls, value: dict[str, float]) -> dict[str, float]:
        """Refuse rates of money that does not exist, and one of the dollar that is not 1."""
        for currency, rate in value.items():
            known_currency(currency)
            if currency == USD and rate != 1.0:
                raise ValueError("rates are USD for one of another currency: that of USD is 1")
        return value

    @model_validator(mode="after")
    def rates_for_all(self) -> PriceSettings:
        """Refuse a currency without a rate: money of two currencies is never added up."""
        used = {self.currency, USD if self.opencost is None else self.opencost.currency}
        missing = sorted(used - {USD} - set(self.rates))
        if missing:
            one = missing[0]
            raise ValueError(f"rates has none of {one}: write how many USD one {one} is, rates: {{{one}: 1.1}}")
        rate = usd_per(self.currency, self.rates) or 1.0
        for name, price in {"default": self.default or 0.0, **self.targets}.items():
            if not price * rate <= MOST_USD_PER_HOUR:
                raise ValueError(f"{name}: {price:g} {self.currency} per hour is more than anything costs")
        return self
