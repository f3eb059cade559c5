"""Reports over a stretch of time."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from aiops.web.contract import Answers, Plain
from aiops.web.models import Answer
from aiops.web.routes.resource import Resource

_LONG = "04|09|15|20|26|32|37|43|48|54|60|65|71|76|82|88|93|99"
WEEK = rf"^20[0-9]{{2}}-W(0[1-9]|[1-4][0-9]|5[0-2])$|^20({_LONG})-W53$"
"""ISO weeks of this century, in the years that have 53 the last one, too."""


class Stretch(BaseModel):
    """Which time: a week (2026-W47, Monday to Sunday in UTC), or so many days back from the last tick."""

    model_config = ConfigDict(extra="forbid")

    week: str | None = Field(None, pattern=WEEK)
    days: int | None = Field(None, ge=1, le=92)


class Weekly(Answer):
    """The report of a week; see docs/reports.md. What is not known is null."""

    since: float
    until: float
    reliability: dict[str, float | None]
    before: dict[str, float | None]
    policies: list[dict[str, Any]]
    reasons: list[dict[str, Any]]
    money: dict[str, Any]
    days: list[dict[str, Any]]
    incidents: dict[str, Any]
    actions: dict[str, Any]
    plans: dict[str, Any]
    models: list[dict[str, Any]]
    people: list[dict[str, Any]]
    audit: dict[str, Any]


def router(answers: Answers) -> APIRouter:
    """Return the routes."""
    routes = Resource("reports")

    @routes.get("/reports/weekly", response_model=Weekly)
    def weekly(asked: Annotated[Stretch, Query()]) -> Plain:
        """Return what a week was like."""
        return answers.weekly(asked.model_dump())

    return routes
