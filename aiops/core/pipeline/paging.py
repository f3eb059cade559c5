"""What people are told of a failover group: what it asks of them, and what it holds while something is down (S8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from aiops.core.ids import ulid
from aiops.core.model import (
    Errand,
    Instant,
    Judgement,
    LoopState,
    Message,
    Mode,
    Notify,
    PolicyKey,
    Reason,
    StepResult,
    StepStatus,
    VerdictWord,
)
from aiops.core.plans.guards import Bounds

AGAIN_S = 3600.0
"""How long the same is not told again while it lasts, or comes and goes."""

APART_S = 600.0
"""How long another plan for the same reason is not told: a proposal may come and go."""

WITHIN_S = 60.0
"""How long a message may take; one of which nobody knows by then whether it came is sent again."""

_SENT = "sent "
"""Marks in what is remembered a message that was sent, and did not come yet as far as is known."""

_TOLD_HOLDS = frozenset({Reason.API_DOWN})
"""What is told though nobody is asked: a hold that people have to end."""


def page(judgement: Judgement, paged: Mapping[str, Instant], bounds: Bounds) -> Errand | None:
    """Return the message to people that a judgement is worth, None when it is worth none, or was told lately.

    paged: when each was last told, by `told_as`. Only a leader that may act tells anybody anything (S6).
    """
    policy, now = bounds.policy, bounds.now
    if policy is None or not bounds.snapshot.leadership.leader or bounds.mode.rank < Mode.APPROVE.rank:
        return None
    if judgement.word is not VerdictWord.ASK and judgement.reason not in _TOLD_HOLDS:
        return None
    if _lately(judgement, paged, now):
        return None
    name, key = policy.key.rpartition("/")[2], told_as(judgement)
    asks = "asks" if judgement.word is VerdictWord.ASK else "holds"
    plan = (f"plan {judgement.plan_id}: `aiops plans show {judgement.plan_id}`",) if judgement.plan_id else ()
    text = "\n".join((judgement.detail, *plan, *judgement.evidence))
    told = Notify(title=f"{name} {asks}: {_why(key)}", text=text)
    sent = _id_of(now, policy.key, key)
    return Errand(
        id=sent,
        plan_id="",
        step=0,
        back=False,
        policy=policy.key,
        dry_run=False,
        issued_at=now,
        expires_at=now + WITHIN_S,
        epoch=bounds.snapshot.leadership.epoch,
        messages=(Message(operation=told, key=sent, summary=told.title),),
    )


def _lately(judgement: Judgement, paged: Mapping[str, Instant], now: Instant) -> bool:
    key = told_as(judgement)
    told = ((key, AGAIN_S), (_why(key), APART_S), (_SENT + key, WITHIN_S))
    return any(one in paged and now - paged[one] < least_s for one, least_s in told)


def told_as(judgement: Judgement) -> str:
    """Return what a message is known by: why, and for which plan."""
    reason = judgement.word.value if judgement.reason is None else judgement.reason.value
    return f"{reason}/{judgement.plan_id}"


def _why(key: str) -> str:
    return key.partition("/")[0]


def noted(paged: Mapping[str, Instant], judgement: Judgement, now: Instant) -> dict[str, Instant]:
    """Return when each was last told, and this one sent now; what is old is forgotten."""
    return {one: at for one, at in paged.items() if now - at < AGAIN_S} | {_SENT + told_as(judgement): now}


def acknowledged(state: LoopState, errand: Errand, results: Sequence[StepResult]) -> LoopState:
    """Return the state whose policy knows that a message of it came, or was refused for good.

    One that was sent by a process which ended on the way, or failed, is sent again: rather twice than never.
    """
    key = errand.policy
    if not results or any(one.status is StepStatus.UNKNOWN for one in results):
        return state
    if (group := state.groups.get(key)) is not None:
        return replace(state, groups={**state.groups, key: replace(group, paged=_came(group.paged, errand))})
    if (ladder := state.ladders.get(key)) is not None:
        return replace(state, ladders={**state.ladders, key: replace(ladder, paged=_came(ladder.paged, errand))})
    if (saving := state.savings.get(key)) is not None:
        return replace(state, savings={**state.savings, key: replace(saving, paged=_came(saving.paged, errand))})
    return state


def _came(paged: Mapping[str, Instant], errand: Errand) -> Mapping[str, Instant]:
    for name, at in paged.items():
        key = name.removeprefix(_SENT)
        if key != name and _id_of(at, errand.policy, key) == errand.id:
            return {one: when for one, when in paged.items() if one != name} | {key: at, _why(key): at}
    return paged


def _id_of(at: Instant, policy: PolicyKey, key: str) -> str:
    return ulid(at, policy, "page", key)
