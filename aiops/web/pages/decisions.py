"""Decisions: looked for, and the story of each."""

from __future__ import annotations

from typing import Any

from aiops.web import paging
from aiops.web.pages.site import Shown, Visit
from aiops.web.pages.words import VERDICTS, read_when

PAGE = 50
_FIELDS = ("policy", "verdict", "reason", "text", "since", "until")


def search(visit: Visit) -> Shown:
    """Return the decisions that fit, newest first, a page at a time."""
    fields = {name: visit.text(name) for name in _FIELDS}
    if fields["verdict"] not in VERDICTS:
        fields["verdict"] = ""
    times = {name: read_when(fields[name]) for name in ("since", "until")}
    wrong = [name for name in ("since", "until") if fields[name] and times[name] is None]
    asked: dict[str, Any] = {name: fields[name] or None for name in ("policy", "verdict", "reason", "text")}
    cursor = visit.text("cursor") or None
    asked |= {**times, "after": paging.read(cursor), "limit": PAGE + 1}
    rows = [] if wrong else visit.answers.decisions(asked)
    last = rows[PAGE - 1] if len(rows) > PAGE else None
    values = {
        "fields": {name: "" if name in wrong else value for name, value in fields.items()},
        "wrong": [fields[name] for name in wrong],
        "rows": rows[:PAGE],
        "verdicts": VERDICTS,
        "following": None if last is None else paging.written((last["at"], last["id"])),
        "first": cursor is None,
    }
    return Shown(template="decisions.html", values=values)


def one(visit: Visit) -> Shown:
    """Return the whole story of one decision."""
    told = visit.answers.decision(visit.part("decision_id"))
    decision = told["decision"]
    verdict = decision.get("verdict") or {}
    values = {
        "told": told,
        "decision": decision,
        "verdict_of": verdict,
        "lines": list(_lines(told["text"])),
        "rulings": [_ruling(row) for row in verdict.get("rulings", ())],
        "judgement": decision.get("judgement"),
    }
    return Shown(template="decision.html", values=values)


def _lines(text: str) -> list[tuple[str, str]]:
    """Return the story as pairs of a label and what is said; the headline is left to the page."""
    return [(line[:10].strip(), line[10:].strip()) for line in text.splitlines()[1:]]


def _ruling(row: dict[str, Any]) -> dict[str, Any]:
    ruling = row["ruling"]
    return {
        "guard": row["guard"],
        "word": ruling["type"].lower(),
        "detail": ruling.get("detail", ""),
        "reason": ruling.get("reason", ""),
        "until": ruling.get("until") or ruling.get("expires_at"),
        "after": row["after"],
    }
