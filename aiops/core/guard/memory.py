"""What is remembered from tick to tick for the guards: windows, accepted changes, questions, overrides."""

from __future__ import annotations

from dataclasses import replace

from aiops.core.guard.context import GuardContext, Wish
from aiops.core.guard.limits import tolerance
from aiops.core.guard.ownership import watched
from aiops.core.guard.pace import HOUR_S
from aiops.core.guard.people import question_for
from aiops.core.model import Action, Ask, Clamp, Instant, ScaleEvent, TargetState, Verdict
from aiops.core.policies import ScalingPolicy


def remembered(state: TargetState, verdict: Verdict, ctx: GuardContext) -> TargetState:
    """Return the state after a verdict: the wish in its window, a question that stands, an override that began.

    The window begins with the present level (S5). A tick without demand adds no wish.
    """
    proposal, policy = verdict.proposal, ctx.policy
    window_s = max(policy.up.stabilisation_s, policy.down.stabilisation_s)
    kept = tuple(one for one in state.recommendations if one[0] > ctx.now - window_s)
    if ctx.workload is not None and not kept:
        kept = ((ctx.now, proposal.change.before),)
    if proposal.need.reactive is not None:
        kept = (*kept, (ctx.now, _tolerated(Wish(proposal, proposal.change.after), ctx)))
    asked = any(isinstance(ruled.ruling, Ask) for ruled in verdict.rulings)
    standing = state.question if state.question is not None and state.question.expires_at > ctx.now else None
    if asked:
        standing = question_for(Wish(proposal, verdict.change.after), ctx)
    settled = state.settled if proposal.change.after != proposal.change.before else None
    return replace(
        watched(state, ctx),
        recommendations=kept,
        events=_recent(state.events, policy, ctx.now),
        question=standing,
        settled=settled,
    )


def accepted(state: TargetState, action: Action, at: Instant) -> TargetState:
    """Return the state that knows of an accepted change, once per action, whoever tells it again.

    A dry run starts cooldowns and counts in the budget, but moves nothing, so that no rate is counted from it (S5).
    """
    if any(event.at == at for event in state.events):
        return state
    delta = action.change.after - action.change.before
    event = ScaleEvent(at=at, delta=0 if action.dry_run else delta)
    events = tuple(sorted((*state.events, event), key=lambda one: one.at))
    if delta > 0:
        return replace(state, events=events, last_out_at=max(state.last_out_at, at))
    return replace(state, events=events, last_in_at=max(state.last_in_at, at))


def _tolerated(wish: Wish, ctx: GuardContext) -> int:
    ruling = tolerance(wish, ctx)
    return ruling.after if isinstance(ruling, Clamp) else wish.after


def _recent(events: tuple[ScaleEvent, ...], policy: ScalingPolicy, now: Instant) -> tuple[ScaleEvent, ...]:
    if not events:
        return events
    periods = [one.period_s for one in (*policy.up.rates, *policy.down.rates)]
    horizon = max((HOUR_S, *periods))
    return tuple(event for event in events if event.at > now - horizon)
