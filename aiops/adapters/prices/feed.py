"""ports.Prices over whatever the settings name: meters are read in a thread of their own, no tick waits for them."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from aiops.adapters.prices.listed import ListFile
from aiops.core.model import Instant, PriceBook, TargetRef
from aiops.core.money.pricing import Given, Stock, book
from aiops.core.money.tariff import FirstOf, Meter, Tariff
from aiops.errors import ConfigurationError, SourceUnavailable
from aiops.ports import Inventory

_LOG = logging.getLogger("aiops.prices")


class Reader(Protocol):
    """Reads a meter once."""

    def read(self, at: Instant) -> Meter:
        """Return what it says; raise SourceUnavailable."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedOptions:
    """given: what the settings price themselves. every_s: between two readings. wall: the time of readings."""

    given: Given
    wall: Callable[[], float]
    every_s: float = 60.0


class Feed:
    """Every price there is. meter: what reads OpenCost, with what stands before the first reading; None without it."""

    def __init__(
        self, options: FeedOptions, listed: ListFile | None = None, meter: tuple[Reader, Meter] | None = None
    ) -> None:
        self._options = options
        self._listed = listed
        self._reader = None if meter is None else meter[0]
        self._meter = None if meter is None else meter[1]
        self._over = threading.Event()
        self.failures = 0
        self._thread = threading.Thread(target=self._run, name="prices", daemon=True)

    def book(self, targets: Sequence[TargetRef], inventory: Inventory, at: Instant) -> PriceBook:
        """Return every price as it was last read; see `ports.Prices`."""
        stock = Stock(pods=inventory.pods, machines=inventory.machines)
        return book(targets, stock, self.tariff, self._options.given, at)

    @property
    def tariff(self) -> Tariff | None:
        """Return who says what nodes cost: OpenCost before the list, where there are both; None without either."""
        found: list[Tariff] = [] if self._meter is None else [self._meter]
        if self._listed is not None:
            found.append(self._listed.prices)
        return FirstOf(tariffs=tuple(found)) if found else None

    def begin(self) -> None:
        """Read everything once, and wait for it; raise ConfigurationError for a list that cannot be used."""
        if self._listed is not None:
            self._listed.begin(self._options.wall())
        self.look()

    def start(self) -> None:
        """Read the list, and in the background whatever is read again and again; raise ConfigurationError."""
        if self._listed is not None:
            self._listed.begin(self._options.wall())
        if self._listed is not None or self._reader is not None:
            self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Read no more."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def look(self) -> None:
        """Read once; what was read before stands, and grows old, when nobody answers."""
        at = self._options.wall()
        if self._listed is not None:
            try:
                self._listed.again(at)
            except ConfigurationError as err:
                self.failures += 1
                _LOG.warning("price_list_not_taken", extra={"error": str(err)})
        if self._reader is None or self._meter is None:
            return
        try:
            self._meter = self._reader.read(at)
        except SourceUnavailable as err:
            self.failures += 1
            if str(err) != self._meter.why:
                _LOG.warning("prices_not_read", extra={"error": str(err)})
            self._meter = replace(self._meter, why=str(err))

    def _run(self) -> None:
        while True:
            try:
                self.look()
            except Exception:
                self.failures += 1
                _LOG.exception("prices_failed")
            if self._over.wait(self._options.every_s):
                return


def unread(source: str, max_age_s: float, money: tuple[str, float | None], cluster: str = "") -> Meter:
    """Return a meter that has not been read yet. money: its currency, and USD for one of it."""
    currency, rate = money
    return Meter(source=source, as_of=-math.inf, max_age_s=max_age_s, currency=currency, rate=rate, cluster=cluster)
