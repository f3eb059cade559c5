"""`aiops policy reference`."""

from __future__ import annotations

import sys

import typer


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(reference)


def reference() -> None:
    """Print the reference of the language as Markdown: every field, variable and reason."""
    from aiops.policy.reference import reference as made

    sys.stdout.write(made())
