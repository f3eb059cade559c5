"""The process that has models fitted by Ray: as many at once as there is room for, each no longer than it may."""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from aiops.engine.clerk import RayOptions, connected

ATTEMPTS, WAIT_S = 3, 600.0
"""How often a fit is tried whose process ends; and how long one waits for room, or for whoever does not answer."""

_IDLE_S, _LOOK_S = 1.0, 0.2

Answer = tuple[Any, str, float]
"""What was fitted, or None; why not; and how many seconds it took."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """work: fits a job, importable by name on every node. limit_s: how long it may take."""

    work: Callable[[Any], Any]
    limit_s: float


def serve(pipe: Connection, options: RayOptions, terms: Terms) -> None:
    """Connect, then have done what comes: (number, job). Answers are (number, answer), in any order."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    trouble = connected(options)
    pipe.send(trouble)
    if trouble is None:
        _Fits(pipe, options, terms).run()


def limited(terms: Terms, job: Any) -> Answer:
    """Fit a job in this process, and no longer than it may take; what goes wrong is the answer."""
    began = time.monotonic()
    try:
        with _alarm(terms.limit_s):
            made, why = terms.work(job), ""
    except _Late:
        made, why = None, f"the fit took longer than {terms.limit_s:g} s and was ended"
    except Exception as err:  # a library's fit may raise anything; the next job is fitted all the same
        made, why = None, f"{type(err).__name__}: {err}"
    return made, why, time.monotonic() - began


class _Late(BaseException):
    """The time is over; no library's own `except Exception` takes it for one of its errors."""


@contextmanager
def _alarm(limit_s: float) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # then whoever waits for it ends its process
        return

    def ring(*_: object) -> None:
        raise _Late

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


@dataclass(slots=True)
class _Fits:
    pipe: Connection
    options: RayOptions
    terms: Terms
    rest: deque[tuple[int, Any]] = field(default_factory=deque)
    waiting: dict[Any, tuple[int, float]] = field(default_factory=dict)

    def run(self) -> None:
        """Serve until the other end is closed; what is at work then is ended."""
        import ray

        try:
            while True:
                idle = not self.rest and not self.waiting
                while self.pipe.poll(_IDLE_S if idle else 0.0):
                    self.rest.append(self.pipe.recv())
                    idle = False
                self._begin()
                if self.waiting:
                    done, _ = ray.wait(list(self.waiting), num_returns=1, timeout=_LOOK_S)
                    for ref in done:
                        number, began = self.waiting.pop(ref)
                        self.pipe.send((number, _answer(ref, began)))
                    self._give_up()
        except (EOFError, OSError):
            for ref in self.waiting:
                ray.cancel(ref, force=True)
        finally:
            ray.shutdown()

    def _begin(self) -> None:
        import ray

        every: float = ray.cluster_resources().get("CPU", 0.0)  # type: ignore[no-untyped-call]
        room = max(1, int(every / max(self.options.cpus, 0.01)))
        far = ray.remote(limited).options(num_cpus=self.options.cpus, max_retries=ATTEMPTS - 1)
        while self.rest and len(self.waiting) < room:
            number, job = self.rest.popleft()
            self.waiting[far.remote(self.terms, job)] = (number, time.monotonic())

    def _give_up(self) -> None:
        import ray

        now, most_s = time.monotonic(), WAIT_S + ATTEMPTS * self.terms.limit_s
        for ref, (number, began) in list(self.waiting.items()):
            if now - began > most_s:
                ray.cancel(ref, force=True)
                del self.waiting[ref]
                free: float = ray.available_resources().get("CPU", 0.0)  # type: ignore[no-untyped-call]
                why = f"Ray did not do it within {most_s:.0f} s ({free:g} CPUs free, it needs {self.options.cpus:g})"
                self.pipe.send((number, (None, why, now - began)))


def _answer(ref: Any, began: float) -> Answer:
    import ray

    try:
        answer: Answer = ray.get(ref)
    except Exception as err:  # Ray raises many kinds, and what cannot be unpickled here any
        return None, f"no answer from Ray ({' '.join(str(err).split())[:200]})", time.monotonic() - began
    return answer
