"""Where the loop stands, the curves of a policy, and what is to be handed back."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from aiops.web.contract import Answers, Plain
from aiops.web.models import MAX_HOURS, Answer, PlainName
from aiops.web.routes.resource import Resource


class Status(Answer):
    """Where the loop stands. Times are seconds since 1970; those of a daemon are of its world."""

    running: bool
    last_tick_at: float | None
    version: str | None = None
    mode: str | None = None
    virtual: bool | None = None
    now: float | None = None
    step_s: float | None = None
    sentence: str | None = None
    held: str | None = None
    unhealthy: list[str] | None = None
    unready: list[str] | None = None
    problems: list[str] | None = None
    targets: list[dict[str, Any]]
    incidents: list[dict[str, Any]]
    pauses: list[dict[str, Any]]
    effects: int


class Curves(Answer):
    """The curves of a policy on one grid of ticks: lists of one length."""

    at: list[float]


class Effect(Answer):
    """What stands in a cluster until it is handed back."""

    policy: str
    target: str
    object: str
    attribute: str
    since: float | None
    hand_back: str


def router(answers: Answers) -> APIRouter:
    """Return the routes."""
    routes = Resource("status")

    @routes.get("/status", response_model=Status)
    def status() -> Plain:
        """Say where the loop stands."""
        return answers.status()

    @routes.get("/series", response_model=Curves)
    def series(
        policy: Annotated[PlainName, Query()], hours: Annotated[float, Query(gt=0, le=MAX_HOURS)] = 1.0
    ) -> Plain:
        """Return the curves of a policy over the last hours."""
        return answers.series(policy, hours)

    @routes.get("/effects", response_model=list[Effect])
    def effects() -> list[Plain]:
        """Return what stands in the clusters until it is handed back."""
        return answers.effects()

    return routes
