"""Asking for many signals in one request: their queries are branches of one, told apart by a label.

A request costs more than what most signals do. What cannot be a branch (a scalar), or takes too long beside others, is
asked alone; so a query that fails still fails alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aiops.adapters.prometheus.asking import Asker, Reply
from aiops.adapters.prometheus.vectors import Labels
from aiops.core.model import Instant
from aiops.errors import SourceUnavailable, TooMuch

LABEL = "aiops_batch"
SIZE = 50
MOST_CHARACTERS = 12_000
"""Of the queries in one request, before each becomes a branch: VictoriaMetrics takes 16 KiB (-search.maxQueryLen)."""

WORTH = 100
"""So many queries, and fewer, are asked one by one: whoever looks at the source's own log finds them as written."""

AGAIN_TICKS = 240
"""After so many ticks what was asked alone is tried as a branch again: that it was slow may have passed."""

Replies = Mapping[str, Reply | SourceUnavailable]


@dataclass(slots=True)
class Batches:
    """Plans what is asked together. alone: queries that are no branches, until which tick.

    What was asked the last time and is asked again is neither planned nor written again, and where its series are the
    same objects, their branches are not told apart again.
    """

    ticks: int = 0
    alone: dict[str, int] = field(default_factory=dict)
    _exprs: tuple[str, ...] = ()
    _groups: list[tuple[str, ...]] = field(default_factory=list)
    _texts: dict[tuple[str, ...], str] = field(default_factory=dict)
    _parts: dict[tuple[str, ...], Parts] = field(default_factory=dict)

    def planned(self, exprs: Sequence[str]) -> list[tuple[str, ...]]:
        """Return what is asked in one request each, in order; few have no say in how many others are asked together."""
        if len(exprs) <= WORTH:
            return [(expr,) for expr in exprs]
        self.ticks += 1
        # threads of an earlier turn may still be at work
        due = [expr for expr, until in list(self.alone.items()) if until <= self.ticks]
        for expr in due:
            del self.alone[expr]
        wanted = tuple(exprs)
        if due or wanted != self._exprs:
            self._plan(wanted)
        return self._groups

    @property
    def texts(self) -> Iterable[str]:
        """Return the queries in which several are asked together."""
        return self._texts.values()

    def asked(self, asker: Asker, group: tuple[str, ...], at: Instant) -> Replies:
        """Return the answer of each query of a group."""
        if len(group) == 1:
            return {group[0]: _one(asker, group[0], at)}
        try:
            # what comes back has the labels that it had before, which are not read again
            reply = asker.instant(self._texts.get(group) or joined(group), at, many=True)
        except TooMuch:
            # together they are too slow: from now on each has its own time
            self._leave(group)
            return {expr: _one(asker, expr, at) for expr in group}
        except SourceUnavailable:
            found = {expr: _one(asker, expr, at) for expr in group}
            failed = [expr for expr, one in found.items() if isinstance(one, SourceUnavailable)]
            # none failed alone: one of them is no vector, which nobody can tell from here
            self._leave(failed or group)
            return found
        parts = self._parts.get(group)
        if parts is None or parts.metrics is not reply.metrics:
            parts = self._parts[group] = Parts.of(group, reply.metrics)
        return parts.replies(group, reply)

    def _leave(self, exprs: Iterable[str]) -> None:
        self.alone |= dict.fromkeys(exprs, self.ticks + AGAIN_TICKS)
        self._exprs = ()

    def _plan(self, exprs: tuple[str, ...]) -> None:
        self._exprs = exprs
        together = grouped([expr for expr in exprs if expr not in self.alone])
        self._groups = [*together, *((expr,) for expr in exprs if expr in self.alone)]
        texts = {group: self._texts.get(group) or joined(group) for group in self._groups if len(group) > 1}
        self._texts = texts
        self._parts = {group: parts for group, parts in self._parts.items() if group in texts}


def grouped(exprs: Sequence[str]) -> list[tuple[str, ...]]:
    """Return queries in order, in groups that are neither too many nor too long."""
    groups: list[tuple[str, ...]] = []
    group: list[str] = []
    length = 0
    for expr in exprs:
        if group and (len(group) == SIZE or length + len(expr) > MOST_CHARACTERS):
            groups.append(tuple(group))
            group, length = [], 0
        group.append(expr)
        length += len(expr)
    return [*groups, tuple(group)] if group else groups


def joined(group: Sequence[str]) -> str:
    """Return one query whose branches are those of a group.

    Branches are joined as a tree: `or` reads all of its left side again, so that a chain costs by the square of them.
    """
    level = [f'label_replace({expr}, "{LABEL}", "{place}", "", "")' for place, expr in enumerate(group)]
    while len(level) > 2:
        pairs = [" or ".join(level[first : first + 2]) for first in range(0, len(level), 2)]
        level = [f"({pair})" for pair in pairs]
    return " or ".join(level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Which rows of an answer belong to which branch. metrics: of the answer; own: their labels without the branch's.

    rows: by branch, a slice where they stand together.
    """

    metrics: tuple[Labels, ...]
    rows: tuple[slice | list[int], ...]
    own: tuple[tuple[Labels, ...], ...]

    @classmethod
    def of(cls, group: Sequence[str], metrics: tuple[Labels, ...]) -> Parts:
        """Tell the branches of an answer apart."""
        found: dict[str, list[int]] = {}
        for row, labels in enumerate(metrics):
            found.setdefault(labels.get(LABEL, ""), []).append(row)
        places = [found.get(str(place), []) for place in range(len(group))]
        own = tuple(tuple({k: v for k, v in metrics[row].items() if k != LABEL} for row in mine) for mine in places)
        return cls(metrics=metrics, rows=tuple(_slice(mine) for mine in places), own=own)

    def replies(self, group: Sequence[str], reply: Reply) -> dict[str, Reply | SourceUnavailable]:
        """Return the answer of each query; what the source warns of concerns each of them."""
        values, notes = reply.values, reply.notes
        each = zip(group, self.own, self.rows, strict=True)
        return {expr: Reply(metrics=own, values=values[rows], notes=notes) for expr, own, rows in each}


def parted(group: Sequence[str], reply: Reply) -> dict[str, Reply | SourceUnavailable]:
    """Return the answer of each query from that of all."""
    return Parts.of(group, reply.metrics).replies(group, reply)


def _slice(rows: list[int]) -> slice | list[int]:
    if not rows:
        return slice(0, 0)
    return slice(rows[0], rows[-1] + 1) if rows[-1] - rows[0] + 1 == len(rows) else rows


def _one(asker: Asker, expr: str, at: Instant) -> Reply | SourceUnavailable:
    try:
        return asker.instant(expr, at)
    except SourceUnavailable as err:
        return type(err)(str(err))
