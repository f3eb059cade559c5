"""Looking: status, decisions, explain, replay, actions, effects."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from aiops.app.output import SESSION, printable, table


class Came(StrEnum):
    """What can have come of a decision: the words of verdicts, and a bug."""

    STEADY = "steady"
    ALLOW = "allow"
    WAIT = "wait"
    ASK = "ask"
    DENY = "deny"
    BUG = "bug"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for command in (status, decisions, explain, replay, actions, effects):
        app.command()(command)


def status() -> None:
    """Say where the loop stands."""
    answer = SESSION.answers().status()
    lines = []
    if answer.get("running"):
        lines.append(f"running, mode {answer['mode']}: {answer['sentence'] or 'beginning, the first turn is to come'}")
        lines += [f"not well: {why}" for why in dict.fromkeys((*answer["unhealthy"], *answer["unready"]))]
        lines += [f"policy refused: {problem}" for problem in answer["problems"]]
        lines += [f"{one['policy'].partition('/')[2]}: {one['notice']}" for one in answer["standings"] if one["notice"]]
        lines += [_selected(one) for one in answer.get("templates", ())]
    else:
        lines.append(f"from the record; last tick {when(answer['last_tick_at'])} (ask the daemon with --server URL)")
    lines += [f"{one['target']}  {one['story']}" for one in (*answer["targets"], *answer.get("shadows", ()))]
    lines += [_incident(one) for one in answer["incidents"]]
    lines += [f"pause {one['id']} on {one['scope']} by {one['by']}: {one['reason']}" for one in answer["pauses"]]
    if answer["effects"]:
        lines.append(f"{answer['effects']} effects to hand back: aiops effects")
    SESSION.show(answer, "\n".join(lines))


def _incident(one: dict[str, Any]) -> str:
    """Return what goes on, and where to look."""
    many = f"{one['series']} series are" if one["series"] > 1 else "a series is"
    suspected = f", suspected: {', '.join(map(printable, one['suspects']))}" if one["suspects"] else ""
    return f"{many} out of the ordinary since {when(one['since'])}{suspected}: aiops incidents show {one['id']}"


def _selected(one: dict[str, Any]) -> str:
    """Return who belongs to a policy that selects its targets, and who does not though it matches."""
    whom = ", ".join(one["targets"]) or "nobody"
    said = f"{one['policy'].partition('/')[2]}: {one['selector']} selects {whom} (at most {one['max_targets']})"
    out = [f"{name} ({why})" for name, why in one["left_out"].items()]
    return said + (f"; not {', '.join(out)}" if out else "") + (f"; HELD: {one['held']}" if one["held"] else "")


def decisions(
    policy: Annotated[str | None, typer.Argument(help="namespace/name of a target, or a policy's key.")] = None,
    verdict: Annotated[Came | None, typer.Option(help="What came of it.")] = None,
    reason: Annotated[str | None, typer.Option(help="Such as cooldown or stale_signal.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many at most.")] = 20,
) -> None:
    """List decisions, newest first; a line stands for all the ticks in which nothing changed."""
    asked: dict[str, Any] = {"policy": policy, "verdict": verdict and verdict.value, "reason": reason, "limit": limit}
    rows = SESSION.answers().decisions(asked)
    text = table(
        ("ID", "SINCE", "TICKS", "TARGET", "VERDICT", "REASON", "STORY"),
        [(r["id"], when(r["at"]), r["ticks"], r["target"], r["verdict"], r["reason"] or "-", r["story"]) for r in rows],
    )
    SESSION.show(rows, text if rows else "no decisions")


def explain(decision: Annotated[str, typer.Argument(help="Its id, or the beginning of it.")]) -> None:
    """Tell the story of one decision: what it saw, expected, needed, and which limit bound it."""
    answer = SESSION.answers().decision(decision)
    SESSION.show(answer, answer["text"])


def replay(decision: Annotated[str, typer.Argument(help="Its id, or the beginning of it.")]) -> None:
    """Make a stored decision again from its inputs, and say whether it is identical."""
    answer = SESSION.answers().replay(decision)
    lines = [f"{answer['id']}: {answer['agreement']}", *(f"  {one}" for one in answer["differences"])]
    if answer["agreement"] != "identical":
        lines.append(f"  made by {answer['made_by']['code']} on {answer['made_by']['platform']}")
    SESSION.show(answer, "\n".join(lines))
    if not answer["agrees"]:
        sys.exit(1)


def actions(limit: Annotated[int, typer.Option(min=1, max=1000, help="So many at most.")] = 20) -> None:
    """List actions with what became of them, newest first."""
    rows = SESSION.answers().actions(limit)
    text = table(
        ("ID", "AT", "TARGET", "CHANGE", "SENT", "OUTCOME"),
        [
            (
                row["id"],
                when(row["at"]),
                row["target"],
                f"{row['before']} -> {row['after']}",
                row["status"],
                row["outcome"] or "-",
            )
            for row in rows
        ],
    )
    SESSION.show(rows, text if rows else "no actions")


def effects() -> None:
    """List what stands in the clusters until it is handed back."""
    rows = SESSION.answers().effects()
    text = table(
        ("OBJECT", "ATTRIBUTE", "WAS", "IS", "SINCE", "POLICY", "HANDED BACK BY"),
        [
            (r["object"], r["attribute"], r["original"], r["written"], when(r["since"]), r["policy"], r["hand_back"])
            for r in rows
        ],
    )
    SESSION.show(rows, text if rows else "nothing of ours stands in the clusters")


def when(at: float | None) -> str:
    """Return an instant as people read it."""
    return "never" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
