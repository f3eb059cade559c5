"""The audit chain for people and programs: listed, checked, exported, anchored."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiops.core.record.anchors import Anchor, AnchorKind, Verify, anchor_of, genuine, places, unmet
from aiops.core.record.audit import AuditKind, Entry, Head, Line, Walk, canonical, stamp
from aiops.errors import InvalidContent

if TYPE_CHECKING:
    from aiops.adapters.store import Checked, Store
    from aiops.app.audit_settings import AuditSettings

_LOG = logging.getLogger("aiops.audit")
MOST = 1000
"""Records that are listed at once."""


# -- listing -----------------------------------------------------------------------------------------------


def listed(store: Store, asked: dict[str, Any]) -> dict[str, Any]:
    """Return records, newest first, and where to go on. Fields: before, limit, kind, by, subject, ref, since, until."""
    from aiops.adapters.store import Sought

    limit = max(1, min(int(asked.get("limit") or 50), MOST))
    names = ("before", "kind", "by", "subject", "ref", "since", "until")
    wanted = {name: asked[name] for name in names if asked.get(name) not in (None, "")}
    lines = store.audit.sought(Sought(**wanted, limit=limit))
    start, head = store.audit.start(), store.audit.head()
    return {
        "records": [plain(line) for line in lines],
        "next": lines[-1].seq if len(lines) == limit else None,
        "whole_from": 1 if start is None else start.seq + 1,
        "head": {"seq": head.seq, "digest": head.digest},
    }


def plain(line: Line) -> dict[str, Any]:
    """Return a record as plain values. at: in seconds, as everywhere; said: what the record's text says."""
    said: dict[str, Any] = json.loads(line.text)
    return {
        **{name: said.get(name) for name in ("seq", "kind", "by", "subject", "ref", "did", "before", "after", "said")},
        "at": line.columns["at"],
        "detail": said.get("detail", {}),
        "digest": line.digest,
    }


def model_ordered(wish: dict[str, Any], made: dict[str, Any], at: float) -> Entry:
    """Return the record of a person's word to the models of a policy. made: how they stand since."""
    return Entry(
        at=at,
        kind=AuditKind.ORDER,
        by=str(wish.get("by") or ""),
        subject=str(made["policy"]),
        did=str(made["done"]),
        after=made.get("version"),
        said=str(wish.get("reason") or ""),
        detail={"of": "model", "model": str(made.get("model") or "")},
    )


# -- checking ----------------------------------------------------------------------------------------------


def known_keys(settings: AuditSettings, more: Sequence[Path] = ()) -> Verify | None:
    """Return who knows the keys of the settings and of more files, None without any; raise InvalidInput."""
    own = () if settings.key_file is None else (settings.key_file,)
    return public_keys((*own, *settings.public_keys, *more))


def public_keys(paths: Sequence[Path]) -> Verify | None:
    """Return who knows the keys of files, None without any; raise InvalidInput."""
    from aiops.adapters.signatures import KnownKeys

    return KnownKeys.load(paths).verify if paths else None


def exported_anchors(files: Iterable[Path]) -> list[Anchor]:
    """Return the anchors of files, one on each line; raise InvalidInput."""
    found = []
    for file in files:
        lines = _text(file).splitlines()
        found += [anchor_of(line, f"{file}:{number}") for number, line in enumerate(lines, 1) if line.strip()]
    return found


def checked(store: Store, anchors: Sequence[Anchor], verify: Verify | None) -> dict[str, Any]:
    """Return whether the chain of a store is whole, and the first faults that it has."""
    from aiops.adapters.store.audit_check import check

    found = check(store.engine, anchors, verify)
    begins = 1 if found.start is None else found.start.seq + 1
    return {
        "whole": found.whole,
        "records": found.records,
        "whole_from": begins,
        "head": {"seq": found.head.seq, "digest": found.head.digest},
        "first_broken": next((one.seq for one in found.faults if one.seq is not None), None),
        "faults": [{"record": one.seq, "said": one.said} for one in found.faults],
        "rows": found.rows,
        "anchors": found.anchors,
        "signed": found.signed,
        "said": _sentence(found, begins, verify),
    }


def _sentence(found: Checked, begins: int, verify: Verify | None) -> str:
    if not found.whole:
        return "; ".join(one.said for one in found.faults)
    out = f"{found.records} records are whole, from {begins} to {found.head.seq}"
    out += f"; {found.rows} stored rows are as recorded"
    if found.start is not None:
        out += f"; retention removed those up to {found.start.seq} at {stamp(found.start.at)}, {_signed(found, verify)}"
    return out + (f"; {found.anchors} anchors hold, {found.signed} signatures checked" if found.anchors else "")


def _signed(found: Checked, verify: Verify | None) -> str:
    if found.start is None or not found.start.key:
        return "and no key signed that"
    return "signed" if verify is not None else "signed by a key that was not given (--public-key)"


def checked_export(file: Path, anchors: Sequence[Anchor], verify: Verify | None) -> dict[str, Any]:
    """Return whether the records of an exported file follow from one another; raise InvalidInput."""
    walk: Walk | None = None
    begin = Head(seq=0, digest="")
    with _opened(file) as text:
        for number, written in enumerate(text, 1):
            line, previous = _read(written, f"{file}:{number}")
            if walk is None:
                begin = Head(seq=line.seq - 1, digest=previous)
                walk = Walk(begin, places(anchors))
            if not walk.take(line):
                break
    if walk is None:
        raise InvalidContent(f"{file}: there is no record")
    faults = [] if walk.fault is None else [{"record": walk.fault[0], "said": walk.fault[1]}]
    for one in anchors:
        forged = verify is not None and bool(one.key) and not genuine(one, verify)
        # an export may end before what was anchored later
        why = "" if one.seq > walk.head.seq else unmet(one, walk.head, begin, walk.digests)
        if forged:
            why = f"the anchor of record {one.seq} was not signed by a key that is known"
        faults += [{"record": one.seq, "said": why}] if why else []
    said = f"{walk.records} records are whole, from {begin.seq + 1} to {walk.head.seq}"
    return {
        "whole": not faults,
        "records": walk.records,
        "whole_from": begin.seq + 1,
        "head": {"seq": walk.head.seq, "digest": walk.head.digest},
        "first_broken": faults[0]["record"] if faults else None,
        "faults": faults,
        "said": "; ".join(str(one["said"]) for one in faults) if faults else said,
    }


def _opened(file: Path) -> Any:
    try:
        return file.open(encoding="utf-8")
    except OSError as err:
        raise InvalidContent(f"{file} cannot be read: {err.strerror}") from err


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise InvalidContent(f"{file} cannot be read: {err}") from err


def _read(written: str, where: str) -> tuple[Line, str]:
    try:
        said = json.loads(written)
        text = canonical(said["record"])
        line = Line(seq=int(said["record"]["seq"]), text=text, digest=str(said["digest"]))
        previous = str(said["previous"])
        bytes.fromhex(previous)
    except (ValueError, KeyError, TypeError, RecursionError) as err:
        raise InvalidContent(f"{where}: this is no exported record: {err!r}") from err
    return line, previous


# -- exporting ---------------------------------------------------------------------------------------------


def chained(store: Store, since: float) -> Iterator[tuple[str, Line]]:
    """Yield records, oldest first, each with the digest of the one before it."""
    previous = None
    for line in store.audit.lines(since):
        if previous is None:
            previous = store.audit.digest_before(line.seq)
        yield previous, line
        previous = line.digest


def json_lines(chain: Iterable[tuple[str, Line]]) -> Iterator[str]:
    """Yield records that anybody can check: `digest` is SHA-256 of the bytes of `previous` and the canonical record."""
    for previous, line in chain:
        yield canonical({"digest": line.digest, "previous": previous, "record": json.loads(line.text)})


def cef_lines(chain: Iterable[tuple[str, Line]]) -> Iterator[str]:
    """Yield records for a SIEM."""
    from aiops import __version__
    from aiops.core.record.cef import cef

    for _, line in chain:
        yield cef(line, __version__)


# -- anchoring ---------------------------------------------------------------------------------------------


def signing(store: Store, settings: AuditSettings) -> None:
    """Give the store the key of the settings; raise ConfigurationError."""
    if settings.key_file is None:
        return
    from aiops.adapters.signatures import SigningKey

    store.audit.signer = SigningKey.load(settings.key_file)


@dataclass(slots=True)
class Anchoring:
    """Anchors the chain now and then, and hands each anchor to whoever takes it off this machine."""

    store: Store
    settings: AuditSettings
    clock: Callable[[], float] = time.time

    def due(self) -> Anchor | None:
        """Anchor the chain if it has grown and the last anchor is old enough; return what was made."""
        head, now = self.store.audit.head(), self.clock()
        own = "" if self.store.audit.signer is None else self.store.audit.signer.fingerprint
        last = max((one for one in self.store.audit.anchors() if one.key == own), key=_place, default=None)
        if head.seq == 0 or (last is not None and (last.seq == head.seq or now - last.at < self.settings.every)):
            return None
        return anchor_now(self.store, self.settings, AnchorKind.DAILY, now)


def _place(anchor: Anchor) -> tuple[int, float]:
    return anchor.seq, anchor.at


def anchor_now(store: Store, settings: AuditSettings, kind: AnchorKind, now: float) -> Anchor:
    """Anchor the end of the chain, log it, and add it to the file of the settings; a file that fails is logged."""
    made = store.audit.anchor(now, kind)
    _LOG.info("audit_anchor", extra={"anchor": made.line()})
    if settings.anchors_file is not None:
        try:
            with settings.anchors_file.open("a", encoding="utf-8") as file:
                file.write(made.line() + "\n")
        except OSError as err:
            _LOG.warning("audit_anchor_not_written", extra={"file": str(settings.anchors_file), "reason": err.strerror})
    return made
