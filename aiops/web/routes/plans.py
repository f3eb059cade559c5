"""Plans, and people's orders to them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from aiops.core.model import OrderKind
from aiops.web import paging
from aiops.web.contract import Answers, Plain
from aiops.web.models import MAYBE_PRINTABLE, Answer, By, PlainName, Said, Wish
from aiops.web.paging import Paged
from aiops.web.routes.decisions import Id
from aiops.web.routes.people import said
from aiops.web.routes.resource import Resource


class Plan(Answer):
    """A plan in a list. created_at: as ISO 8601."""

    id: str
    kind: str
    policy: str
    subject: str
    status: str
    reason: str
    by: str
    created_at: str
    step: str
    progress: str
    held: str
    effectiveness: str | None


class PlansAsked(Paged):
    """Which plans are looked for. policy: its key or namespace/name. standing: those that have not ended."""

    policy: str = Field("", max_length=512, pattern=MAYBE_PRINTABLE)
    standing: bool = False


class WholePlan(Plan):
    """One plan: in words, and as data."""

    text: str
    plan: dict[str, Any]


class OrderWish(Wish):
    """An order. subject: a plan's id, or its policy. to: where to, for a failover."""

    kind: OrderKind
    subject: PlainName
    reason: Said
    to: str = Field("", max_length=256)
    by: By = None


class Ordered(Answer):
    """An order, as the loop will follow it."""

    id: str
    kind: str
    subject: str
    by: str
    at: float
    reason: str
    expires_at: float
    to: str


def router(answers: Answers) -> APIRouter:
    """Return the routes."""
    routes = Resource("plans")

    @routes.get("/plans", response_model=list[Plan])
    def plans(request: Request, response: Response, asked: Annotated[PlansAsked, Query()]) -> list[Plain]:
        """Return plans, newest first."""
        listed = answers.plans({"policy": asked.policy, "standing": asked.standing})
        begins, names = paging.read(asked.cursor), [one["id"] for one in listed]
        first = names.index(begins[1]) + 1 if begins is not None and begins[1] in names else 0
        found = listed[first : first + asked.limit + 1]
        return paging.page(found, asked.limit, lambda row: (0.0, str(row["id"])), (request, response))

    @routes.get("/plans/{plan_id}", response_model=WholePlan)
    def plan(plan_id: Id) -> Plain:
        """Return one plan whole."""
        return answers.plan(plan_id)

    @routes.post("/orders", response_model=Ordered, status_code=201)
    def order(wish: OrderWish, request: Request) -> Plain:
        """Say something to a plan, or to a policy of plans."""
        return answers.order(said(wish, request))

    return routes
