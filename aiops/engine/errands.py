"""The process that has tasks done by Ray: a few more at once than there is room for, so that nothing piles up."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

from aiops.engine.clerk import RayOptions, connected
from aiops.errors import AiopsError

_AHEAD, _SAY_S = 2, 20.0


def serve(pipe: Connection, options: RayOptions) -> None:
    """Connect, then do what comes: (work, tasks, attempts). Answers are (number, value, error)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    trouble = connected(options)
    pipe.send(trouble)
    if trouble is not None:
        return
    import ray

    try:
        work, tasks, attempts = pipe.recv()
        _do(pipe, options, attempts, (work, tasks))
        pipe.poll(None)  # until the other end is closed
    except (EOFError, OSError):
        pass  # nobody waits for the rest
    finally:
        ray.shutdown()


def _do(
    pipe: Connection, options: RayOptions, attempts: int, given: tuple[Callable[[Any], Any], Sequence[Any]]
) -> None:
    import ray

    work, tasks = given
    every: float = ray.cluster_resources().get("CPU", 0.0)  # type: ignore[no-untyped-call]
    room = max(1, int(every / max(options.cpus, 0.01))) + _AHEAD
    # Ray itself tries again where a process or a node ends; an error of the work is its answer
    far = ray.remote(outcome).options(num_cpus=options.cpus, max_retries=attempts - 1)
    waiting: dict[Any, int] = {}
    rest, quiet_since = list(range(len(tasks)))[::-1], time.monotonic()
    while rest or waiting:
        while rest and len(waiting) < room:
            number = rest.pop()
            waiting[far.remote(work, tasks[number])] = number
        done, _ = ray.wait(list(waiting), num_returns=1, timeout=0.5)
        if pipe.poll(0.0):
            raise EOFError
        for ref in done:
            pipe.send((waiting.pop(ref), *_told(ref)))
            quiet_since = time.monotonic()
        if time.monotonic() - quiet_since > _SAY_S:
            quiet_since = time.monotonic()
            free: float = ray.available_resources().get("CPU", 0.0)  # type: ignore[no-untyped-call]
            if free < options.cpus:
                why = f"tasks of {options.cpus:g} CPUs wait for room in Ray: {free:g} of {every:g} free"
                pipe.send((-1, why, None))


def outcome(work: Callable[[Any], Any], task: Any) -> tuple[Any, AiopsError | None]:
    """Return the result of a task, or the error that is its answer."""
    try:
        return work(task), None
    except AiopsError as err:
        return None, err


def _told(ref: Any) -> tuple[Any, AiopsError | None]:
    import ray

    try:
        value, error = ray.get(ref)
    except ray.exceptions.RayTaskError as err:
        return None, AiopsError(f"a bug: {err.cause!r}")
    except ray.exceptions.RayError as err:
        return None, AiopsError(f"its process ended again and again ({' '.join(str(err).split())[:200]})")
    return value, error
