"""The audit log and the costs: what was done by whom, what was spent and saved, and how budgets stand."""

from __future__ import annotations

from typing import Any

from aiops.core.record.audit import AuditKind
from aiops.web.pages.site import Shown, Visit
from aiops.web.pages.words import read_when

PAGE = 50
DAYS = ("30", "1", "7", "90", "365")
_SOUGHT = ("by", "subject", "ref")
MOST_ROWS = 100


def audit(visit: Visit) -> Shown:
    """Return records of the audit chain, newest first."""
    fields = {name: visit.text(name) for name in (*_SOUGHT, "kind", "since", "until")}
    if fields["kind"] not in set(AuditKind):
        fields["kind"] = ""
    times = {name: read_when(fields[name]) for name in ("since", "until")}
    wrong = [fields[name] for name in times if fields[name] and times[name] is None]
    asked: dict[str, Any] = {name: value for name, value in {**fields, **times}.items() if value}
    before = visit.text("before")
    if before.isdecimal() and len(before) < 16:
        asked["before"] = int(before)
    found: dict[str, Any] = {"records": [], "next": None, "whole_from": 1, "head": None}
    if not wrong:
        found = visit.answers.audit({**asked, "limit": PAGE})
    shown = {name: "" if value in wrong else value for name, value in fields.items()}
    values = {"fields": shown, "wrong": wrong, "kinds": [*AuditKind], "found": found, "first": "before" not in asked}
    return Shown(template="audit.html", values=values)


def cost(visit: Visit) -> Shown:
    """Return what was spent and saved in the last days."""
    days = visit.one_of("days", DAYS)
    by = visit.one_of("by", ("team", "namespace", "policy", "target"))
    found = visit.answers.costs({"days": float(days), "team": "", "namespace": "", "policy": ""})
    rows = sorted(found["by"].get(by, ()), key=lambda row: row["spent"] or 0.0, reverse=True)
    values = {"days": days, "by": by, "costs": found, "rows": rows[:MOST_ROWS], "more": max(0, len(rows) - MOST_ROWS)}
    return Shown(template="cost.html", values=values)
