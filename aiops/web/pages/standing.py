"""What stands and what waits: approvals, plans and failover groups, effects to hand back."""

from __future__ import annotations

from typing import Any

from aiops.web.contract import Plain
from aiops.web.pages.site import Shown, Visit

ENDED = frozenset({"done", "rolled-back", "failed", "refused", "rehearsed"})
GROUPS = "FailoverPolicy/"
RECENT = 100


def approvals(visit: Visit) -> Shown:
    """Return what waits for a person's yes: what, why, what is expected of it, and what it costs."""
    questions = [{**one, **_asked(visit, one)} for one in visit.answers.questions()]
    return Shown(template="approvals.html", values={"questions": questions})


def _asked(visit: Visit, question: Plain) -> dict[str, Any]:
    """Return what a question is about: the plan, or the decision that asks."""
    if "needed" in question:
        told = visit.answers.plan(question["id"])
        return {"plan": told, "decision": None, "asking": None, "expected": None}
    rows = visit.answers.decisions({"policy": question["policy"], "verdict": "ask", "limit": 1})
    if not rows:
        return {"plan": None, "decision": None, "asking": None, "expected": None}
    told = visit.answers.decision(rows[0]["id"])
    verdict = told["decision"].get("verdict") or {}
    proposal = verdict.get("proposal") or {}
    asking = next((one for one in verdict.get("rulings", ()) if one["ruling"]["type"] == "Ask"), None)
    return {"plan": None, "decision": told, "asking": asking, "expected": proposal.get("expectation"), "wish": proposal}


def plans(visit: Visit) -> Shown:
    """Return failover groups with the health of their sites, and plans with how far they are."""
    rows = visit.answers.plans({"policy": "", "standing": False})
    values = {
        "standing": [one for one in rows if one["status"] not in ENDED],
        "ended": [one for one in rows if one["status"] in ENDED][:RECENT],
        "groups": visit.answers.groups(),
    }
    return Shown(template="plans.html", values=values)


def plan(visit: Visit) -> Shown:
    """Return one plan, step by step."""
    told = visit.answers.plan(visit.part("plan_id"))
    return Shown(template="plan.html", values={"told": told, "plan": told["plan"], "over": told["status"] in ENDED})


def effects(visit: Visit) -> Shown:
    """Return what stands in the clusters until it is handed back."""
    return Shown(template="effects.html", values={"effects": visit.answers.effects()})
