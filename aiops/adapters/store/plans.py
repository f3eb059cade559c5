"""Plans as they were last written, and what people order of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from aiops.adapters.store.audit import chain
from aiops.adapters.store.database import insert_absent, translated, writing
from aiops.adapters.store.tables import ORDERS, PLANS
from aiops.core.model import Instant, Order, OrderKind, Plan, PlanStatus
from aiops.core.record.audit import AuditKind, Entry
from aiops.core.record.codec import from_text
from aiops.errors import Conflict, NotFound

if TYPE_CHECKING:
    from sqlalchemy import Engine

MOST = 1000
"""Plans that are read at once."""


class Plans:
    """Reads of plans, which the journal writes; writes of orders, which the loop reads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def every(
        self, *, policy: str = "", since: Instant = 0.0, limit: int = MOST, statuses: Collection[PlanStatus] = ()
    ) -> tuple[Plan, ...]:
        """Return plans, newest first: of one policy, or of all. statuses: only those that stand so."""
        query = select(PLANS.c.body).where(PLANS.c.created_at >= since).order_by(PLANS.c.created_at.desc(), PLANS.c.id)
        if policy:
            query = query.where(PLANS.c.policy == policy)
        if statuses:
            query = query.where(PLANS.c.status.in_([one.value for one in statuses]))
        with translated("the plans cannot be read"), self._engine.connect() as connection:
            return tuple(from_text(row.body, Plan) for row in connection.execute(query.limit(min(limit, MOST))))

    def carried(self) -> tuple[Plan, ...]:
        """Return the plans that the loop carries on: those that stand, ended lately, or left something standing."""
        query = select(PLANS.c.body).where(PLANS.c.carried).order_by(PLANS.c.created_at)
        with translated("the plans cannot be read"), self._engine.connect() as connection:
            return tuple(from_text(row.body, Plan) for row in connection.execute(query))

    def one(self, plan_id: str) -> Plan:
        """Return a plan by its id or the beginning of it; raise NotFound, or Conflict when several begin so."""
        query = select(PLANS.c.body).where(PLANS.c.id.startswith(plan_id.upper(), autoescape=True)).limit(2)
        with translated("the plan cannot be read"), self._engine.connect() as connection:
            found = [from_text(row.body, Plan) for row in connection.execute(query)]
        if not found:
            raise NotFound(f"there is no plan {plan_id}; aiops plans list")
        if len(found) > 1:
            raise Conflict(f"several plans begin with {plan_id}; give more of the id")
        return found[0]

    def order(self, order: Order) -> None:
        """Write a person's order; the same one within a millisecond is one."""
        row = {
            "id": order.id,
            "kind": order.kind.value,
            "subject": order.subject,
            "by": order.by,
            "at": order.at,
            "reason": order.reason,
            "expires_at": order.expires_at,
            "to": order.to,
        }
        with translated("the order cannot be written"), writing(self._engine) as connection:
            if insert_absent(connection, ORDERS, [row]):
                chain(connection, [_ordered(order)])

    def orders(self, now: Instant) -> tuple[Order, ...]:
        """Return the orders in force, oldest first."""
        query = select(ORDERS).where(ORDERS.c.expires_at > now).order_by(ORDERS.c.at, ORDERS.c.id)
        with translated("the orders cannot be read"), self._engine.connect() as connection:
            return tuple(_order(row) for row in connection.execute(query))


def _ordered(order: Order) -> Entry:
    return Entry(
        at=order.at,
        kind=AuditKind.ORDER,
        by=order.by,
        subject=order.subject,
        ref=order.id,
        did=order.kind.value,
        after=order.to or None,
        said=order.reason,
    )


def _order(row: Any) -> Order:
    return Order(
        id=row.id,
        kind=OrderKind(row.kind),
        subject=row.subject,
        by=row.by,
        at=row.at,
        reason=row.reason,
        expires_at=row.expires_at,
        to=row.to,
    )
