"""How a run went, in numbers that can be laid beside those of other runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from simulators.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One contender. violating_ratio: share of requests that were slower than the SLO, or failed.

    offered and violating count requests that came for the first time, retried those that came again. node_hours: the
    targets' share of their pools' nodes; pending_pod_hours: pods that waited for a node. slo_usd: violating requests at
    the price that the scenario says; reclaimed: nodes that the provider took back.
    """

    name: str
    offered: float
    violating: float
    violating_ratio: float
    pod_hours: float
    cost_usd: float
    actions: int
    actions_out: int
    actions_in: int
    retried: float = 0.0
    node_hours: float = 0.0
    pending_pod_hours: float = 0.0
    slo_usd: float = 0.0
    reclaimed: int = 0

    @property
    def total_usd(self) -> float:
        """Return what it cost in all: what is paid, and the price of what violated."""
        return self.cost_usd + self.slo_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """All contenders in one scenario, ours first."""

    scenario: str
    seed: int
    hours: float
    ticks: int
    scores: tuple[Score, ...]

    def as_json(self) -> dict[str, Any]:
        """Return plain data with documented, stable names."""
        scores = [{**asdict(one), "total_usd": one.total_usd} for one in self.scores]
        return {**asdict(self), "scores": scores}


def score(
    name: str, world: World, changes: Sequence[int], targets: Sequence[str], violation_price: float = 0.0
) -> Score:
    """Return the score of a run. changes: the delta of each change of replicas. targets: the services that count.

    violation_price: USD for a thousand violating requests.
    """
    accounts = [world.services[key].account for key in targets if key in world.services]
    offered = sum(account.offered for account in accounts)
    violating = sum(account.violating for account in accounts)
    return Score(
        name=name,
        offered=offered,
        violating=violating,
        violating_ratio=violating / offered if offered else 0.0,
        pod_hours=sum(account.pod_s for account in accounts) / 3600.0,
        cost_usd=sum(account.usd for account in accounts),
        actions=len(changes),
        actions_out=sum(1 for delta in changes if delta > 0),
        actions_in=sum(1 for delta in changes if delta < 0),
        retried=sum(account.retried for account in accounts),
        node_hours=sum(account.node_s for account in accounts) / 3600.0,
        pending_pod_hours=sum(account.pending_s for account in accounts) / 3600.0,
        slo_usd=violating / 1000.0 * violation_price,
        reclaimed=sum(pool.reclaimed for pool in world.pools.values()),
    )


COLUMNS: Mapping[str, str] = {
    "name": "contender",
    "violating": "violating requests",
    "violating_ratio": "share",
    "pod_hours": "pod-hours",
    "cost_usd": "cost USD",
    "actions": "actions (out/in)",
}

EXTRAS: Mapping[str, str] = {
    "retried": "came again",
    "node_hours": "node-hours",
    "pending_pod_hours": "pending pod-hours",
    "reclaimed": "nodes reclaimed",
    "slo_usd": "SLO price USD",
    "total_usd": "in all USD",
}
"""What is shown only where some contender has any of it."""

_DIGITS = {"retried": 0, "node_hours": 1, "pending_pod_hours": 1, "reclaimed": 0, "slo_usd": 2, "total_usd": 2}


def row(one: Score) -> tuple[str, ...]:
    """Return a score as people read it, in the order of `COLUMNS`."""
    return (
        one.name,
        f"{one.violating:,.0f}",
        f"{one.violating_ratio:.3%}",
        f"{one.pod_hours:,.1f}",
        f"{one.cost_usd:,.2f}",
        f"{one.actions} ({one.actions_out}/{one.actions_in})",
    )


def sheet(card: Scorecard) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return the heads and the rows of a card: `COLUMNS`, and those of `EXTRAS` that tell something."""
    priced = any(one.slo_usd for one in card.scores)
    extras = [
        name for name in EXTRAS if any(getattr(one, name) for one in card.scores) and (priced or name != "total_usd")
    ]
    rows = [(*row(one), *(f"{getattr(one, name):,.{_DIGITS[name]}f}" for name in extras)) for one in card.scores]
    return (*COLUMNS.values(), *(EXTRAS[name] for name in extras)), rows
