"""The audit chain in the store: appended to in the transaction of what it tells of, one writer at a time.

The end of the chain stands in `meta`. Whoever appends locks that row until his transaction ends, so that every process
on one store makes the same chain: as the last statement of a transaction, so that nobody waits for what he holds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select, update

from aiops.adapters.store.database import insert_absent, translated, writing
from aiops.adapters.store.tables import ANCHORS, AUDIT, META
from aiops.core.model import Instant
from aiops.core.record.anchors import Anchor, AnchorKind, Signer, anchor_of, anchored
from aiops.core.record.audit import GENESIS, AuditKind, Entry, Head, Line, appended, head_of, stamp

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Row

HEAD, START, UNCHAINED = "audit", "audit_start", "audit_unchained"
"""Keys in `meta`: the end of the chain; the anchor of what retention cut; until when the record has no chain."""

POLICIES = "audit_policies"
"""Key in `meta`: the digests of the policies that were last recorded."""

PRUNED = "pruned"
"""What retention did to decisions and actions, in its record: nothing but the chain is believed about that."""

_FIRST = f"{GENESIS.seq} {GENESIS.digest}"
_CHUNK = 2000
_LOOK, _LOCK = "SELECT value FROM meta WHERE key = ?", "SELECT value FROM meta WHERE key = %s FOR UPDATE"
_INSERT = 'INSERT INTO audit (seq, "at", kind, "by", subject, ref, "text", digest)'
LOOP = "loop"
"""Who did what no person did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """Which records are looked for, newest first. before: only older ones than this place."""

    before: int | None = None
    kind: str | None = None
    by: str | None = None
    subject: str | None = None
    ref: str | None = None
    since: Instant | None = None
    until: Instant | None = None
    limit: int = 50


def chain(connection: Connection, entries: Sequence[Entry]) -> Head:
    """Append records within a transaction that writes, as its last statement; return the new end."""
    head = _held(connection)
    if not entries:
        return head
    rows = []
    for entry in entries:
        line = appended(head, entry)
        head = head_of(line)
        rows.append((line.seq, *line.columns.values(), line.text, line.digest))
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    # every tick pays for this: as the driver takes it, it costs half
    connection.exec_driver_sql(f"{_INSERT} VALUES ({', '.join([mark] * len(rows[0]))})", rows)
    connection.exec_driver_sql(
        f"UPDATE meta SET value = {mark} WHERE key = {mark}",  # noqa: S608  # our own marks
        (f"{head.seq} {head.digest}", HEAD),
    )
    return head


def _held(connection: Connection) -> Head:
    """Return the end of the chain, and keep every other writer from it until this transaction ends."""
    found = _locked_value(connection)
    if found is None:
        insert_absent(connection, META, [{"key": HEAD, "value": _FIRST}])
        found = _locked_value(connection)
    return _head(found)


def _locked_value(connection: Connection) -> str | None:
    # on SQLite the transaction itself keeps every other writer out, see `database.writing`
    lite = connection.dialect.name == "sqlite"
    found = connection.exec_driver_sql(_LOOK if lite else _LOCK, (HEAD,)).scalar()
    return None if found is None else str(found)


def _head(value: str | None) -> Head:
    seq, _, digest = (value or _FIRST).partition(" ")
    return Head(seq=int(seq), digest=digest)


def said_in(connection: Connection, key: str) -> str | None:
    """Return what stands in `meta` under a key."""
    return connection.execute(select(META.c.value).where(META.c.key == key)).scalar()


def say(connection: Connection, key: str, value: str) -> None:
    """Put a value in `meta`."""
    if not insert_absent(connection, META, [{"key": key, "value": value}]):
        connection.execute(update(META).where(META.c.key == key).values(value=value))


def head_in(connection: Connection) -> Head:
    """Return the end of the chain as `meta` has it."""
    return _head(said_in(connection, HEAD))


def start_in(connection: Connection) -> Anchor | None:
    """Return the anchor of what retention removed, None while the chain goes back to its beginning."""
    found = said_in(connection, START)
    return None if found is None else anchor_of(found, "the beginning of the chain")


def unchained_in(connection: Connection) -> Instant:
    """Return until when the record has no chain: what `meta` says, and never later than the first record that is kept.

    `meta` is believed no further, so that nobody hides rows behind a later time.
    """
    said = float(said_in(connection, UNCHAINED) or "-inf")
    first = connection.execute(select(AUDIT.c.at).order_by(AUDIT.c.seq).limit(1)).scalar()
    return said if first is None else min(said, float(first))


def cut(connection: Connection, before: Instant, now: Instant, signer: Signer | None) -> int:
    """Remove the records up to the first that is not older; keep an anchor in their place, and record that.

    Returns how many went. A record that is older than one before it stays: only the beginning is cut.
    """
    kept = select(AUDIT.c.seq).where(AUDIT.c.at >= before).order_by(AUDIT.c.seq).limit(1)
    first = connection.execute(kept).scalar()
    end = head_in(connection).seq if first is None else first - 1
    last = connection.execute(select(AUDIT).where(AUDIT.c.seq == end)).first()
    if last is None:
        return 0
    anchor = anchored(Head(seq=end, digest=last.digest), now, AnchorKind.CUT, signer)
    gone = select(func.min(AUDIT.c.seq), func.max(AUDIT.c.at)).where(AUDIT.c.seq <= end)
    lowest, latest = connection.execute(gone).one()
    removed = int(connection.execute(delete(AUDIT).where(AUDIT.c.seq <= end)).rowcount)
    since = said_in(connection, UNCHAINED)
    say(connection, UNCHAINED, repr(max(float(latest), float(since or latest))))
    say(connection, START, anchor.line())
    _put_anchor(connection, anchor)
    said = f"retention removed records {lowest} to {end}"
    cutting = Entry(at=now, kind=AuditKind.STORE, by=LOOP, subject="audit", did="cut", after=end, said=said)
    chain(connection, [cutting])
    return removed


def note_pruned(connection: Connection, before: Instant, now: Instant) -> None:
    """Record, as the last statement, that retention removed decisions and actions that ended before."""
    said = f"retention removed decisions and actions that ended before {stamp(before)}"
    chain(
        connection,
        [Entry(at=now, kind=AuditKind.STORE, by=LOOP, subject="record", did=PRUNED, after=before, said=said)],
    )


def pruned_in(connection: Connection) -> Instant:
    """Return up to when retention removed decisions and actions, as the chain has it; minus infinity for never."""
    query = select(AUDIT.c.text).where(AUDIT.c.kind == AuditKind.STORE.value)
    records = (json.loads(text) for text in connection.execute(query).scalars())
    return max((float(one["after"]) for one in records if one["did"] == PRUNED), default=-math.inf)


def _put_anchor(connection: Connection, anchor: Anchor) -> None:
    row = {name: getattr(anchor, name) for name in ("seq", "key", "digest", "at", "signature")}
    insert_absent(connection, ANCHORS, [{**row, "kind": anchor.kind.value}])


class Audit:
    """Appends to the chain and reads it. signer: signs anchors, where there is a key."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.signer: Signer | None = None

    def note(self, *entries: Entry) -> None:
        """Record what happened, in a transaction of its own; raise StoreUnavailable."""
        with translated("the audit record cannot be written"), writing(self._engine) as connection:
            chain(connection, entries)

    def note_policies(self, digests: Mapping[str, str], by: str, at: Instant) -> int:
        """Record which policies differ from those that were recorded last; return how many do. digests: by key."""
        with translated("the audit record cannot be written"), self._engine.connect() as connection:
            if json.loads(said_in(connection, POLICIES) or "{}") == dict(digests):
                return 0
        with translated("the audit record cannot be written"), writing(self._engine) as connection:
            _held(connection)
            known = json.loads(said_in(connection, POLICIES) or "{}")
            moved = [key for key in sorted({*known, *digests}) if known.get(key) != digests.get(key)]
            say(connection, POLICIES, json.dumps(dict(digests), sort_keys=True))
            chain(connection, [_moved(key, known.get(key), digests.get(key), (by, at)) for key in moved])
        return len(moved)

    def anchor(self, at: Instant, kind: AnchorKind) -> Anchor:
        """Anchor the end of the chain, signed where there is a key; the same end has one of each key and kind."""
        with translated("the anchor cannot be written"), writing(self._engine) as connection:
            anchor = anchored(_held(connection), at, kind, self.signer)
            _put_anchor(connection, anchor)
        return anchor

    def anchors(self, since: Instant = 0.0) -> tuple[Anchor, ...]:
        """Return the anchors that are kept, oldest first."""
        query = select(ANCHORS).where(ANCHORS.c.at >= since).order_by(ANCHORS.c.at, ANCHORS.c.seq)
        with translated("the anchors cannot be read"), self._engine.connect() as connection:
            return tuple(_anchor(row) for row in connection.execute(query))

    def head(self) -> Head:
        """Return the end of the chain."""
        with translated("the audit record cannot be read"), self._engine.connect() as connection:
            return head_in(connection)

    def start(self) -> Anchor | None:
        """Return the anchor of what retention removed."""
        with translated("the audit record cannot be read"), self._engine.connect() as connection:
            return start_in(connection)

    def sought(self, sought: Sought) -> list[Line]:
        """Return records, newest first."""
        query = select(AUDIT).order_by(AUDIT.c.seq.desc()).limit(sought.limit)
        for name in ("kind", "by", "subject", "ref"):
            wanted = getattr(sought, name)
            if wanted is not None:
                query = query.where(AUDIT.c[name] == wanted)
        if sought.before is not None:
            query = query.where(AUDIT.c.seq < sought.before)
        if sought.since is not None:
            query = query.where(AUDIT.c.at >= sought.since)
        if sought.until is not None:
            query = query.where(AUDIT.c.at <= sought.until)
        with translated("the audit record cannot be read"), self._engine.connect() as connection:
            return [line_of(row) for row in connection.execute(query)]

    def after(self, seq: int, limit: int = _CHUNK) -> list[Line]:
        """Return the records after a place, oldest first."""
        query = select(AUDIT).where(AUDIT.c.seq > seq).order_by(AUDIT.c.seq).limit(limit)
        with translated("the audit record cannot be read"), self._engine.connect() as connection:
            return [line_of(row) for row in connection.execute(query)]

    def digest_before(self, seq: int) -> str:
        """Return the digest from which a record follows: of the one before it, or of what was cut."""
        query = select(AUDIT.c.digest).where(AUDIT.c.seq == seq - 1)
        with translated("the audit record cannot be read"), self._engine.connect() as connection:
            found = connection.execute(query).scalar()
            start = start_in(connection)
        if found is not None:
            return str(found)
        return start.digest if start is not None and start.seq == seq - 1 else GENESIS.digest

    def lines(self, since: Instant = 0.0) -> Iterator[Line]:
        """Yield the records of one moment from the first that is not older, oldest first."""
        with translated("the audit record cannot be read"), one_moment(self._engine) as connection:
            kept = select(AUDIT.c.seq).where(AUDIT.c.at >= since).order_by(AUDIT.c.seq).limit(1)
            first = connection.execute(kept).scalar()
            if first is not None:
                yield from lines_in(connection, int(first))


def _moved(key: str, before: str | None, after: str | None, said: tuple[str, Instant]) -> Entry:
    by, at = said
    did = "added" if before is None else "removed" if after is None else "changed"
    return Entry(at=at, kind=AuditKind.POLICY, by=by, subject=key, did=did, before=before, after=after)


@contextmanager
def one_moment(engine: Engine) -> Iterator[Connection]:
    """Yield a connection on which everything is read as of one moment."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            # left to itself the driver reads each statement at a moment of its own
            connection.exec_driver_sql("BEGIN")
            yield connection
        return
    from aiops.adapters.store import postgres

    with postgres.snapshot(engine) as connection:
        yield connection


def lines_in(connection: Connection, first: int = 0) -> Iterator[Line]:
    """Yield the records from a place on."""
    query = select(AUDIT).where(AUDIT.c.seq >= first).order_by(AUDIT.c.seq)
    for row in connection.execute(query, execution_options={"yield_per": _CHUNK}):
        yield line_of(row)


def line_of(row: Row[Any]) -> Line:
    """Return a stored record."""
    columns = {name: getattr(row, name) for name in ("at", "kind", "by", "subject", "ref")}
    return Line(seq=row.seq, text=row.text, digest=row.digest, columns=columns)


def _anchor(row: Row[Any]) -> Anchor:
    return Anchor(
        seq=row.seq, digest=row.digest, at=row.at, kind=AnchorKind(row.kind), key=row.key, signature=row.signature
    )


def anchors_in(connection: Connection) -> list[Anchor]:
    """Return the anchors that are kept."""
    return [_anchor(row) for row in connection.execute(select(ANCHORS).order_by(ANCHORS.c.seq))]
