"""engine.Crew over Ray, by way of a clerk: a process of its own that holds the connection."""

from __future__ import annotations

import itertools
import logging
import pickle
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, wait
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from aiops.engine.clerk import RayOptions, serve
from aiops.engine.crew import ShardFailed, Unreached
from aiops.engine.hiring import Hire, ended, hired, said
from aiops.engine.shard import Means
from aiops.errors import FatalError

_LOG = logging.getLogger("aiops.engine")
_AGAIN_S, _LOOK_S, _SILENT_S = 10.0, 5.0, 120.0


class RayCrew:
    """Shards as detached actors of a Ray cluster. It connects when it is made, and again when the connection ends.

    Raises ConfigurationError without Ray or with another version than the cluster's, CannotReach when nothing answers.
    hire: begins a clerk that is connected, and returns it with the pipe to it.
    """

    def __init__(self, options: RayOptions, means: Means, hire: Hire | None = None) -> None:
        self._options = options
        self._hire: Hire = hire or (lambda: hired(options, serve, means))
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._open: dict[int, Future[Any]] = {}
        self._waits: dict[int, str] = {}
        self._pipe: Connection | None = None
        self._process: BaseProcess | None = None
        self._why = ""
        self._closed = False
        self._orders: queue.SimpleQueue[tuple[Any, ...] | None] = queue.SimpleQueue()
        self._heard_at = time.monotonic()
        self._adopt(*self._hire())

    # -- engine.Crew -----------------------------------------------------------------------------------

    def ask(self, shard: int, method: str, *given: Any) -> Future[Any]:
        """Ask a shard; while there is no connection the answer is a failure."""
        future: Future[Any] = Future()
        with self._lock:
            number = next(self._numbers)
            if self._pipe is None:
                future.set_exception(Unreached(self._why))
                return future
            if not self._open:
                self._heard_at = time.monotonic()
            self._open[number] = future
            self._orders.put(("ask", number, shard, method, given))
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
        self._orders.put(("renew", shard))

    def pending(self, shard: int) -> str:
        """Return what a shard that has no process yet waits for."""
        return self._waits.get(shard, "")

    def close(self) -> None:
        """End the connection; the shards stay."""
        with self._lock:
            self._closed = True
        self._orders.put(("end",))
        ended(self._process)

    # -- the clerk -------------------------------------------------------------------------------------

    def _adopt(self, process: BaseProcess, pipe: Connection) -> None:
        with self._lock:
            self._process, self._pipe, self._why = process, pipe, ""
            self._orders, self._heard_at = queue.SimpleQueue(), time.monotonic()
        orders = self._orders
        threading.Thread(target=self._speak, args=(pipe, orders), name="ray-orders", daemon=True).start()
        threading.Thread(target=self._listen, args=(pipe, orders), name="ray-answers", daemon=True).start()

    def _speak(self, pipe: Connection, orders: queue.SimpleQueue[tuple[Any, ...] | None]) -> None:
        """Send orders, so that nobody waits for a clerk that takes none; one that is silent for too long is ended."""
        while True:
            try:
                order = orders.get(timeout=_LOOK_S)
            except queue.Empty:
                if self._open and time.monotonic() - self._heard_at > _SILENT_S:
                    _LOG.error("ray_connection_silent", extra={"address": self._options.address})
                    ended(self._process, at_once=True)
                continue
            if order is None:
                return
            try:
                pipe.send(order)
            except (OSError, ValueError):
                return  # whoever listens notices, and fails what is open

    def _listen(self, pipe: Connection, orders: queue.SimpleQueue[tuple[Any, ...] | None]) -> None:
        """Take answers until the connection ends; then hire another clerk, for as long as it takes."""
        try:
            while True:
                self._heard(pipe.recv())
                self._heard_at = time.monotonic()
        except Exception as err:  # the pipe has ended, or holds what nobody can read: either way this clerk is no use
            if not isinstance(err, (EOFError, OSError)):
                _LOG.exception("ray_answers_unreadable")
            orders.put(None)
            pipe.close()
        with self._lock:
            if self._closed:
                self._pipe = None
                return
            self._pipe, self._why = None, said(self._options, "the connection has ended, and is made anew")
            lost, self._open = list(self._open.values()), {}
        for future in lost:
            future.set_exception(Unreached(self._why))
        _LOG.error("ray_connection_ended", extra={"address": self._options.address})
        ended(self._process)
        while not self._closed:
            try:
                self._adopt(*self._hire())
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
                self._answered(number, value)
            case ("failed", number, why, gone):
                future = self._open.pop(number, None)
                if future is not None:
                    future.set_exception(ShardFailed(why, gone=gone))
            case ("waits", waits):
                self._waits = waits

    def _answered(self, number: int, value: bytes) -> None:
        """Give an answer to whoever asked; one that cannot be read here fails, and ends nothing else."""
        future = self._open.pop(number, None)
        if future is None:
            return
        try:
            future.set_result(pickle.loads(value))  # noqa: S301  # our own process wrote it, of our own shards
        except Exception as err:  # unpickling raises whatever a class does
            why = f"its answer cannot be read ({type(err).__name__}: {err})"
            future.set_exception(ShardFailed(why, gone=False))
