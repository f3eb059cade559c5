"""Models and rehearsals: what is forecast how well, and what would be done in worlds that are not ours."""

from __future__ import annotations

from typing import Any

from aiops.web.contract import Plain
from aiops.web.pages.site import Shown, Visit

MOST_COMPARED = 4
MOST_MODELS = 200


def models(visit: Visit) -> Shown:
    """Return the models of every policy that forecasts: their skill, and their versions where they are kept."""
    rows = visit.answers.models()["models"]
    sought = visit.text("q").lower()
    found = [one for one in rows if not sought or sought in str(one["policy"]).lower()]
    values = {"models": found[:MOST_MODELS], "count": len(found), "q": visit.text("q")}
    return Shown(template="models.html", values=values)


def rehearsals(visit: Visit) -> Shown:
    """Return what can be rehearsed, how far each rehearsal is, and those that are compared side by side."""
    known = visit.answers.rehearsals()
    chosen = visit.request.query_params.getlist("compare")[:MOST_COMPARED]
    wholes = [visit.answers.rehearsal(one) for one in chosen if one in {job["id"] for job in known["jobs"]}]
    values = {
        "offered": known["offered"],
        "jobs": known["jobs"],
        "chosen": chosen,
        "tables": list(_side_by_side([one for one in wholes if one["rows"]])),
    }
    return Shown(template="rehearsals.html", values=values)


def rehearsal(visit: Visit) -> Shown:
    """Return one rehearsal with its table."""
    return Shown(template="rehearsal.html", values={"job": visit.answers.rehearsal(visit.part("rehearsal_id"))})


def _side_by_side(wholes: list[Plain]) -> list[dict[str, Any]]:
    """Return a table for each set of columns: rows of all rehearsals that have them, each under its rehearsal."""
    tables: dict[tuple[str, ...], dict[str, Any]] = {}
    for one in wholes:
        table = tables.setdefault(tuple(one["columns"]), {"columns": one["columns"], "rows": []})
        table["rows"] += [(one, row) for row in one["rows"]]
    return [*tables.values()]
