"""Currencies and the rates between them: only those that were given, and nothing is ever added across two of them."""

from __future__ import annotations

import math
from collections.abc import Mapping

USD = "USD"

_CIRCULATING = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP
CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF
IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD
MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB
RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD
UYU UZS VED VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW ZWG
"""

ISO_4217 = frozenset(_CIRCULATING.split())
"""The codes of money that circulates (ISO 4217, without funds, metals and test codes)."""


def known_currency(value: object) -> str:
    """Return a currency's code; raise ValueError for what is none.

    >>> known_currency("EUR")
    'EUR'
    """
    if not isinstance(value, str) or value not in ISO_4217:
        upper = value.upper() if isinstance(value, str) else ""
        hint = f"; did you mean {upper}?" if upper in ISO_4217 else ""
        raise ValueError(f"{value!r} is no currency of ISO 4217 such as USD, EUR or JPY{hint}")
    return value


def usd_per(currency: str, rates: Mapping[str, float]) -> float | None:
    """Return how many USD one of a currency is, None where no rate was given. rates: USD for one, by currency.

    >>> usd_per("USD", {}), usd_per("EUR", {"EUR": 1.08}), usd_per("JPY", {"EUR": 1.08})
    (1.0, 1.08, None)
    """
    if currency == USD:
        return 1.0
    rate = rates.get(currency, math.nan)
    return rate if math.isfinite(rate) and rate > 0.0 else None
