"""Asking one Prometheus: what comes back are columns, whoever decodes them.

Few series are asked for through prometheus-api-client, many straight through its session: see docs/scale.md for what
each costs.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote_plus, urlencode

import numpy as np

from aiops.adapters.prometheus.options import PrometheusOptions
from aiops.adapters.prometheus.pace import Pace
from aiops.adapters.prometheus.session import BoundedSession
from aiops.adapters.prometheus.vectors import NO_NUMBERS, Labels, Shape, VectorSink
from aiops.core.model import F64, Instant
from aiops.errors import SourceUnavailable, TooMuch

if TYPE_CHECKING:
    from prometheus_api_client import PrometheusConnect


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Series and their values at one instant, float64[n], with the source's warnings.

    metrics: the same object as in the reply before where no series came or went, if the asker can tell cheaply.
    """

    metrics: tuple[Labels, ...]
    values: F64
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """One series over time: times and values are float64[t], without what is missing."""

    labels: Labels
    times: F64
    values: F64


class Asker(Protocol):
    """Evaluates PromQL; every method raises SourceUnavailable, and may be called from several threads at once."""

    @property
    def behind_s(self) -> float:
        """Return by how much the source's clock was ahead of the instants it was asked for, when last it said so."""
        ...

    def instant(self, expr: str, at: Instant, *, many: bool = False) -> Reply:
        """Return what an expression is at one instant. many: whether thousands of series are to be expected."""
        ...

    def range(self, expr: str, start: Instant, end: Instant, step_s: float) -> list[Past]:
        """Return what an expression was at start, start + step_s, ... <= end."""
        ...

    def keep(self, exprs: Collection[str]) -> None:
        """Forget what is remembered of other expressions than these."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class HttpAsker:
    """Asks over HTTP, within the limits of the options."""

    def __init__(self, options: PrometheusOptions) -> None:
        self._options = options
        self._url = options.url.rstrip("/")
        self._session = BoundedSession(options)
        self._client: PrometheusConnect | None = None
        self._connecting = threading.Lock()
        self._shapes: dict[str, Shape] = {}
        self._quoted: dict[str, str] = {}
        self._pace = None if math.isinf(options.per_s) else Pace(options.per_s, options.concurrency, time.monotonic)
        self.behind_s = 0.0

    def instant(self, expr: str, at: Instant, *, many: bool = False) -> Reply:
        """Return what an expression is at one instant."""
        params = {"time": f"{at:.3f}", "timeout": f"{math.ceil(self._options.timeout_s)}s"}
        self._in_turn()
        began = time.monotonic()
        reply = self._streamed(expr, params) if many else self._plain(expr, params)
        dated = self._session.dated
        self.behind_s = 0.0 if dated is None else dated - (at + time.monotonic() - began)
        return reply

    def range(self, expr: str, start: Instant, end: Instant, step_s: float) -> list[Past]:
        """Return what an expression was at start, start + step_s, ... <= end."""
        self._in_turn()
        begin, stop = datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)
        # the client rounds to whole seconds; the exact grid goes as parameters, which win
        params = {"start": f"{start:.3f}", "end": f"{end:.3f}"}
        found = self._asked(lambda c: c.custom_query_range(expr, begin, stop, f"{step_s:g}", params=params))
        return [_past(one) for one in found]

    def keep(self, exprs: Collection[str]) -> None:
        """Forget the labels of other expressions than these; a thread of an earlier read may still be at work."""
        self._shapes = {expr: shape for expr, shape in list(self._shapes.items()) if expr in exprs}
        self._quoted = {expr: quoted for expr, quoted in list(self._quoted.items()) if expr in exprs}

    def close(self) -> None:
        """Let go of connections."""
        self._session.close()

    # -- inner ---------------------------------------------------------------------------------------

    def _in_turn(self) -> None:
        """Wait until the source may be asked again; raise TooMuch when that is later than an answer may take."""
        wait_s = 0.0 if self._pace is None else self._pace.wait_s(self._options.timeout_s)
        if wait_s is None:
            raise TooMuch(f"{self._url}: more is asked than {self._options.per_s:g} queries a second (per_second)")
        if wait_s > 0:
            time.sleep(wait_s)

    def _streamed(self, expr: str, params: Mapping[str, str]) -> Reply:
        self._connected()
        sink = VectorSink(self._shapes.get(expr, Shape()), self._options.max_series)
        try:
            self._session.pour(f"{self._url}/api/v1/query", self._form(expr, params), sink)
        except (KeyError, TypeError) as err:
            raise SourceUnavailable(f"{self._url} answers JSON, but not Prometheus' format") from err
        self._shapes[expr] = sink.shape
        return Reply(metrics=sink.vector.metrics, values=sink.vector.values, notes=self._session.notes)

    def _form(self, expr: str, params: Mapping[str, str]) -> str:
        """Return the body of a request; a long query is encoded once, and not at every turn."""
        quoted = self._quoted.get(expr)
        if quoted is None:
            quoted = self._quoted[expr] = quote_plus(expr)
        return f"query={quoted}&{urlencode(params)}"

    def _plain(self, expr: str, params: Mapping[str, str]) -> Reply:
        most = self._options.max_series
        found = self._asked(lambda client: client.custom_query(expr, params=dict(params)))
        if len(found) > most:
            raise SourceUnavailable(f"{expr}: {len(found)} series, at most {most} (max_series)")
        try:
            values = np.array([float(one["value"][1]) for one in found], np.float64)
            metrics = tuple(one["metric"] for one in found)
        except (KeyError, TypeError, ValueError) as err:
            raise SourceUnavailable(f"{expr}: {NO_NUMBERS}") from err
        return Reply(metrics=metrics, values=values, notes=self._session.notes)

    def _asked(self, ask: Callable[[Any], Any]) -> list[dict[str, Any]]:
        from prometheus_api_client.exceptions import PrometheusApiClientException

        try:
            result = ask(self._connected())
        except PrometheusApiClientException as err:
            raise SourceUnavailable(f"{self._options.url}: {str(err)[:300]}") from err
        except (KeyError, TypeError) as err:
            raise SourceUnavailable(f"{self._options.url} answers JSON, but not Prometheus' format") from err
        if isinstance(result, list) and result and not isinstance(result[0], dict):
            return [{"metric": {}, "value": result}]  # a scalar
        return list(result)

    def _connected(self) -> PrometheusConnect:
        """Return the client, made at first use: importing it brings pandas and a plotting library along."""
        with self._connecting:  # the first tick asks from several threads at once
            if self._client is None:
                from prometheus_api_client import PrometheusConnect

                self._client = PrometheusConnect(url=self._url, session=self._session, method="POST")
                self._session.bound_pool()
            return self._client


def _past(series: Mapping[str, Any]) -> Past:
    samples = series["values"]
    times = np.array([at for at, _ in samples], np.float64)
    return Past(labels=series["metric"], times=times, values=np.array([float(text) for _, text in samples], np.float64))
