"""The pages for people: what it sees, what it is about to do and why, and how to stop it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Response
from fastapi.staticfiles import StaticFiles

from aiops.web.contract import Answers
from aiops.web.pages import decisions, incidents, learning, overview, policies, record, standing
from aiops.web.pages.site import FOLDER, Site, View

PAGES: Mapping[str, View] = {
    "/": overview.now,
    "/policies": policies.every,
    "/policies/{key:path}": policies.one,
    "/incidents": incidents.every,
    "/incidents/{incident_id}": incidents.one,
    "/decisions": decisions.search,
    "/decisions/{decision_id}": decisions.one,
    "/approvals": standing.approvals,
    "/plans": standing.plans,
    "/plans/{plan_id}": standing.plan,
    "/effects": standing.effects,
    "/audit": record.audit,
    "/cost": record.cost,
    "/models": learning.models,
    "/rehearsals": learning.rehearsals,
    "/rehearsals/{rehearsal_id}": learning.rehearsal,
}
"""Every page by its path. All of them only show: whatever changes something goes through the API."""

OF_TARGETS = frozenset({overview.now, policies.one})


def register(app: FastAPI, answers: Answers) -> None:
    """Serve the pages, and what they are made of."""
    site = Site(answers)
    for path, view in PAGES.items():
        site.add(app, path, view, targets=view in OF_TARGETS)

    @app.get("/rehearsals/{rehearsal_id}/report", include_in_schema=False)
    def report(rehearsal_id: str) -> Response:
        html = answers.report(rehearsal_id)
        # a report has styles and curves of its own: it is kept and opened by who asks for it, and never drawn by us
        headers = {"Content-Disposition": "attachment; filename=rehearsal.html", "Content-Security-Policy": "sandbox"}
        return Response(html, media_type="text/html; charset=utf-8", headers=headers)

    app.mount("/static", Assets(directory=FOLDER / "static"), name="static")


class Assets(StaticFiles):
    """Files that a browser keeps, and asks for again only to hear that they are the same."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """Return a file, or that it has not changed."""
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = "no-cache"
        return response
