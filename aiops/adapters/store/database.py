"""Opening the database: connections, schema, the lock of the one writer, and its errors in our words."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from sqlalchemy import Select, create_engine, event, insert, inspect, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import StaticPool

from aiops.adapters.store.tables import FENCE, META, METADATA, REVISION
from aiops.errors import CannotReach, ConfigurationError, FatalError, StoreUnavailable, let_go

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine, Table

    from aiops.adapters.store.rows import Row

BUSY_MS = 5000
VERSION_TABLE = "alembic_version"


def connect(url: str, *, in_use: bool = False) -> Engine:
    """Return an engine for a database URL; raise ConfigurationError when it cannot be one.

    in_use: this is a daemon, while it is at work nothing may be restored (PostgreSQL; a SQLite file has its lock).
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "postgresql":
        # psycopg is loaded for those who have a PostgreSQL
        from aiops.adapters.store.postgres import engine_of

        return engine_of(parsed, in_use=in_use)
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


def _parsed(url: str) -> URL:
    """Return the URL in SQLAlchemy's terms; what is wrong with it is said without its password."""
    known = "sqlite:///var/aiops.db or postgresql://user@host/aiops"
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as err:
        raise ConfigurationError(f"store.url is no database URL such as {known}") from err
    if parsed.get_backend_name() == "postgres":
        parsed = parsed.set(drivername="postgresql")
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise ConfigurationError(f"store.url: {parsed.get_backend_name()} is not kept here; there are {known}")
    if "@" in (parsed.host or ""):
        raise ConfigurationError("store.url: an @ in its password is to be written as %40")
    return parsed


def shown(url: str) -> str:
    """Return the URL as it may be shown: without its password."""
    parsed = _parsed(url)
    if "password" in parsed.query:
        parsed = parsed.update_query_dict({"password": "***"})
    return parsed.render_as_string(hide_password=True)


def file_of(url: str | URL) -> Path | None:
    """Return the file of a SQLite URL, or None for a database in memory or on a server."""
    parsed = _parsed(url) if isinstance(url, str) else url
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    return Path(str(parsed.database))


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Yield a connection in a transaction that sees what it locks: SQLite's is a writer's from its beginning."""
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            # left to itself the driver begins at the first change: what was read before it would be read too early,
            # and tables would be made outside of the transaction
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection


def insert_absent(connection: Connection, table: Table, rows: Sequence[Row]) -> int:
    """Insert the rows whose key is not there yet, whoever else does the same; return how many were new."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    options = {"preserve_rowcount": True}
    return sum(
        connection.execute(
            dialect.insert(table).values(row).on_conflict_do_nothing(), execution_options=options
        ).rowcount
        for row in rows
    )


# -- schema ------------------------------------------------------------------------------------------------


def ensure_schema(engine: Engine) -> str | None:
    """Make or migrate the schema and return the revision that was found, None for an empty database.

    Raises CannotReach, and ConfigurationError when the schema is newer than this program, or this is no database.
    """
    found = found_revision(engine)
    if found == REVISION:
        return found
    try:
        with writing(engine) as connection:
            return bring_up(connection)
    except SQLAlchemyError as err:
        raise ConfigurationError(f"the store's schema cannot be brought to {REVISION}: {reason(err)}") from err


def found_revision(engine: Engine) -> str | None:
    """Return the revision of a store, None for an empty database; raise CannotReach or ConfigurationError."""
    try:
        with engine.connect() as connection:
            return revision(connection)
    except SQLAlchemyError as err:
        raise _not_opened(engine, err) from err


def _not_opened(engine: Engine, err: SQLAlchemyError) -> FatalError:
    if engine.dialect.name == "sqlite":
        return ConfigurationError(f"the store cannot be opened: {reason(err)}")
    return CannotReach(f"the store at {engine.url.render_as_string(hide_password=True)}: {reason(err)}")


def bring_up(connection: Connection) -> str | None:
    """Make or migrate the schema within this transaction, one process at a time; return the revision that was found."""
    if connection.dialect.name == "postgresql":
        from aiops.adapters.store import postgres

        with postgres.patient(connection):
            postgres.lock_schema(connection)
            return _bring_up(connection)
    return _bring_up(connection)


def _bring_up(connection: Connection) -> str | None:
    found = revision(connection)
    if found is not None and found > REVISION:
        raise ConfigurationError(
            f"the store has schema {found}, this program knows {REVISION}: run the newer program, or restore a backup"
        )
    if found is None and not inspect(connection).get_table_names():
        _create(connection)
    elif found != REVISION:
        migrate(connection)
    return found


def _create(connection: Connection) -> None:
    """Make an empty database current at once; a test holds this equal to the migrations."""
    METADATA.create_all(connection)
    connection.execute(insert(META), [{"key": FENCE, "value": "0"}])
    connection.execute(text(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    connection.execute(text(f"INSERT INTO {VERSION_TABLE} VALUES (:revision)"), {"revision": REVISION})  # noqa: S608  # a constant


def migrate(connection: Connection, to: str = REVISION) -> None:
    """Run the migrations up to a revision."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, to)


def revision(connection: Connection) -> str | None:
    """Return the revision of the schema, None where there is none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    row = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).first()  # noqa: S608  # a constant
    return None if row is None else str(row[0])


def _pragmas(connection: object, _: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]  # the DB-API's connection has no static type
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"busy_timeout={BUSY_MS}", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


# -- errors, and the lock of the one writer -----------------------------------------------------------------


def rows_of(connection: Connection, query: Select[Any]) -> list[dict[str, Any]]:
    """Return the rows that a query finds by the names of their columns, at half the price of mappings()."""
    found = connection.execute(query)
    names = tuple(found.keys())
    return [dict(zip(names, row, strict=True)) for row in found.all()]


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the database's errors into StoreUnavailable."""
    try:
        yield
    except SQLAlchemyError as err:
        let_go(err)
        raise StoreUnavailable(f"{what}: {reason(err)}") from err


def reason(err: SQLAlchemyError) -> str:
    """Return the driver's own words on one line, without the statement and its values."""
    words = str(err.orig) if isinstance(err, DBAPIError) else str(err)
    return next(iter(words.strip().splitlines()), type(err).__name__)


def lock_writer(path: Path) -> TextIO:
    """Return the held lock of the one writer; raise ConfigurationError when another process has it."""
    try:
        lock = path.with_name(f"{path.name}.lock").open("a+")
    except OSError as err:
        raise ConfigurationError(f"store.url: {path}.lock cannot be made: {err.strerror}") from err
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
