"""Keeping the store: migrate, backup."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aiops.app.output import SESSION

app = typer.Typer(no_args_is_help=True, help="Keep the record.")


@app.command()
def migrate() -> None:
    """Make the store, or bring its schema up to date."""
    from aiops.adapters.store import Store

    url = SESSION.settings().store.url
    Store.open(url, writer=True).close()
    SESSION.show({"url": url}, f"{url} is up to date")


@app.command()
def backup(target: Annotated[Path, typer.Argument(help="A file that is not there yet.")]) -> None:
    """Copy the store while it is in use, and check the copy."""
    from aiops.adapters.store import Store

    size = Store.existing(SESSION.settings().store.url).backup(target)
    SESSION.show({"path": str(target), "bytes": size}, f"{target}: {size} bytes, whole")
