"""Plans as plain data, and people's orders to them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from aiops.core.ids import ulid
from aiops.core.model import (
    Direction,
    Order,
    OrderKind,
    Pause,
    Plan,
    PlanKind,
    PlanStatus,
    PolicyKey,
    Sleep,
    Stage,
)
from aiops.core.plans.operations import verbs
from aiops.core.record.codec import to_jsonable
from aiops.core.record.story import clock, stamp
from aiops.errors import Conflict, InvalidInput, NotFound

if TYPE_CHECKING:
    from aiops.adapters.store import Store

ORDER_S = 600.0
"""How long an order waits to be followed; after that it is forgotten."""

GROUPS = "FailoverPolicy"
_OF_GROUPS = frozenset({OrderKind.START, OrderKind.BACK, OrderKind.DRILL})
_FITS = {
    OrderKind.PAUSE: (PlanStatus.RUNNING, PlanStatus.ROLLING_BACK),
    OrderKind.RESUME: (PlanStatus.PAUSED, PlanStatus.ASKING),
    OrderKind.ABORT: (
        PlanStatus.PROPOSED,
        PlanStatus.RUNNING,
        PlanStatus.PAUSED,
        PlanStatus.ASKING,
    ),
    OrderKind.ROLL_BACK: (
        PlanStatus.PROPOSED,
        PlanStatus.RUNNING,
        PlanStatus.PAUSED,
        PlanStatus.ASKING,
        PlanStatus.DONE,
    ),
}


def listed(store: Store, *, policy: str = "", standing: bool = False) -> list[dict[str, Any]]:
    """Return plans, newest first. standing: those that have not ended."""
    statuses = [one for one in PlanStatus if not one.ended] if standing else ()
    found = (
        one for one in store.plans.every(statuses=statuses) if not policy or policy in (one.policy, _short(one.policy))
    )
    return [_row(one) for one in found]


def shown(store: Store, plan_id: str) -> dict[str, Any]:
    """Return one plan whole: as data, and as people read it."""
    plan = store.plans.one(plan_id)
    return {**_row(plan), "text": told(plan), "plan": to_jsonable(plan)}


def effects(store: Store) -> list[dict[str, Any]]:
    """Return what plans that are done left standing in the clusters, and how it is handed back (S9)."""
    return [
        {
            "policy": plan.policy,
            "target": str(ref),
            "object": f"{ref.kind} {ref}",
            "attribute": step.name,
            "original": "; ".join(verbs(one).says(one) for one in step.undo),
            "written": verbs(step.operation).says(step.operation),
            "since": step.since,
            "action": plan.id,
            "hand_back": _hand_back(plan),
        }
        for plan in store.plans.carried()
        if plan.status is PlanStatus.DONE
        for step in plan.steps
        # what did not help in time was passed over, and stands all the same
        if step.sent and step.undo and step.stage in (Stage.DONE, Stage.SKIPPED)
        for ref in verbs(step.operation).touches(step.operation)[:1]
    ]


def wakes(store: Store, pause: Pause) -> list[str]:
    """Return the workloads that rest by plans and whose wakes a pause will block, while it lasts (S9)."""
    if pause.release or pause.direction is Direction.IN:
        return []
    resting = (one for one in store.plans.carried() if one.kind is PlanKind.SAVING and one.touches_back)
    found = [
        f"{step.operation.target.kind} {step.operation.target}"
        for plan in resting
        for step in plan.steps
        if isinstance(step.operation, Sleep) and pause.concerns(step.operation.target, plan.policy, pause.since)
    ]
    return sorted(set(found))


def _hand_back(plan: Plan) -> str:
    if plan.kind is PlanKind.FAILOVER:
        return f"aiops failover back {_short(plan.policy)}"
    return f"aiops plans rollback {plan.id}"


def questions(store: Store, now: float) -> list[dict[str, Any]]:
    """Return the plans that wait for a person's yes."""
    waiting = (one for one in store.plans.every(statuses=(PlanStatus.PROPOSED,)) if one.expires_at > now)
    return [
        {
            "id": one.id,
            "policy": one.policy,
            "after": one.reason,
            "expires_at": one.expires_at,
            "needed": one.needed,
            "approvals": list(one.approvals),
        }
        for one in waiting
    ]


def order(store: Store, wish: dict[str, Any]) -> dict[str, Any]:
    """Write a person's order, which the loop follows at its next turn. Fields: kind, subject, by, reason, to.

    Raises InvalidInput and NotFound; what the plan's state does not allow is refused at once, with the reason.
    """
    try:
        kind = OrderKind(str(wish.get("kind")))
    except ValueError as err:
        raise InvalidInput(f"kind: {wish.get('kind')!r} is not one of {', '.join(OrderKind)}") from err
    by, reason = str(wish.get("by") or "").strip(), str(wish.get("reason") or "").strip()
    if not by:
        raise InvalidInput("by: who says so is missing")
    if not reason:
        raise InvalidInput("reason is missing: others will want to know why")
    asked = str(wish.get("subject") or "")
    subject = _group(store, asked) if kind in _OF_GROUPS else _plan(store, asked, kind)
    at = time.time()
    one = Order(
        id=ulid(at, "order", kind.value, subject, by, reason),
        kind=kind,
        subject=subject,
        by=by[:256],
        at=at,
        reason=reason,
        expires_at=at + ORDER_S,
        to=str(wish.get("to") or "")[:256],
    )
    store.plans.order(one)
    return dict(to_jsonable(one))


def _group(store: Store, asked: str) -> PolicyKey:
    known = [one.policy for one in store.versions.latest() if one.policy.startswith(f"{GROUPS}/")]
    found = [key for key in known if asked in (key, _short(key), key.rpartition("/")[2])]
    if len(found) != 1:
        what = "several failover policies are" if found else "no failover policy is"
        raise NotFound(f"{what} called {asked}; there are {', '.join(sorted(map(_short, known))) or 'none'}")
    return found[0]


def _plan(store: Store, asked: str, kind: OrderKind) -> str:
    """Return the id of the plan that is meant: by its own, or by its policy while one stands for that."""
    if not asked:
        raise InvalidInput("say which plan; aiops plans list")
    named = [one for one in store.plans.every() if asked in (one.policy, _short(one.policy)) and not one.status.ended]
    plan = named[0] if len(named) == 1 else store.plans.one(asked)
    fits = _FITS[kind]
    if plan.status not in fits:
        raise Conflict(
            f"plan {plan.id} is {plan.status.value}: {kind.value} is for plans that are "
            f"{', '.join(one.value for one in fits)}"
        )
    if kind is OrderKind.ROLL_BACK and plan.status is PlanStatus.DONE and plan.kind is PlanKind.FAILOVER:
        raise Conflict(f"plan {plan.id} is done: {_hand_back(plan)} checks the home site first, and takes it back")
    if kind is OrderKind.ROLL_BACK and plan.status is PlanStatus.DONE and not plan.touches_back:
        raise Conflict(f"plan {plan.id} is done, and nothing of it stands that could be taken back")
    return plan.id


def _short(key: PolicyKey) -> str:
    return key.partition("/")[2]


def _row(plan: Plan) -> dict[str, Any]:
    at = plan.current
    done = sum(1 for step in plan.steps if step.stage.value in ("done", "skipped", "undone"))
    return {
        "id": plan.id,
        "kind": plan.kind.value,
        "policy": plan.policy,
        "subject": plan.subject,
        "status": plan.status.value,
        "reason": plan.reason,
        "by": plan.by,
        "created_at": stamp(plan.created_at),
        "step": "" if at is None else plan.steps[at].name,
        "progress": f"{done}/{len(plan.steps)}",
        "held": plan.held,
        "effectiveness": None if plan.effectiveness is None else plan.effectiveness.word.value,
    }


def told(plan: Plan) -> str:
    """Return a plan as people read it: why, how far, step by step, what happened, what can be done now."""
    lines = [f"plan {plan.id}  {plan.kind.value} of {plan.subject}  {plan.status.value.upper()}"]
    lines.append(f"why        {plan.reason} (by {plan.by or plan.policy}, {stamp(plan.created_at)})")
    lines += [f"{'saw' if not n else '':<10} {one}" for n, one in enumerate(plan.evidence)]
    for number, step in enumerate(plan.steps, 1):
        label = "steps" if number == 1 else ""
        detail = f"  ({step.detail})" if step.detail else ""
        says = verbs(step.operation).says(step.operation)
        lines.append(f"{label:<10} {number}. [{step.stage.value}] {step.name}: {says}{detail}")
    if plan.held:
        lines.append(f"held       {plan.held}")
    lines += [f"{'log' if not n else '':<10} {clock(one.at)} {one.text}" for n, one in enumerate(plan.notes)]
    if plan.effectiveness is not None:
        judged = plan.effectiveness
        lines.append(f"effect     {judged.word.value}, p = {judged.p_value:.3g}: {judged.detail}")
    lines.append(f"next       {_next(plan)}")
    return "\n".join(lines)


def _next(plan: Plan) -> str:
    name = plan.id
    match plan.status:
        case PlanStatus.PROPOSED:
            return f"aiops approvals approve {name} --reason ..., or reject; expires {clock(plan.expires_at)}"
        case PlanStatus.RUNNING | PlanStatus.ROLLING_BACK:
            return f"aiops plans pause {name}" + ("" if plan.status is PlanStatus.ROLLING_BACK else ", or rollback")
        case PlanStatus.PAUSED | PlanStatus.ASKING:
            return f"aiops plans resume {name}, or rollback"
        case PlanStatus.DONE if plan.touches_back:
            return f"{_hand_back(plan)} takes it back"
        case _:
            return "nothing"
