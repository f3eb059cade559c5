"""`aiops policy schema`."""

from __future__ import annotations

import json
import sys

import typer


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(schema)


def schema() -> None:
    """Print the JSON Schema of the language, for editors."""
    from aiops.policy import schema as made

    sys.stdout.write(json.dumps(made(), indent=2) + "\n")
