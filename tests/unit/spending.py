"""Turns of a loop as money sees them, without the loop: replicas, prices and needs at instants."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aiops.core.model import (
    Capacity,
    Decision,
    LoopState,
    PriceBook,
    Priced,
    Reason,
    Snapshot,
    Tick,
    Verdict,
)
from aiops.core.money.metering import Turned
from aiops.core.policies import PolicySet
from tests.builders import KEY, NOW, TARGET, policy, proposal, snapshot, workload

HOUR = 3600.0


def decision(at: float, need: int | None, key: str = KEY, **more: Any) -> Decision:
    """Return a decision that holds, whose reactive need is `need`."""
    wish = proposal(8, 8)
    wish = replace(wish, policy=key, need=replace(wish.need, reactive=need, **more))
    verdict = Verdict(proposal=wish, rulings=(), change=wish.change, dry_run=False)
    return Decision(
        id=f"D{at}", tick_id="T", at=at, policy=key, policy_digest="d", target=TARGET, verdict=verdict, signals=(),
        action_id=None, changed=False, story="",
    )  # fmt: skip


def turned(at: float, replicas: int | None, price: float | None, **more: Any) -> Turned:
    """Return a turn in which the one target runs so many replicas at a price, None of what is not known.

    gone: it is not there. more: need (reactive), policies (a PolicySet), state, actions, capacity, nodes (USD per hour
    by `CLUSTER/NODE`).
    """
    policies = more.get("policies") or PolicySet(digest="d", scaling=(policy(),), labels={KEY: {"team": "payments"}})
    need = {name: more[name] for name in ("slo_broken", "demand", "capacity_learned") if name in more}
    nodes = {key: Priced(usd_per_hour=usd, source="t", as_of=at) for key, usd in (more.get("nodes") or {}).items()}
    seen = {} if replicas is None else {TARGET.key: workload(replicas=replicas, ready=replicas, as_of=at)}
    shot: Snapshot = snapshot(
        at=at,
        workloads=seen,
        replica_usd_per_hour={} if price is None else {TARGET.key: price},
        prices=PriceBook(nodes=nodes),
        looked=more.get("looked") or snapshot().looked,
        target_errors={} if seen or more.get("gone") else {TARGET.key: (Reason.NO_PERMISSION, "not seen")},
    )
    tick = Tick(
        id=f"T{at}", at=at, decisions=(decision(at, more.get("need", replicas), **need),), findings=(), incidents=(),
        actions=tuple(more.get("actions") or ()), outcomes=(),
    )  # fmt: skip
    capacity: Capacity | None = more.get("capacity")
    return Turned(
        snapshot=shot,
        tick=tick,
        policies=policies,
        state=more.get("state") or LoopState(),
        capacities={} if capacity is None else {KEY: capacity},
    )


def start(hours: float = 0.0) -> float:
    """Return an instant so many hours after the beginning of an hour."""
    return NOW - NOW % HOUR + hours * HOUR
