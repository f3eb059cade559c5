"""Plans and failovers: list, show, pause, resume, roll back; start, abort, go back, drill."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from aiops.app.commands.people import reasoned
from aiops.app.output import SESSION, table

plans = typer.Typer(help="Plans of several steps: what they do, how far they are.", no_args_is_help=True)
failover = typer.Typer(help="Move traffic between sites, by a policy's own checks.", no_args_is_help=True)

Subject = Annotated[str, typer.Argument(help="The plan's id or the beginning of it, or its policy NAMESPACE/NAME.")]
Group = Annotated[str, typer.Argument(help="The FailoverPolicy: NAME, NAMESPACE/NAME or its key.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept with the plan.")]
By = Annotated[str | None, typer.Option(help="Who says so; your user name by default.")]
To = Annotated[str, typer.Option(help="The site; the policy's choice by default.")]


@plans.command(name="list")
def list_(
    policy: Annotated[str, typer.Option(help="Of this policy: its key or NAMESPACE/NAME.")] = "",
    standing: Annotated[bool, typer.Option("--standing", help="Those that have not ended.")] = False,
) -> None:
    """List plans, newest first."""
    rows = SESSION.answers().plans({"policy": policy, "standing": standing})
    names = ("id", "kind", "subject", "status", "progress", "step", "reason")
    text = table(tuple(name.upper() for name in names), [tuple(row[name] for name in names) for row in rows])
    SESSION.show(rows, text if rows else "no plans")


@plans.command()
def show(plan: Subject) -> None:
    """Show a plan: why, how far, what was seen at each step, and what can be done now."""
    answer = SESSION.answers().plan(plan)
    SESSION.show(answer, answer["text"])


@plans.command()
def pause(plan: Subject, reason: Reason = "", by: By = None) -> None:
    """Let a plan stand still where it is."""
    _order("pause", plan, (reason, by))


@plans.command()
def resume(plan: Subject, reason: Reason = "", by: By = None) -> None:
    """Let a plan that is paused, or that asks, go on: the step at work is checked and tried anew."""
    _order("resume", plan, (reason, by))


@plans.command()
def rollback(plan: Subject, reason: Reason = "", by: By = None) -> None:
    """Take a plan back, from its last step to its first; one that is done, too, while what it did still stands."""
    _order("rollback", plan, (reason, by))


@failover.command()
def start(group: Group, to: To = "", reason: Reason = "", by: By = None) -> None:
    """Begin a failover now: the standby is checked first, as always."""
    _order("start", group, (reason, by), to)


@failover.command()
def abort(group: Subject, reason: Reason = "", by: By = None) -> None:
    """Stop the failover or failback that stands, and take it back."""
    _order("abort", group, (reason, by))


@failover.command()
def back(group: Group, reason: Reason = "", by: By = None) -> None:
    """Go back to the home site, by the policy's own steps and checks."""
    _order("back", group, (reason, by))


@failover.command()
def drill(group: Group, to: To = "", reason: Reason = "", by: By = None) -> None:
    """Rehearse a failover with a small share of the traffic, and take it back."""
    _order("drill", group, (reason, by), to)


def _order(kind: str, subject: str, said: tuple[str, str | None], to: str = "") -> None:
    reason, by = said
    wish = {"kind": kind, "subject": subject, "reason": reasoned(reason), "by": by or getpass.getuser(), "to": to}
    answer = SESSION.answers().order(wish)
    SESSION.show(answer, f"{kind} {answer['subject']}: the daemon takes it at its next turn; aiops plans list")
