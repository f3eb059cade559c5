"""`aiops policy rules`."""

from __future__ import annotations

import typer

from aiops.app.output import SESSION


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(rules)


def rules() -> None:
    """Print the rules that policies are checked by, each with why and what to write instead."""
    from aiops.policy.lint import RULES, RULES_OF_IGNORING
    from aiops.policy.lint.errors import ERRORS
    from aiops.policy.lint.page import page

    listed = [("warning", one) for one in (*RULES, *RULES_OF_IGNORING)] + [("error", one) for one in ERRORS]
    data = [{"code": one.code, "severity": severity, "why": one.why, "instead": one.mend} for severity, one in listed]
    SESSION.show(data, page())
