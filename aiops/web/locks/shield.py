"""What every request and answer goes through, whatever it is: headers, sizes, times, and the end of a bug."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import MutableMapping
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from aiops.web.inlined import first_script, style
from aiops.web.problems import problem

_LOG = logging.getLogger("aiops.web")

CONTENT_POLICY = (
    f"default-src 'none'; script-src 'self' {first_script().source}; "
    f"style-src 'self' {style().source}; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
TRANSPORT_POLICY = "max-age=31536000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Sizes and times of one request. body_s: within which the whole body comes; send_s: a piece of the answer goes."""

    body_bytes: int = 1 << 20
    body_s: float = 15.0
    send_s: float = 30.0


class Shield:
    """The outermost middleware. secure: browsers are told to come over TLS only."""

    def __init__(self, app: ASGIApp, bounds: Bounds, *, secure: bool = False) -> None:
        self._app = app
        self._bounds = bounds
        self._headers = HEADERS | ({"Strict-Transport-Security": TRANSPORT_POLICY} if secure else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request = _Taken(receive, has_body=_has_body(headers))
        started = False

        async def guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._dress(message, close=not request.whole)
            await asyncio.wait_for(send(message), self._bounds.send_s)

        try:
            await (_of_two_lengths(headers) or self._app)(scope, request.receive, guarded)
        except TimeoutError:
            _LOG.info("answer_not_taken", extra={"path": scope["path"]})
        except Exception:
            _LOG.exception("request_failed", extra={"method": scope["method"], "path": scope["path"]})
            if not started:
                await problem(500, "this is a bug in aiops; its log has the details")(scope, receive, guarded)

    def _dress(self, message: MutableMapping[str, object], *, close: bool) -> None:
        headers = MutableHeaders(scope=message)
        for name, value in self._headers.items():
            headers.setdefault(name, value)
        headers.setdefault("Cache-Control", "no-store")
        if close:
            headers["Connection"] = "close"  # what is still on its way is not read


class _Taken:
    """Knows whether the whole body was taken."""

    def __init__(self, receive: Receive, *, has_body: bool) -> None:
        self._receive = receive
        self.whole = not has_body

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            self.whole = True
        return message


class Intake:
    """Takes the body of who was let in, whole and within bounds, before anything looks at it."""

    def __init__(self, app: ASGIApp, bounds: Bounds) -> None:
        self._app = app
        self._bounds = bounds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it through."""
        headers = Headers(scope=scope)
        if not _has_body(headers):
            await self._app(scope, receive, send)
            return
        most = self._bounds.body_bytes
        declared = headers.get("content-length", "0")
        if not declared.isdecimal() or int(declared) > most:
            await problem(413, f"a body has at most {most} bytes")(scope, receive, send)
            return
        try:
            body = await asyncio.wait_for(_body(receive, most), self._bounds.body_s)
        except TimeoutError:
            late = problem(408, f"the body did not come within {self._bounds.body_s:g} s")
            await late(scope, receive, send)
            return
        if body is None:
            await problem(413, f"a body has at most {most} bytes")(scope, receive, send)
            return
        await self._app(scope, _again(body, receive), send)


async def _body(receive: Receive, most: int) -> bytes | None:
    """Return the body, None for one that is larger, of which no more than that is kept."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b""  # who sent it is gone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    waiting = [body]

    async def taken() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return taken


def _of_two_lengths(headers: Headers) -> ASGIApp | None:
    """Return the answer to a body whose end a proxy may see elsewhere, with another request behind it."""
    if "content-length" in headers and "transfer-encoding" in headers:
        return problem(400, "a body has one length: Content-Length or Transfer-Encoding")
    return None


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
