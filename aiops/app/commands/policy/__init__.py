"""`aiops policy`: a verb is one file, and one name here."""

from __future__ import annotations

import typer

from aiops.app.commands.panels import POLICY, panelled
from aiops.app.commands.policy import convert, crd, diff, init, promote, reference, rules, schema, show, test, validate

app = typer.Typer(cls=panelled(POLICY), no_args_is_help=True, help="Write and check policies.")
for verb in (init, validate, test, convert, show, rules, schema, reference, crd, diff, promote):
    verb.register(app)
