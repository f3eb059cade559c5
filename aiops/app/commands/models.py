"""`aiops models`: which version of a model acts for a policy, who challenges it, and people's word to that."""

from __future__ import annotations

import getpass
from typing import Annotated, Any

import typer

from aiops.app.commands.look import when
from aiops.app.output import SESSION, table
from aiops.errors import NotFound

models = typer.Typer(help="Models that foretell demand, and their versions.", no_args_is_help=True)

Policy = Annotated[str, typer.Argument(help="The policy: NAMESPACE/NAME or its key.")]
Reason = Annotated[str, typer.Option(help="Why; it is kept with the version.")]
By = Annotated[str | None, typer.Option(help="Who says so; your user name by default.")]

_NOBODY = "no models: ask a running daemon with --server, the record alone does not know them"


@models.command(name="list")
def list_() -> None:
    """List the model of every policy that forecasts: its version, its skill, and whether it acts."""
    rows = SESSION.answers().models()["models"]
    cells = [
        (
            one["policy"].split("/", 1)[1],
            one["model"],
            one["version"] or "-",
            one["state"],
            _ratio(one["skill"]),
            _percent(one["coverage"]),
            f"{one['history_s'] / 86400.0:.1f} d",
            sum(each["state"] in ("challenger", "predecessor") for each in one["versions"]),
            one["drift"] or "-",
        )
        for one in rows
    ]
    head = ("POLICY", "MODEL", "VERSION", "STATE", "SKILL", "COVERAGE", "HISTORY", "SHADOWS", "DRIFT")
    SESSION.show(rows, table(head, cells) if rows else _NOBODY)


@models.command()
def show(policy: Policy) -> None:
    """Show the versions of one policy's model: what each was made of, how it has done, and what became of it."""
    rows = SESSION.answers().models()["models"]
    found = [one for one in rows if policy in (one["policy"], _short(one))]
    if not found:
        known = f"there are {', '.join(map(_short, rows))}" if rows else _NOBODY
        raise NotFound(f"there is no policy {policy!r} with a model; {known}")
    SESSION.show(found[0], _told(found[0]))


@models.command()
def promote(
    policy: Policy,
    version: Annotated[int, typer.Option("--version", help="The version that is to act, one in the shadow.")],
    reason: Reason = "",
    by: By = None,
) -> None:
    """Let a version act at once, without waiting for the evidence."""
    _order("promote", policy, (reason, by), version)


@models.command()
def rollback(policy: Policy, reason: Reason = "", by: By = None) -> None:
    """Let the predecessor act again, which is kept for a day after a promotion."""
    _order("rollback", policy, (reason, by))


@models.command()
def refit(policy: Policy, reason: Reason = "", by: By = None) -> None:
    """Ask for a fit beside the loop; what comes of it is tried in the shadow first."""
    _order("refit", policy, (reason, by))


def _order(do: str, policy: str, said: tuple[str, str | None], version: int | None = None) -> None:
    wish = {"do": do, "policy": policy, "reason": said[0], "by": said[1] or getpass.getuser(), "version": version}
    answer = SESSION.answers().model_order({key: value for key, value in wish.items() if value not in (None, "")})
    SESSION.show(answer, _told(answer))


def _told(one: dict[str, Any]) -> str:
    skill = "not known yet" if one["skill"] is None else f"{one['skill']:.2f}"
    why = f" ({one['why']})" if one["why"] else ""
    drift = f" · drift: {one['drift']}" if one["drift"] else ""
    covers = f"80 % interval covers {_percent(one['coverage'])}"
    lines = [
        f"{one['policy']}: {one['model']}, version {one['version'] or '-'}, {one['state']}{why}",
        f"skill {skill} · {covers} · {one['history_s'] / 86400.0:.1f} d of history{drift}",
        "",
    ]
    cells = [
        (
            each["number"],
            each["state"],
            each["code"],
            when(each["made_at"]),
            each["parent"] or "-",
            each["scores"]["judged"],
            _ratio(each["scores"]["ratio"]),
            _ratio(each["scores"]["p_value"]),
            _percent(each["scores"]["coverage"]),
            each["why"] + (f"; {each['detail']}" if each["detail"] else ""),
        )
        for each in one["versions"]
    ]
    head = ("VERSION", "STATE", "CODE", "MADE", "FROM", "JUDGED", "LOSS RATIO", "P", "COVERAGE", "WHY")
    return "\n".join(lines) + (table(head, cells) if cells else "no versions yet")


def _short(one: dict[str, Any]) -> str:
    return str(one["policy"].split("/", 1)[1])


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"
