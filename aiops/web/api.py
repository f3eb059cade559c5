"""The application: the API under /api/v1 by resource, the pages over it, and the locks before both."""

from __future__ import annotations

from fastapi import FastAPI

from aiops.web import pages, problems
from aiops.web.conditional import Conditional
from aiops.web.contract import Answers
from aiops.web.events import Broker
from aiops.web.locks.access import API
from aiops.web.locks.doors import Doors
from aiops.web.locks.gate import Gate
from aiops.web.locks.login import login_routes
from aiops.web.locks.shield import Bounds, Intake, Shield
from aiops.web.openapi import describe
from aiops.web.routes import ROUTERS
from aiops.web.routes.live import events


def application(answers: Answers, doors: Doors, bounds: Bounds | None = None, broker: Broker | None = None) -> FastAPI:
    """Return the application behind its locks. broker: tells what happens, to who reads live."""
    app = FastAPI(
        title="aiops", docs_url=None, redoc_url=None, openapi_url=f"{API}/openapi.json", redirect_slashes=False
    )
    problems.register(app)
    describe(app)
    for router in ROUTERS:
        app.include_router(router(answers), prefix=API)
    app.include_router(events(broker or Broker()), prefix=API)

    pages.register(app, answers)
    for entrance in (login_routes, *doors.entrances):
        app.include_router(entrance(doors))
    _lock(app, doors, bounds or Bounds())
    return app


def _lock(app: FastAPI, doors: Doors, bounds: Bounds) -> None:
    """Put the locks before the application; the last one that is added comes first."""
    app.add_middleware(Conditional)
    app.add_middleware(Intake, bounds=bounds)
    app.add_middleware(Gate, doors=doors)
    app.add_middleware(Shield, bounds=bounds, secure=doors.secure)
