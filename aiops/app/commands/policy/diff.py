"""`aiops policy diff`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from aiops.app.output import SESSION, table

SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(diff)


def diff(
    live: Annotated[str, typer.Argument(help="The policy that acts: NAME or NAMESPACE/NAME; or a file.")],
    candidate: Annotated[
        str | None, typer.Argument(help="The candidate; what runs in the shadow of LIVE by default; or a file.")
    ] = None,
    since: Annotated[str | None, typer.Option("--from", help="How far back: 6h, 7d; all that both decided.")] = None,
) -> None:
    """Say where two versions of a policy would have differed, when, and at what cost and risk; of two files, how.

    The exit code is 1 when they differ.
    """
    if candidate is not None and Path(live).is_file() and Path(candidate).is_file():
        _of_files(Path(live), Path(candidate))
        return
    answer = SESSION.answers().diff({"live": live, "candidate": candidate or "", "hours": _hours(since)})
    SESSION.show(answer, "\n".join(_lines(answer)))
    if answer["differences"]:
        sys.exit(1)


def _hours(since: str | None) -> float | None:
    from aiops.core.decide.quantities import duration_s
    from aiops.errors import InvalidInput

    try:
        return None if since is None else duration_s(since) / 3600.0
    except ValueError as err:
        raise InvalidInput(f"--from: {err}") from err


# -- from the record ---------------------------------------------------------------------------------------------


def _lines(answer: dict[str, Any]) -> list[str]:
    from aiops.app.evidence import lasting

    names = [answer[key].partition("/")[2] for key in ("live_policy", "candidate_policy")]
    if not answer["compared_s"]:
        return [f"{names[0]} and {names[1]} have decided nothing at the same time yet"]
    share = answer["differed_s"] / answer["compared_s"]
    head = f"{names[0]} and {names[1]}, {answer['from']} to {answer['to']}: {lasting(answer['compared_s'])} compared"
    found = answer["differences"]
    if not found:
        return [f"{head}, no difference", *_sums(answer)]
    counted = f"{len(found)} times" if len(found) > 1 else "once"
    lines = [f"{head}, they differed {counted}, {share:.0%} of the time", *_sums(answer), ""]
    rows = [_row(one) for one in found[-SHOWN:]]
    lines.append(table(("FROM", "FOR", "LIVE", "BOUND BY", "CANDIDATE", "BOUND BY", "REPLICA-HOURS"), rows))
    if len(found) > SHOWN:
        lines.append(f"the newest {SHOWN} of {len(found)}; all of them with -o json")
    return lines


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    from aiops.app.evidence import lasting

    live, candidate = one["live"], one["candidate"]
    return (
        one["from"],
        lasting(one["seconds"]),
        _levels(live["wanted"]),
        live["reason"] or "-",
        _levels(candidate["wanted"]),
        candidate["reason"] or "-",
        f"{one['replica_hours']:+.2f}",
    )


def _levels(wanted: list[int]) -> str:
    return str(wanted[0]) if wanted[0] == wanted[1] else f"{wanted[0]} to {wanted[1]}"


def _sums(answer: dict[str, Any]) -> list[str]:
    rows = [
        ("ran", _number(answer["ran"]["replica_hours"]), _money(answer["ran"]["usd"]), "", "", ""),
        *(_sum(name, answer[name]) for name in ("live", "candidate")),
    ]
    columns = ("", "REPLICA-HOURS", "USD", "SLO RISK", "CHANGES", "HELD BY")
    return [table(columns, rows), f"slo risk: {answer['definitions']['slo_risk']}"]


def _sum(name: str, side: dict[str, Any]) -> tuple[str, ...]:
    risk = "unknown" if side["slo_risk"] is None else f"{side['slo_risk']:.2%} of {side['judged_ticks']} ticks"
    holds = ", ".join(f"{reason} {count}" for reason, count in side["holds"].items()) or "-"
    bugs = f", {side['bugs']} bugs" if side["bugs"] else ""
    return (name, _number(side["replica_hours"]), _money(side["usd"]), risk, str(side["changes"]), holds + bugs)


def _number(value: float) -> str:
    return f"{value:.2f}"


def _money(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


# -- of two files --------------------------------------------------------------------------------------------------


def _of_files(before: Path, after: Path) -> None:
    found = []
    for name, one, other in _pairs(before, after):
        found.append({"policy": name, **_compared(one, other)})
    differ = any(one["only_in"] or one["fields"] for one in found)
    lines = [line for one in found for line in _file_lines(one)]
    SESSION.show(found, "\n".join(lines) if differ else "no difference")
    if differ:
        sys.exit(1)


def _pairs(before: Path, after: Path) -> list[tuple[str, Any, Any]]:
    """Return the policies of two files side by side: by their names, or as they are when there is one in each."""
    from aiops.policy import load

    one = {policy.key: json.loads(policy.document) for policy in load([before]).every}
    other = {policy.key: json.loads(policy.document) for policy in load([after]).every}
    if len(one) == len(other) == 1 and {key.split("/")[0] for key in one} == {key.split("/")[0] for key in other}:
        (mine,), (theirs,) = one, other
        name = mine if mine == theirs else f"{mine} -> {theirs.partition('/')[2]}"
        return [(name, one[mine], other[theirs])]
    return [(key, one.get(key), other.get(key)) for key in sorted({*one, *other})]


def _compared(one: dict[str, Any] | None, other: dict[str, Any] | None) -> dict[str, Any]:
    from aiops.app.spec_diff import differences

    if one is None or other is None:
        return {"only_in": "the second" if one is None else "the first", "fields": []}
    return {"only_in": "", "fields": [asdict(change) for change in differences(one, other)]}


def _file_lines(one: dict[str, Any]) -> list[str]:
    if one["only_in"]:
        return [f"{one['policy']}: only in {one['only_in']}"]
    if not one["fields"]:
        return [f"{one['policy']}: no difference"]
    rows = [(change["field"], change["before_text"], "->", change["after_text"]) for change in one["fields"]]
    return [f"{one['policy']}:", *(f"  {line}" for line in table(("FIELD", "BEFORE", "", "AFTER"), rows).splitlines())]
