"""Stores of a test, what is put into them, and what they hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Column, MetaData, Table, event, inspect, text

from aiops.adapters.store import Store
from aiops.adapters.store.database import connect, migrate, writing
from aiops.adapters.store.tables import METADATA
from aiops.core.model import (
    Alert,
    AlertStatus,
    Finding,
    FindingKind,
    Incident,
    LoopState,
    Percepts,
    Suspect,
)
from aiops.core.pipeline import Turn, decide
from aiops.core.policies import PolicySet
from tests.builders import NOW, answer, policy, snapshot
from tests.unit.test_pipeline import later

Opened = Callable[..., Store]


FINDING = Finding(
    policy="WatchPolicy/shop/errors", series="WatchPolicy/shop/errors#service=checkout", labels={"service": "checkout"},
    kind=FindingKind.POINT, at=NOW, since=NOW, score=2.0, p_value=1e-9, value=9.0, expected=1.0, lower=0.0, upper=2.0,
    reason="",
)  # fmt: skip


INCIDENT = Incident(
    id="01INCIDENT0000000000000000", kind="point", since=NOW, labels={"zone": "a"}, series=("s",), peak_score=3.0,
    peak_at=NOW + 5, seen_at=NOW, suspects=(Suspect(name="shop/db", series="s", kind="point", since=NOW, score=3.0),),
)  # fmt: skip


ALERT = Alert(
    fingerprint="f1", name="HighLatency", labels={"alertname": "HighLatency", "quote": "'; DROP TABLE alerts"},
    status=AlertStatus.FIRING, starts_at=NOW, ends_at=math.inf, seen_at=NOW,
)  # fmt: skip


def made(state=None, shot=None):
    policies = PolicySet(digest="p", scaling=(policy(),))
    turn = Turn(snapshot=shot or snapshot(), percepts=Percepts(), policies=policies, code="c", platform="p")
    return decide(state or LoopState(), turn)


def acting(at: float = 0.0):
    """A turn with an action."""
    return made(shot=later(snapshot(demand=answer(590.0)), at))


@pytest.fixture
def opened(url: str) -> Iterator[Opened]:
    """Open the store of the test, closed at its end."""
    stores: list[Store] = []

    def open_store(**how) -> Store:
        stores.append(Store.open(how.pop("url", url), **how))
        return stores[-1]

    yield open_store
    for store in stores:
        store.engine.dispose()
        if store.lock is not None:
            store.lock.close()


def shape(engine):
    """Return tables, columns, keys and indexes, to compare."""
    found = inspect(engine)
    return {
        table: (
            sorted((c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns(table)),
            sorted(found.get_pk_constraint(table)["constrained_columns"]),
            sorted(tuple(index["column_names"]) for index in found.get_indexes(table)),
        )
        for table in found.get_table_names()
        if table != "alembic_version"
    }


def rows_of(store: Store) -> dict[str, list[str]]:
    """Return everything that is stored, whatever the database."""
    with store.engine.connect() as connection:
        return {
            table.name: sorted(repr(tuple(row)) for row in connection.execute(table.select()))
            for table in METADATA.sorted_tables
        }


def first_tables(connection) -> list[Table]:
    """Return the tables of the first version as they were, in the types of today."""
    there = inspect(connection)
    kept = [table for table in METADATA.sorted_tables if there.has_table(table.name)]
    names = {table.name: {column["name"] for column in there.get_columns(table.name)} for table in kept}
    anew = MetaData()
    return [Table(t.name, anew, *(Column(c.name, c.type) for c in t.columns if c.name in names[t.name])) for t in kept]


def as_of_first_version(url: str) -> None:
    """Make the store that the first version of the program left, with one row in each table."""
    engine = connect(url)
    with writing(engine) as connection:
        migrate(connection, "0001")
        for table in first_tables(connection):
            values = {"meta": {"key": "ticks", "value": "7"}}.get(table.name) or {
                column.name: b"x" if "BLOB" in str(column.type) else column.type.python_type(1)
                for column in table.columns
            }
            connection.execute(table.insert(), [values])
    engine.dispose()


class refusing_commits:  # noqa: N801  # reads as a sentence where it is used
    """Within it a store's commits fail. after: when they have happened, so that only the answer is lost."""

    def __init__(self, store: Store, *, after: bool = False) -> None:
        self._engine, self._after = store.engine, after

    def __enter__(self) -> None:
        event.listen(self._engine, "commit", self._refuse)

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "commit", self._refuse)

    def _refuse(self, connection) -> None:
        if self._after:
            connection.connection.dbapi_connection.commit()
        connection.execute(text("SELECT * FROM nowhere"))
