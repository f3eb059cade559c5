"""`aiops rightsize`: what containers request, what they should, why, how sure that is, and what it is worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from aiops.app.output import SESSION, printable, table

_HEAD = ("WORKLOAD", "CONTAINER", "RESOURCE", "PODS", "REQUEST", "LIMIT", "ESTIMATE", "DAYS", "USD/MONTH", "WHY")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(rightsize)


def rightsize(
    policy: Annotated[str, typer.Option(help="Only of this policy: its key, or the end of it.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Those that stay as they are, too.")] = False,
) -> None:
    """List what cost policies recommend of requests and limits, whether or not they may act."""
    found = [row for row in SESSION.answers().sizes() if not policy or row["policy"].endswith(policy)]
    rows = [row for row in found if everything or row["changes"]]
    SESSION.show(rows, _text(rows, found))


def _text(rows: list[dict[str, Any]], found: list[dict[str, Any]]) -> str:
    if not found:
        return "nothing is sized: there is no CostPolicy that rightsizes, or it has not decided yet"
    worth = [row["usd_per_month"] for row in rows if row["changes"]]
    known = sum(one for one in worth if one is not None)
    missing = sum(one is None for one in worth)
    more = f", and {missing} without a price" if missing else ""
    total = f"{len(worth)} of {len(found)} sizes would change: {known:.2f} USD a month less{more}"
    return f"{table(_HEAD, [_line(row) for row in rows])}\n{total}" if rows else f"{len(found)} sizes stay as they are"


def _line(row: Mapping[str, Any]) -> tuple[Any, ...]:
    money = row["usd_per_month"]
    return (
        printable(f"{row['namespace']}/{row['workload']}"),
        printable(row["container"]),
        row["resource"],
        row["pods"],
        _moved(row["request"], row["wished"], changes=row["changes"]),
        _moved(row["limit"], row["wished_limit"], changes=row["changes"]),
        row["estimate"] or "-",
        f"{row['history_days']:.1f}",
        "?" if money is None else f"{money:.2f}",
        printable(row["said"]),
    )


def _moved(now: str | None, wished: str | None, *, changes: bool) -> str:
    return f"{now or '-'} -> {wished or '-'}" if changes and now != wished else now or "-"
