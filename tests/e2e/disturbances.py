"""What passes a fault proxy, what can befall it, and the rules that say when."""

from __future__ import annotations

import asyncio
import json
import random
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias
from urllib.parse import unquote_plus

Headers: TypeAlias = tuple[tuple[str, str], ...]
_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


def status_object(code: int, message: str = "the test says so") -> dict[str, Any]:
    """Return a Kubernetes `Status` of failure."""
    made = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
    return {**made, "reason": _REASONS.get(code, "Unknown"), "code": code}


def header(headers: Headers, name: str) -> str:
    """Return a header's value, or nothing."""
    return next((value for known, value in headers if known.lower() == name.lower()), "")


# -- what passes -----------------------------------------------------------------------------------------


class Cut(Exception):
    """The client's connection is to be reset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request, as the client sent it; the body is whole."""

    method: str
    target: str
    headers: Headers
    body: bytes

    def header(self, name: str) -> str:
        """Return a header's value, or nothing."""
        return header(self.headers, name)

    @property
    def path(self) -> str:
        """Return the path without the query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """Return the query readable, that of a form in the body included."""
        form = self.body.decode(errors="replace") if "form" in self.header("Content-Type") else ""
        return unquote_plus(self.target.partition("?")[2] + ("&" + form if form else ""))

    @property
    def verb(self) -> str:
        """Return `watch` for a watch, else the method in small letters."""
        watches = re.search(r"(^|&)watch=(1|t)", self.query)
        return "watch" if watches else self.method.lower()

    @property
    def plain(self) -> Request:
        """Return the same request for an answer that is not compressed."""
        kept = tuple(one for one in self.headers if one[0].lower() != "accept-encoding")
        return replace(self, headers=(*kept, ("Accept-Encoding", "identity")))


@dataclass(slots=True, kw_only=True)
class Answer:
    """One answer, whose body comes piece by piece. chunked: each piece is sent on as it comes, as one chunk."""

    status: int
    reason: str
    headers: Headers
    pieces: AsyncIterator[bytes]
    chunked: bool = False
    ends: bool = False

    async def whole(self) -> bytes:
        """Return all of the body; afterwards it can be passed on still."""
        body = b"".join([piece async for piece in self.pieces])
        self.pieces = once(body)
        return body


def made(code: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """Return an answer of the proxy's own."""
    whole = {"Content-Type": "application/json", **headers, "Content-Length": str(len(body))}
    return Answer(status=code, reason=_REASONS.get(code, "OK"), headers=tuple(whole.items()), pieces=once(body))


async def once(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body


# -- faults ----------------------------------------------------------------------------------------------

Forward: TypeAlias = Callable[[Request], Awaitable[Answer]]


class Fault:
    """What is done with a request in place of passing it on."""

    async def answer(self, request: Request, forward: Forward) -> Answer:
        """Return what the client gets; `forward` asks the server. Raise Cut to reset the client's connection."""
        return await forward(request)


class Status(Fault):
    """An answer of the proxy's own; the server is not asked. body: a Kubernetes `Status` unless given."""

    def __init__(self, code: int, headers: Mapping[str, str] | None = None, body: str | bytes | None = None) -> None:
        self.code = code
        text = json.dumps(status_object(code)) if body is None else body
        self._body = text.encode() if isinstance(text, str) else text
        retry = {"Retry-After": "1"} if code == 429 else {}
        self._headers = {**retry, **(headers or {})}

    async def answer(self, request: Request, forward: Forward) -> Answer:
        return made(self.code, self._headers, self._body)


class AfterStatus(Status):
    """The server does the work, and the client is told something else."""

    async def answer(self, request: Request, forward: Forward) -> Answer:
        await (await forward(request)).whole()
        return await super().answer(request, forward)


class Drop(Fault):
    """The connection is reset; the server is not asked."""

    async def answer(self, request: Request, forward: Forward) -> Answer:
        raise Cut


class LoseAnswer(Fault):
    """The server does the work, and the connection is reset without an answer."""

    async def answer(self, request: Request, forward: Forward) -> Answer:
        await (await forward(request)).whole()
        raise Cut


class Delay(Fault):
    """The request is passed on later."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def answer(self, request: Request, forward: Forward) -> Answer:
        await asyncio.sleep(self._seconds)
        return await forward(request)


class SlowAnswer(Fault):
    """The answer's body trickles."""

    def __init__(self, bytes_per_second: int) -> None:
        self._each = max(1, bytes_per_second // 10)
        self._every_s = self._each / bytes_per_second

    async def answer(self, request: Request, forward: Forward) -> Answer:
        answer = await forward(request)
        answer.pieces = self._slowly(answer.pieces)
        return answer

    async def _slowly(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            for start in range(0, len(piece), self._each):
                yield piece[start : start + self._each]
                await asyncio.sleep(self._every_s)


class _Held(Fault):
    """Waits in the proxy's loop for what the test does in its own thread."""

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self._opened = threading.Event()

    def release(self) -> None:
        """Let go of what is held, and hold nothing more."""
        self._opened.set()

    async def _hold(self) -> None:
        self.arrived.set()
        while not self._opened.is_set():  # another thread opens it
            await asyncio.sleep(0.005)


class Hang(_Held):
    """No answer, and the server is not asked; the connection is reset at `heal()`."""

    def heal(self) -> None:
        """Cut what hangs; what comes later is cut at once."""
        self.release()

    async def answer(self, request: Request, forward: Forward) -> Answer:
        await self._hold()
        raise Cut


class _Gated(_Held):
    """Held before it is passed on, or after the server is done."""

    def __init__(self, *, after: bool) -> None:
        super().__init__()
        self._after = after

    async def answer(self, request: Request, forward: Forward) -> Answer:
        if not self._after:
            await self._hold()
        answer = await forward(request)
        if self._after:
            await answer.whole()
            await self._hold()
        return answer


class CutStream(Fault):
    """A watch whose connection is reset in the middle of the line after so many."""

    def __init__(self, after_events: int) -> None:
        self._after = after_events

    async def answer(self, request: Request, forward: Forward) -> Answer:
        answer = await forward(request.plain)
        answer.pieces = self._until(answer.pieces)
        return answer

    async def _until(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        left = self._after
        async for line in _lines(pieces):
            if left == 0:
                yield line[: len(line) // 2]
                raise Cut
            left -= 1
            yield line


class StreamError(Fault):
    """A watch that the server ends with an ERROR event, after so many lines of its own."""

    def __init__(self, code: int = 410, after_events: int = 0, message: str = "too old resource version") -> None:
        event = {"type": "ERROR", "object": status_object(code, message)}
        self._event = json.dumps(event).encode() + b"\n"
        self._after = after_events

    async def answer(self, request: Request, forward: Forward) -> Answer:
        answer = await forward(request.plain)
        answer.pieces = self._until(answer.pieces)
        return answer

    async def _until(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        left = self._after
        if left > 0:
            async for line in _lines(pieces):
                yield line
                left -= 1
                if left == 0:
                    break
        yield self._event


class Rewrite(Fault):
    """The server's answer, changed: `function(status, headers, body)` returns the same three."""

    def __init__(self, function: Callable[[int, dict[str, str], bytes], tuple[int, dict[str, str], bytes]]) -> None:
        self._function = function

    async def answer(self, request: Request, forward: Forward) -> Answer:
        answer = await forward(request.plain)
        body = await answer.whole()
        framing = ("transfer-encoding", "content-length")
        headers = {name: value for name, value in answer.headers if name.lower() not in framing}
        return made(*self._function(answer.status, headers, body))


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = b""
    async for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if rest:
        yield rest


class Rule:
    """Which requests a fault befalls; what is not given matches everything. method and verb whole, the rest in part.

    times: the next so many, else for ever. probability: of those that match, by `dice`.
    """

    def __init__(
        self, fault: Fault, *, times: int | None = None, probability: float = 1.0, dice: random.Random | None = None,
        **match: str,
    ) -> None:  # fmt: skip
        unknown = set(match) - {"method", "path", "user_agent", "query", "verb"}
        assert not unknown, f"a rule knows nothing of {unknown}"
        assert probability == 1.0 or dice is not None, "chance needs seeded dice"
        self.fault = fault
        self._match = {name: re.compile(text) for name, text in match.items()}
        self._left = times
        self._chance = (probability, dice)

    @property
    def name(self) -> str:
        """Return what the log calls it."""
        return type(self.fault).__name__

    def takes(self, request: Request) -> bool:
        """Return whether the fault befalls this request, and count it."""
        said = {name: getattr(request, name, "") for name in self._match}
        if "user_agent" in said:
            said["user_agent"] = request.header("User-Agent")
        whole = ("method", "verb")
        fits = all(p.fullmatch(said[n]) if n in whole else p.search(said[n]) for n, p in self._match.items())
        probability, dice = self._chance
        if not fits or self._left == 0 or (dice is not None and dice.random() >= probability):
            return False
        if self._left is not None:
            self._left -= 1
        return True


class Gate(Rule):
    """Holds what matches before it is passed on, or (after) its answer when the server is done, until `open()`.

    A client that ends while it is held takes nothing back: the request is passed on all the same, as one that is under
    way in a network. `arrived` is set when one is held. What comes once it is open passes.
    """

    def __init__(self, *, after: bool = False, times: int | None = None, **match: str) -> None:
        self._held = _Gated(after=after)
        self.arrived = self._held.arrived
        super().__init__(self._held, times=times, **match)

    @property
    def name(self) -> str:
        return "Gate"

    def open(self) -> None:
        """Let it go on."""
        self._held.release()


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request that arrived. at: seconds since the epoch. fault: the name of what befell it, or nothing."""

    method: str
    path: str
    query: str
    verb: str
    user_agent: str
    at: float
    fault: str
