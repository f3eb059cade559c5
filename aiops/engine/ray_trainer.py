"""ports.Trainer over a Ray cluster: many models are fitted at once, elsewhere, by the code that fits one here."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from aiops.core.lineage.version import FitJob, FitResult
from aiops.engine.clerk import RayOptions
from aiops.engine.fits import Answer, Terms, serve
from aiops.engine.hiring import Hire, ended, hired
from aiops.engine.trainer import MOST_QUEUED, Fit, within
from aiops.errors import FatalError

_LOG = logging.getLogger("aiops.engine")
_LOOK_S, AGAIN_S = 0.2, 60.0


class RayTrainer:
    """Connects at the first job, by a process of its own. While there is no connection, jobs fail and say so.

    A job that failed is asked for again when there is more history, as everywhere. limit_s: how long one fit may take.
    hire: begins the process that is connected, and returns it with the pipe to it.
    """

    def __init__(
        self, options: RayOptions, *, limit_s: float, work: Fit | None = None, hire: Hire | None = None
    ) -> None:
        terms = Terms(work=work or within(limit_s), limit_s=limit_s)
        self._hire: Hire = hire or (lambda: hired(options, serve, terms))
        self._numbers = itertools.count()
        self._jobs: deque[tuple[int, FitJob]] = deque()
        self._asked: dict[int, FitJob] = {}
        self._results: deque[FitResult] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._failed: tuple[float, str] = (-AGAIN_S, "")
        self._stopped = False

    # -- the loop's side ---------------------------------------------------------------------------------

    def submit(self, job: FitJob) -> str:
        """Take a job, or say why not; returns at once."""
        with self._changed:
            if self._stopped:
                return "the trainer has stopped"
            if len(self._jobs) + len(self._asked) >= MOST_QUEUED:
                return f"{MOST_QUEUED} fits wait already"
            self._jobs.append((next(self._numbers), job))
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="ray-trainer", daemon=True)
                self._thread.start()
            self._changed.notify()
        return ""

    def finished(self) -> Sequence[FitResult]:
        """Return what became of jobs since the last call, in the order in which they ended; returns at once."""
        with self._changed:
            found = tuple(self._results)
            self._results.clear()
        return found

    def stop(self) -> None:
        """Let go of Ray; jobs that wait are dropped, and those at work are ended."""
        with self._changed:
            self._stopped = True
            self._jobs.clear()
            self._asked.clear()
            self._changed.notify()
        self._end()

    # -- its own thread ----------------------------------------------------------------------------------

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or bool(self._jobs) or bool(self._asked))
                if self._stopped:
                    return
                new = list(self._jobs)
                self._asked.update(new)
                self._jobs.clear()
            try:
                pipe = self._connected()
                for one in new:
                    pipe.send(one)
                if pipe.poll(_LOOK_S):
                    self._take(*pipe.recv())
            except FatalError as err:
                self._lost(str(err))
            except Exception as err:  # a pipe that ended, and what cannot be unpickled: the next jobs get a new process
                self._lost(f"the connection to Ray has ended ({err!r})")

    def _connected(self) -> Connection:
        if self._pipe is not None:
            return self._pipe
        at, why = self._failed
        if time.monotonic() - at < AGAIN_S:
            raise ConnectionError(why)
        self._process, self._pipe = self._hire()
        return self._pipe

    def _take(self, number: int, answer: Answer) -> None:
        made, why, took_s = answer
        with self._changed:
            job = self._asked.pop(number, None)
            if job is not None:
                self._results.append(FitResult(job=job, fitted=made, error=why, took_s=took_s))

    def _lost(self, why: str) -> None:
        """Let everything that was asked fail, and connect no sooner than a while later."""
        with self._changed:
            if self._stopped:
                return
            lost, self._asked = list(self._asked.values()), {}
            self._results += [FitResult(job=job, fitted=None, error=why) for job in lost]
        if self._pipe is not None or time.monotonic() - self._failed[0] >= AGAIN_S:
            _LOG.warning("fits_not_done", extra={"reason": why, "jobs": len(lost)})
            self._failed = (time.monotonic(), why)
        self._end()

    def _end(self) -> None:
        process, pipe = self._process, self._pipe
        self._process = self._pipe = None
        if pipe is not None:
            pipe.close()
        ended(process)
