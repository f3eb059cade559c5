"""What a metrics source gets to know of a service: at its interval, late, and not always."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from aiops.core.model import Instant
from simulators.chance import Chance
from simulators.faults import GapAnswer, ScrapeGap
from simulators.service import Served

LOOKBACK_S = 300.0
"""How long a metrics source goes on answering with the last sample."""

_KEPT_S = 960.0
_KEPT_LEAST = 64
_STRAY_RATIO = 0.02
"""How measured latencies stray, as a standard deviation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scraping:
    """How a service is scraped. every_s: 0 at each step of the world. lag_s: from a scrape until it can be queried.

    loss_ratio: of scrapes that fail.
    """

    every_s: float = 0.0
    lag_s: float = 0.0
    loss_ratio: float = 0.0


class Scrape(NamedTuple):
    """What one scrape of a service shows. rates: per second since the scrape before that came through.

    requests: answered; arrivals: that came, whether answered or not. waiting: in the queue now.
    """

    at: Instant
    requests: float
    errors: float
    p50_s: float
    p95_s: float
    utilisation_ratio: float
    ready: int
    arrivals: float = 0.0
    waiting: float = 0.0


class Scraper:
    """The scrapes of one service. A gap in the scenario is a loss and a lag like any other, for a while."""

    def __init__(self, how: Scraping, chance: Chance, name: str) -> None:
        self._how = how
        self._jitter = chance.stream("measure", name)
        self._losses = chance.stream("loss", name)
        self._noise: list[float] = []
        self._since: list[tuple[float, Served]] = []
        self._unscraped_s = 0.0
        self._lost = False
        kept = math.ceil(_KEPT_S / how.every_s) if how.every_s > 0.0 else _KEPT_LEAST
        self._scrapes: deque[Scrape] = deque(maxlen=max(_KEPT_LEAST, kept))

    def note(self, at: Instant, seconds: float, served: Served, gap: ScrapeGap | None) -> None:
        """Take note of what happened until `at`, and scrape it when it is time."""
        self._since.append((seconds, served))
        self._unscraped_s += seconds
        if self._unscraped_s < self._how.every_s - 1e-6:
            return
        self._unscraped_s = 0.0
        self._lost = self._loses(gap)
        if not self._lost:
            self._scrapes.append(self._scrape(at))
            self._since.clear()

    def seen(self, now: Instant, gap: ScrapeGap | None) -> list[Scrape]:
        """Return the scrapes that a query at `now` can use, newest last."""
        lag_s = self._how.lag_s if gap is None else max(self._how.lag_s, gap.lag_s)
        oldest, newest = now - LOOKBACK_S, now - lag_s
        seen = []
        for scrape in reversed(self._scrapes):
            if scrape.at <= oldest:
                break
            if scrape.at <= newest:
                seen.append(scrape)
        seen.reverse()
        return seen

    def trouble(self, gap: ScrapeGap | None) -> GapAnswer | None:
        """Return what is wrong with the answers now: the gap's own word, or stale after a scrape that was lost."""
        if gap is not None and gap.loss_ratio >= 1.0:
            return gap.answer
        return GapAnswer.STALE if self._lost else None

    def _loses(self, gap: ScrapeGap | None) -> bool:
        loss_ratio = self._how.loss_ratio
        chance = self._losses.random() if loss_ratio > 0.0 or gap is not None else 1.0
        if gap is not None:
            loss_ratio = 1.0 - (1.0 - loss_ratio) * (1.0 - gap.loss_ratio)
        return bool(chance < loss_ratio)

    def _scrape(self, at: Instant) -> Scrape:
        if not self._noise:
            self._noise = np.exp(_STRAY_RATIO * self._jitter.standard_normal(1024)).tolist()
        stray = self._noise.pop()
        if len(self._since) == 1:
            return _shown(at, self._since[0][0], self._since[0][1], stray)
        return _shown(at, sum(one for one, _ in self._since), _joined([one for _, one in self._since]), stray)


def _shown(at: Instant, seconds: float, one: Served, stray: float) -> Scrape:
    return Scrape(
        at,
        (one.served + one.failed) / seconds,
        one.failed / seconds,
        one.p50_s * stray,
        one.p95_s * stray,
        one.utilisation_ratio,
        one.ready,
        (one.offered + one.retried) / seconds,
        one.queue,
    )


def _joined(parts: Sequence[Served]) -> Served:
    """Return what happened in several stretches as one: response times by requests, utilisation by time."""
    return parts[-1]._replace(
        offered=sum(one.offered for one in parts),
        retried=sum(one.retried for one in parts),
        served=sum(one.served for one in parts),
        failed=sum(one.failed for one in parts),
        p50_s=_weighted([(one.served + one.failed, one.p50_s) for one in parts]),
        p95_s=_weighted([(one.served + one.failed, one.p95_s) for one in parts]),
        utilisation_ratio=mean([one.utilisation_ratio for one in parts]),
    )


def _weighted(pairs: Sequence[tuple[float, float]]) -> float:
    known = [(count, value) for count, value in pairs if count > 0.0 and not math.isnan(value)]
    return sum(count * value for count, value in known) / sum(count for count, _ in known) if known else math.nan


def mean(values: Sequence[float]) -> float:
    """Return the mean of what is known, NaN of nothing."""
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
