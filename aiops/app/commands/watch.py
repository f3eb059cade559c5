"""Watched series: `aiops watch explain SERIES`."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from aiops.app.output import SESSION, printable

watch = typer.Typer(help="Series that WatchPolicies watch.", no_args_is_help=True)


@watch.callback()
def _group() -> None:
    """Keep `explain` a verb of its group."""


@watch.command()
def explain(
    series: Annotated[str, typer.Argument(help="Its key, or a part of it that no other series has: service=checkout.")],
    at: Annotated[str | None, typer.Option(help="A time (ISO 8601), or so long ago: 2h. Now when left out.")] = None,
) -> None:
    """Say why a series was flagged or was not: neighbours, what was expected, the budget, when people were called.

    A running daemon (--server) says it of every watched series; the record, of what was flagged, at its worst.
    """
    from aiops.app.commands.record import instant

    when = None if at is None else instant("--at", at, time.time())
    answer = SESSION.answers().explain(series, when)
    SESSION.show(answer, printable(answer["text"]))
