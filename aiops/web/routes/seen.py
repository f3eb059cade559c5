"""What is anomalous, what belongs together, and what Alertmanager told of."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from aiops.errors import InvalidInput
from aiops.web import paging, problems
from aiops.web.contract import Answers, Plain
from aiops.web.models import MAX_HOURS, PRINTABLE, Answer
from aiops.web.paging import Paged
from aiops.web.routes.decisions import At, Id
from aiops.web.routes.resource import Resource

Hours = Annotated[float, Query(gt=0, le=MAX_HOURS)]


_TEXT = {"type": "string", "maxLength": 1024, "pattern": r"^[^\x00]*$"}
_ALERT = {
    "type": "object",
    "required": ["labels", "status", "startsAt"],
    "properties": {
        "labels": {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 64,
            "propertyNames": {"maxLength": 1024, "pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"},
            "additionalProperties": _TEXT,
        },
        "status": {"enum": ["firing", "resolved"]},
        "startsAt": {"type": "string", "format": "date-time", "pattern": "^(19[7-9]|2[0-9]{2})[0-9]-"},
        "endsAt": {"type": ["string", "null"], "format": "date-time"},
        "fingerprint": {"type": ["string", "null"], "maxLength": 64, "pattern": r"^[^\x00]*$"},
    },
}
_BODY = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["version", "alerts"],
                "properties": {
                    "version": {"const": "4"},
                    "alerts": {"type": "array", "maxItems": 5000, "items": _ALERT},
                },
            }
        }
    },
}
"""Of Alertmanager's webhook; what it means in detail is checked, and told, by who reads it."""


class Findings(Answer):
    """Findings and incidents, newest first."""

    findings: list[dict[str, Any]]
    incidents: list[dict[str, Any]]


class Incident(Answer):
    """Findings that belong together. series: how many."""

    id: str
    since: float
    until: float
    kind: str
    state: str
    series: int
    peak: float
    suspects: list[dict[str, Any]]
    labels: dict[str, str]


class IncidentsAsked(Paged):
    """Which incidents are looked for: those of the last hours."""

    hours: float = Field(24.0, gt=0, le=MAX_HOURS)


class Alerts(Answer):
    """The alerts that Alertmanager told of, newest first."""

    alerts: list[dict[str, Any]]


class Heard(Answer):
    """How many alerts of a message were noted, and how."""


def router(answers: Answers) -> APIRouter:
    """Return the routes."""
    routes = Resource("seen")

    @routes.get("/findings", response_model=Findings)
    def findings(hours: Hours = 24.0) -> Plain:
        """Return findings and incidents of the last hours."""
        return answers.findings(hours)

    @routes.get("/incidents", response_model=list[Incident])
    def incidents(request: Request, response: Response, asked: Annotated[IncidentsAsked, Query()]) -> list[Plain]:
        """Return incidents with their suspects, newest first."""
        found = paging.after(answers.incidents(asked.hours), paging.read(asked.cursor), asked.limit, _place)
        return paging.page(found, asked.limit, _place, (request, response))

    @routes.get("/incidents/{incident_id}", response_model=Incident)
    def incident(incident_id: Id) -> Plain:
        """Return one incident with everything that is known of it."""
        return answers.incident(incident_id)

    @routes.get("/explain")
    def explain(
        series: Annotated[str, Query(min_length=1, max_length=4096, pattern=PRINTABLE)], at: At = None
    ) -> dict[str, Any]:
        """Say why a watched series was flagged, or was not: now, or at a time."""
        return answers.explain(series, at)

    @routes.get("/alerts", response_model=Alerts)
    def alerts() -> Plain:
        """Return the alerts that Alertmanager told of."""
        return answers.alerts()

    @routes.post(
        "/alerts",
        response_model=Heard,
        responses={400: {"model": problems.Problem}},
        openapi_extra={"requestBody": _BODY},
    )
    async def hear(request: Request) -> Any:
        """Take a message of Alertmanager's webhook. What is malformed is a 400, which Alertmanager sends once only."""
        try:
            return await run_in_threadpool(answers.hear, orjson.loads(await request.body()))
        except orjson.JSONDecodeError as err:
            return problems.problem(400, f"the message is no JSON: {err}")
        except InvalidInput as err:
            return problems.problem(400, str(err))

    return routes


def _place(row: dict[str, Any]) -> paging.Place:
    return float(row["since"]), str(row["id"])
