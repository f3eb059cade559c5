"""The report in another currency: all of its amounts by one rate, which the settings say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiops.core.money.currency import USD, known_currency, usd_per
from aiops.errors import InvalidInput

AMOUNTS = frozenset(
    {
        "spent", "promised", "saved", "saved_low", "saved_high", "realised", "freed", "static", "promised_per_hour",
        "amount", "projected", "low", "high",
    }
)  # fmt: skip
"""Fields that are amounts of the report's currency; those whose name ends with `_usd` stay what their name says."""

_ALSO = {"static_usd": "static", "promised_usd_per_hour": "promised_per_hour"}


def exchanged(costs: Mapping[str, Any], currency: str, rates: Mapping[str, float]) -> dict[str, Any]:
    """Return the report in a currency; raise InvalidInput where it is none, or no rate is known.

    rates: USD for one of another. What is not known stays unknown.
    """
    try:
        known_currency(currency)
    except ValueError as err:
        raise InvalidInput(f"--currency: {err}") from err
    rate = usd_per(currency, rates)
    if rate is None:
        known = ", ".join(sorted({USD, *rates}))
        raise InvalidInput(f"--currency: there is no rate for {currency} (prices.rates of the settings have {known})")
    made: dict[str, Any] = _part(costs, rate)
    return {**made, "currency": currency}


def _part(one: Any, rate: float) -> Any:
    if isinstance(one, Mapping):
        made = {name: _amount(name, value, rate) for name, value in one.items()}
        return made | {short: _worth(one[name], rate) for name, short in _ALSO.items() if name in one}
    return [_part(each, rate) for each in one] if isinstance(one, list | tuple) else one


def _amount(name: str, value: Any, rate: float) -> Any:
    return _worth(value, rate) if name in AMOUNTS else _part(value, rate)


def _worth(value: Any, rate: float) -> Any:
    return value / rate if isinstance(value, int | float) and not isinstance(value, bool) else value
