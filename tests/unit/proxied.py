"""A server that counts and echoes, and a client of it, on both sides of the fault proxy."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server(ThreadingHTTPServer):
    """Counts what it was asked, echoes what it was sent, and streams events when it is asked to watch."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        self.watchers = 0
        self.next_event = threading.Semaphore(0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """Clients go away here on purpose."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        if "watch=true" in self.path:
            self.watch()
        else:
            self.echo()

    def echo(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "Transfer-Encoding" in self.headers:
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size + 2)[:-2]
            self.rfile.readline()
        self.server.asked.append((f"{self.command} {self.path}", dict(self.headers), body))
        text = body or b'{"value": 1}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Connection", str(self.client_address[1]))
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_PATCH(self) -> None:
        self.echo()

    def do_POST(self) -> None:
        self.echo()

    def watch(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.server.watchers += 1
        try:
            for number in range(1, 10):
                if not self.server.next_event.acquire(timeout=5):
                    break
                line = json.dumps({"type": "ADDED", "object": {"number": number}}).encode() + b"\n"
                self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        finally:
            self.server.watchers -= 1

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving() -> Iterator[Server]:
    """Yield a server that answers."""
    made = Server()
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.next_event.release(100)
    made.shutdown()
    made.server_close()
    thread.join()


class Client:
    """One connection to the proxy, kept alive."""

    def __init__(self, port: int, timeout_s: float = 3.0) -> None:
        self.connection = HTTPConnection("127.0.0.1", port, timeout=timeout_s)
        self.connection.auto_open = 0
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def ask(self, method: str = "GET", path: str = "/item", body: str | None = None, **headers: str) -> HTTPResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, body, named)
        return self.connection.getresponse()

    def code(self, *words: Any, **headers: str) -> int:
        answer = self.ask(*words, **headers)
        answer.read()
        return answer.status

    def json(self, *words: Any, **headers: str) -> Any:
        answer = self.ask(*words, **headers)
        return json.loads(answer.read())


def eventually(look: Callable[[], Any], within_s: float = 3.0) -> Any:
    deadline = time.monotonic() + within_s
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.005)
    return found


def in_background(do: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Start a call that will be held, and return its thread and where its result or its error will be."""
    ended: list[Any] = []

    def run() -> None:
        try:
            ended.append(do())
        except (OSError, HTTPException) as err:
            ended.append(err)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, ended
