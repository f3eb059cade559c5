"""The report of a week as tables: for a terminal, a page and BI tools alike. What is not known is a dash."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aiops.app.costing.tables import Part, money
from aiops.app.output import printable, table

MOST_ROWS = 15


def text(found: dict[str, Any]) -> str:
    """Return the whole report for a terminal."""
    return "\n\n".join(_written(part) for part in parts(found))


def _written(part: Part) -> str:
    if part.lines:
        return "\n".join(part.lines)
    more = len(part.rows) - MOST_ROWS
    lines = [table(part.heads, part.rows[:MOST_ROWS])]
    return "\n".join([*lines, f"and {more} more; -o json has them all"] if more > 0 else lines)


def parts(found: dict[str, Any]) -> list[Part]:
    """Return the parts, the lines about all of it first; a table without rows is left out."""
    made = [Part(title="", lines=tuple(_head(found)))]
    for part in (_policies(found), _reasons(found), _actions(found), _models(found), _incidents(found), _people(found)):
        if part.rows:
            made.append(part)
    return made


def _head(found: dict[str, Any]) -> list[str]:
    seen, before, spent = found["reliability"], found["before"], found["money"]
    incidents, actions, plans, audit = found["incidents"], found["actions"], found["plans"], found["audit"]
    saved = "" if spent["saved"] is None else f", saved {money(spent['saved'])} against the reactive reference"
    ended = ", ".join(f"{count} {word}" for word, count in plans["status"].items()) or "none"
    judged = ", ".join(f"{count} {word}" for word, count in plans["judged"].items())
    ratio = actions["effective_ratio"]
    worked = "" if ratio is None else f", {ratio:.0%} of those that were judged took effect"
    return [
        f"from {day(found['since'])} to {day(found['until'])}, beside the time before it of the same length",
        f"SLO lost     {_compared(seen['slo_minutes'], before['slo_minutes'])} target-minutes in "
        f"{seen['watched_hours']:,.0f} watched target-hours"
        + ("" if not seen["late_requests"] else f", {seen['late_requests']:,.0f} late requests"),
        f"not seen     {_compared(seen['blind_minutes'], before['blind_minutes'])} policy-minutes blind, "
        f"{_compared(seen['loop_down_minutes'], before['loop_down_minutes'])} min without a turn of the loop",
        f"held         {_compared(seen['held_minutes'], before['held_minutes'])} of "
        f"{number_of(seen['decided_minutes'])} policy-minutes a wish was held or asked about"
        + (f"; {seen['bugs']} BUGS" if seen["bugs"] else ""),
        f"money        {_money(spent['spent'] if spent['known'] else None, before['spent'])} USD spent{saved}"
        + (f"; {spent['unpriced_replica_hours']:,.0f} replica-hours without a price" if spent["known"] else ""),
        f"incidents    {_compared(incidents['count'], before['incidents'])}, the longest "
        f"{number_of(incidents['longest_minutes'])} min",
        f"actions      {_compared(actions['sent'], before['actions'])} sent{worked}; {actions['dry_run']} dry-run",
        f"plans        {ended}" + (f" ({judged})" if judged else ""),
        f"audit        {audit['records']:,} records, anchored {day(audit['anchored_at'])}: aiops audit verify",
    ]


def _policies(found: dict[str, Any]) -> Part:
    heads = ("POLICY", "SLO MIN", "BLIND MIN", "HELD MIN", "DECISIONS", "OUT", "IN", "REPLICA-H", "SPENT", "SAVED")
    rows = tuple(
        (
            printable(one["policy"]),
            number_of(one["slo_minutes"]),
            number_of(one["blind_minutes"]),
            number_of(one["held_minutes"]),
            str(one["decisions"]),
            str(one["out"]),
            str(one["in"]),
            number_of(one["replica_hours"]),
            money(one["spent"]),
            money(one["saved"]),
        )
        for one in found["policies"]
    )
    return Part(title="Policies", heads=heads, rows=rows)


def _reasons(found: dict[str, Any]) -> Part:
    rows = tuple(
        (one["verdict"], one["reason"] or "-", str(one["records"]), number_of(one["minutes"]), str(one["policies"]))
        for one in found["reasons"]
    )
    return Part(
        title="Decisions and holds by reason",
        heads=("VERDICT", "REASON", "DECISIONS", "MINUTES", "POLICIES"),
        rows=rows,
    )


def _actions(found: dict[str, Any]) -> Part:
    rows = tuple((word, str(count)) for word, count in found["actions"]["ended"].items())
    return Part(title="How actions ended", heads=("ACTIONS", "COUNT"), rows=rows)


def _models(found: dict[str, Any]) -> Part:
    heads = ("MODEL OF", "MODEL", "SKILL", "STAYED BELOW P95", "FORECAST", "HISTORY")
    rows = tuple(
        (
            printable(one["policy"]),
            one["model"] or "-",
            "-" if one["skill"] is None else f"{one['skill']:.2f}",
            "-" if one["coverage"] is None else f"{one['coverage']:.1%} of {one['judged']:,}",
            "-" if one["forecast_ratio"] is None else f"{one['forecast_ratio']:.0%} of ticks",
            "-" if one["history_days"] is None else f"{one['history_days']:.1f} d",
        )
        for one in found["models"]
    )
    return Part(title="Model health", heads=heads, rows=rows)


def _incidents(found: dict[str, Any]) -> Part:
    rows = tuple(
        (one["id"], when(one["since"]), one["kind"], str(one["series"]), f"{one['peak']:.2g}", one["state"] or "-")
        for one in found["incidents"]["worst"]
    )
    return Part(
        title="The gravest incidents", heads=("INCIDENT", "SINCE", "KIND", "SERIES", "PEAK", "STATE"), rows=rows
    )


def _people(found: dict[str, Any]) -> Part:
    rows = tuple((printable(one["by"] or "-"), one["kind"], str(one["times"])) for one in found["people"])
    return Part(title="What people did", heads=("WHO", "DID", "TIMES"), rows=rows)


def day(at: float | None) -> str:
    """Return a time to the minute, `never` for none."""
    return "never" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def when(at: float) -> str:
    """Return a time to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def number_of(value: float | None) -> str:
    """Return a number as people read it, a dash for one that is not known."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 100 else f"{value:,.1f}"


def _compared(now: float | None, before: float | None) -> str:
    """Return a number with what it was before.

    >>> _compared(12.0, 7.5), _compared(None, None), _compared(3, None)
    ('12 (before: 7.5)', '-', '3')
    """
    return number_of(now) if before is None else f"{number_of(now)} (before: {number_of(before)})"


def _money(now: float | None, before: float | None) -> str:
    return money(now) if before is None else f"{money(now)} (before: {money(before)})"


# -- rows for BI tools -------------------------------------------------------------------------------------


_ELSEWHERE = ("currency", "known", "slo_minutes", "late_requests")
"""Of money: no numbers, or numbers that reliability tells."""


def flat(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the numbers of the report one by one: scope, name and measure with its value, for a star schema."""
    rows = [("all", "", name, value) for name, value in found["reliability"].items()]
    rows += [("all", "", name, value) for name, value in found["money"].items() if name not in _ELSEWHERE]
    rows += [("all", "", f"incidents_{name}", found["incidents"][name]) for name in ("count", "minutes")]
    rows += [("actions", word, "actions", count) for word, count in found["actions"]["ended"].items()]
    rows += [("plans", word, "plans", count) for word, count in found["plans"]["status"].items()]
    rows += [("judged", word, "plans", count) for word, count in found["plans"]["judged"].items()]
    for scope, list_, key in (("policy", "policies", "policy"), ("model", "models", "policy"), ("day", "days", "date")):
        for one in found[list_]:
            rows += [(scope, one[key], name, value) for name, value in one.items() if name != key]
    for one in found["reasons"]:
        name = f"{one['verdict']}/{one['reason']}"
        rows += [("reason", name, measure, one[measure]) for measure in ("records", "minutes", "policies")]
    return [
        {"since": found["since"], "until": found["until"], "scope": scope, "name": name, "measure": measure, "value": v}
        for scope, name, measure, value in rows
        if (v := _float(value)) is not None or value is None
    ]


def _float(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
