"""Incidents: what went on, since when, where it may come from, and what was done meanwhile."""

from __future__ import annotations

import math

from aiops.web.contract import Plain
from aiops.web.pages.site import Shown, Visit

HOURS = ("24", "1", "6", "168", "744")
BEFORE_S = 600.0
MOST_ACTIONS = 1000


def every(visit: Visit) -> Shown:
    """Return the incidents of the last hours, and the findings that belong to none of them yet."""
    hours = visit.one_of("hours", HOURS)
    answer = visit.answers.findings(float(hours))
    values = {"hours": hours, "incidents": answer["incidents"], "findings": answer["findings"]}
    return Shown(template="incidents.html", values=values)


def one(visit: Visit) -> Shown:
    """Return one incident with what happened during it, in the order of time."""
    incident = visit.answers.incident(visit.part("incident_id"))
    return Shown(template="incident.html", values={"incident": incident, "events": _events(visit, incident)})


def _events(visit: Visit, incident: Plain) -> list[Plain]:
    """Return what happened from shortly before an incident to its end, each with its time, its kind and a text."""
    began, ended = incident["since"], incident["until"]
    events = [{"at": began, "what": "began", "text": f"the first finding opened: {incident['kind']}", "link": ""}]
    if incident.get("peak_at"):
        events.append({"at": incident["peak_at"], "what": "peak", "text": _peak(incident), "link": ""})
    events += [
        {
            "at": one["since"],
            "what": "suspect",
            "text": f"{one['name']}: {one['kind']}, {one['score']:.1f} times its threshold",
            "link": "",
        }
        for one in incident["suspects"]
        if one["since"] > began
    ]
    events += [
        {
            "at": one["at"],
            "what": "action",
            "text": f"{one['target']} {one['before']} → {one['after']}: {one['outcome'] or one['status']}",
            "link": f"/decisions/{one['decision_id']}",
        }
        for one in visit.answers.actions(MOST_ACTIONS)
        if began - BEFORE_S <= one["at"] <= (ended if math.isfinite(ended) else math.inf)
    ]
    if incident["state"] != "open":
        events.append({"at": ended, "what": "ended", "text": f"{incident['state']}: nothing of it was seen since"})
    return sorted(events, key=lambda event: float(event["at"]))


def _peak(incident: Plain) -> str:
    return f"worst: {incident['peak']:.1f} times its threshold"
