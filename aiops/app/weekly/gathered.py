"""From the store to plain data: one stretch of time, beside the one before it. No daemon is needed."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from aiops.app.costing.summed import plain as sums
from aiops.app.costing.summed import together
from aiops.app.weekly.models import models
from aiops.core.model import Instant, Reason
from aiops.errors import InvalidInput

if TYPE_CHECKING:
    from aiops.adapters.store import Store
    from aiops.adapters.store.costs import Spent
    from aiops.adapters.store.weeks import Weeks

DAY_S = 86_400.0
MOST_DAYS = 92
GAP_STEPS = 3
"""So many steps without a turn are a gap: less is a slow turn."""

BLIND = frozenset(
    {
        Reason.ABSENT_SIGNAL, Reason.EMPTY_SIGNAL, Reason.NAN_SIGNAL, Reason.STALE_SIGNAL, Reason.PARTIAL_SIGNAL,
        Reason.FAILED_SIGNAL, Reason.CLUSTER_UNAVAILABLE, Reason.UNKNOWN_TARGET,
    }
)  # fmt: skip
"""Reasons that say that something was not seen (S1, S2)."""

UNSENT = frozenset({"begun", "refused", "unknown", "failed"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which stretch of time: from `since` to `until`. step_s: of the loop, which a run's last tick stands for."""

    since: Instant
    until: Instant
    step_s: float

    def before(self) -> Asked:
        """Return the stretch before it, as long."""
        return Asked(since=2 * self.since - self.until, until=self.since, step_s=self.step_s)


def asked_of(wish: dict[str, Any], now: Instant, step_s: float) -> Asked:
    """Return the stretch of a wish: `week` (2026-W47, Monday to Sunday in UTC), or so many `days` back from now.

    Raises InvalidInput.
    """
    week, days = wish.get("week"), wish.get("days")
    if week:
        found = re.fullmatch(r"(\d{4})-W(\d{2})", str(week))
        try:
            monday = datetime.fromisocalendar(int(found[1]), int(found[2]), 1) if found else None
        except ValueError:
            monday = None
        if monday is None:
            raise InvalidInput(f"week: {week!r} is no week such as 2026-W47")
        begins = monday.replace(tzinfo=UTC)
        return Asked(since=begins.timestamp(), until=(begins + timedelta(days=7)).timestamp(), step_s=step_s)
    length = 7 if days is None else days
    if not isinstance(length, int) or isinstance(length, bool) or not 1 <= length <= MOST_DAYS:
        raise InvalidInput(f"days: {days!r} is no number of days up to {MOST_DAYS}")
    return Asked(since=now - length * DAY_S, until=now, step_s=step_s)


def weekly(store: Store, asked: Asked) -> dict[str, Any]:
    """Return the report; see docs/reports.md for its fields. What is not known is None, and never nothing."""
    from aiops.adapters.store.weeks import Weeks

    weeks = Weeks(store.engine, asked.since, asked.until, asked.step_s)
    last = asked.before()
    past = Weeks(store.engine, last.since, last.until, last.step_s)
    spent = [one for one in store.costs.spent(asked.since, asked.until) if one.subject.is_target]
    held, plans = weeks.held(), _plans(store, asked)
    return {
        "since": asked.since,
        "until": asked.until,
        "reliability": _reliability(weeks, held, spent, asked),
        "before": _summary(past, store, last),
        "policies": _policies(held, weeks.ends(), spent),
        "reasons": _reasons(held),
        "money": _money(spent),
        "days": _days(spent),
        "incidents": _incidents(weeks.incidents(), asked),
        "actions": _actions(weeks.ends()),
        "plans": plans,
        "models": models(store, weeks, asked.step_s),
        "people": weeks.people(),
        "audit": _audit(store),
    }


# -- reliability -------------------------------------------------------------------------------------------


def _reliability(weeks: Weeks, held: list[dict[str, Any]], spent: list[Spent], asked: Asked) -> dict[str, Any]:
    """Return how well it was seen and served. slo_minutes: of all targets, None where nobody watched any."""
    turns = weeks.turns(GAP_STEPS * asked.step_s)
    watched_ms = sum(one.row.seen_ms for one in spent)
    return {
        "slo_minutes": sum(one.row.slo_ms for one in spent) / 60_000 if watched_ms else None,
        "late_requests": sum(one.row.late for one in spent) if watched_ms else None,
        "watched_hours": watched_ms / 3_600_000,
        "turns": turns["turns"],
        "loop_down_minutes": turns["gap_s"] / 60,
        "blind_minutes": _minutes(one for one in held if one["reason"] in BLIND),
        "held_minutes": _minutes(one for one in held if one["verdict"] in ("wait", "deny", "ask")),
        "decided_minutes": _minutes(held),
        "bugs": sum(one["records"] for one in held if one["verdict"] == "bug"),
    }


def _minutes(rows: Iterable[dict[str, Any]]) -> float:
    return sum(float(one["seconds"]) for one in rows) / 60


def _summary(weeks: Weeks, store: Store, asked: Asked) -> dict[str, Any]:
    """Return of the stretch before what this one is compared with; None where nothing was recorded then."""
    held = weeks.held()
    spent = [one for one in store.costs.spent(asked.since, asked.until) if one.subject.is_target]
    found = _reliability(weeks, held, spent, asked)
    known = bool(found["turns"])
    names = ("slo_minutes", "loop_down_minutes", "blind_minutes", "held_minutes")
    return {
        **{name: found[name] if known else None for name in names},
        "spent": _money(spent)["spent"] if spent else None,
        "incidents": len(weeks.incidents()) if known else None,
        "actions": sum(one["actions"] for one in weeks.ends() if not one["dry_run"]) if known else None,
    }


# -- policies ----------------------------------------------------------------------------------------------


def _policies(held: list[dict[str, Any]], ends: list[dict[str, Any]], spent: list[Spent]) -> list[dict[str, Any]]:
    """Return one row for each policy, the one that lost most minutes of its SLO first."""
    names = sorted({one["policy"] for one in (*held, *ends)} | {one.subject.policy for one in spent})
    rows = []
    for name in names:
        own = [one for one in held if one["policy"] == name]
        acted = [one for one in ends if one["policy"] == name and not one["dry_run"]]
        money = [one for one in spent if one.subject.policy == name]
        row = together(one.row for one in money)
        total = sums(row)
        rows.append(
            {
                "policy": name,
                "slo_minutes": row.slo_ms / 60_000 if row.seen_ms else None,
                "blind_minutes": _minutes(one for one in own if one["reason"] in BLIND),
                "held_minutes": _minutes(one for one in own if one["verdict"] in ("wait", "deny", "ask")),
                "decisions": sum(one["records"] for one in own),
                "actions": sum(one["actions"] for one in acted),
                "out": sum(one["out"] for one in acted),
                "in": sum(one["in"] for one in acted),
                "spent": total["spent"] if money else None,
                "saved": total["saved"],
                "replica_hours": total["replica_hours"] if money else None,
            }
        )
    return sorted(rows, key=lambda one: (-(one["slo_minutes"] or 0.0), -one["blind_minutes"], one["policy"]))


def _reasons(held: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return verdicts by reason over all policies, the longest first."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for one in held:
        found.setdefault((one["verdict"], one["reason"]), []).append(one)
    rows = [
        {
            "verdict": verdict,
            "reason": reason,
            "records": sum(one["records"] for one in some),
            "minutes": _minutes(some),
            "policies": len({one["policy"] for one in some}),
        }
        for (verdict, reason), some in found.items()
    ]
    return sorted(rows, key=lambda one: (-float(str(one["minutes"])), str(one["verdict"]), str(one["reason"])))


# -- money -------------------------------------------------------------------------------------------------


def _money(spent: list[Spent]) -> dict[str, Any]:
    return {"currency": "USD", **sums(together(one.row for one in spent)), "known": bool(spent)}


def _days(spent: list[Spent]) -> list[dict[str, Any]]:
    """Return money and lost minutes by day, UTC."""
    days: dict[str, list[Spent]] = {}
    for one in spent:
        days.setdefault(datetime.fromtimestamp(one.at, UTC).strftime("%Y-%m-%d"), []).append(one)
    return [{"date": date, **sums(together(one.row for one in days[date]))} for date in sorted(days)]


# -- what happened -----------------------------------------------------------------------------------------


def _incidents(rows: list[dict[str, Any]], asked: Asked) -> dict[str, Any]:
    within = [min(one["until"], asked.until) - max(one["since"], asked.since) for one in rows]
    return {
        "count": len(rows),
        "minutes": sum(within) / 60,
        "longest_minutes": max(within, default=0.0) / 60,
        "kinds": dict(sorted(Counter(one["kind"] for one in rows).items())),
        "worst": rows[:10],
    }


def _actions(ends: list[dict[str, Any]]) -> dict[str, Any]:
    """Return how actions ended. effective_ratio: of those that were sent and judged, the share that took effect."""
    sent: Counter[str] = Counter()
    for one in ends:
        if not one["dry_run"]:
            sent[one["ended"]] += one["actions"]
    judged = {word: count for word, count in sent.items() if word not in UNSENT or word == "failed"}
    total = sum(judged.values())
    return {
        "sent": sum(sent.values()),
        "dry_run": sum(one["actions"] for one in ends if one["dry_run"]),
        "ended": dict(sorted(sent.items())),
        "effective_ratio": judged.get("took-effect", 0) / total if total else None,
    }


def _plans(store: Store, asked: Asked) -> dict[str, Any]:
    """Return how plans that were made or ended in this time stand, and whether they helped."""
    found = [
        one
        for one in store.plans.every(since=asked.since - MOST_DAYS * DAY_S)
        if one.created_at < asked.until and (one.created_at >= asked.since or asked.since <= one.ended_at < asked.until)
    ]
    judged = Counter("not-judged" if one.effectiveness is None else one.effectiveness.word.value for one in found)
    return {
        "count": len(found),
        "status": dict(sorted(Counter(one.status.value for one in found).items())),
        "kinds": dict(sorted(Counter(one.kind.value for one in found).items())),
        "judged": dict(sorted(judged.items())),
        "failed": [
            {"id": one.id, "policy": one.policy, "subject": one.subject, "reason": one.reason}
            for one in found
            if one.status.value == "failed"
        ],
    }


def _audit(store: Store) -> dict[str, Any]:
    head, start, anchors = store.audit.head(), store.audit.start(), store.audit.anchors()
    last = max((one.at for one in anchors), default=None)
    return {
        "records": head.seq - (0 if start is None else start.seq),
        "head": {"seq": head.seq, "digest": head.digest},
        "anchored_at": last if last is not None and math.isfinite(last) else None,
    }
