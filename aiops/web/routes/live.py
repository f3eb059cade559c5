"""Live data: server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from starlette.responses import Response, StreamingResponse

from aiops.web.events import MEDIA_TYPE, Broker, Full, stream
from aiops.web.locks.who import who
from aiops.web.problems import problem
from aiops.web.routes.resource import Resource

_EXAMPLE = 'id: 5f1c2d3e-7\nevent: tick\ndata: {"at":1772366400.0,"sentence":"shop/checkout hold 8"}\n\n'
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "A stream", "content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": _EXAMPLE}}}
}


def events(broker: Broker) -> APIRouter:
    """Return the route of live data."""
    routes = Resource("live")

    @routes.get("/events", responses=_STREAM, response_class=StreamingResponse)
    async def events(
        request: Request, last_event_id: Annotated[str, Header(max_length=64, pattern="^[0-9a-zA-Z-]*$")] = ""
    ) -> Response:
        """Tell what happens: tick, decision, plan, incident, pause. reset: something was missed, read anew.

        A stream ends after five minutes, or when a reader is too slow; Last-Event-ID goes on where it ended.
        """
        if request.scope.get("head"):
            return Response(media_type=MEDIA_TYPE)
        seat = ExitStack()
        try:
            bell = seat.enter_context(broker.seat(who(request).name))
        except Full:
            return problem(429, "there are too many streams already", headers={"Retry-After": "30"})

        async def told() -> AsyncIterator[bytes]:
            with seat:
                async for part in stream(broker, bell, last_event_id):
                    yield part

        return StreamingResponse(told(), media_type=MEDIA_TYPE, headers={"X-Accel-Buffering": "no"})

    return routes
