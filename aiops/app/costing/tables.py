"""Money as tables of text: what is not known is a dash, never a zero."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiops.app.output import printable, table

MOST_ROWS = 15
LEAST_SHOWN = 0.05
"""Hours: less is no more than the time to start a process."""

NEARLY = 0.98
"""Of the time that a report is about: when less was watched, it says so."""

GROUPS = ("team", "namespace", "policy", "week")
_HEADS = ("SPENT", "REPLICA-H", "UNPRICED", "PROMISED", "SAVED", "(80 %)", "REALISED", "FREED", "SLO MIN")
NAMELESS = "(none)"


def money(value: float | None) -> str:
    """Return an amount as people read it.

    >>> money(1234.5), money(-0.004), money(None)
    ('1,234.50', '-0.0040', '-')
    """
    if value is None:
        return "-"
    return f"{value:,.4f}" if 0.0 < abs(value) < 0.1 else f"{value:,.2f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of the report: lines, or a table of all its rows."""

    title: str
    lines: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def text(costs: dict[str, Any]) -> str:
    """Return the whole report for a terminal."""
    return "\n\n".join(_written(part) for part in tables(costs))


def _written(part: Part) -> str:
    if part.lines:
        return "\n".join(part.lines)
    more = len(part.rows) - MOST_ROWS
    lines = [table((part.title.upper(), *part.heads[1:]), part.rows[:MOST_ROWS])]
    return "\n".join([*lines, f"and {more} more; -o json has them all"] if more > 0 else lines)


def tables(costs: dict[str, Any]) -> list[Part]:
    """Return the parts of the report, the lines about all of it first; a table without rows is left out."""
    found = [Part(title="", lines=tuple(_head(costs)))]
    for name in GROUPS:
        key = "week" if name == "week" else "name"
        groups = costs["weeks"] if name == "week" else costs["by"][name]
        rows = tuple((printable(one[key]) or NAMELESS, *_amounts(one)) for one in groups)
        found.append(Part(title=name, heads=(name, *_HEADS), rows=rows))
    found += [_budgets(costs["budgets"]), _ledger(costs["ledger"])]
    found += [_listed("idle", "idle_ratio", costs["idle"]), _listed("oversized", "use_ratio", costs["oversized"])]
    return [one for one in found if one.lines or one.rows]


def _head(costs: dict[str, Any]) -> list[str]:
    total = costs["total"]
    span = f"{_day(costs['since'])} to {_day(costs['until'])}, in {costs['currency']}"
    spent = f"spent     {money(total['spent'])} for {total['replica_hours']:,.1f} replica-hours"
    said = [f"costs {span}", *_since_when(costs), spent]
    if total["unpriced_replica_hours"]:
        unpriced = f"{total['unpriced_replica_hours']:,.1f} replica-hours have no price"
        said.append(f"          {unpriced}: what they cost is not known")
    if total["gap_hours"] >= LEAST_SHOWN or total["unwatched_hours"] >= LEAST_SHOWN:
        gaps = f"{total['unwatched_hours']:,.1f} h nobody watched, {total['gap_hours']:,.1f} target-hours were not seen"
        said.append(f"          {gaps}: what was spent then is not known")
    if total["saved"] is not None:
        between = f"{money(total['saved_low'])} to {money(total['saved_high'])}"
        against = "against an autoscaler without foresight, and what ran before plans"
        said.append(f"saved     {money(total['saved'])} ({between}) {against}")
        freed = f"{money(total['freed'])} capacity freed"
        said.append(f"          {money(total['realised'])} realised (node-hours released), {freed}")
    if total["promised"] is not None:
        said.append(f"promised  {money(total['promised'])} by the actions of the ledger")
    static = total.get("static", total["static_usd"])
    if static is not None:
        said.append(f"static    {money(static)} would constant fleets for the peaks have cost")
    late = f"{total['late_requests']:,.0f} requests meanwhile"
    said.append(f"SLO       {total['slo_minutes']:,.1f} target-minutes broken, {late}")
    said += [
        f"nodes     {one['cluster']}: {one['node_hours']:,.1f} node-hours, {one['released_node_hours']:,.1f} released"
        for one in costs["nodes"]
    ]
    if total["replica_hours"] and not costs["idle"] and not costs["oversized"]:
        said.append("idle      no target, and none is oversized, as far as their use is known")
    return said


def _since_when(costs: dict[str, Any]) -> list[str]:
    """Return for how much of the time anybody looked, where that is not nearly all of it."""
    whole = (costs["until"] - costs["since"]) / 3600.0
    watched = costs["total"]["watched_hours"]
    if watched >= NEARLY * whole:
        return []
    return [f"watched   {watched:,.1f} h of these {whole:,.1f} h: of the rest nothing is known"]


def _amounts(one: dict[str, Any]) -> tuple[str, ...]:
    between = "-" if one["saved"] is None else f"{money(one['saved_low'])}..{money(one['saved_high'])}"
    return (
        money(one["spent"]),
        f"{one['replica_hours']:,.1f}",
        f"{one['unpriced_replica_hours']:,.1f}",
        money(one.get("promised")),
        money(one["saved"]),
        between,
        money(one["realised"]),
        money(one["freed"]),
        f"{one['slo_minutes']:,.1f}",
    )


def _budgets(budgets: Sequence[dict[str, Any]]) -> Part:
    heads = ("BUDGET", "MODE", "PERIOD", "AMOUNT", "SPENT", "PROJECTED", "(80 %)", "CHANCE OVER", "CEILINGS")
    rows = []
    for one in budgets:
        between = "-" if one["low"] is None else f"{money(one['low'])}..{money(one['high'])}"
        chance = "-" if one["chance_over"] is None else f"{one['chance_over']:.0%}"
        ceilings = ", ".join(f"{cut['policy'].rpartition('/')[2]} {cut['ceiling']}" for cut in one["ceilings"])
        amounts = (money(one["amount"]), money(one["spent"]), money(one["projected"]), between)
        note = f"{ceilings or '-'}{'  ' + one['why'] if one['why'] else ''}"
        rows.append((f"{one['namespace']}/{one['name']}", one["mode"], one["period"], *amounts, chance, note))
    return Part(title="budget", heads=heads, rows=tuple(rows))


def _ledger(entries: Sequence[dict[str, Any]]) -> Part:
    heads = ("LEDGER", "KIND", "TARGET", "STOOD", "PROMISED/H", "PROMISED", "SAVED", "REALISED", "WHAT")
    rows = tuple(
        (
            _minute(one["opened_at"]),
            f"{one['kind']}{' (dry-run)' if one['dry_run'] else ''}",
            short(one["target"]),
            f"{one['stood_hours']:,.1f} h",
            money(one.get("promised_per_hour", one["promised_usd_per_hour"])),
            money(one["promised"]),
            money(one["saved"]),
            money(one["realised"]),
            printable(one["note"]),
        )
        for one in entries
    )
    return Part(title="ledger", heads=heads, rows=rows)


def _listed(title: str, ratio: str, rows: Sequence[dict[str, Any]]) -> Part:
    heads = (title.upper(), "IDLE" if ratio == "idle_ratio" else "IN USE", "SPENT", "REPLICA-H", "POLICY")
    shown = tuple(
        (short(one["target"]), f"{one[ratio]:.0%}", money(one["spent"]), f"{one['replica_hours']:,.1f}", one["policy"])
        for one in rows
    )
    return Part(title=title, heads=heads, rows=shown)


def short(target: str) -> str:
    """Return a target's key as people read it.

    >>> short("default/shop/apps/v1/Deployment/checkout"), short("nodes/default/n1")
    ('shop/checkout', 'nodes/default/n1')
    """
    parts = target.split("/")
    return f"{parts[1]}/{parts[-1]}" if len(parts) >= 5 else target


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")


def _minute(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%m-%d %H:%M")


# -- for programs ------------------------------------------------------------------------------------------


def flat(costs: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one row for each group of each kind, and for all: what a spreadsheet reads."""
    rows: list[dict[str, Any]] = [{"by": "all", "name": "", **costs["total"]}]
    rows += [{"by": kind, **one} for kind, groups in costs["by"].items() for one in groups]
    for kind, key in (("day", "date"), ("week", "week")):
        dated = costs[f"{kind}s"]
        rows += [{"by": kind, "name": one[key], **{k: v for k, v in one.items() if k != key}} for one in dated]
    return [{"since": costs["since"], "until": costs["until"], "currency": costs["currency"], **one} for one in rows]


def as_csv(costs: dict[str, Any]) -> str:
    """Return the rows as CSV; what is not known is empty."""
    rows = flat(costs)
    names = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(row.get(name)) for name in names} for row in rows)
    return out.getvalue()


def _cell(value: Any) -> Any:
    """Return a value that no spreadsheet takes for a formula: text of others stays text (S10)."""
    if value is None:
        return ""
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
