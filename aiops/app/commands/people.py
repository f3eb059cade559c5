"""Saying: pause, resume, stop-all, release, approvals."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aiops.app.output import SESSION, table
from aiops.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from aiops.web.contract import Answers

approvals = typer.Typer(help="Questions that wait for a person's yes.", invoke_without_command=True)

Reason = Annotated[str, typer.Option(help="Why; it is shown wherever the pause binds.")]
Why = Annotated[str, typer.Option(help="Why; it is kept with the answer.")]
Question = Annotated[str, typer.Argument(help="Its id, or the beginning of it; `aiops approvals` lists them.")]
MOST_NAMED = 20

By = Annotated[str | None, typer.Option(help="Who says so; your user name by default.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(pause)
    app.command()(resume)
    app.command(name="stop-all")(stop_all)
    app.command()(release)


def pause(
    scope: Annotated[str | None, typer.Argument(help="namespace, namespace/name, or a policy's key.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Pause everything.")] = False,
    direction: Annotated[str, typer.Option(help="all, in, out, or hold=N.")] = "all",
    for_: Annotated[str | None, typer.Option("--for", help="How long: 30m, 2h; for ever by default.")] = None,
    reason: Reason = "",
    by: By = None,
) -> None:
    """Hold a scope until it is resumed, or for a time."""
    wish = _wish(_scope(scope, everything), direction, for_, (reason, by))
    answer = SESSION.answers().pause(wish)
    until = f" for {for_}" if for_ else ""
    SESSION.show(answer, f"paused {answer['scope']}{until}; undo with: aiops resume {answer['id']}{_asleep(answer)}")


def stop_all(reason: Reason = "emergency stop", by: By = None) -> None:
    """Stop every write within a tick."""
    answer = SESSION.answers().pause(_wish("*", "all", None, (reason, by)))
    SESSION.show(answer, f"nothing is written any more; undo with: aiops resume {answer['id']}{_asleep(answer)}")


def resume(
    pause_id: Annotated[
        str | None, typer.Argument(help="Its id or the beginning of it, or the whole scope that is paused.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="End every pause.")] = False,
    by: By = None,
) -> None:
    """End a pause, or all those of a scope."""
    if (not pause_id) != everything:
        raise InvalidInput("say which pause to end, or --all; aiops status lists them")
    answers, who = SESSION.answers(), by or getpass.getuser()
    ids = _pauses(answers, pause_id) if pause_id else ["*"]
    ended = sum(answers.resume(one, who)["ended"] for one in ids)
    SESSION.show({"ended": ended}, f"{ended} {'pause' if ended == 1 else 'pauses'} ended")


def release(
    scope: Annotated[str | None, typer.Argument(help="namespace, namespace/name, or a policy's key.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Hand everything back.")] = False,
    reason: Reason = "released",
    by: By = None,
) -> None:
    """Pause a scope, and hand back what stands there; the daemon does it at its next tick."""
    wish = {"scope": _scope(scope, everything), "reason": reason, "by": by or getpass.getuser()}
    answer = SESSION.answers().release(wish)
    SESSION.show(answer, f"handing back {answer['scope']}, and pausing it; undo with: aiops resume {answer['id']}")


@approvals.callback()
def _list(context: typer.Context) -> None:
    if context.invoked_subcommand is not None:
        return
    rows = SESSION.answers().questions()
    text = table(("ID", "POLICY", "TO"), [(row["id"], row["policy"], row["after"]) for row in rows])
    SESSION.show(rows, text if rows else "no questions")


@approvals.command()
def approve(question: Question, reason: Why = "", by: By = None) -> None:
    """Say yes; everything is checked again before it is done."""
    _answer(question, (reason, by), approved=True)


@approvals.command()
def reject(question: Question, reason: Why = "", by: By = None) -> None:
    """Say no."""
    _answer(question, (reason, by), approved=False)


def _answer(question: str, said: tuple[str, str | None], *, approved: bool) -> None:
    wish = {"approved": approved, "reason": said[0], "by": said[1] or getpass.getuser()}
    answer = SESSION.answers().answer(question, wish)
    SESSION.show(answer, f"{'approved' if approved else 'rejected'} {answer['ask_id']}")


def _pauses(answers: Answers, meant: str) -> list[str]:
    """Return the ids of the pauses that are meant, by the beginning of an id or by their whole scope."""
    found = [one["id"] for one in answers.pauses() if one["scope"] == meant or one["id"].startswith(meant)]
    if not found:
        raise NotFound(f"there is no pause {meant} in force; aiops status lists them")
    return found


def _asleep(answer: dict[str, Any]) -> str:
    """Return which workloads will not be woken meanwhile."""
    names = answer.get("blocks_wakes") or []
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"\nasleep, and not woken meanwhile: {', '.join(names[:MOST_NAMED])}{more}" if names else ""


def reasoned(reason: str) -> str:
    """Return why; raise InvalidInput for nothing."""
    if not reason.strip():
        raise InvalidInput("--reason is missing: others will want to know why")
    return reason


def _scope(scope: str | None, everything: bool) -> str:
    if (scope is None) != everything:
        raise InvalidInput("say what: a namespace, namespace/name or a policy's key, or --all")
    return "*" if scope is None else scope


def _wish(scope: str, direction: str, for_: str | None, said: tuple[str, str | None]) -> dict[str, Any]:
    from aiops.core.decide.quantities import duration_s

    reason, by = reasoned(said[0]), said[1]
    word, _, level = direction.partition("=")
    if word == "hold" and not level.isdecimal():
        raise InvalidInput(f"--direction {direction}: hold needs a number of replicas, such as hold=8")
    try:
        for_s = None if for_ is None else duration_s(for_)
    except ValueError as err:
        raise InvalidInput(f"--for: {err}") from err
    return {
        "scope": scope,
        "direction": "all" if word == "hold" else direction,
        "hold_at": int(level) if word == "hold" else None,
        "for_s": for_s,
        "reason": reason,
        "by": by or getpass.getuser(),
    }
