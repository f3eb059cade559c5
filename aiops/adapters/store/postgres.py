"""PostgreSQL: connections that never hang for long, the locks that processes share, and sizes.

Session locks and settings need a connection that stays the same: of PgBouncer only its session mode will do.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from sqlalchemy import Integer, bindparam, create_engine, event, func, select, text

from aiops.adapters.store.shard_tables import LEARNT
from aiops.adapters.store.tables import METADATA
from aiops.errors import StoreUnavailable

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine, Table

T = TypeVar("T")

CONNECT_S = 5
PING_S = 2.0
ANSWER_S = 9.0
PATIENT_S = 3600.0
"""The longest wait for one answer of a migration, a backup, a restore or a clean-up."""

_AGAIN_S = 2.0
"""A server that cannot be reached is not asked again so soon: a tick waits for it once."""

_SERVER_SIDE = (
    "-c statement_timeout=8000 -c lock_timeout=8000"
    # a process that is stopped in a transaction must not keep the fence's row from its successor
    " -c idle_in_transaction_session_timeout=4000"
)
_IN_USE, _SCHEMA, _PRUNING = 0x6169_6F70_7301, 0x6169_6F70_7302, 0x6169_6F70_7303


class BoundedConnection(psycopg.Connection[Any]):
    """A connection on which no answer is waited for longer than a limit, however the server or the network hangs."""

    limit_s = ANSWER_S

    def wait(self, gen: Any, *args: Any, **options: Any) -> Any:
        """Wait for an answer; after the limit the connection is closed and psycopg.OperationalError raised."""
        # SQLAlchemy's ping is what runs in autocommit here
        limit_s = PING_S if self.autocommit else self.limit_s
        return super().wait(self._within(gen, limit_s), *args, **options)

    def _within(self, gen: Generator[Any, Any, T], limit_s: float) -> Generator[Any, Any, T]:
        ends_at = time.monotonic() + limit_s
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > ends_at:
                    gen.close()
                    self.close()
                    raise psycopg.OperationalError(f"the database did not answer within {limit_s:.0f} s")
                wanted = gen.send(ready)
        except StopIteration as end:
            answer: T = end.value
            return answer


class _Door:
    """Opens connections."""

    def __init__(self, *, in_use: bool) -> None:
        self._in_use = in_use
        self._failed: tuple[float, str] = (-_AGAIN_S, "")

    def __call__(self, _dialect: object, _record: object, words: Any, options: Any) -> BoundedConnection:
        failed_at, why = self._failed
        if time.monotonic() - failed_at < _AGAIN_S:
            raise psycopg.OperationalError(why)
        try:
            connection = BoundedConnection.connect(*words, **options)
            if self._in_use:
                _say_in_use(connection)
        except psycopg.Error as err:
            self._failed = (time.monotonic(), str(err))
            raise
        return connection


def _say_in_use(connection: BoundedConnection) -> None:
    row = connection.execute("SELECT pg_try_advisory_lock_shared(%s)", (_IN_USE,)).fetchone()
    connection.commit()
    if row is None or not row[0]:
        connection.close()
        raise psycopg.OperationalError("the store is being restored")


def engine_of(url: URL, *, in_use: bool) -> Engine:
    """Return an engine. in_use: its connections say that a daemon is at work, which keeps a restore out."""
    given = url.query.get("options", "")
    options = " ".join((given,) if isinstance(given, str) else given)
    engine = create_engine(
        url.set(drivername="postgresql+psycopg").difference_update_query(["options"]),
        connect_args={
            "connect_timeout": CONNECT_S,
            "application_name": "aiops",
            "options": f"{_SERVER_SIDE} {options}".strip(),
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
        },
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        pool_timeout=CONNECT_S,
    )
    event.listen(engine, "do_connect", _Door(in_use=in_use))
    return engine


@contextmanager
def patient(connection: Connection) -> Iterator[None]:
    """Let the statements of this transaction take long; elsewhere than on PostgreSQL they may anyway."""
    raw: Any = connection.connection.dbapi_connection
    if not isinstance(raw, BoundedConnection):
        yield
        return
    longer = {"statement_timeout": "0", "lock_timeout": "60s", "idle_in_transaction_session_timeout": "60s"}
    connection.execute(select(*(func.set_config(name, value, True) for name, value in longer.items())))
    before_s, raw.limit_s = raw.limit_s, PATIENT_S
    try:
        yield
    finally:
        raw.limit_s = before_s


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Yield a connection that reads one moment, however long it takes."""
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect().execution_options(**options) as connection, connection.begin(), patient(connection):
        yield connection


# -- locks: each is let go with its transaction ------------------------------------------------------------


def lock_schema(connection: Connection) -> None:
    """Wait until no other process makes or migrates the schema."""
    connection.execute(select(func.pg_advisory_xact_lock(_SCHEMA)))


def alone_in_pruning(connection: Connection) -> bool:
    """Return whether no other process prunes now."""
    return bool(connection.execute(select(func.pg_try_advisory_xact_lock(_PRUNING))).scalar())


def lock_out_daemons(connection: Connection) -> str:
    """Keep daemons out until this transaction ends, or return who is at work and changes nothing."""
    if connection.execute(select(func.pg_try_advisory_xact_lock(_IN_USE))).scalar():
        return ""
    query = text(
        "SELECT DISTINCT coalesce(host(a.client_addr), 'this machine') || ' (backend ' || a.pid || ')'"
        " FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted"
        " AND ((l.classid::bigint << 32) | l.objid::bigint) = :key AND l.database ="
        " (SELECT oid FROM pg_database WHERE datname = current_database())"
    ).bindparams(bindparam("key", _IN_USE))
    return ", ".join(sorted(connection.execute(query).scalars())) or "unknown"


def lock_tables(connection: Connection) -> None:
    """Keep every other writer of our tables out until this transaction ends; reading goes on."""
    names = ", ".join(table.name for table in METADATA.sorted_tables)
    connection.exec_driver_sql(f"LOCK TABLE {names} IN EXCLUSIVE MODE")


def copy_in(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Put rows into a table in the quickest way there is; raise StoreUnavailable."""
    raw: Any = connection.connection.dbapi_connection
    names = ", ".join(f'"{column}"' for column in columns)
    try:
        with raw.cursor() as cursor, cursor.copy(f'COPY "{table}" ({names}) FROM STDIN') as copy:
            for row in rows:
                copy.write_row(row)
    except psycopg.Error as err:
        why = next(iter(str(err).splitlines()), type(err).__name__)
        raise StoreUnavailable(f"rows of {table} cannot be written: {why}") from err


# -- sizes -------------------------------------------------------------------------------------------------


def disk_bytes(connection: Connection) -> int:
    """Return what our tables and their indexes take on the server's disk, room for new rows included."""
    return sum(_size(connection, "pg_total_relation_size", table.name) for table in _bounded())


def live_bytes(connection: Connection) -> int:
    """Return what the rows that are there take: of each table's size on disk, the share that they fill.

    Every row's stored size is summed up, which reads the tables once.
    """
    total = 0
    for table in _bounded():
        stored = sum((func.coalesce(func.pg_column_size(column), 0) for column in table.columns), _ROW_BYTES)
        rows = connection.execute(select(func.coalesce(func.sum(stored, type_=Integer), 0)).select_from(table))
        share = float(rows.scalar_one()) / max(1, _size(connection, "pg_table_size", table.name))
        total += int(_size(connection, "pg_total_relation_size", table.name) * min(1.0, share))
    return total


def _bounded() -> list[Table]:
    """Return the tables that `prune` keeps small; what shards have learnt has a bound of its own."""
    return [table for table in METADATA.sorted_tables if table.name not in LEARNT]


_ROW_BYTES = 28
"""A row's header and the pointer to it."""


def _size(connection: Connection, function: str, table: str) -> int:
    answer = connection.execute(select(getattr(func, function)(func.to_regclass(table)))).scalar()
    return int(answer or 0)
