"""`aiops --server URL follow`: what happens, as it happens."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from aiops.app.output import SESSION, Format, printable
from aiops.errors import InvalidInput

KINDS = ("tick", "decision", "plan", "incident", "pause", "reset")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(follow)


def follow(
    kinds: Annotated[list[str] | None, typer.Option("--only", help=f"Of {', '.join(KINDS)}; all without.")] = None,
    most: Annotated[int | None, typer.Option("--most", min=1, help="Stop after so many.")] = None,
) -> None:
    """Tell what a running daemon does, line by line, until Ctrl-C; with -o json one object a line."""
    from aiops.app.remote import RemoteService

    wrong = [one for one in kinds or () if one not in KINDS]
    if wrong:
        raise InvalidInput(f"--only {wrong[0]}: there are {', '.join(KINDS)}")
    if SESSION.server is None:
        raise InvalidInput("a running daemon is followed: say which by --server, or AIOPS_SERVER")
    told = 0
    for kind, data in RemoteService(SESSION.server, SESSION.token).follow():
        if kinds and kind not in kinds:
            continue
        line = json.dumps({"event": kind, **data}) if SESSION.format is Format.JSON else _said(kind, data)
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        told += 1
        if most is not None and told >= most:
            return


def _said(kind: str, data: dict[str, Any]) -> str:
    match kind:
        case "tick":
            said = data.get("held") or data.get("sentence")
        case "decision":
            said = f"{data.get('policy')} {data.get('verdict')}: {data.get('story')}"
        case "plan":
            said = f"{data.get('kind')} of {data.get('policy')} is {data.get('status')} ({data.get('id')})"
        case "incident":
            said = f"{data.get('kind')} {data.get('state')} ({data.get('id')})"
        case "pause":
            said = f"{data.get('scope')} {data.get('did')} by {data.get('by')}: {data.get('reason')} ({data.get('id')})"
        case _:
            said = "something was missed"
    return printable(f"{kind:<9} {said}").replace("\n", " ")
