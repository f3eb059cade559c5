"""Decisions in words: one sentence for a tick, and the whole explanation of one decision."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import assert_never

from aiops.core.model import (
    Action,
    Ask,
    Capacity,
    Clamp,
    Decision,
    Deny,
    Effect,
    Forecast,
    Instant,
    Judgement,
    Mode,
    Need,
    Nowcast,
    Outcome,
    Pass,
    Proposal,
    Ruled,
    Signal,
    StartupTime,
    Verdict,
    VerdictWord,
    Wait,
    Weighed,
    Workload,
)
from aiops.core.money.newsvendor import Stakes

_HEADLINES = {
    VerdictWord.STEADY: "STEADY",
    VerdictWord.ALLOW: "ALLOWED",
    VerdictWord.WAIT: "HOLD",
    VerdictWord.ASK: "ASKS",
    VerdictWord.DENY: "DENIED",
}

_STEADY = VerdictWord.STEADY
_HELD = {VerdictWord.WAIT: "hold", VerdictWord.ASK: "asks to leave", VerdictWord.DENY: "denied, stays at"}


def clock(at: Instant) -> str:
    """Return the time of day in UTC.

    >>> clock(0.0)
    '00:00:00'
    """
    second = int(at) % 86_400
    return f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


def stamp(at: Instant) -> str:
    """Return an instant as people and machines read it.

    >>> stamp(0.0)
    '1970-01-01T00:00:00Z'
    """
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def sentence(verdict: Verdict) -> str:
    """Return one sentence, without time and place: what is decided and why."""
    change, why = verdict.change, verdict.proposal.reason
    word = verdict.word
    if word not in _HELD:
        bound = verdict.binding if verdict.proposal.delta != 0 else None
        limit = f", {_detail(bound)}" if bound is not None else ""
        if word is _STEADY:
            held = "hold" if limit else "steady"
            return f"{held} {change.before}: {why}{limit}"
        way = "scale out" if change.after > change.before else "scale in"
        dry = " (dry-run)" if verdict.dry_run else ""
        return f"{way} {change.before} -> {change.after}{dry}: {why}{limit}"
    bound = verdict.binding
    detail = _detail(bound) if bound is not None else ""
    limit = f", {detail}" if detail and detail not in why else ""
    return f"{_HELD[word]} {change.before}: {why}{limit}"


def _detail(ruled: Ruled) -> str:
    match ruled.ruling:
        case Pass(detail=detail):
            return detail
        case Wait(reason=reason, detail=detail, until=until):
            return f"{detail or reason.value}" + (f" (until {clock(until)})" if until is not None else "")
        case Clamp(reason=reason, detail=detail) | Deny(reason=reason, detail=detail):
            return detail or reason.value
        case Ask(detail=detail, expires_at=expires_at):
            return f"{detail} (expires {clock(expires_at)})"
        case unknown:
            assert_never(unknown)


# -- the whole explanation -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Everything of one decision that an explanation is written from; what was not stored is None.

    capacity: what was learnt of it. until: when the decision stopped being the newest one, ticks: how many ticks it
    stood.
    """

    decision: Decision
    workload: Workload | None = None
    forecast: Forecast | None = None
    capacity: Capacity | None = None
    unit: str = ""
    action: Action | None = None
    outcome: Outcome | None = None
    effects: tuple[Effect, ...] = ()
    until: Instant | None = None
    ticks: int = 1


def explanation(told: Told) -> str:
    """Return the story of one decision, a labelled line for each stage."""
    return "\n".join(_lines(told))


def _lines(told: Told) -> Iterator[str]:
    decision, verdict = told.decision, told.decision.verdict
    yield _headline(told)
    if decision.judgement is not None:
        yield from _judged(told, decision.judgement)
        return
    if decision.bug or verdict is None:
        yield _line("bug", (decision.bug or "nothing was decided").strip().splitlines()[-1])
        return
    proposal = verdict.proposal
    yield _line("saw", _saw(told, proposal.need))
    yield _line("expects", _expects(told, proposal.need))
    if told.workload is not None and told.workload.startup is not None:
        yield _line("starts", _starts(told.workload.startup))
    yield _line("need", _need(proposal))
    if proposal.need.price is not None:
        yield _line("price", _price(proposal.need.price, told.unit))
    yield _line("limits", " · ".join(f"{r.guard}: {_ruled(r)}" for r in verdict.rulings) or "none")
    bound = verdict.binding
    yield _line("bound by", f"{bound.guard}: {_detail(bound)}" if bound is not None else "nothing")
    effect = _effect(proposal)
    if effect:
        yield _line("effect", effect)
    if told.action is not None:
        yield _line("action", _sent(told.action))
    if told.outcome is not None:
        yield _line("outcome", f"{told.outcome.kind.value} at {clock(told.outcome.at)}: {told.outcome.detail}")
    if told.ticks > 1 and told.until is not None:
        yield _line("stood", f"{told.ticks} ticks, until {stamp(told.until)}")


def _judged(told: Told, judgement: Judgement) -> Iterator[str]:
    """Return what a policy of plans saw, and what it made of it."""
    for number, seen in enumerate(judgement.evidence):
        yield _line("" if number else "saw", seen)
    reason = "" if judgement.reason is None else f" ({judgement.reason.value})"
    yield _line("decides", f"{judgement.detail}{reason}")
    if judgement.plan_id:
        yield _line("plan", f"{judgement.plan_id}; aiops plans show {judgement.plan_id}")
    if told.ticks > 1 and told.until is not None:
        yield _line("stood", f"{told.ticks} ticks, until {stamp(told.until)}")


def _line(label: str, text: str) -> str:
    return f"{label:<10} {text}"


def _headline(told: Told) -> str:
    decision, verdict = told.decision, told.decision.verdict
    start = f"decision {decision.id} {stamp(decision.at)} {decision.target} {decision.policy}"
    if verdict is None:
        return f"{start}  {'BUG' if decision.word is None else _HEADLINES[decision.word]}"
    word = verdict.word
    # limits that leave nothing of a wish hold it: people do not read that as steady
    headline = "HOLD" if word is VerdictWord.STEADY and verdict.proposal.delta else _HEADLINES[word]
    moved = f"{verdict.change.before} -> {verdict.change.after}" if word is VerdictWord.ALLOW else verdict.change.before
    dry = "  (dry-run: not sent)" if verdict.dry_run and word is VerdictWord.ALLOW else ""
    return f"{start}  {headline}  {moved}{dry}"


def _saw(told: Told, need: Need) -> str:
    parts = [_signal(signal) for signal in told.decision.signals]
    if told.workload is not None:
        parts.append(f"{told.workload.ready} ready of {told.workload.replicas}")
    parts.append(_capacity(told, need))
    return " · ".join(parts)


def _capacity(told: Told, need: Need) -> str:
    if need.capacity <= 0.0:
        return "what one replica carries is not learnt yet"
    if not need.capacity_learned:
        return f"one replica carries {need.capacity:g} {told.unit}".rstrip() + " (given)"
    doubt = "" if told.capacity is None else f" ± {told.capacity.doubt_ratio:.1%}"
    return f"one replica carries {need.capacity:.4g} {told.unit}".rstrip() + f"{doubt} (learned)"


def _signal(signal: Signal) -> str:
    if signal.usable:
        note = f", {signal.detail}" if signal.detail else ""
        return f"{signal.name} {signal.value:,.4g} ({signal.age_s:.0f} s old{note})"
    return f"{signal.name} {signal.state.value}: {signal.detail}"


def _expects(told: Told, need: Need) -> str:
    measured = "start-up p95 of this workload" if need.lead_measured else "start-up as the policy says"
    if need.demand_ahead is None:
        return f"no forecast: reactive only ({measured} {need.lead_s:.0f} s)"
    if need.foreseen is not None:
        if need.demand_ahead == need.foreseen.upper[1]:
            return _expects_soon(need.foreseen, 1, told, f"{need.lead_s:.0f} s ({measured})")
        near = f"{need.foreseen.horizons_s[0]:.0f} s (before one that is asked for now would serve)"
        return _expects_soon(need.foreseen, 0, told, near)
    forecast = told.forecast
    model = "" if forecast is None else f" (model {forecast.model}{_skill(forecast)})"
    return f"demand {need.demand_ahead:,.4g} {told.unit} within {need.lead_s:.0f} s ({measured}){model}"


def _starts(startup: StartupTime) -> str:
    """Return how long pods take to start, and what of that is known to be which phase."""
    phases = {
        "pending": startup.pending_s,
        "pull": startup.pull_s,
        "init": startup.init_s,
        "ready": startup.ready_s,
    }
    known = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in phases.items() if seconds is not None)
    medians = f"; medians: {known}" if known else ""
    count = "1 start-up" if startup.count == 1 else f"{startup.count} start-ups"
    return f"p50 {startup.p50_s:.0f} s, p95 {startup.p95_s:.0f} s of {count}{medians}"


def _expects_soon(soon: Nowcast, place: int, told: Told, lead: str) -> str:
    demand = f"demand {soon.demand[place]:,.4g} {told.unit}".rstrip()
    margin = f"{soon.margin:.1f} times its error of {soon.error_ratio[place]:.1%}"
    upper = f"{soon.upper[place]:,.4g}"
    return (
        f"{demand} within {lead}, and {margin} above it: {upper} (skill {soon.skill:.2f} against last value and season)"
    )


def _skill(forecast: Forecast) -> str:
    return "" if forecast.skill is None else f", skill {forecast.skill:.2f} against seasonal naive"


def _price(price: Weighed, unit: str) -> str:
    """Return the sum: what one replica more costs, and what it would save."""
    money, late = price.currency, f"{price.violated_request:g} {price.currency} a late request"
    if price.replica_hour is None or price.short_ratio is None or price.served_ratio is None:
        known = "" if price.replica_hour is None else f"a replica costs {price.replica_hour:g} {money}/h, "
        return f"{known}{late}: {price.gap or 'not known'}; served as if there were no prices"
    stakes = Stakes(
        replica_usd_per_hour=price.replica_hour,
        violated_usd=price.violated_request,
        carried=price.carried,
        steepness=price.steepness,
    )
    steep = f" x {price.steepness:.3g} late for each too many" if price.steepness > 1.0 else ""
    parts = [
        f"one replica more costs {price.replica_hour:g} {money}/h ({price.source})",
        f"saves {stakes.saved_usd_per_hour:,.4g} {money}/h while there is one too few "
        f"({price.carried:.4g} {unit or '/s'} x 3600 s{steep} x {late})",
        f"pays while that is so for more than {price.short_ratio:.3%} of the time",
        f"served p{100.0 * price.served_ratio:.6g}{_limited(price)}",
    ]
    return " · ".join(parts)


def _limited(price: Weighed) -> str:
    match price.limit:
        case "slo":
            return " (the SLO's own, money sells none of it)"
        case "median":
            return " (no less than the median)"
        case "evidence":
            return " (no rarer error can be told)"
        case _:
            return ""


def _need(proposal: Proposal) -> str:
    need = proposal.need
    reactive = "unknown" if need.reactive is None else need.reactive
    ahead = "none" if need.forecast is None else need.forecast
    waits = "" if need.backlog is None else f" · backlog {need.backlog}"
    broken = " · SLO broken" if need.slo_broken else ""
    refused = f" · refused {need.refused:,.4g}" if need.refused else ""
    hidden = f"{broken}{refused}{' · full' if need.saturated else ''}"
    return f"reactive {reactive} · forecast {ahead}{waits}{hidden}  -> {proposal.change.after}  ({proposal.reason})"


def _ruled(ruled: Ruled) -> str:
    match ruled.ruling:
        case Pass(detail=detail):
            return detail or "passed"
        case Clamp(after=after):
            return f"clamps to {after}: {_detail(ruled)}"
        case Wait():
            return f"holds: {_detail(ruled)}"
        case Ask():
            return f"asks: {_detail(ruled)}"
        case Deny():
            return f"denies: {_detail(ruled)}"
        case unknown:
            assert_never(unknown)


def _effect(proposal: Proposal) -> str:
    expected = proposal.expectation
    parts = []
    if expected.risk_before is not None and expected.risk_after is not None:
        parts.append(f"risk of too little capacity {expected.risk_before:.1%} -> {expected.risk_after:.1%}")
    if expected.cost_usd_per_hour:
        parts.append(f"cost {expected.cost_usd_per_hour:+.3f} USD/h")
    return " · ".join(parts)


def _sent(action: Action) -> str:
    where = "not sent (dry-run)" if action.dry_run else f"mode {Mode(action.mode).value}"
    steps = "; ".join(step.summary for step in action.steps)
    return f"{action.id} {where}: {steps} · verify by {clock(action.verify_by)}"
