"""The audit chain: each record is hashed together with the hash of the one before it.

digest(n) = SHA-256(digest(n - 1) + text(n)), the first of 32 zero bytes. The text is canonical JSON: keys sorted, no
white space, UTF-8, no floats but where a value is one, so that anybody can compute it again with any JSON library.
What is changed, taken out, put in or moved is seen at the first record that does not follow from the one before.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeAlias

from aiops.core.model import Instant

Plain: TypeAlias = str | int | float | bool | None
VERSION = 1
"""Of the records' form."""

MAX_WORD, MAX_SUBJECT, MAX_SAID, MAX_DETAIL = 256, 512, 1000, 2000


class AuditKind(StrEnum):
    """What a record is of."""

    DECISION = "decision"
    ACTION = "action"
    RESULT = "result"
    OUTCOME = "outcome"
    PLAN = "plan"
    INCIDENT = "incident"
    PAUSE = "pause"
    RESUME = "resume"
    APPROVAL = "approval"
    ORDER = "order"
    PROMOTION = "promotion"
    POLICY = "policy"
    BUDGET = "budget"
    LOGIN = "login"
    TOKEN = "token"  # noqa: S105  # a kind of record
    ACCESS = "access"
    STORE = "store"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is to be recorded: who did what with which thing, from what to what.

    by: a person's name, or `loop`. subject: a policy's key, a scope, a name. ref: the id of the thing. did: one word.
    said: one sentence. sum: SHA-256 of the stored row that holds the whole of it, in hex; '' for none.
    """

    at: Instant
    kind: AuditKind
    by: str
    subject: str
    did: str
    ref: str = ""
    before: Plain = None
    after: Plain = None
    said: str = ""
    detail: Mapping[str, Plain] = field(default_factory=dict)
    sum: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The end of a chain, or the place from which it is looked at. digest: 64 hex digits."""

    seq: int
    digest: str


GENESIS = Head(seq=0, digest="0" * 64)
"""Before the first record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A record as it is stored: its text, its digest, and what is stored beside the text to look it up by."""

    seq: int
    text: str
    digest: str
    columns: Mapping[str, Any] = field(default_factory=dict)


def clean(text: str, most: int) -> str:
    """Return a text that every database and every JSON reader takes: no NUL, no half of a pair, not too long."""
    whole = text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
    return whole if len(whole) <= most else f"{whole[: most - 1]}…"


def looked_up(entry: Entry) -> dict[str, Any]:
    """Return what is stored beside the text of a record, by column."""
    return {
        "at": entry.at,
        "kind": entry.kind.value,
        "by": clean(entry.by, MAX_WORD),
        "subject": clean(entry.subject, MAX_SUBJECT),
        "ref": clean(entry.ref, MAX_WORD),
    }


def text_of(seq: int, entry: Entry) -> str:
    """Return the canonical text of a record.

    >>> text_of(1, Entry(at=0.0, kind=AuditKind.RESUME, by="ann", subject="*", did="ended"))[:60]
    '{"after":null,"at":"1970-01-01T00:00:00.000000Z","before":nul'
    """
    whole = {
        **looked_up(entry),
        "v": VERSION,
        "seq": seq,
        "at": stamp(entry.at),
        "did": clean(entry.did, MAX_WORD),
        "before": _plain(entry.before),
        "after": _plain(entry.after),
        "said": clean(entry.said, MAX_SAID),
        "detail": {clean(name, MAX_WORD): _plain(value) for name, value in entry.detail.items()},
        "sum": entry.sum,
    }
    return canonical(whole)


def _plain(value: Plain) -> Plain:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return clean(value, MAX_DETAIL) if isinstance(value, str) else value


canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
"""Returns the canonical text of plain values."""


def stamp(at: Instant) -> str:
    """Return an instant as the records have it, to the microsecond.

    >>> stamp(1.5)
    '1970-01-01T00:00:01.500000Z'
    """
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def digest_of(previous: str, text: str) -> str:
    """Return the digest of a record after the one whose digest is `previous`."""
    return hashlib.sha256(bytes.fromhex(previous) + text.encode()).hexdigest()


def sum_of(body: bytes) -> str:
    """Return what vouches for a stored row."""
    return hashlib.sha256(body).hexdigest()


def appended(head: Head, entry: Entry) -> Line:
    """Return the record that follows the end of a chain."""
    text = text_of(head.seq + 1, entry)
    return Line(seq=head.seq + 1, text=text, digest=digest_of(head.digest, text), columns=looked_up(entry))


def head_of(line: Line) -> Head:
    """Return the end of a chain whose last record this is."""
    return Head(seq=line.seq, digest=line.digest)


def wrong(head: Head, line: Line) -> str:
    """Return in which way a record does not follow the one before it, '' when it does."""
    if line.seq != head.seq + 1:
        gone = f"{head.seq + 1} is" if line.seq == head.seq + 2 else f"{head.seq + 1} to {line.seq - 1} are"
        return f"record {gone} missing" if line.seq > head.seq else f"record {line.seq} comes after {head.seq}"
    if digest_of(head.digest, line.text) != line.digest:
        before = f", or record {head.seq} was" if head.seq else ""
        return f"record {line.seq} does not follow from the one before it: it was changed or put in{before}"
    try:
        said = json.loads(line.text)
        same = canonical(said) == line.text and said["seq"] == line.seq
    except (ValueError, KeyError, TypeError, RecursionError):
        return f"record {line.seq} is none that this version can read"
    if not same:
        return f"the text of record {line.seq} is not its own"
    told = {name: stamp(value) if name == "at" else value for name, value in line.columns.items()}
    other = [name for name, value in told.items() if said.get(name) != value]
    return f"record {line.seq} is stored under another {' and '.join(other)} than it has" if other else ""


class Walk:
    """Follows a chain record by record. head: the last that follows. fault: the first that does not, and why.

    digests: of the records at the places that were asked for.
    """

    def __init__(self, start: Head, places: frozenset[int] = frozenset()) -> None:
        self.head = start
        self.records = 0
        self.fault: tuple[int, str] | None = None
        self.digests: dict[int, str] = {}
        self._places = places

    def take(self, line: Line) -> bool:
        """Take the next record; return whether the chain is whole so far."""
        if self.fault is not None:
            return False
        why = wrong(self.head, line)
        if why:
            self.fault = (min(line.seq, self.head.seq + 1), why)
            return False
        self.head, self.records = head_of(line), self.records + 1
        if line.seq in self._places:
            self.digests[line.seq] = line.digest
        return True
