"""What goes on: `aiops incidents`, `aiops incidents show ID`, and the alerts that Alertmanager told of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from aiops.app.commands.look import when
from aiops.app.output import SESSION, printable, table

incidents = typer.Typer(help="Findings that belong together, and what is suspected.", invoke_without_command=True)

_TOLD, _SHOWN_SERIES = 3, 20


def register(app: typer.Typer) -> None:
    """Add the command that is none of the group."""
    app.command()(alerts)


@incidents.callback()
def _list(
    context: typer.Context,
    hours: Annotated[float, typer.Option(min=0.01, max=744, help="How far back; open ones are always there.")] = 24.0,
    opened: Annotated[bool, typer.Option("--open", help="Only those that are open now.")] = False,
) -> None:
    """List incidents with their suspects, newest first."""
    if context.invoked_subcommand is not None:
        return
    rows = [row for row in SESSION.answers().incidents(hours) if not opened or row["state"] == "open"]
    head = ("ID", "STATE", "SINCE", "LASTED", "SERIES", "PEAK", "KIND", "SUSPECTS")
    text = table(head, [_line(row) for row in rows])
    SESSION.show(rows, text if rows else "no incidents")


@incidents.command()
def show(incident: Annotated[str, typer.Argument(help="Its id, or the beginning of it.")]) -> None:
    """Tell everything that is known of one incident."""
    row = SESSION.answers().incident(incident)
    SESSION.show(row, "\n".join(_told(row)))


def alerts(
    everything: Annotated[bool, typer.Option("--all", help="Those that are resolved, too.")] = False,
) -> None:
    """List the alerts that Alertmanager told of, newest first; policies see those that fire."""
    found = SESSION.answers().alerts()["alerts"]
    rows = [one for one in found if everything or one["status"] == "firing"]
    cells = [
        (
            one["status"],
            when(one["starts_at"]),
            when(one["seen_at"]),
            printable(one["name"]) or "-",
            _labels(one["labels"]),
        )
        for one in rows
    ]
    SESSION.show(rows, table(("STATUS", "SINCE", "TOLD", "NAME", "LABELS"), cells) if rows else "no alerts")


def _line(row: Mapping[str, Any]) -> tuple[Any, ...]:
    names = [printable(one["name"]) for one in row["suspects"]]
    more = f" and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return (
        row["id"],
        row["state"],
        when(row["since"]),
        _lasted(row),
        row["series"],
        f"{row['peak']:.3g}",
        row["kind"],
        (", ".join(names[:_TOLD]) or "-") + more,
    )


def _told(row: Mapping[str, Any]) -> list[str]:
    out = [f"incident {row['id']}  {row['state'].upper()}"]
    if row["merged_into"]:
        out[0] += f" into {row['merged_into']}"
    ended = "last seen" if row["state"] in ("open", "lost") else "ended"
    out.append(f"since      {when(row['since'])}, {ended} {when(row['until'])} ({_lasted(row)})")
    at = "" if row["peak_at"] is None else f" at {when(row['peak_at'])}"
    out.append(f"peak       score {row['peak']:.3g}{at}, {row['kind']}")
    out.append(f"shared     {_labels(row['labels']) or 'nothing that all of its series have'}")
    if row["suspects"]:
        cells = [
            (number, printable(one["name"]), when(one["since"]), f"{one['score']:.3g}", one["kind"], _why(one))
            for number, one in enumerate(row["suspects"], 1)
        ]
        out += ["", table(("", "SUSPECT", "SINCE", "PEAK", "KIND", "WHY"), cells)]
    series = row["members"]
    out += ["", f"{row['series']} series, {row['standing']} with a finding when it was last seen"]
    out += [f"  {printable(name)}" for name in series[:_SHOWN_SERIES]]
    if row["series"] > _SHOWN_SERIES:
        out.append(f"  and {row['series'] - min(len(series), _SHOWN_SERIES)} more (-o json has the first 500)")
    if series:
        out += ["", f"why one of them was flagged: aiops watch explain '{printable(series[0])}'"]
    return out


def _lasted(row: Mapping[str, Any]) -> str:
    from aiops.core.detect.wording import span

    return span(row["until"] - row["since"])


def _why(suspect: Mapping[str, Any]) -> str:
    return ", ".join(suspect["why"]) or "-"


def _labels(labels: Mapping[str, str]) -> str:
    return " ".join(f"{printable(name)}={printable(value)}" for name, value in sorted(labels.items()))
