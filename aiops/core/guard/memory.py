"""What is remembered from tick to tick for the guards: windows, accepted changes, questions, overrides."""

from __future__ import annotations

import math
from dataclasses import replace

from aiops.core.guard.context import GuardContext, Wish
from aiops.core.guard.limits import stood, tolerance, wished_after
from aiops.core.guard.ownership import watched
from aiops.core.guard.pace import HOUR_S
from aiops.core.guard.people import question_for
from aiops.core.guard.upstream import noticed
from aiops.core.model import (
    Action,
    Clamp,
    Instant,
    Proposal,
    ScaleEvent,
    SignalMemory,
    TargetState,
    Verdict,
    VerdictWord,
    Workload,
)
from aiops.core.model.swift import changed
from aiops.core.policies import ScalingPolicy

_ASK = VerdictWord.ASK


def remembered(state: TargetState, verdict: Verdict, ctx: GuardContext) -> TargetState:
    """Return the state after a verdict: the wish in its window, a question that stands, an override that began.

    The window begins with the present level (S5). A tick without demand adds no wish.
    """
    proposal, policy = verdict.proposal, ctx.policy
    window_s = max(policy.up.longest_s, policy.down.longest_s)
    kept = wished_after(state.recommendations, ctx.now - window_s)
    if ctx.workload is not None and (not kept or stood(ctx)):
        kept = (*kept, (ctx.now, proposal.change.before))
    if proposal.need.reactive is not None:
        kept = (*kept, (ctx.now, _tolerated(proposal, ctx)))
    standing = state.question if state.question is not None and state.question.expires_at > ctx.now else None
    if verdict.word is _ASK:
        standing = question_for(Wish(proposal, verdict.change.after), ctx)
    settled = state.settled if proposal.change.after != proposal.change.before else None
    return changed(
        noticed(watched(state, ctx), ctx),
        recommendations=kept,
        events=_recent(state.events, policy, ctx.now),
        question=standing,
        settled=settled,
        drain_by=state.drain_by if ctx.workload is None else proposal.need.drain_by,
        since=min(state.since, ctx.now),
        ready=0 if ctx.workload is None else ctx.workload.ready,
        ready_at=ctx.now,
        most_ready=_most_ready(state, ctx.workload),
        slo_broken_since=min(state.slo_broken_since, ctx.now) if proposal.need.slo_broken else math.inf,
    )


def _most_ready(state: TargetState, workload: Workload | None) -> int:
    """Return how many of the replicas that run were ever ready at once; those that were taken away do not count."""
    return 0 if workload is None else max(workload.ready, min(state.most_ready, workload.replicas))


def in_time(state: TargetState, now: Instant) -> TargetState:
    """Return the state with nothing that was done later than now: it moves along with a clock that was stepped back.

    Left where they are, changes of the future would fill the rates, windows and cooldowns of as long as the step (S5).
    """
    pending = state.pending
    times = [state.last_out_at, state.last_in_at, *[memory.last_good_at for memory in state.signals.values()]]
    if state.recommendations:
        times.append(state.recommendations[-1][0])
    if state.events:
        times.append(state.events[-1].at)
    if pending is not None:
        times.append(pending.issued_at)
    by_s = max(times) - now
    if by_s <= 0:
        return state
    if pending is not None:
        pending = replace(
            pending,
            issued_at=pending.issued_at - by_s,
            expires_at=pending.expires_at - by_s,
            verify_by=pending.verify_by - by_s,
        )
    return changed(
        state,
        pending=pending,
        recommendations=tuple((at - by_s, wished) for at, wished in state.recommendations),
        events=tuple(replace(event, at=event.at - by_s) for event in state.events),
        last_out_at=state.last_out_at - by_s,
        last_in_at=state.last_in_at - by_s,
        override_until=state.override_until - by_s,
        slo_broken_since=state.slo_broken_since - by_s,
        drain_by=state.drain_by - by_s,
        since=state.since - by_s,
        ready_at=state.ready_at - by_s,
        upstream_since=state.upstream_since - by_s,
        traffic={name: tuple((at - by_s, value) for at, value in one) for name, one in state.traffic.items()},
        signals={name: _earlier(memory, by_s) for name, memory in state.signals.items()},
    )


def _earlier(memory: SignalMemory, by_s: float) -> SignalMemory:
    return changed(memory, last_good_at=memory.last_good_at - by_s, partial_since=memory.partial_since - by_s)


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
        return changed(state, events=events, last_out_at=max(state.last_out_at, at))
    return changed(state, events=events, last_in_at=max(state.last_in_at, at))


def _tolerated(proposal: Proposal, ctx: GuardContext) -> int:
    wanted = proposal.change.after
    if wanted == proposal.change.before:
        return wanted
    ruling = tolerance(Wish(proposal, wanted), ctx)
    return ruling.after if isinstance(ruling, Clamp) else wanted


def _recent(events: tuple[ScaleEvent, ...], policy: ScalingPolicy, now: Instant) -> tuple[ScaleEvent, ...]:
    if not events or events[0].at > now - HOUR_S:  # the oldest is the first, and no horizon is nearer
        return events
    periods = [one.period_s for one in (*policy.up.rates, *policy.down.rates)]
    horizon = max((HOUR_S, *periods))
    return tuple(event for event in events if event.at > now - horizon)
