"""The audit chain: list it, check it, take it out, anchor it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from aiops.app.commands.look import when
from aiops.app.output import SESSION, Format, printable, table
from aiops.errors import Conflict, InvalidInput

app = typer.Typer(no_args_is_help=True, help="The record of who did what, chained by hashes: list, check, export.")

Since = Annotated[str | None, typer.Option(help="A time (ISO 8601), or so long ago: 7d.")]
Anchors = Annotated[list[Path] | None, typer.Option(help="Anchors that were kept elsewhere, one on each line.")]
Keys = Annotated[list[Path] | None, typer.Option("--public-key", help="Whose anchors are believed, in PEM.")]


@app.command(name="list")
def list_(
    kind: Annotated[str | None, typer.Option(help="Such as decision, action, pause, approval, promotion.")] = None,
    by: Annotated[str | None, typer.Option(help="Who did it.")] = None,
    subject: Annotated[str | None, typer.Option(help="A policy's key, a scope, a name.")] = None,
    since: Since = None,
    before: Annotated[int | None, typer.Option(help="Only older records than this number.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many at most.")] = 20,
) -> None:
    """List records, newest first."""
    asked: dict[str, Any] = {"kind": _kind(kind), "by": by, "subject": subject, "before": before, "limit": limit}
    answer = SESSION.answers().audit({**asked, "since": _instant(since)})
    rows = [
        (one["seq"], when(one["at"]), one["kind"], one["did"], one["by"], printable(one["subject"]), _story(one))
        for one in answer["records"]
    ]
    text = table(("NO", "AT", "KIND", "DID", "BY", "SUBJECT", "SAID"), rows) if rows else "no records"
    more = f"\nolder ones: --before {answer['next']}" if answer["next"] else ""
    SESSION.show(answer, text + more)


@app.command()
def verify(
    anchors: Anchors = None,
    public_key: Keys = None,
    file: Annotated[Path | None, typer.Option(help="Check an export in place of the store.")] = None,
) -> None:
    """Check the whole chain; say the first record that is broken, and end with 1."""
    from aiops.app import auditing

    own = exported(anchors)
    if file is not None:
        # nothing but the files is needed, wherever they were taken
        keys = auditing.public_keys(public_key or ())
        found = auditing.checked_export(file, own, keys)
    elif SESSION.server is not None and not (anchors or public_key):
        # signatures are checked where the keys are: the daemon says whether its chain is whole
        found = SESSION.answers().audit_verify()
    else:
        settings = SESSION.settings()
        store = _store()
        try:
            found = auditing.checked(store, own, auditing.known_keys(settings.audit, public_key or ()))
        finally:
            store.close()
    broken = found["first_broken"]
    head = "whole" if found["whole"] else "broken" if broken is None else f"broken at record {broken}"
    SESSION.show(found, f"{head}: {found['said']}")
    if not found["whole"]:
        sys.exit(1)


@app.command()
def export(
    out: Annotated[Path | None, typer.Argument(help="A file that is not there yet; standard output without.")] = None,
    format_: Annotated[str, typer.Option("--format", help="jsonl, or cef for a SIEM.")] = "jsonl",
    since: Since = None,
) -> None:
    """Write the records, oldest first: as JSON lines that anybody can check, or in Common Event Format."""
    from aiops.app import auditing

    if format_ not in ("jsonl", "cef"):
        raise InvalidInput(f"--format {format_}: there are jsonl and cef")
    store = _store()
    try:
        lines = auditing.chained(store, _instant(since) or 0.0)
        count = _written(auditing.json_lines(lines) if format_ == "jsonl" else auditing.cef_lines(lines), out)
    finally:
        store.close()
    if out is not None:
        SESSION.show({"path": str(out), "records": count, "format": format_}, f"{out}: {count} records")


@app.command()
def anchor(
    out: Annotated[Path | None, typer.Option(help="A file to which the anchor is added, too.")] = None,
) -> None:
    """Say, signed, where the chain stands now; keep that somewhere else than the store."""
    from aiops.app import auditing
    from aiops.core.record.anchors import AnchorKind

    settings = SESSION.settings()
    store = _store()
    try:
        auditing.signing(store, settings.audit)
        made = auditing.anchor_now(store, settings.audit, AnchorKind.ASKED, time.time())
    finally:
        store.close()
    if out is not None:
        _added(out, made.line())
    data = {"anchor": made.line(), "seq": made.seq, "digest": made.digest, "key": made.key}
    SESSION.show(data, made.line())
    if not made.key and SESSION.format is Format.TEXT:
        sys.stderr.write("not signed: audit.key_file is not set; aiops audit key FILE makes a key\n")


@app.command()
def anchors(since: Since = None) -> None:
    """List the anchors that the store keeps, one on each line, as they are exported."""
    store = _store()
    try:
        lines = [one.line() for one in store.audit.anchors(_instant(since) or 0.0)]
    finally:
        store.close()
    SESSION.show(lines, "\n".join(lines) or "no anchors")


@app.command()
def key(
    path: Annotated[Path, typer.Argument(help="For the private half: a file that is not there yet.")],
) -> None:
    """Make an Ed25519 key for anchors, and show its public half, which verifiers keep."""
    from aiops.adapters.signatures import SigningKey

    made = SigningKey.made(path)
    data = {
        "path": str(path),
        "fingerprint": made.fingerprint,
        "public_key": made.public_pem(),
    }
    SESSION.show(data, f"{made.public_pem()}\nset audit.key_file: {path}; its fingerprint is {made.fingerprint}")


def exported(files: list[Path] | None) -> list[Any]:
    """Return the anchors of files."""
    from aiops.app import auditing

    return auditing.exported_anchors(files or ())


def _store() -> Any:
    from aiops.adapters.store import Store

    return Store.existing(SESSION.settings().store.url)


def _kind(kind: str | None) -> str | None:
    from aiops.core.record.audit import AuditKind

    if kind is not None and kind not in set(AuditKind):
        raise InvalidInput(f"--kind {kind}: there are {', '.join(AuditKind)}")
    return kind


def _instant(text: str | None) -> float | None:
    from aiops.app.commands.record import instant

    return None if text is None else instant("--since", text, time.time())


def _story(one: dict[str, Any]) -> str:
    moved = "" if one["before"] == one["after"] else f"{_short(one['before'])} -> {_short(one['after'])}"
    said = " ".join(printable(str(one["said"])).split())  # a record is a line
    return ": ".join(part for part in (moved, said) if part)


def _short(value: object) -> str:
    return "-" if value is None else printable(str(value))[:40]


def _written(lines: Iterable[str], out: Path | None) -> int:
    count = 0
    try:
        file = sys.stdout if out is None else out.open("x", encoding="utf-8")
    except FileExistsError as err:
        raise Conflict(f"{out} is there already: an export overwrites nothing") from err
    except OSError as err:
        raise InvalidInput(f"{out} cannot be written: {err.strerror}") from err
    try:
        for line in lines:
            file.write(line + "\n")
            count += 1
    finally:
        if out is not None:
            file.close()
    return count


def _added(path: Path, line: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as err:
        raise InvalidInput(f"{path} cannot be written: {err.strerror}") from err
