"""Git over smart HTTP on loopback, by git's own http-backend, with the doors that hosts have."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(slots=True)
class Host:
    """A server of the bare repositories in a folder.

    basic, bearer: who is let in. pushes: whether pushes are. status: said in place of everything else, when not 0;
    after_push: said once a push is done, in place of its answer. hangs: whether nothing is answered until `let_go`.
    asked: method, path and Authorization of each request.
    """

    folder: Path
    url: str = ""
    basic: str = ""
    bearer: str = ""
    pushes: bool = True
    status: int = 0
    after_push: int = 0
    moved_to: str = ""
    hangs: bool = False
    let_go: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def lets_in(self, authorization: str) -> bool:
        """Return whether whoever asks is known."""
        if not self.basic and not self.bearer:
            return True
        known = {f"Bearer {self.bearer}"} if self.bearer else set()
        if self.basic:
            known.add("Basic " + base64.b64encode(self.basic.encode()).decode())
        return authorization in known


class Handler(BaseHTTPRequestHandler):
    """Answers as git does, unless its host says otherwise."""

    protocol_version = "HTTP/1.1"
    host: Host

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Serve."""
        self._serve(b"")

    def do_POST(self) -> None:
        """Serve."""
        self._serve(self._body())

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _serve(self, body: bytes) -> None:
        authorization = self.headers.get("Authorization", "")
        self.host.asked.append((self.command, self.path, authorization))
        push = "receive-pack" in self.path
        if self.host.hangs:
            self.host.let_go.wait(60.0)
        if self.host.status:
            self._say(self.host.status, b"out of order")
        elif self.host.moved_to:
            self._say(301, b"", {"Location": self.host.moved_to + self.path})
        elif not self.host.lets_in(authorization):
            self._say(401, b"who are you?", {"WWW-Authenticate": 'Basic realm="git"'})
        elif push and not self.host.pushes:
            self._say(403, b"you may read only")
        else:
            status, headers, content = self._backend(body)
            if push and self.command == "POST" and self.host.after_push:
                self._say(self.host.after_push, b"after the deed")
            else:
                self._say(status, content, headers)

    def _backend(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        split = urlsplit(self.path)
        made = subprocess.run(
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            check=True,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.host.folder),
                "GIT_PROJECT_ROOT": str(self.host.folder),
                "GIT_HTTP_EXPORT_ALL": "1",
                "REMOTE_USER": "aiops",
                "REQUEST_METHOD": self.command,
                "PATH_INFO": split.path,
                "QUERY_STRING": split.query,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            },
        ).stdout
        head, _, content = made.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        return int(headers.pop("Status", "200").split()[0]), headers, content

    def _say(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def serving(folder: Path) -> Iterator[Host]:
    """Serve the repositories in a folder."""
    host = Host(folder)

    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"host": host}))
    server.daemon_threads = True
    host.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield host
    finally:
        host.let_go.set()
        server.shutdown()
        server.server_close()
        thread.join(5.0)
