"""Opening the database: connections, schema, the lock of the one writer, and its errors in our words."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from sqlalchemy import create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from aiops.adapters.store.tables import METADATA, REVISION
from aiops.errors import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

BUSY_MS = 5000
VERSION_TABLE = "alembic_version"


def connect(url: str) -> Engine:
    """Return an engine for a database URL; raise ConfigurationError when it cannot be one."""
    try:
        parsed = make_url(url)
    except ArgumentError as err:
        raise ConfigurationError(f"store.url: {url!r} is no database URL such as sqlite:///var/aiops.db") from err
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True)
    path = file_of(url)
    if path is None:
        engine = create_engine(parsed, poolclass=StaticPool, connect_args={"check_same_thread": False})
    else:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as err:
            raise ConfigurationError(f"store.url: {path.parent} cannot be made: {err.strerror}") from err
        engine = create_engine(parsed, connect_args={"timeout": BUSY_MS / 1000})
    event.listen(engine, "connect", _pragmas)
    return engine


def file_of(url: str) -> Path | None:
    """Return the file of a SQLite URL, or None for a database in memory or on a server."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    return Path(str(parsed.database))


def ensure_schema(engine: Engine) -> None:
    """Make or migrate the schema; raise ConfigurationError when it is newer than this program, or no database."""
    try:
        with engine.connect() as connection:
            found = _revision(connection)
    except SQLAlchemyError as err:
        raise ConfigurationError(f"the store cannot be opened: {reason(err)}") from err
    if found == REVISION:
        return
    if found is not None and found > REVISION:
        raise ConfigurationError(
            f"the store has schema {found}, this program knows {REVISION}: run the newer program, or restore a backup"
        )
    try:
        with engine.begin() as connection:
            if found is None and not inspect(connection).get_table_names():
                _create(connection)
            else:
                _migrate(connection)
    except SQLAlchemyError as err:
        raise ConfigurationError(f"the store's schema cannot be brought to {REVISION}: {reason(err)}") from err


def _create(connection: Connection) -> None:
    """Make an empty database current at once; a test holds this equal to the migrations."""
    METADATA.create_all(connection)
    connection.execute(text(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(text(f"INSERT INTO {VERSION_TABLE} VALUES (:revision)"), {"revision": REVISION})  # noqa: S608  # a constant


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    row = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).first()  # noqa: S608  # a constant
    return None if row is None else str(row[0])


def _pragmas(connection: object, _: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]  # the DB-API's connection has no static type
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"busy_timeout={BUSY_MS}", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the database's errors into StoreUnavailable."""
    try:
        yield
    except SQLAlchemyError as err:
        raise StoreUnavailable(f"{what}: {reason(err)}") from err


def reason(err: SQLAlchemyError) -> str:
    """Return the driver's own words, without the statement and its values."""
    return str(err.orig) if isinstance(err, DBAPIError) else str(err).splitlines()[0]


def lock_writer(path: Path) -> TextIO:
    """Return the held lock of the one writer; raise ConfigurationError when another process has it."""
    lock = path.with_name(f"{path.name}.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as err:
        lock.seek(0)
        holder = lock.read().strip() or "unknown"
        lock.close()
        raise ConfigurationError(f"another daemon (process {holder}) writes {path}: one store, one writer") from err
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock
