"""Asking for many signals in one request: their queries are branches of one, told apart by a label.

A request costs more than what most signals do. What cannot be a branch (a scalar), or takes too long beside others, is
asked alone; so a query that fails still fails alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from aiops.adapters.prometheus.asking import Asker, Reply
from aiops.core.model import Instant
from aiops.errors import SourceUnavailable, TooMuch

LABEL = "aiops_batch"
SIZE = 25
WORTH = 100
"""So many queries, and fewer, are asked one by one: whoever looks at the source's own log finds them as written."""

AGAIN_TICKS = 240
"""After so many ticks what was asked alone is tried as a branch again: that it was slow may have passed."""

Replies = Mapping[str, Reply | SourceUnavailable]


@dataclass(slots=True)
class Batches:
    """Plans what is asked together. alone: queries that are no branches, until which tick."""

    ticks: int = 0
    alone: dict[str, int] = field(default_factory=dict)

    def planned(self, exprs: Sequence[str]) -> list[tuple[str, ...]]:
        """Return what is asked in one request each, in order."""
        self.ticks += 1
        self.alone = {expr: until for expr, until in self.alone.items() if until > self.ticks}
        if len(exprs) <= WORTH:
            return [(expr,) for expr in exprs]
        branches = [expr for expr in exprs if expr not in self.alone]
        together = [tuple(branches[first : first + SIZE]) for first in range(0, len(branches), SIZE)]
        return [*together, *((expr,) for expr in exprs if expr in self.alone)]

    def asked(self, asker: Asker, group: tuple[str, ...], at: Instant) -> Replies:
        """Return the answer of each query of a group."""
        if len(group) == 1:
            return {group[0]: _one(asker, group[0], at)}
        try:
            return parted(group, asker.instant(joined(group), at))
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

    def _leave(self, exprs: Iterable[str]) -> None:
        self.alone |= dict.fromkeys(exprs, self.ticks + AGAIN_TICKS)


def joined(group: Sequence[str]) -> str:
    """Return one query whose branches are those of a group."""
    return " or ".join(f'label_replace({expr}, "{LABEL}", "{place}", "", "")' for place, expr in enumerate(group))


def parted(group: Sequence[str], reply: Reply) -> dict[str, Reply | SourceUnavailable]:
    """Return the answer of each query from that of all; what the source warns of concerns each of them."""
    rows: dict[str, list[int]] = {}
    for row, labels in enumerate(reply.metrics):
        rows.setdefault(labels.get(LABEL, ""), []).append(row)
    found: dict[str, Reply | SourceUnavailable] = {}
    for place, expr in enumerate(group):
        mine = rows.get(str(place), [])
        own = tuple({k: v for k, v in reply.metrics[row].items() if k != LABEL} for row in mine)
        found[expr] = Reply(metrics=own, values=reply.values[np.array(mine, np.intp)], notes=reply.notes)
    return found


def _one(asker: Asker, expr: str, at: Instant) -> Reply | SourceUnavailable:
    try:
        return asker.instant(expr, at)
    except SourceUnavailable as err:
        return type(err)(str(err))
