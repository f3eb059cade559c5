"""Samples that this process scraped, as a metrics source like any other; see docs/edge.md."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from aiops.adapters.prometheus.asking import Past, Reply
from aiops.app.scrape_settings import SCRAPE
from aiops.core.model import Instant
from aiops.errors import SourceUnavailable, TooMuch

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiops.adapters.prometheus import PrometheusOptions, PrometheusSource
    from aiops.adapters.prometheus.asking import Asker
    from aiops.adapters.scrape.buffer import Millis
    from aiops.adapters.scrape.matching import Labels
    from aiops.adapters.scrape.options import ScrapeOptions, Target
    from aiops.adapters.scrape.scraper import Scraper
    from aiops.adapters.scrape.vectors import Value
    from aiops.app.scrape_settings import JobSettings, ScrapeSettings

_LOG = logging.getLogger("aiops.scrape")

LOCAL_S = 5.0
"""How long evaluating what was scraped may take."""

AT_ONCE = 400_000
"""Values that are computed in one piece of a history."""

AGAIN_S = 30.0
"""How long a Prometheus that is away is left alone, while scraped samples answer in its place."""


class ScrapedAsker:
    """adapters.prometheus.Asker over the samples in memory: nothing is sent anywhere."""

    behind_s = 0.0

    def __init__(self, scraper: Scraper) -> None:
        from aiops.adapters.scrape.evaluator import Evaluator

        self._buffer = scraper.buffer
        self._evaluator = Evaluator(scraper.buffer)
        self._shapes: dict[str, tuple[tuple[Labels, ...], tuple[dict[str, str], ...]]] = {}

    def instant(self, expr: str, at: Instant, *, many: bool = False) -> Reply:
        """Return what an expression is at one instant; raise SourceUnavailable for what has no answer."""
        from aiops.adapters.scrape.vectors import Scalar

        value = self._value(expr, np.array([round(at * 1000)], np.int64))
        if isinstance(value, Scalar):
            return Reply(metrics=({},), values=value.values)
        rows = np.flatnonzero(value.there[:, 0])
        labels = tuple(value.labels[row] for row in rows)
        known = self._shapes.get(expr) if many else None
        if known is None or known[0] != labels:
            known = (labels, tuple(dict(one) for one in labels))
            if many:
                self._shapes[expr] = known
        return Reply(metrics=known[1], values=value.values[rows, 0])

    def range(self, expr: str, start: Instant, end: Instant, step_s: float) -> list[Past]:
        """Return what an expression was on the grid, as far back as samples are kept."""
        extent = self._buffer.extent_ms()
        steps = int((end - start) / step_s + 1e-9) + 1
        times = np.rint((start + step_s * np.arange(max(steps, 0))) * 1000).astype(np.int64)
        if extent is None:
            return []
        # before the first sample nothing is known, not even of what needs no sample, such as vector(0)
        times = times[(times >= extent[0]) & (times <= round(end * 1000))]
        found: dict[Labels, tuple[list[float], list[float]]] = {}
        piece = max(1, AT_ONCE // max(1, self._buffer.size()[0]))
        for first in range(0, len(times), piece):
            self._gather(found, expr, times[first : first + piece])
        return [
            Past(labels=dict(labels), times=np.array(at, np.float64), values=np.array(values, np.float64))
            for labels, (at, values) in found.items()
        ]

    def keep(self, exprs: Collection[str]) -> None:
        """Forget the labels of other expressions than these; a thread of an earlier read may still be at work."""
        self._shapes = {expr: shape for expr, shape in list(self._shapes.items()) if expr in exprs}

    def close(self) -> None:
        """Do nothing: who scrapes is stopped by whoever started it."""

    def _gather(self, found: dict[Labels, tuple[list[float], list[float]]], expr: str, times: Millis) -> None:
        from aiops.adapters.scrape.vectors import Scalar, Vector

        value = self._value(expr, times)
        if isinstance(value, Scalar):
            value = Vector(labels=((),), values=value.values[None, :], there=np.ones((1, len(times)), np.bool_))
        for labels, there, values in zip(value.labels, value.there, value.values, strict=True):
            if there.any():
                series = found.setdefault(labels, ([], []))
                series[0].extend((times[there] / 1000.0).tolist())
                series[1].extend(values[there].tolist())

    def _value(self, expr: str, times: Millis) -> Value:
        try:
            return self._evaluator.answer(expr, times)
        except ValueError as err:
            raise SourceUnavailable(f"{expr}: {err}") from err


class FallingAsker:
    """adapters.prometheus.Asker: a Prometheus, and scraped samples in its place while it is away.

    Whether it is away, and not only one query wrong, is asked by the simplest query of all.
    """

    def __init__(self, first: Asker, second: Asker, elapsed_s: Callable[[], float] = time.monotonic) -> None:
        self._first, self._second, self._elapsed_s = first, second, elapsed_s
        self._lock = threading.Lock()
        self._again_at = -math.inf
        self.away = ""

    @property
    def behind_s(self) -> float:
        """Return the difference of clocks of who answers."""
        return self._second.behind_s if self.away else self._first.behind_s

    def instant(self, expr: str, at: Instant, *, many: bool = False) -> Reply:
        """Return what an expression is at one instant, from whoever answers."""
        if not self._left_alone():
            try:
                reply = self._first.instant(expr, at, many=many)
            except TooMuch:
                raise
            except SourceUnavailable as err:
                if not self._gone(at):
                    raise
                self._note(str(err))
            else:
                self._note("")
                return reply
        return self._second.instant(expr, at, many=many)

    def range(self, expr: str, start: Instant, end: Instant, step_s: float) -> list[Past]:
        """Return what an expression was, from whoever answers."""
        if not self._left_alone():
            try:
                return self._first.range(expr, start, end, step_s)
            except TooMuch:
                raise
            except SourceUnavailable:
                if not self._gone(end):
                    raise
        return self._second.range(expr, start, end, step_s)

    def keep(self, exprs: Collection[str]) -> None:
        """Forget what is remembered of other expressions than these."""
        self._first.keep(exprs)
        self._second.keep(exprs)

    def close(self) -> None:
        """Let go of connections."""
        self._first.close()
        self._second.close()

    def _left_alone(self) -> bool:
        with self._lock:
            return self._elapsed_s() < self._again_at

    def _gone(self, at: Instant) -> bool:
        try:
            self._first.instant("vector(1)", at)
        except SourceUnavailable:
            return True
        return False

    def _note(self, why: str) -> None:
        with self._lock:
            if bool(why) != bool(self.away):
                _LOG.warning("prometheus_away" if why else "prometheus_back", extra={"reason": why or "it answers"})
            self.away = why
            self._again_at = self._elapsed_s() + AGAIN_S if why else -math.inf


# -- of the settings -----------------------------------------------------------------------------------------


def with_scraped(
    settings: ScrapeSettings, scraper: Scraper, options: PrometheusOptions | None
) -> tuple[PrometheusSource, PrometheusSource]:
    """Return the source that all policies ask, and that of what is scraped. options: of a Prometheus, None without."""
    from aiops.adapters.prometheus import PrometheusOptions, PrometheusSource
    from aiops.adapters.prometheus.asking import HttpAsker

    local = PrometheusOptions(url=SCRAPE, concurrency=1)
    scraped = PrometheusSource(local, ScrapedAsker(scraper))
    if options is None:
        return PrometheusSource(local, ScrapedAsker(scraper)), scraped
    asker = FallingAsker(HttpAsker(options), ScrapedAsker(scraper)) if settings.fallback else None
    return PrometheusSource(options, asker), scraped


def scraper(settings: ScrapeSettings) -> Scraper:
    """Return what scrapes, with its past; raise ConfigurationError when the file is of no use."""
    from aiops.adapters.scrape.scraper import Scraper

    return Scraper(scrape_options(settings), time.time)


def scrape_options(settings: ScrapeSettings) -> ScrapeOptions:
    """Return the targets of the settings, and how much of them is kept."""
    from aiops.adapters.scrape.options import ScrapeOptions

    return ScrapeOptions(
        targets=tuple(one for name, job in settings.jobs.items() for one in _targets(name, job, settings)),
        keep_s=settings.keep,
        max_series=settings.max_series,
        max_samples=settings.max_samples,
        file=settings.file,
    )


def _targets(name: str, job: JobSettings, settings: ScrapeSettings) -> tuple[Target, ...]:
    from aiops.adapters.scrape.options import Access, Target

    access = Access(
        bearer_token="" if job.bearer_token is None else job.bearer_token.get_secret_value(),
        bearer_token_file=job.bearer_token_file,
        username=job.username or "",
        password="" if job.password is None else job.password.get_secret_value(),
        ca_file=job.ca_file,
        cert_file=job.cert_file,
        key_file=job.key_file,
        server_name=job.server_name or "",
        insecure_skip_verify=job.insecure_skip_verify,
    )
    return tuple(
        Target(
            job=name,
            url=url,
            labels=job.labels,
            metrics=job.metrics,
            interval_s=job.interval or settings.interval,
            timeout_s=job.timeout or settings.timeout,
            max_bytes=int(job.max_bytes),
            max_samples=job.max_samples,
            access=access,
        )
        for url in job.targets
    )
