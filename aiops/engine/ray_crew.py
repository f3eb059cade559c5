"""engine.Crew over Ray, by way of a clerk: a process of its own that holds the connection."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future, wait
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from aiops.engine.clerk import RayOptions, serve
from aiops.engine.crew import ShardFailed, Unreached
from aiops.engine.hiring import ended, hired, said
from aiops.engine.shard import Means
from aiops.errors import FatalError

_LOG = logging.getLogger("aiops.engine")
_AGAIN_S = 10.0


class RayCrew:
    """Shards as detached actors of a Ray cluster. It connects when it is made, and again when the connection ends.

    Raises ConfigurationError without Ray or with another version than the cluster's, CannotReach when nothing answers.
    """

    def __init__(self, options: RayOptions, means: Means) -> None:
        self._options, self._means = options, means
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._open: dict[int, Future[Any]] = {}
        self._waits: dict[int, str] = {}
        self._pipe: Connection | None = None
        self._process: BaseProcess | None = None
        self._why = ""
        self._closed = False
        self._adopt(*hired(self._options, serve, self._means))

    # -- engine.Crew -----------------------------------------------------------------------------------

    def ask(self, shard: int, method: str, *given: Any) -> Future[Any]:
        """Ask a shard; while there is no connection the answer is a failure."""
        future: Future[Any] = Future()
        with self._lock:
            number = next(self._numbers)
            if self._pipe is None:
                future.set_exception(Unreached(self._why))
                return future
            self._open[number] = future
            self._send(("ask", number, shard, method, given))
        return future

    def wait(self, handles: Sequence[Future[Any]], timeout_s: float) -> None:
        """Wait until all have an answer or a failure, and no longer than `timeout_s`; for as long without any."""
        if handles:
            wait(handles, timeout=timeout_s)
        if not handles or any(one.done() and one.exception() is not None for one in handles):
            threading.Event().wait(min(timeout_s, 0.2) if handles else timeout_s)

    def done(self, handle: Future[Any]) -> bool:
        """Return whether there is an answer or a failure."""
        return handle.done()

    def answer(self, handle: Future[Any]) -> Any:
        """Return the answer of a handle that is done; raise ShardFailed."""
        return handle.result(timeout=0)

    def renew(self, shard: int) -> None:
        """Have a shard's process killed, and made anew by Ray."""
        with self._lock:
            self._send(("renew", shard))

    def pending(self, shard: int) -> str:
        """Return what a shard that has no process yet waits for."""
        return self._waits.get(shard, "")

    def close(self) -> None:
        """End the connection; the shards stay."""
        with self._lock:
            self._closed = True
            pipe, self._pipe = self._pipe, None
        if pipe is not None:
            pipe.close()
        ended(self._process)

    # -- the clerk -------------------------------------------------------------------------------------

    def _adopt(self, process: BaseProcess, pipe: Connection) -> None:
        with self._lock:
            self._process, self._pipe, self._why = process, pipe, ""
        threading.Thread(target=self._listen, args=(pipe,), name="ray-answers", daemon=True).start()

    def _listen(self, pipe: Connection) -> None:
        """Take answers until the connection ends; then hire another clerk, for as long as it takes."""
        try:
            while True:
                self._heard(pipe.recv())
        except (EOFError, OSError, ValueError):
            pass
        with self._lock:
            if self._closed:
                return
            self._pipe, self._why = None, said(self._options, "the connection has ended, and is made anew")
            lost, self._open = list(self._open.values()), {}
        for future in lost:
            future.set_exception(Unreached(self._why))
        _LOG.error("ray_connection_ended", extra={"address": self._options.address})
        ended(self._process)
        while not self._closed:
            try:
                self._adopt(*hired(self._options, serve, self._means))
            except FatalError as err:
                self._why = str(err)
                _LOG.warning("ray_unreachable", extra={"reason": str(err)})
                threading.Event().wait(_AGAIN_S)
            else:
                _LOG.warning("ray_connected_again", extra={"address": self._options.address})
                return

    def _heard(self, said: tuple[Any, ...]) -> None:
        match said:
            case ("answer", number, value):
                future = self._open.pop(number, None)
                if future is not None:
                    future.set_result(value)
            case ("failed", number, why, gone):
                future = self._open.pop(number, None)
                if future is not None:
                    future.set_exception(ShardFailed(why, gone=gone))
            case ("waits", waits):
                self._waits = waits

    def _send(self, order: tuple[Any, ...]) -> None:
        """Send an order; where the pipe has ended the listener notices, and fails what is open."""
        if self._pipe is None:
            return
        try:
            self._pipe.send(order)
        except (OSError, ValueError):
            _LOG.warning("ray_connection_ended", extra={"address": self._options.address})
