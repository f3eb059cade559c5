"""What people said: modes, pauses, freezes, a workload switched off, approvals (S4, S6, S9)."""

from __future__ import annotations

import math

from aiops.core.guard.context import GuardContext, Wish, until_or_none
from aiops.core.ids import ulid
from aiops.core.model import Ask, Clamp, Direction, Freeze, Mode, Pass, Pause, Question, Reason, Ruling, Wait
from aiops.core.policies import Lever

PAUSE_ANNOTATION = "policy.aiops/paused"
QUESTION_S = 1800.0
"""How long a person has to answer."""

_OBSERVE, _DRY_RUN, _APPROVE = Mode.OBSERVE, Mode.DRY_RUN, Mode.APPROVE  # by its class a member costs ten times a name
_ACTS = {mode: Pass(detail=mode.value) for mode in Mode}
_NO_PAUSE = Pass(detail="not paused")
_NO_FREEZE = Pass(detail="no freeze")
_ON = Pass(detail="switched on")
_APPROVED = Pass(detail="approved")


def mode(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Hold what only observes, and do not repeat a dry run's decision every tick (S6)."""
    if wish.delta == 0:
        return None
    now = ctx.mode
    if now is _OBSERVE:
        return Wait(reason=Reason.MODE_OBSERVE, detail="mode observe: nothing is decided")
    return _ACTS[now]


def settled(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Do not decide the same dry run every tick: it was said once, and nothing has changed by it (S6)."""
    if wish.delta == 0 or ctx.state.settled != wish.after or ctx.mode is not _DRY_RUN:
        return None
    return Wait(reason=Reason.DRY_RUN_SETTLED, detail=f"dry-run: {wish.after} was decided and not sent")


def pause(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Hold what a person paused; a pause that holds at a level pins it (S9)."""
    said = _annotated(ctx)
    for one in (*ctx.snapshot.pauses, *said) if said else ctx.snapshot.pauses:
        if not one.concerns(ctx.policy.target, ctx.policy.key, ctx.now):
            continue
        if one.hold_at is not None:
            if wish.after == one.hold_at:
                continue
            return Clamp(after=one.hold_at, reason=Reason.PAUSED, detail=f"{_said(one)}: held at {one.hold_at}")
        if wish.delta != 0 and _binds(one.direction, wish.delta):
            return Wait(reason=Reason.PAUSED, detail=_said(one), until=until_or_none(one.until))
    return None if wish.delta == 0 else _NO_PAUSE


def freeze(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Hold scale-in and forecast-only scale-out during a change freeze; reactive need goes on (S5, S9)."""
    if wish.delta == 0:
        return None
    if not ctx.policy.freezes and not ctx.snapshot.freezes:
        return _NO_FREEZE
    own = ((one.name, one.schedule.active_until(ctx.now)) for one in ctx.policy.freezes)
    said = (one for one in ctx.snapshot.freezes if one.concerns(ctx.policy.key))
    standing = [*said, *(Freeze(name=name, until=until) for name, until in own if until is not None)]
    if not standing:
        return _NO_FREEZE
    frozen = max(standing, key=lambda one: one.until)
    return only_firm(wish, ctx, Wait(reason=Reason.FROZEN, detail=f"change freeze {frozen.name}", until=frozen.until))


def switched_off(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Leave alone what a person scaled to zero (S4); Knative scales to zero by itself."""
    if wish.delta == 0 or ctx.workload is None:
        return None
    if ctx.workload.replicas == 0 and ctx.policy.lever is not Lever.KNATIVE_MIN_SCALE:
        return Wait(reason=Reason.SWITCHED_OFF, detail="replicas is 0: somebody switched it off")
    return _ON


def approval(wish: Wish, ctx: GuardContext) -> Ruling | None:
    """Ask a person in mode approve; a yes is taken after everything else was checked again (S6)."""
    if wish.delta == 0 or ctx.mode is not _APPROVE:
        return None
    question = question_for(wish, ctx)
    answer = next((a for a in ctx.snapshot.approvals if a.ask_id == question.id), None)
    if answer is None:
        detail = f"{wish.before} -> {wish.after} needs a yes (question {question.id})"
        return Ask(reason=Reason.APPROVAL_NEEDED, detail=detail, expires_at=question.expires_at)
    if answer.approved:
        return _APPROVED
    why = f": {answer.reason}" if answer.reason else ""
    return Wait(
        reason=Reason.APPROVAL_REJECTED, detail=f"{answer.by} said no{why}", until=until_or_none(question.expires_at)
    )


def question_for(wish: Wish, ctx: GuardContext) -> Question:
    """Return the question that stands for this very change, or a new one."""
    standing = ctx.state.question
    if standing is not None and standing.after == wish.after and standing.expires_at > ctx.now:
        return standing
    ask_id = ulid(ctx.now, ctx.policy.key, "ask", str(wish.before), str(wish.after))
    return Question(id=ask_id, after=wish.after, expires_at=ctx.now + QUESTION_S)


def only_firm(wish: Wish, ctx: GuardContext, held: Wait) -> Ruling:
    """Return what limits that never block reactive need leave of a wish: all of it, its firm part, or nothing (S5)."""
    if wish.delta < 0:
        return held
    low, _, _ = ctx.policy.bounds.at(ctx.now)
    firm = wish.firm(low)
    if wish.after <= firm:
        return Pass(detail=f"reactive need is not held by: {held.detail}")
    if firm <= wish.before:
        return held
    return Clamp(after=firm, reason=held.reason, detail=f"{held.detail}; reactive need {firm} goes on")


def _binds(direction: Direction, delta: int) -> bool:
    match direction:
        case Direction.ALL:
            return True
        case Direction.IN:
            return delta < 0
        case Direction.OUT:
            return delta > 0


def _said(one: Pause) -> str:
    which = "" if one.direction is Direction.ALL else f" scale-{one.direction.value}"
    return f"paused{which} by {one.by}: {one.reason}" if one.reason else f"paused{which} by {one.by}"


def _annotated(ctx: GuardContext) -> tuple[Pause, ...]:
    """Return the pause that the workload's annotation says; one that cannot be read pauses everything."""
    text = ctx.workload.annotations.get(PAUSE_ANNOTATION) if ctx.workload is not None else None
    if text is None:
        return ()
    word, _, level = text.strip().partition("=")
    known = word in tuple(Direction)
    hold_at = int(level) if word == "hold" and level.isdecimal() else None
    understood = known or hold_at is not None
    return (
        Pause(
            id="annotation",
            scope=str(ctx.policy.target),
            direction=Direction(word) if known else Direction.ALL,
            reason="" if understood else f"{text!r} is none of all, in, out, hold=N",
            by=f"annotation {PAUSE_ANNOTATION}",
            since=-math.inf,
            hold_at=hold_at,
        ),
    )
