"""Ports of a backtest that keep nothing and tell nobody: it is not resumed, and serves no other threads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from aiops.core.model import F64, Instant, PriceBook, Priced
from aiops.core.money.prices import flat
from aiops.loop.lookout import Lookout, Seen
from simulators.backtest.node_metrics import RecordedNodes
from simulators.unkept import Unkept


class Forgetful(Unkept):
    """A journal of which nothing is asked afterwards: a backtest is not resumed, and leads alone."""

    def epoch(self) -> int:
        """Return that of the only leader."""
        return 1


class Price:
    """What a replica of one target cost, and nodes. usd_per_hour: float64[t] at `times`; None, or NaN, is not known."""

    def __init__(self, key: str, times: F64, usd_per_hour: F64 | None, nodes: RecordedNodes) -> None:
        self._key, self._times, self._usd, self._nodes = key, times, usd_per_hour, nodes

    def book(self, targets: Sequence[Any], inventory: Any, at: Instant) -> PriceBook:
        """Return it as it was."""
        place = max(0, int(np.searchsorted(self._times, at + 1e-6)) - 1)
        usd = math.nan if self._usd is None else float(self._usd[place])
        book = flat({self._key: usd} if math.isfinite(usd) else {}, at, "recorded")
        each = self._nodes.usd_per_hour(place) if inventory.machines else None
        if each is None:
            return book
        priced = Priced(usd_per_hour=each, source="recorded", as_of=at)
        return replace(book, nodes=dict.fromkeys(inventory.machines, priced))


class Unheard(Lookout):
    """Tells nobody of the time to come: a backtest serves no other threads."""

    def look(self, seen: Seen) -> None:
        """Publish nothing."""
