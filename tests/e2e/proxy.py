"""A proxy that stands before one HTTP server for one client, and disturbs what passes as its rules say."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.e2e.disturbances import (
    AfterStatus,
    Answer,
    Cut,
    CutStream,
    Delay,
    Drop,
    Fault,
    Gate,
    Hang,
    Headers,
    LoseAnswer,
    Request,
    Rewrite,
    Rule,
    Seen,
    SlowAnswer,
    Status,
    StreamError,
    header,
    once,
    status_object,
)
from tests.e2e.wire import as_chunk, bound, client_context, raw_head, read_body, read_head, reset

__all__ = [
    "AfterStatus",
    "CutStream",
    "Delay",
    "Drop",
    "Fault",
    "FaultProxy",
    "Gate",
    "Hang",
    "LoseAnswer",
    "Rewrite",
    "Rule",
    "Seen",
    "SlowAnswer",
    "Status",
    "StreamError",
    "status_object",
]

_LIMIT_BYTES = 1 << 20
_BACKLOG = 128


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
        body = (as_chunk(request.body) if request.body else b"") + b"0\r\n\r\n" if chunked else request.body
        self._writer.write(raw_head(f"{request.method} {request.target} HTTP/1.1", request.headers) + body)
        await self._writer.drain()
        code = "100"
        while code.startswith("1"):
            first, headers = await read_head(self._reader)
            _, code, *reason = first.split(" ", 2)
        await flow.wait()
        bodiless = request.method == "HEAD" or code in ("204", "304")
        chunked = "chunked" in header(headers, "Transfer-Encoding").lower()
        ends = not chunked and not header(headers, "Content-Length") and not bodiless
        return Answer(
            status=int(code),
            reason="".join(reason),
            headers=headers,
            pieces=once(b"") if bodiless else self._pieces(headers, lasts=not first.startswith("HTTP/1.0")),
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

    async def _pieces(self, headers: Headers, *, lasts: bool) -> AsyncIterator[bytes]:
        """Yield the body. lasts: whether the server takes another request on this connection; one of 1.0 closes it."""
        assert self._reader is not None
        async for piece in read_body(self._reader, headers, to_end=True):
            await self._proxy.flow.wait()
            yield piece
        self._clean = lasts

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
        self.upstream_tls = client_context(upstream_ca, client) if upstream.scheme == "https" else None
        self._tls = None
        if cert is not None:
            self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self._tls.load_cert_chain(cert, key)
        self._listener = bound(port)
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
            reset(writer)
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
            reset(writer)
        finally:
            upstream.close()
            self._clients.discard(writer)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, upstream: _Upstream) -> bool:
        """Pass one request and its answer; return whether the connection goes on."""
        try:
            first, headers = await read_head(reader)
        except asyncio.IncompleteReadError as err:
            if err.partial:
                raise
            return False
        body = b"".join([piece async for piece in read_body(reader, headers, to_end=False)])
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
        writer.write(raw_head(f"HTTP/1.1 {answer.status} {answer.reason}", answer.headers))
        gone = None if watcher is None else self._loop.create_task(watcher.read(1))
        pieces = answer.pieces if gone is None else _while_there(answer.pieces, gone)
        try:
            async for piece in pieces:
                await self.flow.wait()
                writer.write(as_chunk(piece) if answer.chunked else piece)
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
