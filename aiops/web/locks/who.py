"""Who calls, as the routes see it."""

from __future__ import annotations

from starlette.requests import Request

from aiops.errors import NoPermission
from aiops.web.locks.roles import Principal, Role


def who(request: Request) -> Principal:
    """Return who calls: the gate has let nobody through of whom it does not know."""
    principal: Principal = request.state.principal
    return principal


def must_be(request: Request, role: Role, what: str) -> Principal:
    """Return who calls; raise NoPermission when what is asked for needs a higher role than the door."""
    principal = who(request)
    if not principal.may(role):
        raise NoPermission(f"{what} needs the role {role.value}; {principal.name} is {principal.role.value}")
    return principal
