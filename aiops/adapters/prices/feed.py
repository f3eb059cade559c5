"""ports.Prices over whatever the settings name: meters are read in a thread of their own, no tick waits for them."""

from __future__ import annotations

import logging
import math
import operator
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from aiops.adapters.prices.listed import ListFile
from aiops.core.model import (
    Instant,
    Machine,
    PodShare,
    PoolQuote,
    PriceBook,
    Quote,
    TargetRef,
    UnitPrices,
    Unpriced,
)
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


KEPT_S = 60.0
"""How long what was said of a node stands: validity and age are seen to the minute."""


class _Kept:
    """A tariff whose answers are kept while it is the same: a cluster has thousands of nodes of a few kinds."""

    def __init__(self, tariff: Tariff, at: Instant) -> None:
        self._tariff = tariff
        self._nodes: dict[Machine, Quote] = {}
        self._pools = tariff.pools(at)
        self._elsewhere = tariff.elsewhere(at)

    def node(self, machine: Machine, at: Instant) -> Quote:
        """Return what was said of the node."""
        quote = self._nodes.get(machine)
        if quote is None:
            quote = self._nodes[machine] = self._tariff.node(machine, at)
        return quote

    def elsewhere(self, at: Instant) -> UnitPrices | Unpriced:
        """Return what was said."""
        return self._elsewhere

    def share(self, cluster: str, namespace: str, pod: PodShare) -> PodShare:
        """Return what is said of the pod."""
        return self._tariff.share(cluster, namespace, pod)

    def pools(self, at: Instant) -> tuple[PoolQuote, ...]:
        """Return what was said."""
        return self._pools


class Feed:
    """Every price there is. meter: what reads OpenCost, with what stands before the first reading; None without it."""

    def __init__(
        self, options: FeedOptions, listed: ListFile | None = None, meter: tuple[Reader, Meter] | None = None
    ) -> None:
        self._options = options
        self._listed = listed
        self._reader = None if meter is None else meter[0]
        self._meter = None if meter is None else meter[1]
        self._of: tuple[Tariff, ...] = ()
        self._minute = 0
        self._kept: _Kept | None = None
        self._over = threading.Event()
        self.failures = 0
        self._bad_list = ""
        self._thread = threading.Thread(target=self._run, name="prices", daemon=True)

    def book(self, targets: Sequence[TargetRef], inventory: Inventory, at: Instant) -> PriceBook:
        """Return every price as it was last read; see `ports.Prices`."""
        stock = Stock(pods=inventory.pods, machines=inventory.machines)
        return book(targets, stock, self._tariff(at), self._options.given, at)

    def _tariff(self, at: Instant) -> Tariff | None:
        """Return who says what nodes cost: OpenCost before the list, where there are both; None without either."""
        found: tuple[Tariff, ...] = () if self._meter is None else (self._meter,)
        if self._listed is not None:
            found = (*found, self._listed.prices)
        if not found:
            return None
        same = len(found) == len(self._of) and all(map(operator.is_, found, self._of))
        if self._kept is None or not same or int(at // KEPT_S) != self._minute:
            self._of, self._minute = found, int(at // KEPT_S)
            self._kept = _Kept(FirstOf(tariffs=found), at)
        return self._kept

    def begin(self) -> None:
        """Read everything once, and wait for it; raise ConfigurationError for a list that cannot be used."""
        if self._listed is not None:
            self._listed.begin(self._options.wall())
        self.look()

    def unwell(self) -> list[str]:
        """Return what could not be read when it was last looked at, and why."""
        meter = [] if self._meter is None or not self._meter.why else [f"{self._meter.source}: {self._meter.why}"]
        return [*meter, *([self._bad_list] if self._bad_list else [])]

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
                self._bad_list = ""
            except ConfigurationError as err:
                self.failures += 1
                if str(err) != self._bad_list:
                    _LOG.warning("price_list_not_taken", extra={"error": str(err)})
                self._bad_list = str(err)
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
