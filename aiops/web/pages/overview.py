"""The first page: what goes on, what it is about to do, what waits for a person, what it costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from aiops.web.contract import Plain
from aiops.web.pages.site import Shown, Visit

MOST_LINES = 8
_LOUDEST = ("bug", "deny", "ask", "wait", "allow", "steady", "")


def now(visit: Visit) -> Shown:
    """Return what is to be known at a glance."""
    answers, status = visit.answers, visit.status
    targets = visit.targets
    ordered = sorted(targets, key=_loudness)
    standing = answers.plans({"policy": "", "standing": True})
    values = {
        "targets": ordered[:MOST_LINES],
        "shown": _chosen(visit, ordered),
        "words": Counter(one["verdict"] for one in targets),
        "total": len(targets),
        "soon": soon(ordered)[:MOST_LINES],
        "actions": answers.actions(MOST_LINES),
        "plans": standing[:MOST_LINES],
        "incidents": status.get("incidents", [])[:MOST_LINES],
        "questions": status.get("questions", [])[:MOST_LINES],
    }
    return Shown(template="overview.html", values=values)


def soon(targets: Sequence[Plain]) -> list[Plain]:
    """Return the targets that will change: what is wanted is not what is there."""
    return [
        one
        for one in targets
        if one.get("wanted") is not None and one.get("current") is not None and one["wanted"] != one["current"]
    ]


def _loudness(one: Plain) -> tuple[int, str]:
    word = one["verdict"]
    return (_LOUDEST.index(word) if word in _LOUDEST else 0, str(one["policy"]))


def _chosen(visit: Visit, ordered: Sequence[Plain]) -> Plain | None:
    """Return the target of which the curve is shown: the one that was asked for, or the loudest that has one."""
    asked = visit.text("policy")
    drawn = [one for one in ordered if one.get("current") is not None]
    return next((one for one in drawn if one["policy"] == asked), drawn[0] if drawn else None)
