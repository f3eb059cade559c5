"""Rehearsals in the background: what can be asked for, how far each is, and what came of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request
from pydantic import ConfigDict, Field

from aiops.web import models
from aiops.web.contract import Answers, Plain
from aiops.web.models import LONGEST_NAME, Answer, PlainName, Wish
from aiops.web.routes.people import said
from aiops.web.routes.resource import Resource

Id = Annotated[str, Path(min_length=1, max_length=26, pattern="^[0-9A-Z]+$")]


class Rehearsal(Answer):
    """A rehearsal. state: waiting, running, done, failed or stopped. done, total: steps."""

    id: str
    kind: str
    name: str
    seed: int | None
    by: str
    at: float
    state: str
    done: int
    total: int
    ended_at: float | None
    error: str
    about: str


class Whole(Rehearsal):
    """A rehearsal with what came of it: a table, and the same as data; null before it is done."""

    columns: list[str] | None
    rows: list[list[str]] | None
    data: dict[str, Any] | None


class Kept(Answer):
    """What can be rehearsed, and the rehearsals that are kept, newest first."""

    offered: dict[str, Any]
    jobs: list[Rehearsal]


class Report(Answer):
    """A report as HTML."""

    html: str


class RehearsalWish(Wish):
    """What is to be rehearsed: a shipped scenario, or a policy in force on what Prometheus has recorded of it.

    policies: `shipped` with the scenario, or the daemon's `own`.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["scenario"], "properties": {"scenario": {"type": "string"}}},
                {"required": ["backtest"], "properties": {"backtest": {"type": "string"}}},
            ]
        }
    )

    scenario: PlainName | None = None
    policies: str = Field("shipped", pattern="^(shipped|own)$")
    seed: models.Seed | None = None
    backtest: str | None = Field(None, min_length=1, max_length=LONGEST_NAME)
    days: Literal[1, 3, 7, 14] | None = None


def router(answers: Answers) -> APIRouter:
    """Return the routes."""
    routes = Resource("rehearsals")

    @routes.get("/rehearsals", response_model=Kept)
    def rehearsals() -> Plain:
        """Return what can be rehearsed, and the rehearsals that are kept."""
        return answers.rehearsals()

    @routes.get("/rehearsals/{rehearsal_id}", response_model=Whole)
    def rehearsal(rehearsal_id: Id) -> Plain:
        """Return one rehearsal with what came of it."""
        return answers.rehearsal(rehearsal_id)

    @routes.get("/rehearsals/{rehearsal_id}/report", response_model=Report)
    def report(rehearsal_id: Id) -> Plain:
        """Return the report of a rehearsal."""
        return {"html": answers.report(rehearsal_id)}

    @routes.post("/rehearsals", response_model=Rehearsal, status_code=201)
    def rehearse(wish: RehearsalWish, request: Request) -> Plain:
        """Begin a rehearsal: one at a time, a few may wait, half an hour at most."""
        return answers.rehearse(said(wish, request))

    @routes.delete("/rehearsals/{rehearsal_id}", response_model=Rehearsal)
    def end(rehearsal_id: Id) -> Plain:
        """Stop a rehearsal that waits or runs."""
        return answers.end_rehearsal(rehearsal_id)

    return routes
