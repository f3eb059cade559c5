"""Keeping the store: migrate, backup, restore."""

from __future__ import annotations

import getpass
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aiops.app.output import SESSION

if TYPE_CHECKING:
    from aiops.adapters.store import Copied

app = typer.Typer(no_args_is_help=True, help="Keep the record.")


@app.command()
def migrate() -> None:
    """Make the store, or bring its schema up to date."""
    from aiops.adapters.store import REVISION, Store, shown

    url = SESSION.settings().store.url
    store = Store.open(url, writer=True)
    found = store.found
    store.close()
    if found == REVISION:
        said = f"was at schema {REVISION} already"
    else:
        said = f"went from schema {found} to {REVISION}" if found else f"was made with schema {REVISION}"
    SESSION.show({"url": shown(url), "from": found, "to": REVISION}, f"{shown(url)} {said}")


@app.command()
def backup(target: Annotated[Path, typer.Argument(help="A file that is not there yet.")]) -> None:
    """Copy the store into one file while it is in use, and check the copy."""
    from aiops.adapters.store import Store

    copied = Store.backup(SESSION.settings().store.url, target)
    SESSION.show(_data(target, copied), f"{target}: {copied.size_bytes} bytes, whole, {_told(copied)}")


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="A backup, of whichever kind of database.")],
    replace: Annotated[bool, typer.Option("--replace", help="Put it in the place of what is there.")] = False,
) -> None:
    """Bring a backup into the store, whole or not at all. No daemon may run on it meanwhile."""
    from aiops.adapters.store import Said, Store, shown

    url = SESSION.settings().store.url
    said = Said(by=getpass.getuser(), at=time.time())
    copied = Store.restore(url, source, replace=replace, said=said)
    SESSION.show(
        {"url": shown(url), **_data(source, copied)}, f"{shown(url)} holds what {source} held, {_told(copied)}"
    )


def _data(path: Path, copied: Copied) -> dict[str, object]:
    return {
        "path": str(path),
        "bytes": copied.size_bytes,
        "revision": copied.revision,
        "epoch": copied.epoch,
        "rows": dict(copied.rows),
    }


def _told(copied: Copied) -> str:
    return f"{sum(copied.rows.values())} rows, schema {copied.revision}, epoch {copied.epoch}"
