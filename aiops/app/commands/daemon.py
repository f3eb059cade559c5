"""`aiops run`, and what the daemon may do: `aiops rbac`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from aiops.app.output import SESSION


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(run)
    app.command()(rbac)


def run(
    config: Annotated[Path | None, typer.Option(help="Settings of the daemon.")] = None,
    mode: Annotated[str | None, typer.Option(help="Ceiling: observe, dry-run, approve or enforce.")] = None,
    policies: Annotated[list[Path] | None, typer.Option(help="Policy files and folders.")] = None,
    store: Annotated[str | None, typer.Option(help="Database URL of the record.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the simulation.")] = None,
    ticks: Annotated[int | None, typer.Option(min=1, help="Stop after so many ticks.")] = None,
) -> None:
    """Run the daemon in the foreground. Ctrl-C stops it in stages, a second one at once."""
    from aiops.app.daemon import Daemon
    from aiops.app.logs import configure
    from aiops.app.wiring import build

    flags: dict[str, Any] = {}
    if mode is not None:
        flags["mode"] = mode
    if policies:
        flags["policies"] = tuple(policies)
    if store is not None:
        flags["store"] = {"url": store}
    if seed is not None:
        flags["simulation"] = {"seed": seed}
    if config is not None:
        SESSION.config = config
    settings = SESSION.settings(flags)
    if SESSION.verbose:
        settings = settings.model_copy(update={"log": settings.log.model_copy(update={"level": "debug"})})
    configure(settings.log)
    code = Daemon(build(settings), ticks=ticks).run()
    if code:
        sys.exit(code)


def rbac(paths: Annotated[list[Path], typer.Argument(help="Policy files and folders.")]) -> None:
    """Print the Kubernetes permissions that policies need, and no others; the Lease is the settings'."""
    import yaml

    from aiops.adapters.kubernetes import rbac as generated
    from aiops.policy import load

    lease = SESSION.settings().lease
    objects = generated(load(paths), lease.namespace, lease.name)
    SESSION.show(objects, yaml.safe_dump_all(objects, sort_keys=False))
