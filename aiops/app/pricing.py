"""Wiring of prices: the feed that the settings name."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from aiops.core.model import PriceBook
from aiops.core.money.currency import usd_per
from aiops.core.money.pricing import Given
from aiops.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from aiops.adapters.prices import Feed, ListFile
    from aiops.adapters.prices.feed import Reader
    from aiops.app.price_settings import PriceSettings
    from aiops.app.settings import Settings
    from aiops.core.model import Instant, Machine, Quote, TargetRef
    from aiops.core.money.tariff import Meter
    from aiops.ports import Inventory, Prices, Source


STANDS_S = 120.0
"""How long what was told of a replica is told again, while nobody asks for it."""


class LastPrices:
    """Prices of another, of which the last book is kept for whoever tells of it.

    rates: of the settings, for who says none, as a simulated world.
    """

    def __init__(self, prices: Prices, rates: Mapping[str, float]) -> None:
        self._prices = prices
        self._rates = rates
        self._told: dict[str, tuple[Instant, Quote]] = {}
        self.last = PriceBook()
        self.machines: Mapping[str, Machine] = {}

    def unwell(self) -> list[str]:
        """Return what could not be read, and why."""
        return unwell(self._prices)

    def book(self, targets: Sequence[TargetRef], inventory: Inventory, at: Instant) -> PriceBook:
        """Return the other's book; see `ports.Prices`."""
        made = self._prices.book(targets, inventory, at)
        # a fast turn asks for what it needs alone: what another was told a moment ago stands
        self._told.update({key: (at, quote) for key, quote in made.replicas.items()})
        self._told = {key: one for key, one in self._told.items() if at - one[0] <= STANDS_S}
        self.machines = inventory.machines or self.machines
        made = made if made.rates else replace(made, rates=self._rates)
        self.last = replace(made, replicas={key: quote for key, (_, quote) in self._told.items()})
        return made


def unwell(prices: Prices) -> list[str]:
    """Return which prices could not be read, and why: no reason not to be ready, but one to be told."""
    from aiops.adapters.prices import Feed

    return [f"prices: {why}" for why in prices.unwell()] if isinstance(prices, Feed) else []


def given(settings: PriceSettings) -> Given:
    """Return what the settings price themselves, in USD."""
    rate = _rate(settings, settings.currency)
    return Given(
        targets={name: price * rate for name, price in settings.targets.items()},
        otherwise=None if settings.default is None else settings.default * rate,
        rates=settings.rates,
    )


def feed(settings: Settings, source: Callable[[str], Source]) -> Feed:
    """Return the feed of the settings, not begun yet. source: a metrics source of its own, by name."""
    from aiops.adapters.prices import Feed, FeedOptions

    prices = settings.prices
    options = FeedOptions(given=given(prices), every_s=prices.every, wall=time.time)
    return Feed(options, list_file(prices), _meter(settings, source))


def list_file(settings: PriceSettings) -> ListFile | None:
    """Return the price list of the settings, not read yet; None without one."""
    from aiops.adapters.prices import ListFile, Terms

    if settings.list is None:
        return None
    return ListFile(settings.list, Terms(currency=settings.currency, rates=settings.rates))


def _meter(settings: Settings, source: Callable[[str], Source]) -> tuple[Reader, Meter] | None:
    from aiops.adapters.prices import OpenCostApi, OpenCostMetrics, OpenCostOptions, unread

    asked = settings.prices.opencost
    if asked is None:
        return None
    money = (asked.currency, _rate(settings.prices, asked.currency))
    if asked.by == "metrics":
        if asked.source and asked.source not in settings.sources:
            known = ", ".join(sorted(settings.sources)) or "none"
            raise ConfigurationError(f"prices.opencost.source: there is no source {asked.source!r}; known: {known}")
        empty = unread("opencost metrics", asked.max_age, money, asked.cluster)
        return OpenCostMetrics(source=source(asked.source), empty=empty), empty
    empty = unread("opencost", asked.max_age, money, asked.cluster)
    options = OpenCostOptions(
        url=asked.url or "",
        window_s=asked.window,
        bearer_token_file=asked.bearer_token_file,
        ca_file=asked.ca_file,
        timeout_s=asked.timeout,
        max_bytes=int(asked.max_bytes),
    )
    return OpenCostApi(options, empty), empty


def _rate(settings: PriceSettings, currency: str) -> float:
    """Return USD for one; the settings are not valid without it."""
    rate = usd_per(currency, settings.rates)
    return math.nan if rate is None else rate
