"""The plan that empties a node: cordon, drain, see its pods run elsewhere, and wait until somebody deletes it."""

from __future__ import annotations

from aiops.core.decide.cost.pack.emptying import Emptied
from aiops.core.decide.cost.pack.fleet import Node
from aiops.core.ids import ulid
from aiops.core.model import (
    Aim,
    AwaitRemoval,
    Cordon,
    Drain,
    Instant,
    Notify,
    Otherwise,
    Plan,
    PlanKind,
    PlanStep,
    Settled,
    SignalWithin,
)
from aiops.core.planning.cost_pack import Deleter, PackPolicy

CORDON_WITHIN_S, TELL_WITHIN_S = 60.0, 60.0
_CALLED = {
    Deleter.CLUSTER_AUTOSCALER: "the cluster autoscaler",
    Deleter.KARPENTER: "Karpenter",
    Deleter.PERSON: "a person",
}


def deleter(policy: PackPolicy, node: Node) -> Deleter:
    """Return who deletes a node."""
    return Deleter.KARPENTER if node.karpenter else policy.deleter


def plan(policy: PackPolicy, one: Emptied, usd_per_hour: float | None, now: Instant) -> Plan:
    """Return the plan that empties a node; until the node is gone its first step is taken back by uncordoning."""
    node, verify = one.node, policy.verify
    who = deleter(policy, node)
    by = _CALLED[who]
    drain = PlanStep(
        name="drain",
        operation=Drain(node=node.ref),
        checks=(Aim(), Settled(policy=policy.key, subject=node.ref.key)),
        hold_s=verify.hold_s,
        within_s=verify.within_s + verify.hold_s,
    )
    gone = PlanStep(name="gone", operation=AwaitRemoval(node=node.ref, uid=node.uid, by=by), within_s=verify.gone_s)
    told = (_told(policy, one, usd_per_hour),) if who is Deleter.PERSON else ()
    return Plan(
        id=ulid(now, policy.key, node.ref.key, "pack"),
        kind=PlanKind.SAVING,
        policy=policy.key,
        subject=node.ref.key,
        reason=f"{said(one)}; {saves(usd_per_hour)} once {by} has deleted it",
        created_at=now,
        steps=(
            PlanStep(name="cordon", operation=Cordon(node=node.ref), within_s=CORDON_WITHIN_S),
            drain,
            *told,
            gone,
        ),
        keeps=tuple(
            SignalWithin(policy=policy.key, signal=each.signal, at_least=each.at_least, at_most=each.at_most)
            for each in verify.slo
        ),
        by=policy.key,
        needed=policy.approvers,
    )


def said(one: Emptied) -> str:
    """Return what is said of a node that can be emptied."""
    used = ", ".join(f"{share:.0%} of its {name}" for name, share in sorted(one.use.items()))
    where = sorted(set(one.to.values()))
    shown = ", ".join(where[:3]) + (f" and {len(where) - 3} more" if len(where) > 3 else "")
    count = "its one pod finds" if len(one.pods) == 1 else f"its {len(one.pods)} pods find"
    moving = f"{count} room on {shown}" if one.pods else "no pod has to move"
    left = " and ".join(f"{share:.0%} of {name}" for name, share in sorted(one.free.items()))
    return f"node {one.node.name} is used least ({used} requested): {moving}, {left} stay free"


def saves(usd_per_hour: float | None) -> str:
    """Return what is said of the saving: one whose price is not known counts as nothing."""
    if usd_per_hour is None or usd_per_hour <= 0.0:
        return "saves nothing that could be counted, since its price is not known,"
    return f"saves {usd_per_hour:.4g} USD an hour"


def _told(policy: PackPolicy, one: Emptied, usd_per_hour: float | None) -> PlanStep:
    name = one.node.name
    until = f"it takes pods again unless it is gone within {policy.verify.gone_s / 3600.0:.3g} h"
    text = f"Delete node {name} and its machine: it is cordoned and empty, which {saves(usd_per_hour)}; {until}."
    operation = Notify(title=f"Node {name} is empty: delete it", text=text)
    return PlanStep(name="tell", operation=operation, within_s=TELL_WITHIN_S, otherwise=Otherwise.GO_ON)
