"""What people are still to be told, kept so that neither a start anew nor a channel that fails loses it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from aiops.adapters.store.audit import head_in, start_in
from aiops.adapters.store.database import insert_absent, rows_of, translated, writing
from aiops.adapters.store.tables import CURSORS, NOTICES

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

    from aiops.adapters.store.rows import Row


class Notices:
    """Reads and writes of cursors on the chain, and of what waits to be told."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def cursor(self, name: str) -> tuple[int, int]:
        """Return how far a follower has come, and what it has lost that nobody was told of.

        Who follows for the first time begins at the end. What retention cut away in front of a follower is lost.
        """
        query = select(CURSORS).where(CURSORS.c.name == name)
        with translated("the cursors cannot be read"), self._engine.connect() as connection:
            found = connection.execute(query).first()
            start, head = start_in(connection), head_in(connection)
        if found is not None and (0 if start is None else start.seq) <= found.seq <= head.seq:
            return int(found.seq), int(found.lost)
        with translated("the cursors cannot be written"), writing(self._engine) as connection:
            found = connection.execute(query).first()
            if found is None:
                insert_absent(connection, CURSORS, [{"name": name, "seq": head_in(connection).seq, "lost": 0}])
                found = connection.execute(query).one()
            start, head = start_in(connection), head_in(connection)
            seq, lost = int(found.seq), int(found.lost)
            if start is not None and start.seq > seq:
                seq, lost = start.seq, lost + start.seq - seq
                _move(connection, name, seq, lost)
            elif seq > head.seq:
                # a restore put an older chain in its place
                seq = head.seq
                _move(connection, name, seq, lost)
        return seq, lost

    def move(self, name: str, seq: int, lost: int) -> None:
        """Write how far a follower has come."""
        with translated("the cursor cannot be written"), writing(self._engine) as connection:
            _move(connection, name, seq, lost)

    def waiting(self) -> list[dict[str, Any]]:
        """Return what waits, and what stands of which people were told, in order."""
        query = select(NOTICES).order_by(NOTICES.c.seq, NOTICES.c.route)
        with translated("the notices cannot be read"), self._engine.connect() as connection:
            return rows_of(connection, query)

    def lost(self) -> Mapping[str, int]:
        """Return how much each follower and route has lost that nobody was told of."""
        with translated("the cursors cannot be read"), self._engine.connect() as connection:
            return {row.name: int(row.lost) for row in connection.execute(select(CURSORS))}

    def change(
        self,
        put: Iterable[Row],
        gone: Iterable[tuple[str, str]],
        lost: Mapping[str, int],
        moved: tuple[str, int] | None,
    ) -> None:
        """Write what waits from now on, all or nothing.

        gone: (route, key) of what was told or given up. lost: by route, what was given up and not told of yet. moved:
        a follower, and how far it has come by this.
        """
        with translated("the notices cannot be written"), writing(self._engine) as connection:
            for row in put:
                connection.execute(delete(NOTICES).where(_is(row["route"], row["key"])))
                connection.execute(insert(NOTICES), [row])
            for route, key in gone:
                connection.execute(delete(NOTICES).where(_is(route, key)))
            for name, count in lost.items():
                if not insert_absent(connection, CURSORS, [{"name": name, "seq": 0, "lost": count}]):
                    connection.execute(update(CURSORS).where(CURSORS.c.name == name).values(lost=count))
            if moved is not None:
                connection.execute(update(CURSORS).where(CURSORS.c.name == moved[0]).values(seq=moved[1]))


def _is(route: str, key: str) -> Any:
    return (NOTICES.c.route == route) & (NOTICES.c.key == key)


def _move(connection: Connection, name: str, seq: int, lost: int) -> None:
    connection.execute(update(CURSORS).where(CURSORS.c.name == name).values(seq=seq, lost=lost))
