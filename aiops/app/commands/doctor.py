"""`aiops doctor`: what would keep the daemon from its work, and what to do about it. Nothing is written anywhere."""

from __future__ import annotations

import logging
import sys
from typing import Annotated

import typer

from aiops.app.doctor.findings import Area
from aiops.app.output import DEFAULT_CONFIG, SESSION


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(
    context: typer.Context,
    only: Annotated[list[Area] | None, typer.Option(help="Look at this area alone; may be given again.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, max=600, help="Seconds for each check.")] = 10.0,
) -> None:
    """Check what the daemon needs, from here: settings, policies, metrics, clusters, permissions, clocks, store.

    Ends with 0 when nothing must be fixed (warnings are allowed), 1 when something must, 3 when the settings cannot be
    read, 4 when nothing outside answers, 5 when only permissions are missing. Run it where the daemon runs.
    """
    source = context.find_root().get_parameter_source("server")
    if source is not None and source.name == "COMMANDLINE":  # AIOPS_SERVER may be set for the other commands
        raise typer.BadParameter("it looks from where it runs: run it where the daemon does", param_hint="--server")
    from aiops.app.doctor.examination import data, examined, text
    from aiops.app.doctor.findings import exit_code
    from aiops.app.doctor.scene import Scene
    from aiops.app.redaction import Redaction, secrets_of

    settings = SESSION.settings()
    logging.getLogger("aiops").addHandler(logging.NullHandler())  # what fails is said in the answer
    logging.getLogger("aiops").propagate = False
    file = SESSION.config or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
    scene = Scene(settings=settings, timeout_s=timeout)
    looked = examined(scene, file, only or (), Redaction(secrets_of(settings)))
    SESSION.show(data(looked), text(looked))
    code = exit_code(looked)
    if code:
        sys.exit(code)
