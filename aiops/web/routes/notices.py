"""What people are still to be told, and what nobody could be told of."""

from __future__ import annotations

from fastapi import APIRouter

from aiops.web.contract import Answers, Plain
from aiops.web.models import Answer
from aiops.web.routes.resource import Resource


class Notice(Answer):
    """One thing that waits on a route. state: once, begun or ended. told_at: null while nobody was told of it."""

    route: str
    key: str
    at: float
    severity: str
    state: str
    told_at: float | None


class Notices(Answer):
    """What waits, and what stands of which people were told. lost: how many, by who could not be told, untold yet."""

    waiting: list[Notice]
    lost: dict[str, int]


def router(answers: Answers) -> APIRouter:
    """Return the routes."""
    routes = Resource("notices")

    @routes.get("/notices", response_model=Notices)
    def notices() -> Plain:
        """Return what people are still to be told."""
        return answers.notices()

    return routes
