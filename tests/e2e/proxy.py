"""A proxy that stands before one HTTP server for one client, and disturbs what passes as its rules say."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import unquote_plus, urlsplit

Headers: TypeAlias = tuple[tuple[str, str], ...]
_LIMIT_BYTES = 1 << 20
_BACKLOG = 128
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
        self.pieces = _once(body)
        return body


def made(code: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """Return an answer of the proxy's own."""
    whole = {"Content-Type": "application/json", **headers, "Content-Length": str(len(body))}
    return Answer(status=code, reason=_REASONS.get(code, "OK"), headers=tuple(whole.items()), pieces=_once(body))


async def _once(body: bytes) -> AsyncIterator[bytes]:
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


# -- HTTP/1.1 on streams ---------------------------------------------------------------------------------


async def _head(reader: asyncio.StreamReader) -> tuple[str, Headers]:
    """Return the first line and the headers; raise IncompleteReadError at the connection's end."""
    raw = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = raw[:-4].split("\r\n")
    split = (line.partition(":") for line in lines)
    return first, tuple((name, value.strip()) for name, _, value in split)


async def _body(reader: asyncio.StreamReader, headers: Headers, *, to_end: bool) -> AsyncIterator[bytes]:
    """Yield a body as it comes: its chunks, or its parts. to_end: without a length it ends with the connection."""
    if "chunked" in header(headers, "Transfer-Encoding").lower():
        while size := int((await reader.readline()).partition(b";")[0], 16):
            yield await reader.readexactly(size)
            await reader.readexactly(2)
        while (await reader.readline()).strip():
            pass
        return
    length = header(headers, "Content-Length")
    left = int(length or 0)
    while left > 0 or (to_end and not length):
        piece = await reader.read(min(left, _LIMIT_BYTES) or _LIMIT_BYTES)
        if not piece:
            if left > 0:
                raise asyncio.IncompleteReadError(b"", left)
            return
        left -= len(piece)
        yield piece


def _raw_head(first: str, headers: Headers) -> bytes:
    lines = [first, *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _chunk(piece: bytes) -> bytes:
    return f"{len(piece):x}\r\n".encode() + piece + b"\r\n"


class _Upstream:
    """The server's side of one client's connection: dialled when it is first needed, and kept alive as it is."""

    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._clean = True

    async def ask(self, request: Request) -> Answer:
        """Send a request once, and return the beginning of its answer; raise Cut when there is none."""
        flow = self._proxy.flow
        await flow.wait()
        if self._reader is None or self._reader.at_eof() or not self._clean:
            self.close()
            await self._dial()
        assert self._reader is not None
        assert self._writer is not None
        self._clean = False
        chunked = bool(header(request.headers, "Transfer-Encoding"))
        body = (_chunk(request.body) if request.body else b"") + b"0\r\n\r\n" if chunked else request.body
        self._writer.write(_raw_head(f"{request.method} {request.target} HTTP/1.1", request.headers) + body)
        await self._writer.drain()
        code = "100"
        while code.startswith("1"):
            first, headers = await _head(self._reader)
            _, code, *reason = first.split(" ", 2)
        await flow.wait()
        bodiless = request.method == "HEAD" or code in ("204", "304")
        chunked = "chunked" in header(headers, "Transfer-Encoding").lower()
        ends = not chunked and not header(headers, "Content-Length") and not bodiless
        return Answer(
            status=int(code),
            reason="".join(reason),
            headers=headers,
            pieces=_once(b"") if bodiless else self._pieces(headers),
            chunked=chunked and not bodiless,
            ends=ends,
        )

    async def _dial(self) -> None:
        proxy = self._proxy
        try:
            dialled = await asyncio.open_connection(*proxy.server, ssl=proxy.upstream_tls, limit=_LIMIT_BYTES)
        except OSError as err:
            raise Cut from err
        self._reader, self._writer = dialled

    async def _pieces(self, headers: Headers) -> AsyncIterator[bytes]:
        assert self._reader is not None
        async for piece in _body(self._reader, headers, to_end=True):
            await self._proxy.flow.wait()
            yield piece
        self._clean = True

    def close(self) -> None:
        """Let go of the server."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None
        self._clean = True


# -- the proxy -------------------------------------------------------------------------------------------


class FaultProxy:
    """Listens on loopback, and passes every request on unless a rule says otherwise.

    cert, key: to serve TLS; none: plain HTTP. upstream_ca: whom to trust as an HTTPS server. client: a certificate and
    a key to show the server, since the client's own ends here. Every method may be called from the test's thread.
    """

    def __init__(
        self, upstream_url: str, *, cert: Path | None = None, key: Path | None = None, upstream_ca: Path | None = None,
        client: tuple[Path, Path] | None = None, port: int = 0,
    ) -> None:  # fmt: skip
        upstream = urlsplit(upstream_url)
        self.server = (upstream.hostname or "127.0.0.1", upstream.port or (443 if upstream.scheme == "https" else 80))
        self.upstream_tls = _client_context(upstream_ca, client) if upstream.scheme == "https" else None
        self._tls = None
        if cert is not None:
            self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self._tls.load_cert_chain(cert, key)
        self._listener = _bound(port)
        self.port = int(self._listener.getsockname()[1])
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"
        self.seen: list[Seen] = []
        self._rules: tuple[Rule, ...] = ()
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda *_: None)  # a client that goes away is no news
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._accepting: asyncio.Task[None] | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._clients: set[asyncio.StreamWriter] = set()
        self._plugs: list[socket.socket] = []
        self.flow = asyncio.Event()
        self.flow.set()

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        self.reopen()
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        self._listener.close()

    # -- what the test says ----------------------------------------------------------------------------

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules in order; the first that takes a request decides."""
        return self._rules

    @rules.setter
    def rules(self, rules: Iterable[Rule]) -> None:
        with self._lock:
            self._rules = tuple(rules)

    def add(self, rule: Rule) -> None:
        """Put a rule before the others."""
        with self._lock:
            self._rules = (rule, *self._rules)

    def remove(self, rule: Rule) -> None:
        """Take a rule away."""
        with self._lock:
            self._rules = tuple(one for one in self._rules if one is not rule)

    def gate(self, *, after: bool = False, **match: str) -> Gate:
        """Hold the next request that matches, and return its gate."""
        gate = Gate(after=after, times=1, **match)
        self.add(gate)
        return gate

    def refuse(self) -> None:
        """Refuse new connections; the port stays ours. Open ones go on."""
        self._do(self._refuse())

    def reopen(self) -> None:
        """Listen again."""
        self._do(self._reopen())

    def cut_all(self) -> None:
        """Reset every open connection of clients."""
        self._do(self._cut_all())

    def partition(self) -> None:
        """Let nothing pass: a new connection's SYN is not answered, and open connections are silent."""
        self._do(self._partition())

    def heal(self) -> None:
        """End a partition; what was held goes on where it stood."""
        self._do(self._heal())

    def _do(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result(10)

    # -- in the loop -----------------------------------------------------------------------------------

    async def _reopen(self) -> None:
        self._listener.listen(_BACKLOG)
        if self._accepting is None:
            self._accepting = self._loop.create_task(self._accept())

    async def _refuse(self) -> None:
        await self._accept_no_more()
        self._listener.shutdown(socket.SHUT_RDWR)

    async def _accept_no_more(self) -> None:
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
            self._accepting = None

    async def _partition(self) -> None:
        self.flow.clear()
        if self._accepting is None:
            return
        await self._accept_no_more()
        # a queue that is full drops SYNs, as a network that is cut does
        self._listener.listen(0)
        for _ in range(_BACKLOG):
            plug = socket.socket()
            plug.setblocking(False)
            self._plugs.append(plug)
            try:
                await asyncio.wait_for(self._loop.sock_connect(plug, ("127.0.0.1", self.port)), 0.05)
            except TimeoutError:
                break

    async def _heal(self) -> None:
        self.flow.set()
        if self._plugs:
            for plug in self._plugs:
                plug.close()
            self._plugs.clear()
            await self._reopen()

    async def _cut_all(self) -> None:
        for writer in list(self._clients):
            _reset(writer)
        # what was reset leaves with the loop's next turns
        await asyncio.sleep(0.01)

    async def _close(self) -> None:
        await self._accept_no_more()
        for plug in self._plugs:
            plug.close()
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await self._cut_all()
        await self._loop.shutdown_asyncgens()

    async def _accept(self) -> None:
        while True:
            client, _ = await self._loop.sock_accept(self._listener)
            task = self._loop.create_task(self._connection(client))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)

    async def _connection(self, client: socket.socket) -> None:
        reader = asyncio.StreamReader(limit=_LIMIT_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            await self.flow.wait()
            transport, _ = await self._loop.connect_accepted_socket(lambda: protocol, client, ssl=self._tls)
        except (OSError, asyncio.CancelledError):
            client.close()
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, self._loop)
        self._clients.add(writer)
        upstream = _Upstream(self)
        try:
            while await self._exchange(reader, writer, upstream):
                pass
            writer.close()
        except (Cut, OSError, EOFError, ValueError, asyncio.LimitOverrunError, asyncio.CancelledError):
            _reset(writer)
        finally:
            upstream.close()
            self._clients.discard(writer)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream: _Upstream) -> bool:
        """Pass one request and its answer; return whether the connection goes on."""
        try:
            first, headers = await _head(reader)
        except asyncio.IncompleteReadError as err:
            if err.partial:
                raise
            return False
        body = b"".join([piece async for piece in _body(reader, headers, to_end=False)])
        await self.flow.wait()
        method, target, _ = first.split(" ")
        request = Request(method=method, target=target, headers=headers, body=body)
        answer = await self._befalling(request).answer(request, upstream.ask)
        await self._pass(answer, writer, reader if request.verb == "watch" else None)
        closes = "close" in (header(headers, "Connection").lower(), header(answer.headers, "Connection").lower())
        return not closes and not answer.ends

    def _befalling(self, request: Request) -> Fault:
        with self._lock:
            rule = next((rule for rule in self._rules if rule.takes(request)), None)
        self.seen.append(
            Seen(
                method=request.method,
                path=request.path,
                query=request.query,
                verb=request.verb,
                user_agent=request.header("User-Agent"),
                at=time.time(),
                fault="" if rule is None else rule.name,
            )
        )
        return Fault() if rule is None else rule.fault

    async def _pass(self, answer: Answer, writer: asyncio.StreamWriter, watcher: asyncio.StreamReader | None) -> None:
        """Write an answer as its pieces come; the end of a client that watches is noticed while nothing comes."""
        await self.flow.wait()
        writer.write(_raw_head(f"HTTP/1.1 {answer.status} {answer.reason}", answer.headers))
        gone = None if watcher is None else self._loop.create_task(watcher.read(1))
        pieces = answer.pieces if gone is None else _while_there(answer.pieces, gone)
        try:
            async for piece in pieces:
                await self.flow.wait()
                writer.write(_chunk(piece) if answer.chunked else piece)
                await writer.drain()
        except Cut:
            await writer.drain()
            await asyncio.sleep(0.02)  # a reset takes back what the other side has not read yet
            raise
        finally:
            if gone is not None:
                gone.cancel()
                await asyncio.gather(gone, return_exceptions=True)
        if answer.chunked:
            writer.write(b"0\r\n\r\n")
        await writer.drain()


async def _while_there(pieces: AsyncIterator[bytes], gone: asyncio.Task[bytes]) -> AsyncIterator[bytes]:
    while True:
        following = asyncio.ensure_future(anext(pieces, None))
        try:
            await asyncio.wait({gone, following}, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                raise Cut
            piece = following.result()
        finally:
            if not following.done():
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
        if piece is None:
            return
        yield piece


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection with RST in place of FIN."""
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def _bound(port: int) -> socket.socket:
    """Return a socket that keeps its port even while it does not listen, which takes a port that was asked for."""
    while True:
        # asyncio turns Nagle's algorithm off only where the protocol is named
        listener = socket.socket(proto=socket.IPPROTO_TCP)
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        if port:
            return listener
        port = int(listener.getsockname()[1])
        listener.close()


def _client_context(ca: Path | None, client: tuple[Path, Path] | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    if client is not None:
        context.load_cert_chain(*client)
    return context
