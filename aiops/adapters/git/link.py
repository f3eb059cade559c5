"""A client for one request to another side, with what has to be closed afterwards."""

from __future__ import annotations

import shutil
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HOOKS = ("pre-receive", "update", "post-receive", "reference-transaction", "proc-receive")


@dataclass(frozen=True, slots=True)
class Link:
    """A client of the Git library, and the path of the repository at the other side."""

    client: Any
    path: str
    end: Callable[[], None]

    def close(self) -> None:
        """Let go of what was opened for it."""
        self.end()


@dataclass(slots=True)
class Processes:
    """The processes of git that a link has begun: none of them runs longer than it may, or stays behind."""

    longest_s: float
    _opened: list[tuple[Any, threading.Timer]] = field(default_factory=list)

    def watch(self, protocol: Any, process: Any) -> None:
        """End a process when its time is over."""
        timer = threading.Timer(self.longest_s, process.kill)
        timer.daemon = True
        timer.start()
        self._opened.append((protocol, timer))

    def close(self) -> None:
        """Let go of all of them."""
        for protocol, timer in self._opened:
            protocol.close()
            timer.cancel()


@dataclass(slots=True)
class Connections:
    """The connections of a link over HTTP: none of them lasts longer than it may, however the other side drips."""

    longest_s: float
    _opened: list[Any] = field(default_factory=list)
    _timer: threading.Timer = field(init=False)

    def __post_init__(self) -> None:
        self._timer = threading.Timer(self.longest_s, self._end)
        self._timer.daemon = True

    def pool(self, **options: Any) -> Any:
        """Return a pool whose connections are ended when their time is over."""
        from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager

        made = PoolManager(**options)
        made.pool_classes_by_scheme = {
            "http": self._watched(HTTPConnectionPool),
            "https": self._watched(HTTPSConnectionPool),
        }
        self._timer.start()
        return made

    def _watched(self, kind: Any) -> Any:
        opened = self._opened

        class Connection(kind.ConnectionCls):  # type: ignore[misc]  # urllib3's own, of either scheme
            def connect(self) -> None:
                super().connect()
                opened.append(self.sock)

        return type(kind.__name__, (kind,), {"ConnectionCls": Connection})

    def _end(self) -> None:
        for one in self._opened:
            try:
                # of the connection itself, also where TLS is spoken on it: whoever reads from it sees its end
                socket.socket.shutdown(one, socket.SHUT_RDWR)
            except OSError:
                continue  # it has ended by itself

    def close(self) -> None:
        """Let go of all of them."""
        self._timer.cancel()


def folder(path: str, writes: bool, longest_s: float) -> Link:
    """Return the link to a repository in a folder. Git itself runs the hooks of what is pushed to, where there is one.

    Where there is none, a repository with hooks takes nothing: they may protect a branch. Raises OSError.
    """
    from dulwich.client import LocalGitClient, SubprocessGitClient

    if shutil.which("git") is None:
        places = (Path(path) / "hooks", Path(path) / ".git" / "hooks")
        hooks = [one for one in HOOKS if any((place / one).is_file() for place in places)]
        if writes and hooks:
            raise OSError(f"it has the hook {hooks[0]}, and there is no git here that would run it")
        return Link(LocalGitClient(quiet=True), path, lambda: None)
    processes = Processes(longest_s)

    class Watched(SubprocessGitClient):
        def _connect(self, cmd: bytes, path: bytes | str, protocol_version: int | None = None) -> Any:
            made = super()._connect(cmd, path, protocol_version)
            wrapper: Any = made[1]
            processes.watch(made[0], wrapper.__self__.proc)
            return made

    return Link(Watched(quiet=True), path, processes.close)
