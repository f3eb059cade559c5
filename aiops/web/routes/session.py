"""Who calls, for a page: what it may show, and what a change needs."""

from __future__ import annotations

from fastapi import APIRouter, Request

from aiops.web.contract import Answers
from aiops.web.locks.roles import How, Role
from aiops.web.locks.who import who
from aiops.web.models import Answer
from aiops.web.routes.resource import Resource


class Caller(Answer):
    """Who calls. csrf: what a browser's changes send as X-CSRF-Token. expires_at: when it ends at the latest."""

    principal: str
    role: Role
    how: How
    csrf: str
    expires_at: float | None


def router(_: Answers) -> APIRouter:
    """Return the route."""
    routes = Resource("access")

    @routes.get("/session")
    def session(request: Request) -> Caller:
        """Say who calls, and what they may."""
        caller, state = who(request), request.state
        return Caller(
            principal=caller.name, role=caller.role, how=caller.how, csrf=state.csrf, expires_at=state.expires_at
        )

    return routes
