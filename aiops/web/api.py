"""The HTTP API under /api/v1, and the page over it.

Without a token it serves loopback only, to requests that name loopback as their host (so that no foreign page can reach
it by a name of its own); changes need JSON, which a foreign form cannot send.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import orjson
from fastapi import Body, FastAPI, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles

from aiops.errors import AiopsError, InvalidInput, NotFound, PortError
from aiops.web.contract import Answers, Plain

STATIC = Path(__file__).parent / "static"
LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]", "testserver")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
MAX_HOURS = 24 * 31
ALERTS = "/api/v1/alerts"
MOST_BYTES = 1 << 20
"""Of a message of Alertmanager's webhook."""

_NEEDED = "a bearer token is needed: Authorization: Bearer ..."
Next = Callable[[Request], Awaitable[Response]]
Wish = Annotated[Plain, Body()]


def application(answers: Answers, token: str, webhook_token: str = "") -> FastAPI:
    """Return the application; token '' serves without authentication, to loopback names only.

    webhook_token: may tell alerts and nothing else; '' is none.
    """
    app = FastAPI(title="aiops", docs_url=None, redoc_url=None, openapi_url="/api/v1/openapi.json")
    app.add_exception_handler(AiopsError, _refusal)

    @app.middleware("http")
    async def guard(request: Request, call_next: Next) -> Response:
        refused = _refused(request, token, webhook_token)
        response = refused if refused is not None else await call_next(request)
        response.headers.update(HEADERS)
        return response

    _looking(app, answers)
    _saying(app, answers)
    _versions(app, answers)
    _perceived(app, answers)
    _hearing(app, answers)
    _planned(app, answers)

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(STATIC / "index.html")

    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app


def _looking(app: FastAPI, answers: Answers) -> None:
    @app.get("/api/v1/status")
    def status() -> Plain:
        return answers.status()

    @app.get("/api/v1/decisions")
    def decisions(
        policy: str | None = None,
        verdict: str | None = None,
        reason: str | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    ) -> list[Plain]:
        return answers.decisions({"policy": policy, "verdict": verdict, "reason": reason, "limit": limit})

    @app.get("/api/v1/decisions/{decision_id}")
    def decision(decision_id: str) -> Plain:
        return answers.decision(decision_id)

    @app.get("/api/v1/decisions/{decision_id}/replay")
    def replay(decision_id: str) -> Plain:
        return answers.replay(decision_id)

    @app.get("/api/v1/series")
    def series(policy: str, hours: Annotated[float, Query(gt=0, le=MAX_HOURS)] = 1.0) -> Plain:
        return answers.series(policy, hours)

    @app.get("/api/v1/actions")
    def actions(limit: Annotated[int, Query(ge=1, le=1000)] = 50) -> list[Plain]:
        return answers.actions(limit)

    @app.get("/api/v1/effects")
    def effects() -> list[Plain]:
        return answers.effects()


def _perceived(app: FastAPI, answers: Answers) -> None:
    @app.get("/api/v1/findings")
    def findings(hours: Annotated[float, Query(gt=0, le=MAX_HOURS)] = 24.0) -> Plain:
        return answers.findings(hours)

    @app.get("/api/v1/incidents")
    def incidents(hours: Annotated[float, Query(gt=0, le=MAX_HOURS)] = 24.0) -> list[Plain]:
        return answers.incidents(hours)

    @app.get("/api/v1/incidents/{incident_id}")
    def incident(incident_id: str) -> Plain:
        return answers.incident(incident_id)

    @app.get("/api/v1/explain")
    def explain(series: Annotated[str, Query(min_length=1, max_length=4096)], at: float | None = None) -> Plain:
        return answers.explain(series, at)

    @app.get("/api/v1/alerts")
    def alerts() -> Plain:
        return answers.alerts()


def _saying(app: FastAPI, answers: Answers) -> None:
    @app.get("/api/v1/pauses")
    def pauses() -> list[Plain]:
        return answers.pauses()

    @app.post("/api/v1/pauses", status_code=201)
    def pause(wish: Wish) -> Plain:
        return answers.pause(wish)

    @app.delete("/api/v1/pauses/{pause_id}")
    def resume(pause_id: str) -> Plain:
        return answers.resume(pause_id)

    @app.get("/api/v1/approvals")
    def questions() -> list[Plain]:
        return answers.questions()

    @app.post("/api/v1/approvals/{ask_id}")
    def answer(ask_id: str, wish: Wish) -> Plain:
        return answers.answer(ask_id, wish)

    @app.post("/api/v1/release")
    def release(wish: Wish) -> Plain:
        return answers.release(wish)


def _versions(app: FastAPI, answers: Answers) -> None:
    @app.get("/api/v1/promotions")
    def promotions() -> Plain:
        return answers.promotions()

    @app.post("/api/v1/promotions")
    def promote(wish: Wish) -> Plain:
        return answers.promote(wish)

    @app.get("/api/v1/diff")
    def diff(live: str, candidate: str = "", hours: Annotated[float | None, Query(gt=0, le=MAX_HOURS)] = None) -> Plain:
        return answers.diff({"live": live, "candidate": candidate, "hours": hours})

    @app.get("/api/v1/why")
    def why(target: str) -> Plain:
        return answers.why(target)

    @app.post("/api/v1/whatif")
    def whatif(wish: Wish) -> Plain:
        return answers.whatif(wish)


def _planned(app: FastAPI, answers: Answers) -> None:
    @app.get("/api/v1/plans")
    def plans(policy: str = "", standing: bool = False) -> list[Plain]:
        return answers.plans({"policy": policy, "standing": standing})

    @app.get("/api/v1/plans/{plan_id}")
    def plan(plan_id: str) -> Plain:
        return answers.plan(plan_id)

    @app.post("/api/v1/orders", status_code=201)
    def order(wish: Wish) -> Plain:
        return answers.order(wish)


def _hearing(app: FastAPI, answers: Answers) -> None:
    @app.post(ALERTS)
    async def hear(request: Request) -> Any:
        body = await _bounded(request)
        if body is None:
            refusal = _problem(413, f"a message has at most {MOST_BYTES} bytes: set max_alerts in webhook_config")
            refusal.headers["Connection"] = "close"  # what is still on its way is not read either
            return refusal
        try:
            message = orjson.loads(body)
        except orjson.JSONDecodeError as err:
            return _problem(400, f"the message is no JSON: {err}")
        try:
            return await run_in_threadpool(answers.hear, message)
        except InvalidInput as err:
            return _problem(400, str(err))


async def _bounded(request: Request) -> bytes | None:
    """Return the body, None for one that is too large, of which no more than that is read."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)


def _refused(request: Request, token: str, webhook_token: str) -> Response | None:
    if webhook_token and request.url.path == ALERTS and request.method == "POST":
        return None if _shows(request, webhook_token, token) else _problem(401, _NEEDED)
    if token:
        if request.url.path == "/" or request.url.path.startswith("/static/"):
            return None  # the page holds no data; it asks for the token itself
        return None if _shows(request, token) else _problem(401, _NEEDED)
    host = request.headers.get("host", "").rsplit(":", 1)[0] if "]" not in request.headers.get("host", "") else "[::1]"
    if host not in LOCAL_HOSTS:
        return _problem(403, "without a token only loopback is served")
    if request.method in ("POST", "PUT", "PATCH") and "application/json" not in request.headers.get("content-type", ""):
        return _problem(415, "changes are sent as application/json")
    return None


def _shows(request: Request, *tokens: str) -> bool:
    """Return whether a request shows one of the tokens; compared in constant time."""
    given = request.headers.get("authorization", "").removeprefix("Bearer ").encode()
    return any(hmac.compare_digest(given, token.encode()) for token in tokens if token)


async def _refusal(_: Request, err: Exception) -> Response:
    match err:
        case NotFound():
            return _problem(404, str(err))
        case InvalidInput():
            return _problem(422, str(err))
        case PortError():
            return _problem(503, str(err))
        case _:
            return _problem(500, str(err))


def _problem(status: int, detail: str) -> JSONResponse:
    body: dict[str, Any] = {"detail": detail}
    return JSONResponse(body, status)
