"""ports.Source and ports.History over Prometheus' HTTP API, through prometheus-api-client."""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from aiops.adapters.prometheus.answers import answered, batched, spread
from aiops.adapters.prometheus.options import PrometheusOptions
from aiops.adapters.prometheus.rows import WatchRows, series_key
from aiops.adapters.prometheus.session import BoundedSession
from aiops.core.model import Answer, Answered, Failed, Frame, Instant, PolicyKey, SeriesIndex
from aiops.core.policies import SignalQuery, WatchQuery
from aiops.errors import SourceUnavailable
from aiops.ports import Matrix, Observation

if TYPE_CHECKING:
    from prometheus_api_client import PrometheusConnect

_LOG = logging.getLogger("aiops.prometheus")
MAX_POINTS = 10_000
"""Prometheus answers at most 11,000 points of a series."""

MAX_SAMPLES = 2_000_000

CLOCK_S = 5.0
"""A difference between our clock and Prometheus' from which on it is said."""

Result = tuple[list[dict[str, Any]], tuple[str, ...]]


class PrometheusSource:
    """Asks each distinct query once a tick, a few at a time; one that fails fails alone."""

    def __init__(self, options: PrometheusOptions) -> None:
        self._options = options
        self._session = BoundedSession(options)
        self._client: PrometheusConnect | None = None
        self._connecting = threading.Lock()
        self._pool = ThreadPoolExecutor(options.concurrency, thread_name_prefix="prometheus")
        self._dice = random.Random()  # noqa: S311  # spreads load; nothing is secret about it
        self._watched: dict[PolicyKey, WatchRows] = {}
        self._index = SeriesIndex(keys=(), labels=())
        self._behind_s = 0.0
        self._clock_said = False

    # -- ports.Source ----------------------------------------------------------------------------------

    def read(self, signals: Sequence[SignalQuery], watches: Sequence[WatchQuery], at: Instant) -> Observation:
        """Ask everything once, at one instant; raise SourceUnavailable when nothing at all was answered."""
        if self._options.jitter_s > 0:
            time.sleep(self._dice.uniform(0.0, self._options.jitter_s))
        wanted = {query.expr for query in signals} | {query.expr for query in watches}
        wanted |= {expr for query in signals if (expr := batched(query))}
        began = time.monotonic()
        asked = {expr: self._pool.submit(self._instant, expr, at, began) for expr in sorted(wanted)}
        results = {expr: _settled(future) for expr, future in asked.items()}
        behind_s = self._clock()
        failures = [one for one in results.values() if isinstance(one, SourceUnavailable)]
        if failures and len(failures) == len(results):
            raise SourceUnavailable(str(failures[0]))
        answers: dict[PolicyKey, dict[str, Answer]] = {}
        for query in signals:
            answers.setdefault(query.policy, {})[query.name] = _older(_answer(query, results), behind_s)
        frame, errors = self._frame(watches, results, at)
        return Observation(answers=answers, frame=frame, watch_errors=errors)

    def _clock(self) -> float:
        """Return by how much the answers are older than they look, and say so when that begins and when it ends."""
        behind_s = self._behind_s
        differs = abs(behind_s) >= CLOCK_S
        if differs != self._clock_said:
            self._clock_said = differs
            _LOG.warning("clock_differs", extra={"url": self._options.url, "behind_s": round(behind_s, 1)})
        return behind_s if differs else 0.0

    def _frame(
        self, watches: Sequence[WatchQuery], results: Mapping[str, Result | SourceUnavailable], at: Instant
    ) -> tuple[Frame, dict[PolicyKey, str]]:
        errors: dict[PolicyKey, str] = {}
        values, learn = [], []
        self._watched = {query.policy: self._rows_of(query) for query in watches}
        for query in watches:
            rows, result = self._watched[query.policy], results[query.expr]
            try:
                if isinstance(result, SourceUnavailable):
                    raise ValueError(str(result))
                values.append(rows.values(result[0], at))
            except ValueError as err:
                errors[query.policy] = str(err)
                values.append(rows.nothing())
            # what could not be read is neither normal nor gone
            whole = query.policy not in errors and not (isinstance(result, tuple) and result[1])
            learn.append(np.full(len(rows.keys), whole))
        index = self._indexed([self._watched[query.policy] for query in watches])
        flat = np.concatenate(values) if values else np.empty(0)
        learns = np.concatenate(learn) if learn else np.empty(0, np.bool_)
        return Frame(at=at, index=index, values=flat, learn=learns), errors

    def nothing(self, watches: Sequence[WatchQuery], why: str, at: Instant) -> tuple[Frame, dict[PolicyKey, str]]:
        """Return the rows that are known without a value, and for each policy why."""
        return self._frame(watches, {query.expr: SourceUnavailable(why) for query in watches}, at)

    def _rows_of(self, query: WatchQuery) -> WatchRows:
        known = self._watched.get(query.policy)
        return known if known is not None and known.query == query else WatchRows(query)

    def _indexed(self, rows: Sequence[WatchRows]) -> SeriesIndex:
        keys = tuple(key for one in rows for key in one.keys)
        if keys != self._index.keys:
            self._index = SeriesIndex(keys=keys, labels=tuple(labels for one in rows for labels in one.labels))
        return self._index

    # -- ports.History ---------------------------------------------------------------------------------

    def range(self, query: SignalQuery | WatchQuery, start: Instant, end: Instant, step_s: float) -> Matrix:
        """Return the series on the grid, asked for in pieces; raise SourceUnavailable."""
        steps = int((end - start) // step_s) + 1
        times = np.asarray(start + step_s * np.arange(max(steps, 0)), np.float64)
        piece = MAX_POINTS
        if isinstance(query, WatchQuery):
            piece = max(1, min(piece, MAX_SAMPLES // query.max_series))
        found: dict[str, tuple[Mapping[str, str], np.ndarray[Any, np.dtype[np.float64]]]] = {}
        for first in range(0, len(times), piece):
            last = min(first + piece, len(times)) - 1
            for series in self._range(query.expr, float(times[first]), float(times[last]), step_s):
                key = series_key(query, series["metric"]) if isinstance(query, WatchQuery) else query.policy
                row = found.setdefault(key, (series["metric"], np.full(len(times), np.nan)))[1]
                samples = np.array(series["values"], np.float64)
                places = np.rint((samples[:, 0] - start) / step_s).astype(np.intp)
                kept = (places >= 0) & (places < len(times))
                row[places[kept]] = samples[kept, 1]
        self._within(query, len(found))
        index = SeriesIndex(keys=tuple(found), labels=tuple(labels for labels, _ in found.values()))
        values = np.stack([row for _, row in found.values()]) if found else np.empty((0, len(times)))
        return Matrix(times=times, values=values, index=index)

    def _within(self, query: SignalQuery | WatchQuery, series: int) -> None:
        most = query.max_series if isinstance(query, WatchQuery) else 1
        if series > most:
            raise SourceUnavailable(f"{query.expr}: {series} series in its history, at most {most}")

    # -- asking ------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of threads and connections."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._session.close()

    def _instant(self, expr: str, at: Instant, began: float) -> Result:
        params = {"time": f"{at:.3f}", "timeout": f"{math.ceil(self._options.timeout_s)}s"}
        result = self._asked(lambda client: client.custom_query(expr, params=params))
        if len(result) > self._options.max_series:
            raise SourceUnavailable(f"{expr}: {len(result)} series, at most {self._options.max_series} (max_series)")
        dated = self._session.dated
        self._behind_s = 0.0 if dated is None else dated - (at + time.monotonic() - began)
        return result, self._session.notes

    def _range(self, expr: str, start: Instant, end: Instant, step_s: float) -> list[dict[str, Any]]:
        begin, stop = datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)
        # the client rounds to whole seconds; the exact grid goes as parameters, which win
        params = {"start": f"{start:.3f}", "end": f"{end:.3f}"}
        return self._asked(lambda c: c.custom_query_range(expr, begin, stop, f"{step_s:g}", params=params))

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

                url = self._options.url.rstrip("/")
                self._client = PrometheusConnect(url=url, session=self._session, method="POST")
                self._session.bound_pool()
            return self._client


def _settled(future: Future[Result]) -> Result | SourceUnavailable:
    """Return the result, or the failure by its words: one that was raised holds frames, and these what a turn asked."""
    err = future.exception()
    if err is None:
        return future.result()
    if isinstance(err, SourceUnavailable):
        return SourceUnavailable(str(err))
    raise err


def _older(answer: Answer, behind_s: float) -> Answer:
    """Return the answer as old as it is: asked for a past instant, Prometheus answers what was then (S1)."""
    if not isinstance(answer, Answered) or answer.newest_at is None or behind_s <= 0:
        return answer
    return replace(answer, newest_at=answer.newest_at - behind_s)


def _answer(query: SignalQuery, results: Mapping[str, Result | SourceUnavailable]) -> Answer:
    result, companions = results[query.expr], results.get(batched(query))
    for one in (result, companions):
        if isinstance(one, SourceUnavailable):
            return Failed(error=str(one))
    assert isinstance(result, tuple)  # noqa: S101  # failures were returned above; tells the type checker so
    known = spread(companions[0]) if isinstance(companions, tuple) else {}
    notes = result[1] + (companions[1] if isinstance(companions, tuple) else ())
    return answered(query, result[0], known, notes)
