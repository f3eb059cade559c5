"""Two versions of a policy that decided on the same snapshots: where they differed, at what cost and risk. Pure.

What a version wanted at an instant is the level that its own limits left of its wish, from what really ran: where it
would have brought the target next. Both are compared in the world that the acting one made, so these are differences of
decisions and no forecast of what the candidate would have brought about; a backtest models that.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiops.core.model import Instant, Reason, VerdictWord
from aiops.core.record.story import stamp

HOUR_S = 3600.0
UNSENT = frozenset({Reason.DRY_RUN_SETTLED, Reason.APPROVAL_NEEDED, Reason.APPROVAL_REJECTED, Reason.MODE_OBSERVE})
"""Reasons that say nothing of a policy's rules: it wanted a change, and its mode kept it."""

RISK = (
    "share of the ticks at which the wanted replicas, times what one carried as the acting policy knew it then, were "
    "less than the demand that came at the end of the start-up lead time"
)
WANTED = "what its limits left of its wish, from the replicas that ran"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One decision for as long as it stood. ends: when the next took its place, or it stopped being repeated."""

    at: Instant
    ends: Instant
    before: int
    wished: int
    wanted: int
    word: str
    reason: str
    capacity: float
    lead_s: float
    bug: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What really was, tick by tick, ascending: demand, replicas and what one replica cost in an hour; None unknown.

    step_s: what a tick stands for.
    """

    step_s: float
    at: Sequence[Instant]
    demand: Sequence[float | None]
    replicas: Sequence[int | None]
    usd_per_replica_hour: Sequence[float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A time in which the two wanted different levels throughout. live, candidate: least and most that was wanted."""

    at: Instant
    ends: Instant
    live: tuple[int, int]
    candidate: tuple[int, int]
    live_reason: str
    candidate_reason: str
    replica_hours: float


def runs(decided: Sequence[tuple[Mapping[str, Any], Instant]], step_s: float) -> list[Run]:
    """Return what was decided as runs, each until the next one or until it was not repeated any more.

    decided: decisions as the record's codec writes them, in order, each with until when it stood.
    """
    found = []
    for place, (decision, until) in enumerate(decided):
        following = decided[place + 1][0]["at"] if place + 1 < len(decided) else until + step_s
        ends = following if following - until <= 2 * step_s else until + step_s
        found.append(_run(decision, ends))
    return found


def _run(decision: Mapping[str, Any], ends: Instant) -> Run:
    verdict = decision["verdict"]
    if verdict is None:
        zero: dict[str, Any] = dict.fromkeys(("before", "wished", "wanted"), 0)
        return Run(at=decision["at"], ends=ends, **zero, word="bug", reason="bug", capacity=0.0, lead_s=0.0, bug=True)
    word, bound = _bound(verdict["rulings"])
    unsent = bound is not None and bound["ruling"]["reason"] in UNSENT
    wanted = bound["after"] if bound is not None and unsent else verdict["change"]["after"]
    clamps = [one["ruling"]["reason"] for one in verdict["rulings"] if one["ruling"]["type"] == "Clamp"]
    reason = "" if bound is None else bound["ruling"]["reason"]
    need = verdict["proposal"]["need"]
    before = verdict["change"]["before"]
    return Run(
        at=decision["at"],
        ends=ends,
        before=before,
        wished=verdict["proposal"]["change"]["after"],
        wanted=wanted,
        word=word or (VerdictWord.STEADY if verdict["change"]["after"] == before else VerdictWord.ALLOW).value,
        reason=(clamps[-1] if clamps else "") if unsent else reason,
        capacity=float(need["capacity"]),
        lead_s=float(need["lead_s"]),
    )


def _bound(rulings: Sequence[Mapping[str, Any]]) -> tuple[str, Mapping[str, Any] | None]:
    """Return the word and the ruling that bound, as `Verdict.word` and `Verdict.binding` do."""
    last = None
    for one in rulings:
        kind = one["ruling"]["type"]
        if kind in ("Deny", "Wait", "Ask"):
            return kind.lower(), one
        if kind == "Clamp":
            last = one
    return "", last


def compared(live: Sequence[Run], candidate: Sequence[Run], curve: Curve) -> dict[str, Any]:
    """Return the comparison as plain data, over the time in which both decided."""
    pieces = [
        (begin, end, one, two)
        for first, last, one, two in _pieces(live, candidate)
        if not (one.bug or two.bug)
        for begin, end in _turned(curve, first, last)
    ]
    price = _price(curve)
    found = list(_differences(pieces))
    return {
        "from": stamp(pieces[0][0]) if pieces else None,
        "to": stamp(pieces[-1][1]) if pieces else None,
        "compared_s": sum(end - begin for begin, end, _, _ in pieces),
        "differed_s": sum(one.ends - one.at for one in found),
        "differences": [_plain(one) for one in found],
        "live": _side(live, [(begin, end, mine) for begin, end, mine, _ in pieces], pieces, curve),
        "candidate": _side(candidate, [(begin, end, other) for begin, end, _, other in pieces], pieces, curve),
        "ran": _ran(pieces, curve),
        "usd_per_replica_hour": price,
        "definitions": {"wanted": WANTED, "slo_risk": RISK},
    }


def _pieces(live: Sequence[Run], candidate: Sequence[Run]) -> Iterator[tuple[Instant, Instant, Run, Run]]:
    """Yield the times in which neither changed its mind, with what stood of both."""
    mine = other = 0
    while mine < len(live) and other < len(candidate):
        one, two = live[mine], candidate[other]
        begin, end = max(one.at, two.at), min(one.ends, two.ends)
        if begin < end:
            yield begin, end, one, two
        if one.ends <= two.ends:
            mine += 1
        else:
            other += 1


def _turned(curve: Curve, first: Instant, last: Instant) -> Iterator[tuple[Instant, Instant]]:
    """Yield the times within a time in which the loop turned: nobody decided anything in a gap."""
    place = bisect_left(curve.at, first)
    while place < len(curve.at) and curve.at[place] < last:
        begin = end = curve.at[place]
        while place < len(curve.at) and curve.at[place] < last and curve.at[place] - end <= 2 * curve.step_s:
            end = curve.at[place]
            place += 1
        yield begin, min(last, end + curve.step_s)


def _differences(pieces: Sequence[tuple[Instant, Instant, Run, Run]]) -> Iterator[Difference]:
    """Yield the differences, those that follow each other without a break as one."""
    together: list[tuple[Instant, Instant, Run, Run]] = []
    for piece in pieces:
        if together and (piece[2].wanted == piece[3].wanted or piece[0] > together[-1][1]):
            yield _difference(together)
            together = []
        if piece[2].wanted != piece[3].wanted:
            together.append(piece)
    if together:
        yield _difference(together)


def _difference(pieces: Sequence[tuple[Instant, Instant, Run, Run]]) -> Difference:
    return Difference(
        at=pieces[0][0],
        ends=pieces[-1][1],
        live=_range([one.wanted for _, _, one, _ in pieces]),
        candidate=_range([two.wanted for _, _, _, two in pieces]),
        live_reason=_longest([(end - begin, one.reason) for begin, end, one, _ in pieces]),
        candidate_reason=_longest([(end - begin, two.reason) for begin, end, _, two in pieces]),
        replica_hours=sum((two.wanted - one.wanted) * (end - begin) for begin, end, one, two in pieces) / HOUR_S,
    )


def _range(levels: Sequence[int]) -> tuple[int, int]:
    return min(levels), max(levels)


def _longest(held: Sequence[tuple[float, str]]) -> str:
    """Return the reason that bound for the longest time; '' is that nothing did."""
    seconds: Counter[str] = Counter()
    for duration_s, reason in held:
        seconds[reason] += duration_s  # type: ignore[assignment]  # a Counter adds up floats as well
    return seconds.most_common(1)[0][0]


def _side(
    decided: Sequence[Run],
    mine: Sequence[tuple[Instant, Instant, Run]],
    pieces: Sequence[tuple[Instant, Instant, Run, Run]],
    curve: Curve,
) -> dict[str, Any]:
    """Return what one of the two wanted and did in the time in which both decided."""
    begin, end = (pieces[0][0], pieces[-1][1]) if pieces else (0.0, 0.0)
    inside = [run for run in decided if begin <= run.at < end]
    holds = Counter(run.reason or run.word for run in inside if run.word in ("wait", "ask", "deny") and run.reason)
    hours = sum(run.wanted * (until - at) for at, until, run in mine) / HOUR_S
    price = _price(curve)
    short, judged = _short(mine, pieces, curve)
    return {
        "replica_hours": hours,
        "usd": None if price is None else hours * price,
        "slo_risk": None if not judged else short / judged,
        "judged_ticks": judged,
        "changes": sum(run.word == VerdictWord.ALLOW for run in inside),
        "holds": dict(holds.most_common()),
        "bugs": sum(run.bug for run in decided),
    }


def _short(
    mine: Sequence[tuple[Instant, Instant, Run]],
    pieces: Sequence[tuple[Instant, Instant, Run, Run]],
    curve: Curve,
) -> tuple[int, int]:
    """Return at how many ticks too little was wanted, and how many could be judged."""
    short = judged = 0
    for (begin, end, run), (_, _, live, candidate) in zip(mine, pieces, strict=True):
        capacity = live.capacity or candidate.capacity
        for place in range(bisect_left(curve.at, begin), bisect_left(curve.at, end)):
            came = _demand_at(curve, curve.at[place] + max(live.lead_s, candidate.lead_s))
            if came is None or capacity <= 0:
                continue
            judged += 1
            short += run.wanted * capacity < came * (1 - 1e-9)
    return short, judged


def _demand_at(curve: Curve, at: Instant) -> float | None:
    """Return the demand of the first tick at or after an instant, None when that is not known."""
    place = bisect_left(curve.at, at)
    return curve.demand[place] if place < len(curve.at) else None


def _ran(pieces: Sequence[tuple[Instant, Instant, Run, Run]], curve: Curve) -> dict[str, Any]:
    """Return what really ran in the time in which both decided."""
    hours = sum(one.before * (end - begin) for begin, end, one, _ in pieces) / HOUR_S
    price = _price(curve)
    return {"replica_hours": hours, "usd": None if price is None else hours * price}


def _price(curve: Curve) -> float | None:
    known = [price for price in curve.usd_per_replica_hour if price is not None]
    return sum(known) / len(known) if known else None


def _plain(one: Difference) -> dict[str, Any]:
    return {
        "from": stamp(one.at),
        "to": stamp(one.ends),
        "seconds": one.ends - one.at,
        "live": {"wanted": list(one.live), "reason": one.live_reason},
        "candidate": {"wanted": list(one.candidate), "reason": one.candidate_reason},
        "replica_hours": one.replica_hours,
    }
