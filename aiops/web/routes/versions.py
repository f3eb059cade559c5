"""Versions of policies: promoted, compared, and asked about now."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import ConfigDict, Field, StrictBool

from aiops.core.model import Mode
from aiops.errors import Conflict
from aiops.web.contract import Answers, Plain
from aiops.web.locks.roles import Role
from aiops.web.locks.who import must_be
from aiops.web.models import MAX_HOURS, Answer, By, Count, Number, PlainName, Said, Wish
from aiops.web.routes.people import said
from aiops.web.routes.resource import Resource

MOST_RUNS, MOST_FILES, MOST_SIGNALS = 5_000, 1_000, 100


class Promotions(Answer):
    """Where policies stand, and who promoted what, newest first."""

    standings: list[dict[str, Any]]
    promotions: list[dict[str, Any]]


class TestedFile(Wish):
    """A file of tests, and how many of them passed."""

    model_config = ConfigDict(extra="allow")

    file: str
    tests: Count
    passed: Count


class TestRun(Wish):
    """A run of a policy's tests, as `aiops policy test --record` writes it."""

    model_config = ConfigDict(extra="allow")

    policy: str
    spec_hash: str
    at: str
    files: list[TestedFile] = Field(min_length=1, max_length=MOST_FILES)


class PromotionWish(Wish):
    """That a policy, as it is loaded, may act up to a mode. force: without the evidence (admin)."""

    policy: PlainName
    to: Mode
    reason: Said
    force: StrictBool = False
    tests: list[TestRun] = Field(default_factory=list, max_length=MOST_RUNS)
    by: By = None


class Promoted(Answer):
    """Whether it was promoted, what was missing, and the evidence."""

    promoted: bool
    policy: str


class WhatIf(Wish):
    """What is supposed, one thing at least. signals: values by name; after_s: so much later."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["signals"], "properties": {"signals": {"minProperties": 1}}},
                {"required": ["replicas"], "properties": {"replicas": {"type": "integer"}}},
                {"required": ["after_s"], "properties": {"after_s": {"exclusiveMinimum": 0}}},
            ]
        }
    )

    target: PlainName
    signals: dict[str, Number] = Field(default_factory=dict, max_length=MOST_SIGNALS)
    replicas: Count | None = None
    after_s: Number = Field(0.0, ge=0, le=30 * 86400.0)


def router(answers: Answers) -> APIRouter:
    """Return the routes."""
    routes = Resource("policies")

    @routes.get("/promotions", response_model=Promotions)
    def promotions() -> Plain:
        """Return where policies stand, and who promoted what."""
        return answers.promotions()

    @routes.post("/promotions", response_model=Promoted)
    def promote(wish: PromotionWish, request: Request) -> Plain:
        """Let a policy act up to a mode, on evidence or by force, or take that back."""
        if any(one.passed > one.tests for run in wish.tests for one in run.files):
            raise Conflict("tests: more passed than there are")
        if wish.force:
            must_be(request, Role.ADMIN, "promoting without the evidence")
        return answers.promote(said(wish, request))

    @routes.get("/diff")
    def diff(
        live: Annotated[PlainName, Query()],
        candidate: Annotated[str, Query(max_length=512)] = "",
        hours: Annotated[float | None, Query(gt=0, le=MAX_HOURS)] = None,
    ) -> dict[str, Any]:
        """Return where two versions of a policy would have differed."""
        return answers.diff({"live": live, "candidate": candidate, "hours": hours})

    @routes.get("/why")
    def why(target: Annotated[PlainName, Query()]) -> dict[str, Any]:
        """Return what each policy of a target wants, what binds it, and what would have to change for it to act."""
        return answers.why(target)

    @routes.post("/whatif")
    def whatif(wish: WhatIf) -> dict[str, Any]:
        """Return what would be decided if something were otherwise; nothing changes."""
        return answers.whatif(wish.model_dump(exclude_none=True))

    return routes
