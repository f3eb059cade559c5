"""Reads that ask whether something changed: ETags of what is answered, and HEAD."""

from __future__ import annotations

import hashlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_JSON = "application/json"


class Conditional:
    """Middleware: JSON that is read carries a strong ETag, If-None-Match is answered by 304, HEAD without a body.

    What is answered is made anyway; what is saved is the way and the reader's work.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or let it through."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        asked = {**scope, "method": "GET", "head": scope["method"] == "HEAD"}
        await self._app(asked, receive, _Held(scope, send).take)


class _Held:
    """Holds an answer back until its ETag is known; a stream is let through as it comes."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._wanted = Headers(scope=scope).get("if-none-match", "")
        self._head = scope["method"] == "HEAD"
        self._send = send
        self._start: Message | None = None
        self._parts: list[bytes] = []

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_json(message):
            self._start = message
            return
        if self._start is None or message["type"] != "http.response.body":
            await self._send(self._bare(message))
            return
        self._parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            await self._answer(self._start, b"".join(self._parts))

    async def _answer(self, start: Message, body: bytes) -> None:
        tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        headers = MutableHeaders(scope=start)
        headers["ETag"], headers["Cache-Control"] = tag, "private, no-cache"
        if matches(self._wanted, tag):
            start["status"] = 304
            for name in ("content-length", "content-type"):
                del headers[name]
            body = b""
        await self._send(start)
        await self._send(self._bare({"type": "http.response.body", "body": body}))

    def _bare(self, message: Message) -> Message:
        return {**message, "body": b""} if self._head and message["type"] == "http.response.body" else message


def _is_json(start: Message) -> bool:
    return start["status"] == 200 and Headers(raw=start["headers"]).get("content-type", "").startswith(_JSON)


def matches(wanted: str, tag: str) -> bool:
    """Return whether If-None-Match names a tag; weakly, as RFC 9110 has it for reads.

    >>> matches('W/"a", "b"', '"a"'), matches("*", '"a"'), matches('"c"', '"a"')
    (True, True, False)
    """
    named = [one.strip().removeprefix("W/") for one in wanted.split(",")]
    return "*" in named or tag in named
