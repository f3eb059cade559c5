"""The plans that move a share: more on spot nodes is a saving that is watched, fewer gives capacity back."""

from __future__ import annotations

from dataclasses import replace

from aiops.core.decide.cost.spot.risk import Stakes, expected_loss, in_pools, lost_at_once
from aiops.core.decide.cost.spot.scene import Pair, Prices
from aiops.core.ids import ulid
from aiops.core.model import (
    Aim,
    Instant,
    Otherwise,
    Plan,
    PlanKind,
    PlanStep,
    SignalWithin,
    SplitReplicas,
)
from aiops.core.objects.spot import FLOOR_S
from aiops.core.planning.cost_spot import SpotPolicy

SLACK_S = 300.0
BACK_WITHIN_S = 3600.0
"""So long what is given back may take: new nodes on demand, and pods that start there."""


def more(policy: SpotPolicy, pair: Pair, stakes: Stakes, spot: int, now: Instant) -> Plan:
    """Return the plan by which the companion grows to `spot` replicas, and the base gives up as many."""
    step = PlanStep(
        name="spot",
        operation=_split(pair, spot, stakes.floor),
        checks=(Aim(),),
        hold_s=policy.steps.watch_s,
        within_s=policy.risk.replace_s + policy.steps.watch_s + SLACK_S + (FLOOR_S if pair.hpa else 0.0),
        otherwise=Otherwise.UNDO,
    )
    keeps = tuple(
        SignalWithin(policy=policy.key, signal=one.signal, at_least=one.at_least, at_most=one.at_most)
        for one in policy.steps.slo
    )
    reason = f"{pair.base.ref.name}: {pair.now} -> {spot} of {pair.total} on spot nodes; {said(pair, stakes, spot)}"
    return _plan(policy, pair, (step,), (PlanKind.SAVING, reason, now), keeps)


def known(policy: SpotPolicy, pair: Pair, now: Instant) -> Plan:
    """Return the plan that takes over a share of which no plan is known, since the store was lost; nothing moves."""
    reason = f"{pair.base.ref.name}: {pair.now} of {pair.total} on spot nodes, by a plan that the store knows no more"
    plan = _plan(policy, pair, (), (PlanKind.SAVING, reason, now), ())
    step = PlanStep(name="known again", operation=replace(_split(pair, pair.now, 0), mark=plan.id))
    return replace(plan, steps=(step,))


def fewer(policy: SpotPolicy, pair: Pair, spot: int, why: str, now: Instant) -> Plan:
    """Return the plan by which the base grows, and the companion gives up as many replicas; it asks nobody."""
    step = PlanStep(
        name="on demand",
        operation=_split(pair, spot, 0),
        checks=(Aim(),),
        within_s=BACK_WITHIN_S,
        otherwise=Otherwise.GO_ON,
        undoable=False,
    )
    reason = f"{pair.base.ref.name}: {pair.now} -> {spot} of {pair.total} on spot nodes: {why}"
    return _plan(policy, pair, (step,), (PlanKind.RESTORE, reason, now), ())


def _split(pair: Pair, spot: int, least: int) -> SplitReplicas:
    return SplitReplicas(
        base=pair.base.ref,
        spot=pair.spot.ref,
        base_uid=pair.base.uid,
        spot_uid=pair.spot.uid,
        seen=pair.now,
        replicas=spot,
        home=pair.home,
        steered=pair.hpa,
        least=least,
    )


def _plan(
    policy: SpotPolicy,
    pair: Pair,
    steps: tuple[PlanStep, ...],
    what: tuple[PlanKind, str, Instant],
    keeps: tuple[SignalWithin, ...],
) -> Plan:
    kind, reason, now = what
    return Plan(
        id=ulid(now, policy.key, pair.base.ref.key, "spot", kind.value),
        kind=kind,
        policy=policy.key,
        subject=pair.base.ref.key,
        reason=reason,
        created_at=now,
        steps=steps,
        keeps=keeps,
        by=policy.key,
        needed=policy.approvers,
    )


def said(pair: Pair, stakes: Stakes, spot: int) -> str:
    """Return the sum, in a sentence: what it saves, what it may lose, and what is left when all of it goes."""
    if not isinstance(pair.prices, Prices):
        return f"saves nothing that could be counted, since {pair.prices}"
    gain, loss = stakes.saves_usd * spot, expected_loss(stakes, spot)
    counts = in_pools(stakes, spot)
    worst = max(counts.values(), default=0)
    lost = lost_at_once(stakes, spot)
    cases = "" if stakes.survive >= 1.0 else f" ({stakes.survive:.6g} of cases)"
    where = f"{len(counts)} pool{'' if len(counts) == 1 else 's'}, {worst} at most in one"
    return (
        f"saves {gain:.4g} USD an hour and is expected to lose {loss:.4g} by reclaims ({where});"
        f" {stakes.total - lost} are left when {lost} are taken away at once{cases}, {stakes.floor} are needed"
    )
