"""What people are told of a failover group: what it asks of them, and what it holds while something is down (S8)."""

from __future__ import annotations

from collections.abc import Mapping

from aiops.core.ids import ulid
from aiops.core.model import Errand, Instant, Judgement, Message, Mode, Notify, Reason, VerdictWord
from aiops.core.plans.guards import Bounds

AGAIN_S = 3600.0
"""How long the same is not told again while it lasts, or comes and goes."""

APART_S = 600.0
"""How long another plan for the same reason is not told: a proposal may come and go."""

WITHIN_S = 60.0

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
    sent = ulid(now, policy.key, "page", key)
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
    told = ((key, AGAIN_S), (_why(key), APART_S))
    return any(one in paged and now - paged[one] < least_s for one, least_s in told)


def told_as(judgement: Judgement) -> str:
    """Return what a message is known by: why, and for which plan."""
    reason = judgement.word.value if judgement.reason is None else judgement.reason.value
    return f"{reason}/{judgement.plan_id}"


def _why(key: str) -> str:
    return key.partition("/")[0]


def noted(paged: Mapping[str, Instant], judgement: Judgement, now: Instant) -> dict[str, Instant]:
    """Return when each was last told, this one now; what is old is forgotten."""
    key = told_as(judgement)
    return {one: at for one, at in paged.items() if now - at < AGAIN_S} | {key: now, _why(key): now}
