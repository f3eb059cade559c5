"""`aiops policy show`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from aiops.app.output import SESSION


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(show)


def show(paths: Annotated[list[Path], typer.Argument(help="Policy files and folders.")]) -> None:
    """Print policies with every default filled in."""
    import yaml

    from aiops.policy import load

    documents = [json.loads(policy.document) for policy in load(paths).every]
    SESSION.show(documents, yaml.safe_dump_all(documents, sort_keys=False))
