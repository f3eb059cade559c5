"""What Prometheus' answers mean for one signal: value, age, coverage, presence (S1).

The companions of a signal are asked in one query, its branches told apart by a label: a signal costs two requests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from aiops.adapters.prometheus.asking import Reply
from aiops.core.model import Answer, Answered, Coverage, Failed, NoSeries
from aiops.core.policies import SignalQuery

LABEL = "aiops_companion"


@lru_cache(maxsize=65_536)
def batched(query: SignalQuery) -> str:
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


def answered(query: SignalQuery, reply: Reply, known: Mapping[str, float], notes: tuple[str, ...]) -> Answer:
    """Return the answer to a signal's query from what came back."""
    if len(reply.values) > 1:
        return Failed(error=f"{len(reply.values)} series, a signal is one number: wrap the query, such as in sum(...)")
    coverage = _coverage(query, known)
    presence = known.get("presence", 0.0) > 0 if query.presence_expr is not None else None
    if not len(reply.values):
        return NoSeries(presence=presence, coverage=coverage)
    ages = [known.get(f"age{number}") for number in range(len(query.age_exprs))]
    fresh = [age for age in ages if age is not None]
    # the oldest of the selectors counts: an expression is as old as the oldest thing in it
    newest = min(fresh) if fresh and len(fresh) == len(ages) else None
    return Answered(
        value=float(reply.values[0]),
        newest_at=newest,
        coverage=coverage,
        presence=presence,
        warnings=notes,
    )


def _coverage(query: SignalQuery, known: Mapping[str, float]) -> Coverage:
    ups = range(len(query.up_exprs))
    return Coverage(
        series=int(sum(known.get(f"series{number}", 0.0) for number in range(len(query.coverage_exprs)))),
        targets=int(sum(known.get(f"targets{number}", 0.0) for number in ups)),
        up=int(sum(known.get(f"up{number}", 0.0) for number in ups)),
    )


def _numbered(name: str, exprs: Sequence[str]) -> list[tuple[str, str]]:
    return [(f"{name}{number}", expr) for number, expr in enumerate(exprs)]
