"""Checking the audit chain: that each record follows from the one before, and that the rows are as it says.

Everything is read as of one moment, in one pass; of each kind of fault the first is told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, func, select

from aiops.adapters.store import audit
from aiops.adapters.store.database import translated
from aiops.adapters.store.tables import ACTIONS, DECISIONS
from aiops.core.record.anchors import Anchor, AnchorKind, Verify, genuine, places, unmet
from aiops.core.record.audit import GENESIS, MAX_SAID, MAX_SUBJECT, MAX_WORD, AuditKind, Head, Line, Walk, clean, sum_of

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Row

_CHUNK = 500
_VOUCHED: tuple[tuple[AuditKind, Table], ...] = ((AuditKind.DECISION, DECISIONS), (AuditKind.ACTION, ACTIONS))
"""Records that vouch for a stored row, and where it is."""

_LISTED = {
    "policy": ("subject", MAX_SUBJECT),
    "before": ("before", 0),
    "after": ("after", 0),
    "verdict": ("did", MAX_WORD),
    "story": ("said", MAX_SAID),
}
"""What lists show of a row and its body does not vouch for: columns, with the record's field and its length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong. seq: at which record, None where it is at none."""

    seq: int | None
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was found. start: the anchor of what retention removed, None for nothing. rows: that were vouched for.

    anchors: that were compared; signed: of those, whose signature was checked, too.
    """

    records: int
    start: Anchor | None
    head: Head
    faults: tuple[Fault, ...]
    rows: int
    anchors: int
    signed: int

    @property
    def whole(self) -> bool:
        """Return whether nothing is wrong."""
        return not self.faults


def check(engine: Engine, exported: Sequence[Anchor] = (), verify: Verify | None = None) -> Checked:
    """Check the chain, its anchors and the rows that it vouches for; raise StoreUnavailable and InvalidInput.

    exported: anchors that were kept elsewhere. verify: knows the keys; without it signatures are not looked at.
    """
    with translated("the audit chain cannot be read"), audit.one_moment(engine) as connection:
        start = audit.start_in(connection)
        anchors = [*audit.anchors_in(connection), *exported]
        begin = GENESIS if start is None else Head(seq=start.seq, digest=start.digest)
        walk = Walk(begin, places(anchors))
        rows = _Rows(connection)
        lines = (line for line in audit.lines_in(connection) if walk.take(line))
        while some := list(islice(lines, _CHUNK)):
            rows.take(some)
        faults = [] if walk.fault is None else [Fault(seq=walk.fault[0], said=walk.fault[1])]
        faults += _beginning(start)
        faults += _tail(connection, walk)
        faults += rows.end() if walk.fault is None else rows.faults
    faults += _anchors(anchors, start, (begin, walk), verify)
    return Checked(
        records=walk.records,
        start=start,
        head=walk.head,
        faults=tuple(faults),
        rows=rows.seen,
        anchors=len(anchors),
        signed=sum(1 for one in anchors if one.key) if verify is not None else 0,
    )


def _beginning(start: Anchor | None) -> list[Fault]:
    """Return whether what stands in the place of the records before the first was put there by a cut.

    The signature alone does not say so: every anchor that the store keeps has a genuine one.
    """
    if start is None or start.kind is AnchorKind.CUT:
        return []
    said = f"no cut by retention is there in their place, but a {start.kind.value} anchor"
    return [Fault(seq=start.seq, said=f"records up to {start.seq} are missing: {said}")]


def _tail(connection: Connection, walk: Walk) -> list[Fault]:
    """Return whether the chain ends where the store says that it ends."""
    head = audit.head_in(connection)
    if walk.fault is not None or walk.head == head:
        return []
    if walk.head.seq < head.seq:
        gone = f"records {walk.head.seq + 1} to {head.seq} are missing: the end of the chain is cut"
        return [Fault(seq=walk.head.seq + 1, said=gone)]
    return [Fault(seq=walk.head.seq, said=f"the store knows no record after {head.seq}: its end was changed")]


def _anchors(
    anchors: Sequence[Anchor], start: Anchor | None, walked: tuple[Head, Walk], verify: Verify | None
) -> Iterator[Fault]:
    begin, walk = walked
    first: set[str] = set()
    for one in (*anchors, *(() if start is None else (start,))):
        why = ""
        if verify is not None and (one.key or one is start) and not genuine(one, verify):
            what = "the cut before" if one is start else "the anchor of"
            why = f"{what} record {one.seq + (one is start)} was not signed by a key that is known"
        elif walk.fault is None or one.seq <= walk.head.seq:
            why = unmet(one, walk.head, begin, walk.digests)
        if why and why not in first:
            first.add(why)
            yield Fault(seq=one.seq, said=why)


def _differs(row: Row[Any], listed: Sequence[str], line: Line) -> bool:
    """Return whether a column of a row is not as its record has it."""
    said = json.loads(line.text)
    for name in listed:
        field, most = _LISTED[name]
        value = getattr(row, name)
        if said[field] != (clean(value, most) if isinstance(value, str) else value):
            return True
    return False


class _Rows:
    """Holds decisions and actions against the records that vouch for them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._pruned = audit.pruned_in(connection)
        self._unchained = audit.unchained_in(connection)
        self._found = dict.fromkeys((table.name for _, table in _VOUCHED), 0)
        self.seen = 0
        self.faults: list[Fault] = []

    def take(self, lines: Sequence[Line]) -> None:
        """Take records that follow one another."""
        for kind, table in _VOUCHED:
            self._compare([line for line in lines if line.columns["kind"] == kind.value], table)

    def _compare(self, lines: Sequence[Line], table: Table) -> None:
        refs = [line.columns["ref"] for line in lines]
        if not refs:
            return
        listed = [name for name in _LISTED if name in table.c]
        columns = (table.c[name] for name in ("id", "body", "at", *listed))
        query = select(*columns).where(table.c.id.in_(refs))
        there = {row.id: row for row in self._connection.execute(query)}
        self.seen += len(there)
        self._found[table.name] += sum(1 for row in there.values() if row.at > self._unchained)
        for line in lines:
            ref = line.columns["ref"]
            row = there.get(ref)
            if row is None:
                # what ended before is removed by retention; what began after cannot have been
                if line.columns["at"] >= self._pruned:
                    self._say(line.seq, f"{table.name[:-1]} {ref} is recorded, and is gone from the store")
            elif f'"sum":"{sum_of(row.body)}"' not in line.text or _differs(row, listed, line):
                self._say(line.seq, f"{table.name[:-1]} {ref} was changed after it was recorded")

    def end(self) -> list[Fault]:
        """Return what was found, with rows that no record knows."""
        for _, table in _VOUCHED:
            query = select(func.count()).select_from(table).where(table.c.at > self._unchained)
            more = int(self._connection.execute(query).scalar_one()) - self._found[table.name]
            if more > 0:
                self._say(None, f"{more} {table.name} stand in the store, and no record knows them")
        return self.faults

    def _say(self, seq: int | None, said: str) -> None:
        if not any((one.seq is None) == (seq is None) for one in self.faults):
            self.faults.append(Fault(seq=seq, said=said))
