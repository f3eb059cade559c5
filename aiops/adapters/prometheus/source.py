"""ports.Source and ports.History over Prometheus' HTTP API, or over whoever else evaluates PromQL."""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from aiops.adapters.prometheus.answers import Companions, Known, answered, spread
from aiops.adapters.prometheus.asking import Asker, HttpAsker, Reply
from aiops.adapters.prometheus.batches import Batches
from aiops.adapters.prometheus.options import PrometheusOptions
from aiops.adapters.prometheus.ranges import Patience, Ranges
from aiops.adapters.prometheus.rows import WatchRows
from aiops.core.model import Answer, Failed, Frame, Instant, PolicyKey, SeriesIndex
from aiops.core.policies import SignalQuery, WatchQuery
from aiops.errors import SourceUnavailable
from aiops.ports import Matrix, Observation

_LOG = logging.getLogger("aiops.prometheus")

CLOCK_S = 5.0
"""A difference between our clock and Prometheus' from which on it is said."""

_NO_SERIES = SeriesIndex(keys=(), labels=())
_SPARED = SourceUnavailable("not asked this time, to spare time")

Said = TypeVar("Said")
Results = Mapping[str, Reply | SourceUnavailable]


class PrometheusSource:
    """Asks each distinct query once a tick, a few at a time; one that fails fails alone.

    asker: who evaluates, over HTTP without one. plan: how much the last tick asked for.
    """

    def __init__(self, options: PrometheusOptions, asker: Asker | None = None) -> None:
        self._options = options
        self._asker = HttpAsker(options) if asker is None else asker
        self._pool = ThreadPoolExecutor(options.concurrency, thread_name_prefix="prometheus")
        self._dice = random.Random()  # noqa: S311  # spreads load; nothing is secret about it
        self._watched: dict[PolicyKey, WatchRows] = {}
        self._index = SeriesIndex(keys=(), labels=())
        self._indexed_of: tuple[tuple[str, ...], ...] = ()
        self._clock_said = False
        self._batches = Batches()
        self._planned_of: tuple[tuple[SignalQuery, ...], tuple[WatchQuery, ...]] = ((), ())
        self.plan = Plan.of((), ())

    # -- ports.Source ----------------------------------------------------------------------------------

    def read(self, signals: Sequence[SignalQuery], watches: Sequence[WatchQuery], at: Instant) -> Observation:
        """Ask everything once, at one instant; raise SourceUnavailable when nothing at all was answered."""
        if self._options.jitter_s > 0:
            time.sleep(self._dice.uniform(0.0, self._options.jitter_s))
        plan = self.plan = self._planned(signals, watches)
        known = (rows.query.expr for rows in self._watched.values())
        self._asker.keep({*(query.expr for query in watches), *known, *self._batches.texts})
        results = self._asked(plan, at)
        behind_s = self._clock()
        failures = [one for one in results.values() if isinstance(one, SourceUnavailable)]
        if failures and len(failures) == len(results):
            raise SourceUnavailable(str(failures[0]))
        answers: dict[PolicyKey, dict[str, Answer]] = {}
        for one in plan.signals:
            answers.setdefault(one.query.policy, {})[one.query.name] = _answer(one, results, behind_s)
        frame, errors = self._frame(watches, results, at)
        notes = {policy: rows.note for policy, rows in self._watched.items() if rows.note} if watches else {}
        return Observation(answers=answers, frame=frame, watch_errors=errors, watch_notes=notes)

    def _planned(self, signals: Sequence[SignalQuery], watches: Sequence[WatchQuery]) -> Plan:
        """Return the plan of the last tick where the same is asked, which it nearly always is."""
        asked = (tuple(signals), tuple(query for query in watches if not query.spared))
        if asked != self._planned_of:
            self._planned_of, self.plan = asked, Plan.of(*asked)
        return self.plan

    def _asked(self, plan: Plan, at: Instant) -> dict[str, Reply | SourceUnavailable]:
        """Return every answer, or why there is none, within the time that a read may take."""
        until = time.monotonic() + self._options.read_within_s
        groups = self._batches.planned(plan.few)
        # signals first: what acts goes by them
        together = {group: self._pool.submit(self._batches.asked, self._asker, group, at) for group in groups}
        many = {expr: self._pool.submit(self._asker.instant, expr, at, many=True) for expr in sorted(plan.many)}
        results: dict[str, Reply | SourceUnavailable] = {}
        for group, answers in together.items():
            found = self._settled(answers, until)
            results.update(dict.fromkeys(group, found) if isinstance(found, SourceUnavailable) else found)
        for expr, answer in many.items():
            one = self._settled(answer, until)
            results[expr] = one
        return results

    def _settled(self, future: Future[Said], until: float) -> Said | SourceUnavailable:
        """Return the result, or the failure by its words: a raised one holds frames, and these what a turn asked."""
        left_s = None if math.isinf(until) else max(0.0, until - time.monotonic())
        if not wait([future], left_s).done:
            future.cancel()
            within_s = self._options.read_within_s
            return SourceUnavailable(f"{self._options.url}: no answer within the {within_s:g} s that a turn has for it")
        err = future.exception()
        if err is None:
            return future.result()
        if isinstance(err, SourceUnavailable):
            return type(err)(str(err))
        raise err

    def _clock(self) -> float:
        """Return by how much the answers are older than they look, and say so when that begins and when it ends."""
        behind_s = self._asker.behind_s
        differs = abs(behind_s) >= CLOCK_S
        if differs != self._clock_said:
            self._clock_said = differs
            _LOG.warning("clock_differs", extra={"url": self._options.url, "behind_s": round(behind_s, 1)})
        return behind_s if differs else 0.0

    def _frame(
        self, watches: Sequence[WatchQuery], results: Results, at: Instant
    ) -> tuple[Frame, dict[PolicyKey, str]]:
        errors: dict[PolicyKey, str] = {}
        if not watches:
            # a read between two turns asks for none: who is away from their rows is not forgotten by it
            return Frame(at=at, index=_NO_SERIES, values=np.empty(0), learn=np.empty(0, np.bool_)), errors
        values, learn = [], []
        self._watched = {query.policy: self._rows_of(query) for query in watches}
        for query in watches:
            rows, result = self._watched[query.policy], _SPARED if query.spared else results[query.expr]
            try:
                if isinstance(result, SourceUnavailable):
                    raise ValueError(str(result))
                values.append(rows.values(result, at))
            except ValueError as err:
                errors[query.policy] = str(err)
                values.append(rows.nothing())
            # what could not be read is neither normal nor gone
            whole = query.policy not in errors and not (isinstance(result, Reply) and result.notes)
            learn.append(np.full(len(rows.keys), whole))
        index = self._indexed([self._watched[query.policy] for query in watches])
        flat = np.concatenate(values) if values else np.empty(0)
        learns = np.concatenate(learn) if learn else np.empty(0, np.bool_)
        return Frame(at=at, index=index, values=flat, learn=learns), errors

    def _rows_of(self, query: WatchQuery) -> WatchRows:
        known, asked = self._watched.get(query.policy), replace(query, spared=False)
        return known if known is not None and known.query == asked else WatchRows(asked)

    def _indexed(self, rows: Sequence[WatchRows]) -> SeriesIndex:
        parts = tuple(one.keys for one in rows)
        if parts != self._indexed_of:
            keys = tuple(key for one in rows for key in one.keys)
            if keys != self._index.keys:
                self._index = SeriesIndex(keys=keys, labels=tuple(labels for one in rows for labels in one.labels))
            self._indexed_of = parts
        return self._index

    # -- ports.History ---------------------------------------------------------------------------------

    def range(self, query: SignalQuery | WatchQuery, start: Instant, end: Instant, step_s: float) -> Matrix:
        """Return the series on the grid, asked for in pieces; raise SourceUnavailable, TooMuch when less would do."""
        steps = int((end - start) // step_s) + 1
        times = np.asarray(start + step_s * np.arange(max(steps, 0)), np.float64)
        options = self._options
        patience = Patience(samples=options.max_samples, total=options.max_history, within_s=options.history_within_s)
        return Ranges(self._asker, query, times, step_s).gathered(patience)

    def close(self) -> None:
        """Let go of threads and connections."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._asker.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one tick asks for. queries: each once, in order. many: those that answer many series, few: the others.

    wanted counts the queries that policies have, companions included; what they share makes `queries` fewer. signals:
    each with its companions, as they come.
    """

    queries: tuple[str, ...]
    many: frozenset[str]
    wanted: int
    few: tuple[str, ...] = ()
    signals: tuple[Companions, ...] = ()

    @classmethod
    def of(cls, signals: Sequence[SignalQuery], watches: Sequence[WatchQuery]) -> Plan:
        """Return the plan of a tick."""
        beside = tuple(Companions.of(query) for query in signals)
        exprs = [query.expr for query in signals]
        exprs += [one.expr for one in beside if one.expr]
        exprs += [query.expr for query in watches]
        queries, many = tuple(sorted(set(exprs))), frozenset(query.expr for query in watches)
        few = tuple(expr for expr in queries if expr not in many)
        return cls(queries=queries, many=many, wanted=len(exprs), few=few, signals=beside)


def _answer(one: Companions, results: Results, behind_s: float) -> Answer:
    """Return the answer as old as it is: asked for a past instant, Prometheus answers what was then (S1)."""
    result, companions = results[one.query.expr], results.get(one.expr)
    if isinstance(result, SourceUnavailable):
        return Failed(error=str(result))
    if isinstance(companions, SourceUnavailable):
        return Failed(error=str(companions))
    if companions is None:
        return answered(one, Known(result), behind_s)
    return answered(one, Known(result, spread(companions), companions.notes), behind_s)
