"""Live data: server-sent events."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

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
        return _Told(broker, who(request).name, last_event_id)

    return routes


class _Told(StreamingResponse):
    """Tells what happens to one reader, who has a seat just as long.

    The seat is given back here, and never by what is left over when memory is tidied: that may come in a thread which
    holds the broker's lock.
    """

    def __init__(self, broker: Broker, whose: str, last_id: str) -> None:
        super().__init__((), media_type=MEDIA_TYPE, headers={"X-Accel-Buffering": "no"})
        self._broker, self._whose, self._last_id = broker, whose, last_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or say that there is no seat."""
        try:
            with self._broker.seat(self._whose) as bell:
                self.body_iterator = stream(self._broker, bell, self._last_id)
                await super().__call__(scope, receive, send)
        except Full:
            refused = problem(429, "there are too many streams already", headers={"Retry-After": "30"})
            await refused(scope, receive, send)
