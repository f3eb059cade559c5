"""The API by resource. A new one is a file with `router`, a line here, and one for each door in `locks/access.py`."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter

from aiops.web.contract import Answers
from aiops.web.routes import (
    audit,
    costs,
    decisions,
    models,
    notices,
    people,
    plans,
    prices,
    rehearsals,
    reports,
    seen,
    session,
    status,
    tokens,
    versions,
    views,
)

ROUTERS: tuple[Callable[[Answers], APIRouter], ...] = (
    status.router,
    decisions.router,
    seen.router,
    people.router,
    plans.router,
    models.router,
    versions.router,
    views.router,
    costs.router,
    prices.router,
    notices.router,
    audit.router,
    reports.router,
    rehearsals.router,
    session.router,
    tokens.router,
)
