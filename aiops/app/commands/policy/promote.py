"""`aiops policy promote` and `aiops policy demote`."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from aiops.app.output import SESSION

Name = Annotated[str, typer.Argument(help="NAME or NAMESPACE/NAME of a policy.")]
By = Annotated[str | None, typer.Option(help="Who says so; your user name by default.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept with the promotion.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(promote)
    app.command()(demote)


def promote(
    name: Name,
    to: Annotated[str, typer.Option(help="Up to which mode it may act: approve or enforce.")] = "approve",
    reason: Reason = "",
    by: By = None,
    force: Annotated[bool, typer.Option(help="In spite of lacking evidence; that is kept, too.")] = False,
    tests: Annotated[
        Path | None, typer.Option(help="What `aiops policy test --record FILE` wrote: tests that passed are evidence.")
    ] = None,
) -> None:
    """Let a policy act, as it is loaded now; refused without evidence. The file's mode stays the other ceiling."""
    wish = {"policy": name, "to": to, "by": by or getpass.getuser(), "reason": _why(reason), "force": force}
    if tests is not None:
        from aiops.app.tested_specs import read

        wish["tests"] = read(tests)
    answer = SESSION.answers().promote(wish)
    SESSION.show(answer, "\n".join(_lines(answer)))
    if not answer["promoted"]:
        sys.exit(1)


def demote(name: Name, reason: Reason = "", by: By = None) -> None:
    """Let a policy act no more, whichever version of it did; what it did is handed back."""
    answer = SESSION.answers().promote(
        {"policy": name, "to": "dry-run", "by": by or getpass.getuser(), "reason": _why(reason)}
    )
    SESSION.show(answer, f"{answer['policy'].partition('/')[2]} acts no more; what stands of it is handed back")


def _why(reason: str) -> str:
    from aiops.errors import InvalidInput

    if not reason.strip():
        raise InvalidInput("--reason is missing: others will want to know why")
    return reason


def _lines(answer: dict[str, Any]) -> list[str]:
    name, hashed = answer["policy"].partition("/")[2], answer["spec_hash"][:8]
    shown = [*_evidence(answer["evidence"]), *_tests(answer["evidence"]), *_beside(answer["evidence"])]
    if not answer["promoted"]:
        lines = [f"{name} ({hashed}) is not promoted to {answer['to']}:", *shown]
        lines += [f"missing    {one}" for one in answer["missing"]]
        return [*lines, "--force promotes it all the same, and that is kept"]
    forced = " (forced)" if answer["forced"] else ""
    lines = [f"{name} ({hashed}) may act up to {answer['mode']}{forced}, by {answer['by']}: {answer['reason']}", *shown]
    lines += [f"missing    {one}" for one in answer.get("missing", [])]
    return [*lines, f"its own mode and the daemon's stay ceilings; take it back with: aiops policy demote {name}"]


def _evidence(found: dict[str, Any]) -> list[str]:
    from aiops.app.evidence import lasting

    if not found.get("ticks"):
        return ["evidence   none: this spec has decided nothing yet"]
    modes = ", ".join(f"{lasting(seconds)} in {mode}" for mode, seconds in found["ran_s"].items())
    counts = f"{found['changes']} changes decided, {found['held_ticks']} ticks held, {found['bugs']} bugs"
    return [
        f"evidence   ran {modes} ({found['first_at']} to {found['last_at']})",
        f"           {found['ticks']} ticks: {counts}",
    ]


def _tests(found: dict[str, Any]) -> list[str]:
    """Return which unit tests were run on this very spec."""
    tests = found.get("tests")
    if not tests:
        return ["tests      none on this spec are known of: aiops policy test PATH --record FILE, then --tests FILE"]
    files = ", ".join(Path(one["file"]).name for one in tests["files"])
    return [f"tests      {tests['passed']} of {tests['tests']} passed at {tests['at']} ({files})"]


def _beside(found: dict[str, Any]) -> list[str]:
    """Return how it did beside what acted meanwhile."""
    beside = found.get("compared")
    if not beside or not beside["compared_s"]:
        return []
    share = beside["differed_s"] / beside["compared_s"]
    hours = beside["candidate"]["replica_hours"] - beside["live"]["replica_hours"]
    risks = [beside[name]["slo_risk"] for name in ("live", "candidate")]
    risk = "" if None in risks else f", SLO risk {risks[0]:.2%} -> {risks[1]:.2%}"
    return [f"beside     {share:.0%} of the time it wanted something else: {hours:+.2f} replica-hours{risk}"]
