"""The fence: the one epoch that may write. A leader that was succeeded is stopped at its next commit (S6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, update

from aiops.adapters.store.database import insert_absent
from aiops.adapters.store.tables import CLAIMS, FENCE, META
from aiops.core.model import Instant
from aiops.errors import Fenced

if TYPE_CHECKING:
    from sqlalchemy import Connection


def standing(connection: Connection, *, hold: bool = False) -> int:
    """Return the fence. hold: keep it where it is until this transaction ends."""
    query = select(META.c.value).where(META.c.key == FENCE)
    if hold:
        # on SQLite the transaction itself keeps every other writer out, see `database.writing`
        query = query.with_for_update()
    return int(connection.execute(query).scalar() or 0)


def check(connection: Connection, epoch: int) -> None:
    """Raise Fenced unless the fence stands at this epoch, and keep it there until the transaction ends."""
    fence = standing(connection, hold=True)
    if fence != epoch:
        raise Fenced(f"epoch {fence} is in force: what was begun under epoch {max(epoch, 0)} is not written")


def raise_to(connection: Connection, epoch: int, holder: str, at: Instant) -> None:
    """Record a claim and raise the fence to it; raise Fenced when it is not above every other holder's."""
    insert_absent(connection, META, [{"key": FENCE, "value": "0"}])
    fence = standing(connection, hold=True)
    who = connection.execute(select(CLAIMS.c.holder).where(CLAIMS.c.epoch == fence)).scalar()
    if epoch < fence or (epoch == fence and who not in (None, holder)):
        raise Fenced(f"epoch {fence} was claimed by {who or 'nobody known'}: {holder} may not claim epoch {epoch}")
    insert_absent(connection, CLAIMS, [{"epoch": epoch, "holder": holder, "at": at}])
    put_up(connection, epoch)


def put_up(connection: Connection, epoch: int) -> None:
    """Set the fence."""
    insert_absent(connection, META, [{"key": FENCE, "value": "0"}])
    connection.execute(update(META).where(META.c.key == FENCE).values(value=str(epoch)))
