"""Anchors: signed statements of where the chain stood, which are kept elsewhere.

Who can write the store can also make a whole new chain. An anchor that left the machine cannot be made again without
the key: a chain that does not have its record, or has none so far, is another one, or was cut at its end. An anchor
is also what stays of records that retention removed: from it on the chain is whole.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias

from aiops.core.model import Instant
from aiops.core.record.audit import Head, canonical, stamp
from aiops.errors import InvalidContent

CONTEXT = "aiops audit anchor v1"
"""Signed with every anchor, so that no signature of another purpose is one of an anchor."""

Verify: TypeAlias = Callable[[str, bytes, bytes], bool]
"""Returns whether a key, by its fingerprint, made a signature of a statement; False for a key that is not known."""


class AnchorKind(StrEnum):
    """Why an anchor was made."""

    DAILY = "daily"
    ASKED = "asked"
    CUT = "cut"


class Signer(Protocol):
    """Holds a key. fingerprint: of its public half, 64 hex digits."""

    @property
    def fingerprint(self) -> str:
        """Return which key this is."""
        ...

    def sign(self, statement: bytes) -> bytes:
        """Return the signature of a statement."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """Where the chain stood. key: the fingerprint of the key that signed, '' for none. signature: base64."""

    seq: int
    digest: str
    at: Instant
    kind: AnchorKind
    key: str = ""
    signature: str = ""

    @property
    def statement(self) -> bytes:
        """Return what is signed."""
        return canonical({"context": CONTEXT, **self._fields()}).encode()

    def _fields(self) -> dict[str, str | int]:
        return {
            "seq": self.seq,
            "digest": self.digest,
            "at": stamp(self.at),
            "at_s": repr(self.at),
            "kind": self.kind.value,
            "key": self.key,
        }

    def line(self) -> str:
        """Return it as one line of JSON, as it is exported."""
        return canonical({**self._fields(), "signature": self.signature})


def anchored(head: Head, at: Instant, kind: AnchorKind, signer: Signer | None) -> Anchor:
    """Return an anchor of the end of a chain; without a key it is not signed."""
    key = "" if signer is None else signer.fingerprint
    bare = Anchor(seq=head.seq, digest=head.digest, at=at, kind=kind, key=key)
    if signer is None:
        return bare
    signature = base64.b64encode(signer.sign(bare.statement)).decode()
    return Anchor(seq=head.seq, digest=head.digest, at=at, kind=kind, key=key, signature=signature)


def anchor_of(line: str, where: str = "anchor") -> Anchor:
    """Return the anchor of an exported line; raise InvalidInput."""
    try:
        said = json.loads(line)
        return Anchor(
            seq=int(said["seq"]),
            digest=str(said["digest"]),
            at=float(said["at_s"]),
            kind=AnchorKind(said["kind"]),
            key=str(said["key"]),
            signature=str(said["signature"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as err:
        raise InvalidContent(f"{where}: this is no anchor: {err!r}") from err


def genuine(anchor: Anchor, verify: Verify) -> bool:
    """Return whether an anchor is signed by a key that is known."""
    try:
        signature = base64.b64decode(anchor.signature, validate=True)
    except (ValueError, binascii.Error):
        return False
    return bool(anchor.key) and verify(anchor.key, anchor.statement, signature)


def unmet(anchor: Anchor, last: Head, start: Head, digests: Mapping[int, str]) -> str:
    """Return in which way a chain is not the one that was anchored, '' when it is or the place was cut.

    start: the end of what retention removed. digests: of the chain's records, by those places that anchors name.
    """
    if anchor.seq > last.seq:
        return f"the chain ends with record {last.seq}, and record {anchor.seq} was anchored: its end is cut"
    if anchor.seq < start.seq:
        return ""
    found = start.digest if anchor.seq == start.seq else digests.get(anchor.seq)
    return "" if found == anchor.digest else f"record {anchor.seq} is not the one that was anchored"


def places(anchors: Iterable[Anchor]) -> frozenset[int]:
    """Return the places that anchors name."""
    return frozenset(one.seq for one in anchors)
