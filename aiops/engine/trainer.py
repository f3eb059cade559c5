"""Fits of models in a process of their own: no fit, however long, delays a turn (S2 of what is learnt).

One fit at a time, the oldest first; one that takes longer than it may is ended with its process, and the next one gets
a fresh process. What is queued beyond a bound is refused: it is asked for again when history has grown.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from multiprocessing.connection import Connection

from aiops.core.forecast.fitted import Fitted
from aiops.core.forecast.fitting import fit
from aiops.core.forecast.members import Limits, limited
from aiops.core.lineage.version import FitJob, FitResult

Fit = Callable[[FitJob], Fitted]

MOST_QUEUED = 1000
_GRACE_S, _BEGUN_WITHIN_S = 2.0, 120.0


_OUTSIDE_SHARE = 0.5


def fitted(job: FitJob, *, within_s: float = math.inf) -> Fitted:
    """Fit a job's history with its members. within_s: later, members of other libraries are left out."""
    began = time.monotonic()
    limits = Limits(within_s=within_s, elapsed_s=lambda: time.monotonic() - began)
    return fit(job.history, limited(job.members, limits))


def within(limit_s: float) -> Fit:
    """Return what a worker does unless it is told otherwise: no slow member takes the others' time to be judged."""
    return partial(fitted, within_s=_OUTSIDE_SHARE * limit_s)


class ProcessTrainer:
    """Takes jobs from the loop's thread and gives back results; the process is started at the first job.

    limit_s: how long one fit may take. work: what is done in the process, importable by name there; None fits.
    """

    def __init__(self, *, limit_s: float, work: Fit | None = None) -> None:
        self._limit_s, self._work = limit_s, work or within(limit_s)
        self._jobs: deque[FitJob] = deque()
        self._results: deque[FitResult] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._worker: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None
        self._stopped = False

    # -- the loop's side ---------------------------------------------------------------------------------

    def submit(self, job: FitJob) -> str:
        """Take a job, or say why not; returns at once."""
        with self._changed:
            if self._stopped:
                return "the trainer has stopped"
            if len(self._jobs) >= MOST_QUEUED:
                return f"{MOST_QUEUED} fits wait already"
            self._jobs.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="trainer", daemon=True)
                self._thread.start()
            self._changed.notify()
        return ""

    def finished(self) -> Sequence[FitResult]:
        """Return what became of jobs since the last call; returns at once."""
        with self._changed:
            found = tuple(self._results)
            self._results.clear()
        return found

    def stop(self) -> None:
        """End the process, whatever it does; jobs that wait are dropped."""
        with self._changed:
            self._stopped = True
            self._jobs.clear()
            self._changed.notify()
        self._end()

    # -- the trainer's own thread ------------------------------------------------------------------------

    def _serve(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or bool(self._jobs))
                if self._stopped:
                    return
                job = self._jobs.popleft()
            result = self._run(job)
            with self._changed:
                self._results.append(result)

    def _run(self, job: FitJob) -> FitResult:
        started = time.monotonic()
        try:
            pipe = self._begun()
            pipe.send(job)
            if not pipe.poll(self._limit_s):
                self._end()
                error = f"the fit took longer than {self._limit_s:g} s and was ended"
                return FitResult(job=job, fitted=None, error=error, took_s=time.monotonic() - started)
            made, error = pipe.recv()
        except (OSError, EOFError, ValueError) as err:
            self._end()
            return FitResult(job=job, fitted=None, error=f"the process of fits has ended: {err!r}")
        return FitResult(job=job, fitted=made, error=error, took_s=time.monotonic() - started)

    def _begun(self) -> Connection:
        if self._pipe is not None and self._worker is not None and self._worker.is_alive():
            return self._pipe
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        worker = context.Process(target=_worker, args=(theirs, self._work), name="aiops-trainer", daemon=True)
        worker.start()
        theirs.close()
        self._worker, self._pipe = worker, ours
        if not ours.poll(_BEGUN_WITHIN_S):  # a busy machine takes seconds to import; that is no fit's fault
            raise OSError(f"it did not begin within {_BEGUN_WITHIN_S:g} s")
        ours.recv()
        return ours

    def _end(self) -> None:
        worker, pipe = self._worker, self._pipe
        self._worker = self._pipe = None
        if worker is not None:
            worker.terminate()
            worker.join(_GRACE_S)
            if worker.is_alive():
                worker.kill()
                worker.join(_GRACE_S)
        if pipe is not None:
            pipe.close()


def _worker(pipe: Connection, work: Fit) -> None:
    """Fit what comes, until the other end is closed. It gives way to the loop."""
    os.nice(10)
    pipe.send(os.getpid())
    while True:
        try:
            job = pipe.recv()
        except (EOFError, OSError, KeyboardInterrupt):
            return
        try:
            answer: tuple[Fitted | None, str] = (work(job), "")
        except Exception as err:  # a library's fit may raise anything; the next job is fitted all the same
            answer = (None, f"{type(err).__name__}: {err}" if str(err) else traceback.format_exc(limit=1))
        pipe.send(answer)
