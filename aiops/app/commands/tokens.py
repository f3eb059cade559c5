"""Who may ask the daemon: `aiops tokens`."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated

import typer

from aiops.app.output import SESSION, table
from aiops.errors import InvalidInput

tokens = typer.Typer(help="Bearer tokens of people and programs.", no_args_is_help=True)

By = Annotated[
    str | None, typer.Option(help="Who says so, where the store itself is asked; your user name by default.")
]


@tokens.command()
def create(
    name: Annotated[str, typer.Argument(help="The person or program it is for.")],
    role: Annotated[str, typer.Option(help="viewer, author, operator or admin.")] = "viewer",
    for_: Annotated[str, typer.Option("--for", help="How long it is in force: 12h, 90d, or ever.")] = "90d",
    by: By = None,
) -> None:
    """Make a token, and show it this once."""
    from aiops.core.decide.quantities import duration_s

    try:
        for_s = None if for_ == "ever" else duration_s(for_)
    except ValueError as err:
        raise InvalidInput(f"--for: {err}") from err
    wish = {"name": name, "role": role, "for_s": for_s, "by": by or getpass.getuser()}
    made = SESSION.answers().create_token(wish)
    until = f"until {made['expires_at']}" if made["expires_at"] else "for ever"
    sys.stderr.write(f"{made['name']} is {made['role']} {until}; this is shown once, keep it:\n")
    SESSION.show(made, str(made["token"]))


@tokens.command(name="list")
def listed() -> None:
    """Show who has a token, and since when; never what it is."""
    rows = SESSION.answers().tokens()
    columns = ("ID", "NAME", "ROLE", "STATE", "EXPIRES", "USED", "BY")
    cells = [
        (
            row["id"],
            row["name"],
            row["role"],
            row["state"],
            row["expires_at"] or "never",
            row["used_at"] or "never",
            row["created_by"],
        )
        for row in rows
    ]
    SESSION.show(rows, table(columns, cells) if rows else "no tokens; aiops tokens create NAME --role viewer")


@tokens.command()
def revoke(
    token: Annotated[str, typer.Argument(help="Its id, the beginning of it, or its name.")], by: By = None
) -> None:
    """Take a token back at once, with the sessions that came by it."""
    gone = SESSION.answers().revoke_token(token, by or getpass.getuser())
    SESSION.show(gone, f"{gone['name']} is {gone['role']} no more")
