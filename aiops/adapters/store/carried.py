"""What is carried from tick to tick, as rows: written where it differs from what is stored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, bindparam, delete, insert, select

from aiops.adapters.store.rows import Row
from aiops.adapters.store.tables import EFFECTS, MEMORIES, META, PLANS, STATE
from aiops.core.model import Effect, GroupState, LadderState, LoopState, Plan, SavingState, TargetState
from aiops.core.record.codec import from_text, to_text

if TYPE_CHECKING:
    from sqlalchemy import Connection

_TICKS, _ORDERS = "ticks", "orders"
GROUP, _LADDER, _SAVING = "group", "ladder", "saving"
_SAVED: Any = SavingState


@dataclass(frozen=True, slots=True)
class Carried:
    """The rows in which a state differs from what is stored. effects: None when they do not.

    left: ids of plans that the loop carries no more; they stay in the record.
    """

    targets: list[Row]
    effects: list[Row] | None
    ticks: int
    gone: list[str]
    memories: list[Row]
    plans: list[Row]
    left: list[str]
    orders: str | None

    @classmethod
    def of(cls, state: LoopState, stored: LoopState | None, moved: Mapping[str, Plan]) -> Carried:
        """Return what is to be written. stored: what is there, None while not known. moved: plans that changed."""
        before = LoopState() if stored is None else stored
        held = None
        if state.effects is not before.effects and (stored is None or state.effects != before.effects):
            held = [{"key": key, "body": to_text(effect)} for key, effect in state.effects.items()]
        plans = {**moved, **{key: one for key, one in state.plans.items() if before.plans.get(key) is not one}}
        changed = stored is None or state.orders != before.orders
        return cls(
            targets=_changed(state.targets, before.targets),
            effects=held,
            ticks=state.ticks,
            gone=[key for key in before.targets if key not in state.targets],
            memories=[
                *_changed(state.groups, before.groups, GROUP),
                *_changed(state.ladders, before.ladders, _LADDER),
                *_changed(state.savings, before.savings, _SAVING, SavingState),
            ],
            plans=[_plan_row(plan, carried=key in state.plans) for key, plan in plans.items()],
            left=[key for key in before.plans if key not in state.plans and key not in plans],
            orders=to_text(state.orders, Mapping[str, float]) if changed else None,
        )

    def write(self, connection: Connection) -> None:
        """Put the rows in the place of what is stored."""
        put(connection, STATE, ("policy",), self.targets)
        if self.gone:
            connection.execute(delete(STATE).where(STATE.c.policy.in_(self.gone)))
        if self.effects is not None:
            connection.execute(delete(EFFECTS))
            if self.effects:
                connection.execute(insert(EFFECTS), self.effects)
        put(connection, MEMORIES, ("policy",), self.memories)
        put(connection, PLANS, ("id",), self.plans)
        if self.left:
            connection.execute(PLANS.update().where(PLANS.c.id.in_(self.left)).values(carried=False))
        numbers = [{"key": _TICKS, "value": str(self.ticks)}]
        if self.orders is not None:
            numbers.append({"key": _ORDERS, "value": self.orders})
        put(connection, META, ("key",), numbers)


def _changed(now: Mapping[str, Any], before: Mapping[str, Any], kind: str = "", as_type: object = None) -> list[Row]:
    more = {"kind": kind} if kind else {}
    moved = ((key, one) for key, one in now.items() if before.get(key) is not one)
    return [{"policy": key, "body": to_text(one, as_type), **more} for key, one in moved]


def _plan_row(plan: Plan, *, carried: bool) -> Row:
    return {
        "id": plan.id,
        "policy": plan.policy,
        "kind": plan.kind.value,
        "subject": plan.subject,
        "status": plan.status.value,
        "created_at": plan.created_at,
        "ended_at": plan.ended_at if math.isfinite(plan.ended_at) else None,
        "carried": carried,
        "body": to_text(plan),
    }


def loaded(connection: Connection) -> LoopState:
    """Return the state as it is stored."""
    targets = {row.policy: from_text(row.body, TargetState) for row in connection.execute(select(STATE))}
    effects = {row.key: from_text(row.body, Effect) for row in connection.execute(select(EFFECTS))}
    memories = list(connection.execute(select(MEMORIES)))
    plans = connection.execute(select(PLANS.c.id, PLANS.c.body).where(PLANS.c.carried))
    meta = {row.key: row.value for row in connection.execute(select(META).where(META.c.key.in_((_TICKS, _ORDERS))))}
    return LoopState(
        targets=targets,
        effects=effects,
        ticks=int(meta.get(_TICKS) or 0),
        plans={row.id: from_text(row.body, Plan) for row in plans},
        groups={row.policy: from_text(row.body, GroupState) for row in memories if row.kind == GROUP},
        ladders={row.policy: from_text(row.body, LadderState) for row in memories if row.kind == _LADDER},
        savings={row.policy: from_text(row.body, _SAVED) for row in memories if row.kind == _SAVING},
        orders=from_text(meta[_ORDERS], dict[str, float]) if _ORDERS in meta else {},
    )


def put(connection: Connection, table: Table, key: Sequence[str], rows: Any) -> None:
    """Insert rows, in place of those of the same key; portable, for tables that are small."""
    rows = list(rows)
    if not rows:
        return
    gone = delete(table)
    for name in key:
        gone = gone.where(table.c[name] == bindparam(f"b_{name}"))
    connection.execute(gone, [{f"b_{name}": row[name] for name in key} for row in rows])
    connection.execute(insert(table), rows)
