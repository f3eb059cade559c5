"""HTTP/1.1 on streams: heads and bodies, as they come; sockets and contexts."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from pathlib import Path

from tests.e2e.disturbances import Headers, header

_LIMIT_BYTES = 1 << 20


async def read_head(reader: asyncio.StreamReader) -> tuple[str, Headers]:
    """Return the first line and the headers; raise IncompleteReadError at the connection's end."""
    raw = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = raw[:-4].split("\r\n")
    split = (line.partition(":") for line in lines)
    return first, tuple((name, value.strip()) for name, _, value in split)


async def read_body(reader: asyncio.StreamReader, headers: Headers, *, to_end: bool) -> AsyncIterator[bytes]:
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


def raw_head(first: str, headers: Headers) -> bytes:
    lines = [first, *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def as_chunk(piece: bytes) -> bytes:
    return f"{len(piece):x}\r\n".encode() + piece + b"\r\n"


def reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection with RST in place of FIN."""
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def bound(port: int) -> socket.socket:
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


def client_context(ca: Path | None, client: tuple[Path, Path] | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    if client is not None:
        context.load_cert_chain(*client)
    return context
