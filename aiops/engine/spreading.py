"""Many tasks that need nothing of each other, over processes here or over a Ray cluster: what is done is kept.

A task is done by a function that can be imported, on values that pickle. An error of the program's own is the task's
answer; a process that ends is not, and the task is tried again, a few times.
"""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from aiops.engine.clerk import RayOptions
from aiops.engine.errands import serve
from aiops.engine.hiring import ended, hired, said
from aiops.errors import AiopsError, CannotReach

_LOG = logging.getLogger("aiops.engine")
ATTEMPTS = 3
"""How often a task is tried whose process ends."""

Progress: TypeAlias = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Lost:
    """What became of a task that has no result: its error, or that its process ended again and again."""

    error: AiopsError


class Spread(Protocol):
    """Does tasks somewhere."""

    def __call__(self, work: Callable[[Any], Any], tasks: Sequence[Any], progress: Progress) -> list[Any]:
        """Return the results in the order of the tasks, a `Lost` where there is none; progress: after each task."""
        ...


def spawned(count: int) -> Executor:
    """Return a pool of new processes, which have nothing of this one's threads and locks."""
    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))


@dataclass(frozen=True, slots=True)
class Processes:
    """Does them in so many processes of this machine. pool: makes a pool of some processes."""

    count: int
    pool: Callable[[int], Executor] = spawned

    def __call__(self, work: Callable[[Any], Any], tasks: Sequence[Any], progress: Progress) -> list[Any]:
        """Return what becomes of each task."""
        found: dict[int, Any] = {}
        tried = dict.fromkeys(range(len(tasks)), 0)
        while len(found) < len(tasks):
            rest = [number for number in tried if number not in found]
            for number in rest:
                tried[number] += 1
            # a process that ends takes the pool with it: what was not done is done by the next
            lonely = any(tried[number] > 1 for number in rest)
            for batch in ([one] for one in rest) if lonely else (rest,):
                self._some(work, {number: tasks[number] for number in batch}, found, progress)
            for number in rest:
                if number not in found and tried[number] >= ATTEMPTS:
                    found[number] = Lost(AiopsError(f"its process ended {ATTEMPTS} times"))
                    progress()
        return [found[number] for number in range(len(tasks))]

    def _some(
        self, work: Callable[[Any], Any], tasks: dict[int, Any], found: dict[int, Any], progress: Progress
    ) -> None:
        pool = self.pool(min(self.count, len(tasks)))
        asked: dict[Future[Any], int] = {}
        try:
            try:
                for number, task in tasks.items():
                    asked[pool.submit(work, task)] = number
            except BrokenProcessPool:
                pass  # a process has ended while others were still to be given their task: the next pool does those
            open_ones: set[Future[Any]] = set(asked)
            while open_ones:
                done, open_ones = wait(open_ones, return_when=FIRST_COMPLETED)
                for future in done:
                    try:
                        found[asked[future]] = _result(future)
                    except BrokenProcessPool:
                        continue
                    progress()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _result(future: Future[Any]) -> Any:
    try:
        return future.result()
    except AiopsError as err:
        return Lost(err)


@dataclass(frozen=True, slots=True)
class OverRay:
    """Does them as tasks of a Ray cluster, as many at once as it has room for."""

    options: RayOptions

    def __call__(self, work: Callable[[Any], Any], tasks: Sequence[Any], progress: Progress) -> list[Any]:
        """Return what becomes of each task; raise FatalError when there is no connection. What was done is kept."""
        process, pipe = hired(self.options, serve)
        found: dict[int, Any] = {}
        try:
            pipe.send((work, tuple(tasks), ATTEMPTS))
            while len(found) < len(tasks):
                number, value, error = pipe.recv()
                if number < 0:
                    _LOG.warning("tasks_wait", extra={"reason": value})
                    continue
                found[number] = value if error is None else Lost(error)
                progress()
        except (EOFError, OSError):
            why = CannotReach(said(self.options, "the connection has ended"))
            found |= {number: Lost(why) for number in range(len(tasks)) if number not in found}
        finally:
            pipe.close()
            ended(process)
        return [found[number] for number in range(len(tasks))]
