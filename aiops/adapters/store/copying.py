"""Backup and restore. A backup is one SQLite file, whichever database it is of: so it is also the way between the two.

Nobody needs to stop for a backup. A restore needs the store for itself, and happens whole or not at all.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, MetaData, create_engine, delete, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from aiops.adapters.store import audit, fence
from aiops.adapters.store.database import (
    VERSION_TABLE,
    bring_up,
    file_of,
    found_revision,
    insert_absent,
    lock_writer,
    migrate,
    reason,
    revision,
    translated,
    writing,
)
from aiops.adapters.store.shard_tables import LEARNT
from aiops.adapters.store.tables import CLAIMS, FENCE, META, METADATA, REVISION
from aiops.core.model import Instant
from aiops.core.record.audit import AuditKind, Entry, Head
from aiops.errors import ConfigurationError, Conflict, InvalidContent, InvalidInput, StoreUnavailable

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Table

CHUNK = 5000
_KEPT_APART = frozenset({META.name, CLAIMS.name}) | LEARNT
"""Tables that are not in a restore's way: what they say is put together, or what shards learn again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What was copied. revision: of the backup's schema. epoch: at which the fence stands. rows: by table."""

    size_bytes: int
    revision: str
    epoch: int
    rows: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Who restores, and when: what the audit chain is told."""

    by: str
    at: Instant


# -- backup ------------------------------------------------------------------------------------------------


def backup(engine: Engine, target: Path) -> Copied:
    """Copy one moment of the store into a file that is not there yet, and check the copy.

    Raises InvalidInput and StoreUnavailable; then there is no file.
    """
    if target.exists():
        raise _there(target)
    temporary = _beside(target)
    try:
        with translated(f"the backup to {target} failed"):
            if engine.dialect.name == "sqlite":
                _copy_pages(engine, temporary)
            else:
                _copy_rows(engine, temporary)
        with _opened(temporary, target) as connection:
            copied = _told(connection, temporary)
        _into_place(temporary, target)
    except (sqlite3.Error, OSError) as err:
        raise StoreUnavailable(f"the backup to {target} failed: {err}") from err
    finally:
        temporary.unlink(missing_ok=True)
    return copied


def _there(target: Path) -> InvalidInput:
    return Conflict(f"{target} is there already: a backup overwrites nothing")


def _beside(target: Path) -> Path:
    """Return an empty file beside the target that nobody else may read."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    except OSError as err:
        raise InvalidInput(f"{target.parent} cannot be written: {err.strerror}") from err
    os.close(handle)
    return Path(name)


def _copy_pages(engine: Engine, target: Path) -> None:
    """Copy a SQLite database as it lies there, of whatever revision it is."""
    original = engine.raw_connection()
    try:
        with closing(sqlite3.connect(target)) as copy:
            original.driver_connection.backup(copy)  # type: ignore[union-attr]  # the DB-API has no such type
            copy.execute("PRAGMA journal_mode=DELETE")  # or it would be three files as soon as it is looked at
    finally:
        original.close()


def _copy_rows(engine: Engine, target: Path) -> None:
    """Copy a database on a server row by row, into the schema that it has."""
    from aiops.adapters.store import postgres

    into = _engine(target)
    with postgres.snapshot(engine) as source, writing(into) as copy:
        found = revision(source)
        if found is None or found > REVISION:
            raise ConfigurationError(f"the store has schema {found or 'none'}, this program knows {REVISION}")
        migrate(copy, found)
        tables = MetaData()
        tables.reflect(copy)
        for table in tables.sorted_tables:
            if table.name != VERSION_TABLE and table.name not in LEARNT:
                copy.execute(delete(table))
                _pour(source, copy, table)


def _into_place(temporary: Path, target: Path) -> None:
    """Give the file its name unless something has it."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise _there(target) from None
    except OSError:
        # no hard links here
        if target.exists():
            raise _there(target) from None
        temporary.rename(target)


# -- restore -----------------------------------------------------------------------------------------------


def restore(engine: Engine, source: Path, *, replace: bool = False, said: Said | None = None) -> Copied:
    """Bring a backup into the store of an engine, of whichever kind, in one transaction.

    replace: in place of what is there. The fence never goes down, so that a leader of before stays fenced. Raises
    InvalidInput when the store is not empty or in use, or the backup is none, not whole, or of a newer program.
    """
    path = file_of(engine.url)
    if path is not None and path.exists() and source.exists() and path.samefile(source):
        raise Conflict(f"{source} is the store itself")
    with _opened(source, source) as found, _of_today(source, found) as (given, file), _alone(path):
        found_revision(engine)
        try:
            with writing(engine) as connection, _to_itself(connection):
                bring_up(connection)
                before = audit.head_in(connection)
                _make_room(connection, replace=replace)
                _fill(given, connection)
                if said is not None:
                    audit.chain(connection, [_restored(said, before, audit.head_in(connection))])
                copied = _told(connection, file)
        except SQLAlchemyError as err:
            raise StoreUnavailable(f"the restore failed, the store is as it was: {reason(err)}") from err
    return copied


def _restored(said: Said, before: Head, after: Head) -> Entry:
    """Return what the chain that was put in the place of another says of that."""
    what = "put in the place of a chain that is not a part of it" if before.seq else "brought into an empty store"
    return Entry(
        at=said.at,
        kind=AuditKind.STORE,
        by=said.by,
        subject="store",
        did="restored",
        before=f"{before.seq} {before.digest}",
        after=f"{after.seq} {after.digest}",
        said=f"a backup was {what}",
    )


@contextmanager
def _opened(path: Path, said: Path) -> Iterator[Connection]:
    """Yield a backup for reading; raise InvalidInput when it is none, StoreUnavailable when it is not whole.

    said: the name under which the user knows it.
    """
    if not path.is_file():
        raise InvalidContent(f"there is no backup {said}")
    try:
        with _engine(path, read_only=True).connect() as connection:
            answer = connection.exec_driver_sql("PRAGMA integrity_check").scalar()
            if answer != "ok":
                raise StoreUnavailable(f"{said} is not whole: {answer}")
            if revision(connection) is None:
                raise InvalidContent(f"{said} is no backup of a store")
            yield connection
    except SQLAlchemyError as err:
        raise InvalidContent(f"{said} is no backup of a store: {reason(err)}") from err


@contextmanager
def _of_today(source: Path, found: Connection) -> Iterator[tuple[Connection, Path]]:
    """Yield the backup with today's schema: an older one is migrated in a copy. Raise InvalidInput for a newer one."""
    has = str(revision(found))
    if has > REVISION:
        raise InvalidContent(f"{source} has schema {has}, this program knows {REVISION}: restore it with the newer one")
    if has == REVISION:
        yield found, source
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "backup.db"
        with closing(sqlite3.connect(copy)) as into:
            found.connection.driver_connection.backup(into)  # type: ignore[union-attr]  # the DB-API has no such type
        with writing(_engine(copy)) as connection:
            migrate(connection)
        with _engine(copy, read_only=True).connect() as connection:
            yield connection, source


@contextmanager
def _alone(path: Path | None) -> Iterator[None]:
    """Keep daemons away from a SQLite file, and take it away again when nothing came of a new one."""
    if path is None:
        yield
        return
    new = not path.exists()
    try:
        lock = lock_writer(path)
    except ConfigurationError as err:
        raise Conflict(f"nothing is restored while it is in use: {err}") from err
    try:
        yield
    except BaseException:
        for suffix in ("", "-wal", "-shm") if new else ():
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        raise
    finally:
        lock.close()


@contextmanager
def _to_itself(connection: Connection) -> Iterator[None]:
    """Have the store of a server for this transaction alone, however long it takes."""
    if connection.dialect.name == "sqlite":
        yield
        return
    from aiops.adapters.store import postgres

    with postgres.patient(connection):
        who = postgres.lock_out_daemons(connection)
        if who:
            raise Conflict(f"nothing is restored while the store is in use: a daemon at {who} has it")
        yield


def _make_room(connection: Connection, *, replace: bool) -> None:
    if connection.dialect.name == "postgresql":
        from aiops.adapters.store import postgres

        postgres.lock_tables(connection)
    tables = [table for table in METADATA.sorted_tables if table.name not in _KEPT_APART]
    there = {table.name: _count(connection, table) for table in tables}
    if any(there.values()) and not replace:
        named = ", ".join(f"{count} {name}" for name, count in there.items() if count)
        raise Conflict(f"the store is not empty: there are {named}; --replace puts the backup in their place")
    for table in tables:
        connection.execute(delete(table))


def _fill(given: Connection, connection: Connection) -> None:
    epoch = max(fence.standing(connection, hold=True), fence.standing(given))
    connection.execute(delete(META).where(META.c.key != FENCE))
    for table in METADATA.sorted_tables:
        if table.name not in _KEPT_APART:
            _pour(given, connection, table)
    for row in given.execute(select(CLAIMS)).mappings():
        # of two claims of one epoch the store's own stands: its holder may be alive
        insert_absent(connection, CLAIMS, [dict(row)])
    rest = [dict(row) for row in given.execute(select(META).where(META.c.key != FENCE)).mappings()]
    insert_absent(connection, META, rest)
    fence.put_up(connection, epoch)


# -- both --------------------------------------------------------------------------------------------------


def _engine(path: Path, *, read_only: bool = False) -> Engine:
    if not read_only:
        return create_engine(URL.create("sqlite", database=str(path)), poolclass=NullPool)
    address = f"{path.absolute().as_uri()}?mode=ro"
    return create_engine("sqlite://", poolclass=NullPool, creator=lambda: sqlite3.connect(address, uri=True))


def _pour(source: Connection, into: Connection, table: Table) -> None:
    """Copy the rows of a table in chunks; raise StoreUnavailable when not all of them have arrived."""
    rows = source.execute(select(table), execution_options={"yield_per": CHUNK})
    names = [column.name for column in table.columns]
    sent = 0
    for chunk in rows.partitions(CHUNK):
        if into.dialect.name == "postgresql":
            from aiops.adapters.store import postgres

            postgres.copy_in(into, table.name, names, chunk)
        else:
            columns, marks = ", ".join(f'"{name}"' for name in names), ", ".join("?" * len(names))
            statement = f'INSERT INTO "{table.name}" ({columns}) VALUES ({marks})'  # noqa: S608  # our own names
            into.exec_driver_sql(statement, [tuple(row) for row in chunk])
        sent += len(chunk)
    if (there := _count(into, table)) != sent:
        raise StoreUnavailable(f"of {sent} {table.name} {there} have arrived")


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _told(connection: Connection, file: Path) -> Copied:
    """Return what is there now."""
    tables = MetaData()
    tables.reflect(connection, only=lambda name, _: name in METADATA.tables)
    return Copied(
        size_bytes=file.stat().st_size,
        revision=str(revision(connection)),
        epoch=fence.standing(connection),
        rows={table.name: _count(connection, table) for table in tables.sorted_tables},
    )
