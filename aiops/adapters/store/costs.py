"""What was spent and saved, as rows; written by whoever's epoch is in force."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import delete, func, insert, literal, or_, select

from aiops.adapters.store import fence
from aiops.adapters.store.carried import put
from aiops.adapters.store.cost_tables import COSTS, SAVINGS, SUBJECTS, SUMS
from aiops.adapters.store.database import insert_absent, translated, writing
from aiops.adapters.store.rows import Row as Stored
from aiops.adapters.store.tables import META
from aiops.core.ids import digest
from aiops.core.model import Instant
from aiops.core.money.books import Kept
from aiops.core.money.chains import Link
from aiops.core.money.history import Past
from aiops.core.money.ledger import Entry, Promise, SavingKind
from aiops.core.money.spend import DAY_S, HOUR_MS, HOUR_S, Row, Subject, per_hour

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Engine, Select

HOURS_KEPT_S = 40 * DAY_S
"""So long what was spent is known by the hour; then by the day, UTC."""

DAYS_KEPT_S = 800 * DAY_S
_BUDGETS = "budgets"

_MONEY = {"nano": "money", **{name: name for name in ("saved", "saved_low", "saved_high", "realised")}}
_DAY = COSTS.c.at - COSTS.c.at % DAY_S
PAST_COLUMNS = ("nano", "replica_ms", "unpriced_ms", "seen_ms")
"""What budgets look back at."""

_PLAIN = tuple(name for name in SUMS if name not in _MONEY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """The sums of one subject over one span; amounts are products, as in `spend.Row`."""

    subject: Subject
    at: int
    span_s: int
    row: Row


class Costs:
    """Reads and writes of money."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: set[str] = set()

    # -- writing -----------------------------------------------------------------------------------------

    def write(self, rows: Iterable[tuple[Subject, int, Row]], entries: Iterable[Entry], epoch: int | None) -> None:
        """Put hours and entries in the place of what is stored of them; raise Fenced under another epoch than that."""
        hours = [(subject_id(subject), subject, hour, row) for subject, hour, row in rows]
        saved = [_entry_row(one) for one in entries]
        if not hours and not saved:
            return
        new = {key: subject for key, subject, _, _ in hours if key not in self._known}
        made = [_subject_row(key, subject) for key, subject in new.items()]
        with translated("what was spent cannot be written"), writing(self._engine) as connection:
            if epoch is not None:
                fence.check(connection, epoch)
            insert_absent(connection, SUBJECTS, made)
            put(connection, COSTS, ("at", "span_s", "subject"), [_hour_row(key, at, row) for key, _, at, row in hours])
            put(connection, SAVINGS, ("id",), saved)
        self._known |= set(new)

    def prune(self, now: Instant) -> int:
        """Sum up days that are long past, and remove what is older than any report; return rows removed.

        Nothing is done while another process does the same.
        """
        with translated("what was spent cannot be summed up"), writing(self._engine) as connection:
            if not _alone(connection):
                return 0
            gone = _delete(connection, COSTS.c.at < now - DAYS_KEPT_S)
            gone += connection.execute(delete(SAVINGS).where(SAVINGS.c.until < now - DAYS_KEPT_S)).rowcount
            return gone + _summed_up(connection, int(now - HOURS_KEPT_S) // DAY_S * DAY_S)

    def write_budgets(self, budgets: list[dict[str, Any]], epoch: int | None) -> None:
        """Keep how budgets stand, for whoever asks without a daemon; raise Fenced under another epoch than that."""
        row = {"key": _BUDGETS, "value": json.dumps(budgets, sort_keys=True, separators=(",", ":"))}
        with translated("how budgets stand cannot be written"), writing(self._engine) as connection:
            if epoch is not None:
                fence.check(connection, epoch)
            put(connection, META, ("key",), [row])

    # -- reading -----------------------------------------------------------------------------------------

    def budgets(self) -> list[dict[str, Any]]:
        """Return how budgets stood when that was last written."""
        query = select(META.c.value).where(META.c.key == _BUDGETS)
        with translated("how budgets stand cannot be read"), self._engine.connect() as connection:
            found = connection.execute(query).scalar()
        budgets: list[dict[str, Any]] = [] if found is None else json.loads(found)
        return budgets

    def kept(self, now: Instant) -> Kept:
        """Return what the books go on from: the hours that are not over, and the entries that stand."""
        query = select(SAVINGS).where(SAVINGS.c.closed_at.is_(None))
        with translated("the ledger cannot be read"), self._engine.connect() as connection:
            entries = [_entry(row) for row in connection.execute(query)]
        begun = now - HOUR_S
        rows = [(one.subject, one.at, one.row) for one in self.hours(begun, now + HOUR_S) if one.at > begun]
        return Kept(rows=rows, entries=entries)

    def past(self, now: Instant) -> Past:
        """Return what every subject spent in each hour of the last weeks, as columns."""
        columns = (COSTS.c.subject, COSTS.c.at, *(COSTS.c[name] for name in PAST_COLUMNS))
        query = select(*columns).where(COSTS.c.at >= now - HOURS_KEPT_S, COSTS.c.span_s == HOUR_S)
        with translated("what was spent cannot be read"), self._engine.connect() as connection:
            subjects = {row.id: _subject(row) for row in connection.execute(select(SUBJECTS))}
            rows = connection.execute(query.order_by(COSTS.c.at)).all()
        place = {key: number for number, key in enumerate(subjects)}
        numbers = np.array([(place[row[0]], *row[1:]) for row in rows], np.int64).reshape(-1, 2 + len(PAST_COLUMNS))
        sums = {name: numbers[:, 2 + number] for number, name in enumerate(PAST_COLUMNS)}
        return Past(subjects=tuple(subjects.values()), places=numbers[:, 0], hours=numbers[:, 1] // HOUR_S, sums=sums)

    def hours(self, since: Instant, until: Instant, subject: Subject | None = None) -> list[Spent]:
        """Return the rows of one subject, or of all, that begin in a time, oldest first."""
        query = select(COSTS).where(COSTS.c.at >= since, COSTS.c.at < until).order_by(COSTS.c.at, COSTS.c.subject)
        return self._spent(query if subject is None else query.where(COSTS.c.subject == subject_id(subject)))

    def spent(self, since: Instant, until: Instant) -> list[Spent]:
        """Return the sums of every subject for each day (UTC) of a time, oldest first."""
        within = (COSTS.c.at >= since, COSTS.c.at < until)
        query = select(*_day_sums(func.sum(COSTS.c.span_s))).where(*within).group_by(_DAY, COSTS.c.subject)
        return self._spent(query.order_by(_DAY, COSTS.c.subject))

    def _spent(self, query: Select[Any]) -> list[Spent]:
        with translated("what was spent cannot be read"), self._engine.connect() as connection:
            subjects = {row.id: _subject(row) for row in connection.execute(select(SUBJECTS))}
            return [
                Spent(subject=subjects[row["subject"]], at=int(row["at"]), span_s=int(row["span_s"]), row=_row(row))
                for row in connection.execute(query).mappings()
            ]

    def entries(self, since: Instant, until: Instant, limit: int = 1000) -> list[Entry]:
        """Return the entries of the ledger that stood in a time, newest first."""
        stood = or_(SAVINGS.c.closed_at.is_(None), SAVINGS.c.until >= since)
        query = select(SAVINGS).where(stood, SAVINGS.c.opened_at < until)
        query = query.order_by(SAVINGS.c.opened_at.desc(), SAVINGS.c.id).limit(limit)
        with translated("the ledger cannot be read"), self._engine.connect() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def noted_at(self) -> Instant | None:
        """Return the end of the newest hour or day that anything is stored of, None of nothing."""
        with translated("what was spent cannot be read"), self._engine.connect() as connection:
            newest = connection.execute(select(func.max(COSTS.c.at + COSTS.c.span_s))).scalar()
        return None if newest is None else float(newest)


# -- rows ------------------------------------------------------------------------------------------------


def subject_id(subject: Subject) -> str:
    """Return the hash under which a subject is stored."""
    return digest("\x1f".join((subject.target, subject.policy, subject.namespace, _labels(subject))))


def _labels(subject: Subject) -> str:
    return json.dumps(dict(subject.labels), sort_keys=True, separators=(",", ":"))


def _subject_row(key: str, subject: Subject) -> Stored:
    return {
        "id": key,
        "target": subject.target,
        "policy": subject.policy,
        "namespace": subject.namespace,
        "labels": _labels(subject),
    }


def _subject(row: Any) -> Subject:
    labels = tuple(sorted(json.loads(row.labels).items()))
    return Subject(target=row.target, policy=getattr(row, "policy", ""), namespace=row.namespace, labels=labels)


def _hour_row(key: str, at: int, row: Row) -> Stored:
    made: Stored = {name: getattr(row, name) for name in _PLAIN}
    made |= {name: per_hour(getattr(row, attribute)) for name, attribute in _MONEY.items()}
    return {**made, "subject": key, "at": at, "span_s": HOUR_S, "peak": row.peak, "late": row.late}


def _row(row: Any) -> Row:
    made = {name: int(row[name]) for name in _PLAIN}
    made |= {attribute: int(row[name]) * HOUR_MS for name, attribute in _MONEY.items()}
    return Row(**made, peak=int(row["peak"]), late=float(row["late"]))


def _entry_row(one: Entry) -> Stored:
    promise = one.promise
    return {
        "id": one.id,
        "kind": one.kind.value,
        "policy": one.policy,
        "target": one.subject.target,
        "namespace": one.subject.namespace,
        "labels": _labels(one.subject),
        "opened_at": one.opened_at,
        "until": one.until if math.isfinite(one.until) else one.opened_at,
        "closed_at": one.closed_at,
        "dry_run": one.dry_run,
        "promised": None if promise is None else promise.middle,
        "promised_low": None if promise is None else promise.low,
        "promised_high": None if promise is None else promise.high,
        **{name: getattr(one, name) for name in ("seen_ms", "replica_ms", "unpriced_ms", "slo_ms")},
        **{name: per_hour(getattr(one, name)) for name in ("saved", "saved_low", "saved_high", "realised")},
        "late": one.late,
        "note": one.note,
        "links": json.dumps([[link.place, link.resource, link.before, link.after] for link in one.links]),
    }


def _entry(row: Any) -> Entry:
    promise = None
    if row.promised is not None:
        promise = Promise(middle=row.promised, low=row.promised_low, high=row.promised_high)
    return Entry(
        id=row.id,
        kind=SavingKind(row.kind),
        policy=row.policy,
        subject=_subject(row),
        opened_at=row.opened_at,
        until=row.until,
        closed_at=row.closed_at,
        dry_run=row.dry_run,
        promise=promise,
        seen_ms=row.seen_ms,
        replica_ms=row.replica_ms,
        unpriced_ms=row.unpriced_ms,
        slo_ms=row.slo_ms,
        saved=row.saved * HOUR_MS,
        saved_low=row.saved_low * HOUR_MS,
        saved_high=row.saved_high * HOUR_MS,
        realised=row.realised * HOUR_MS,
        late=row.late,
        note=row.note,
        links=tuple(
            Link(place=place, resource=resource, before=before, after=after)
            for place, resource, before, after in json.loads(row.links)
        ),
    )


# -- summing up --------------------------------------------------------------------------------------------


def _summed_up(connection: Connection, before: int) -> int:
    """Put one row for each subject and day in the place of its hours, for days that end before; return rows removed."""
    old = (COSTS.c.at < before, COSTS.c.span_s == HOUR_S)
    columns = ("at", "span_s", "subject", *SUMS, "peak", "late")
    query = select(*_day_sums(literal(DAY_S))).where(*old).group_by(_DAY, COSTS.c.subject)
    connection.execute(insert(COSTS).from_select(columns, query))
    return int(connection.execute(delete(COSTS).where(*old)).rowcount)


def _day_sums(span: ColumnElement[Any]) -> tuple[ColumnElement[Any], ...]:
    """Return the columns of a day of a subject: grouped by `at` and subject. span: what stands for how long it is."""
    day = _DAY.label("at")
    sums = (func.sum(COSTS.c[name]).label(name) for name in SUMS)
    peak, late = func.max(COSTS.c.peak).label("peak"), func.sum(COSTS.c.late).label("late")
    return (day, span.label("span_s"), COSTS.c.subject, *sums, peak, late)


def _alone(connection: Connection) -> bool:
    """Return whether no other process sums up, or removes what is old; on SQLite a transaction is alone."""
    if connection.dialect.name != "postgresql":
        return True
    from aiops.adapters.store import postgres

    return postgres.alone_in_pruning(connection)


def _delete(connection: Connection, where: Any) -> int:
    return int(connection.execute(delete(COSTS).where(where)).rowcount)
