"""Answers with many series that policies of plans ask for: asked with the watches, and taken off their frame again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from aiops.core.model import Frame, Instant, PolicyKey, RightsizeState, SavingState, SeriesIndex, Table
from aiops.core.model.swift import changed
from aiops.core.policies import PolicySet, WatchQuery
from aiops.ports import Observation

Named = Mapping[PolicyKey, tuple[PolicyKey, str]]
"""By the key under which a query is asked: its policy and the name of its table."""

SEPARATOR = "$"
"""Stands in no policy's key."""


def asked(
    policies: PolicySet, savings: Mapping[PolicyKey, SavingState], now: Instant
) -> tuple[tuple[WatchQuery, ...], Named]:
    """Return the queries of the tables that are due."""
    queries: list[WatchQuery] = []
    named: dict[PolicyKey, tuple[PolicyKey, str]] = {}
    for policy in policies.plans:
        memory = savings.get(policy.key)
        learnt_at = memory.learnt_at if isinstance(memory, RightsizeState) else -np.inf
        for name, query in policy.tables(float(learnt_at), now).items():
            key = f"{policy.key}{SEPARATOR}{name}"
            queries.append(replace(query, policy=key))
            named[key] = (policy.key, name)
    return tuple(queries), named


@dataclass(slots=True)
class Splitter:
    """Parts a frame; the rows that stay keep one index object for as long as they are the same series."""

    _index: SeriesIndex = field(default_factory=lambda: SeriesIndex(keys=(), labels=()))

    def parted(
        self, observation: Observation, queries: Sequence[WatchQuery], named: Named
    ) -> tuple[Frame, dict[PolicyKey, dict[str, Table]]]:
        """Return the frame without the rows of tables, and the tables: rows without a value are left out."""
        frame = observation.frame
        if not queries:
            if not len(frame.index):
                return frame, {}  # of a read between two turns, which leaves the others' rows as they are
            self._keep(frame.index)
            return frame if frame.index is self._index else changed(frame, index=self._index), {}
        tables: dict[PolicyKey, dict[str, Table]] = {}
        owners = np.array([key.split("#", 1)[0] for key in frame.index.keys], np.str_)
        mine = np.zeros(len(owners), np.bool_)
        for query in queries:
            policy, name = named[query.policy]
            rows = np.flatnonzero(owners == query.policy)
            mine[rows] = True
            error = observation.watch_errors.get(query.policy, "")
            tables.setdefault(policy, {})[name] = Table(error=error) if error else _table(frame, rows, query.identity)
        kept = np.flatnonzero(~mine)
        self._keep(
            SeriesIndex(
                keys=tuple(frame.index.keys[row] for row in kept), labels=tuple(frame.index.labels[row] for row in kept)
            )
        )
        return replace(frame, index=self._index, values=frame.values[kept], learn=frame.learn[kept]), tables

    def _keep(self, index: SeriesIndex) -> None:
        if index.keys != self._index.keys:
            self._index = index


def failed(queries: Sequence[WatchQuery], named: Named, why: str) -> dict[PolicyKey, dict[str, Table]]:
    """Return tables of which nothing is known."""
    tables: dict[PolicyKey, dict[str, Table]] = {}
    for query in queries:
        policy, name = named[query.policy]
        tables.setdefault(policy, {})[name] = Table(error=why)
    return tables


def _table(frame: Frame, rows: np.ndarray[tuple[int], np.dtype[np.intp]], identity: tuple[str, ...]) -> Table:
    there = [int(row) for row in rows if np.isfinite(frame.values[row])]
    return Table(
        rows=tuple(tuple(frame.index.labels[row].get(name, "") for name in identity) for row in there),
        values=tuple(float(frame.values[row]) for row in there),
    )
