"""Policies: all of them in a list, and one over time."""

from __future__ import annotations

from typing import Any

from aiops.web.contract import Plain
from aiops.web.pages.site import Shown, Visit
from aiops.web.pages.words import VERDICTS

PAGE = 100
HOURS = ("1", "0.5", "6", "24", "168")
RECENT = 15


def every(visit: Visit) -> Shown:
    """Return the policies that fit what is looked for, a page at a time."""
    sought, verdict = visit.text("q").lower(), visit.one_of("verdict", ("", *VERDICTS))
    found = [one for one in visit.answers.policies() if _fits(one, sought, verdict)]
    number = max(1, int(page)) if (page := visit.text("page")).isdecimal() and len(page) < 9 else 1
    pages = max(1, -(-len(found) // PAGE))
    number = min(number, pages)
    values = {
        "rows": found[(number - 1) * PAGE : number * PAGE],
        "count": len(found),
        "number": number,
        "pages": pages,
        "q": visit.text("q"),
        "verdict_asked": verdict,
        "verdicts": VERDICTS,
    }
    return Shown(template="policies.html", values=values)


def _fits(one: Plain, sought: str, verdict: str) -> bool:
    if verdict and one["verdict"] != verdict:
        return False
    return not sought or any(sought in str(one[name]).lower() for name in ("policy", "target", "story"))


def one(visit: Visit) -> Shown:
    """Return one policy: its curve is asked for by the page itself."""
    key, hours = visit.part("key"), visit.one_of("hours", HOURS)
    told = visit.answers.timeline(key, float(hours))
    decided = visit.answers.decisions({"policy": key, "limit": RECENT})
    values: dict[str, Any] = {
        "key": key,
        "hours": hours,
        "told": told,
        "decisions": decided,
        "standing": next((row for row in visit.status.get("standings", []) if row["policy"] == key), None),
        "stands": next((row for row in visit.targets if row["policy"] == key), None),
        "plans": visit.answers.plans({"policy": key, "standing": False})[:RECENT],
        "questions": [row for row in visit.answers.questions() if row["policy"] == key],
    }
    return Shown(template="policy.html", values=values)
