"""What Prometheus' answers mean for one signal: value, age, coverage, presence (S1).

The companions of a signal are asked in one query, its branches told apart by a label: a signal costs two requests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from aiops.adapters.prometheus.asking import Reply
from aiops.core.model import Answer, Answered, Coverage, Failed, Instant, NoSeries
from aiops.core.policies import SignalQuery

LABEL = "aiops_companion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Companions:
    """A signal's query and one for all of its companions, '' without any; the rest are the names of their branches."""

    query: SignalQuery
    expr: str
    ages: tuple[str, ...]
    series: tuple[str, ...]
    targets: tuple[str, ...]
    ups: tuple[str, ...]

    @classmethod
    def of(cls, query: SignalQuery) -> Companions:
        """Return what is asked beside a signal."""
        count = len(query.up_exprs)
        return cls(
            query=query,
            expr=_batched(query),
            ages=tuple(name for name, _ in _numbered("age", query.age_exprs)),
            series=tuple(name for name, _ in _numbered("series", query.coverage_exprs)),
            targets=tuple(f"targets{number}" for number in range(count)),
            ups=tuple(f"up{number}" for number in range(count)),
        )


class Known(NamedTuple):
    """What came back for a signal, and beside it: the numbers of its companions by branch, with warnings."""

    reply: Reply
    beside: Mapping[str, float] = {}
    notes: tuple[str, ...] = ()


def _batched(query: SignalQuery) -> str:
    """Return one query for all companions of a signal."""
    branches = [*_numbered("age", query.age_exprs), *_numbered("series", query.coverage_exprs)]
    for number, selector in enumerate(query.up_exprs):
        branches.append((f"targets{number}", f"count({selector})"))
        branches.append((f"up{number}", f"sum({selector})"))
    if query.presence_expr is not None:
        branches.append(("presence", f"count({query.presence_expr})"))
    return " or ".join(f'label_replace({expr}, "{LABEL}", "{name}", "", "")' for name, expr in branches)


def spread(reply: Reply) -> dict[str, float]:
    """Return the numbers of the companions by branch."""
    names = (labels.get(LABEL, "") for labels in reply.metrics)
    return dict(zip(names, reply.values.tolist(), strict=True))


def answered(asked: Companions, known: Known, behind_s: float = 0.0) -> Answer:
    """Return the answer to a signal's query from what came back; behind_s: by how much it is older than it looks."""
    count = len(known.reply.values)
    if count > 1:
        return Failed(error=f"{count} series, a signal is one number: wrap the query, such as in sum(...)")
    beside = known.beside
    coverage = Coverage(
        series=_sum(beside, asked.series), targets=_sum(beside, asked.targets), up=_sum(beside, asked.ups)
    )
    presence = beside.get("presence", 0.0) > 0 if asked.query.presence_expr is not None else None
    if not count:
        return NoSeries(presence=presence, coverage=coverage)
    return Answered(
        value=float(known.reply.values[0]),
        newest_at=_newest(beside, asked.ages, behind_s),
        coverage=coverage,
        presence=presence,
        warnings=known.reply.notes + known.notes,
    )


def _newest(beside: Mapping[str, float], ages: tuple[str, ...], behind_s: float) -> Instant | None:
    """Return when the oldest of the selectors was last seen: an expression is as old as the oldest thing in it."""
    if not ages:
        return None
    found = [beside.get(name) for name in ages]
    fresh = [at for at in found if at is not None]
    if len(fresh) < len(found):
        return None
    return min(fresh) - behind_s if behind_s > 0 else min(fresh)


def _sum(beside: Mapping[str, float], names: tuple[str, ...]) -> int:
    total = 0.0
    for name in names:
        total += beside.get(name, 0.0)
    return int(total)


def _numbered(name: str, exprs: Sequence[str]) -> list[tuple[str, str]]:
    return [(f"{name}{number}", expr) for number, expr in enumerate(exprs)]
