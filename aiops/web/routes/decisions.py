"""Decisions, their stories and replays, and the actions that came of them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from aiops.web import paging
from aiops.web.contract import Answers, Plain
from aiops.web.models import MOST_AT, PRINTABLE, Answer, PlainName
from aiops.web.paging import Paged
from aiops.web.routes.resource import Resource

CODE = "^[a-z_-]{1,32}$"
Id = Annotated[str, Path(min_length=1, max_length=26, pattern="^[0-9A-Za-z]+$", description="An id, or its beginning.")]
At = Annotated[float | None, Query(ge=0, le=MOST_AT, description="Seconds since 1970.")]


class Decided(Answer):
    """A decision in a list. until, ticks: it was made again so often, the last time then."""

    id: str
    at: float
    until: float
    ticks: int
    policy: str
    target: str
    verdict: str
    reason: str
    before: int | None
    after: int | None
    dry_run: bool
    story: str
    action_id: str | None = None


class DecisionsAsked(Paged):
    """Which decisions are looked for. policy: its key, or the target's namespace/name. text: a part of the story."""

    policy: PlainName | None = None
    verdict: str | None = Field(None, pattern=CODE)
    reason: str | None = Field(None, pattern=CODE)
    text: str | None = Field(None, min_length=1, max_length=200, pattern=PRINTABLE)
    since: float | None = Field(None, ge=0, le=MOST_AT)
    until: float | None = Field(None, ge=0, le=MOST_AT)


class Story(Answer):
    """One decision whole: in words, and as data."""

    id: str
    text: str
    decision: dict[str, Any]
    until: float
    ticks: int
    action: dict[str, Any] | None
    outcome: dict[str, Any] | None
    unit: str
    workload: dict[str, Any] | None
    forecast: dict[str, Any] | None


class Replayed(Answer):
    """How far a decision that was made again agrees with what was stored."""

    id: str
    agrees: bool
    agreement: str
    differences: list[str]
    made_by: dict[str, str]


class Acted(Answer):
    """An action, and what became of it."""

    id: str
    decision_id: str
    policy: str
    target: str
    at: float
    before: int
    after: int
    dry_run: bool
    status: str
    message: str
    outcome: str | None


def router(answers: Answers) -> APIRouter:
    """Return the routes."""
    routes = Resource("decisions")

    @routes.get("/decisions", response_model=list[Decided])
    def decisions(request: Request, response: Response, asked: Annotated[DecisionsAsked, Query()]) -> list[Plain]:
        """Return decisions, newest first."""
        filters = asked.model_dump(exclude={"cursor", "limit"}, exclude_none=True)
        found = answers.decisions({**filters, "after": paging.read(asked.cursor), "limit": asked.limit + 1})
        return paging.page(found, asked.limit, _place, (request, response))

    @routes.get("/decisions/{decision_id}", response_model=Story)
    def decision(decision_id: Id) -> Plain:
        """Return the whole story of one decision."""
        return answers.decision(decision_id)

    @routes.get("/decisions/{decision_id}/replay", response_model=Replayed)
    def replay(decision_id: Id) -> Plain:
        """Make a stored decision again, and say how far it agrees."""
        return answers.replay(decision_id)

    @routes.get("/actions", response_model=list[Acted])
    def actions(request: Request, response: Response, asked: Annotated[Paged, Query()]) -> list[Plain]:
        """Return actions with their outcomes, newest first."""
        found = answers.actions(asked.limit + 1, paging.read(asked.cursor))
        return paging.page(found, asked.limit, _place, (request, response))

    return routes


def _place(row: dict[str, Any]) -> paging.Place:
    return float(row["at"]), str(row["id"])
