"""Many tests over the cores: forked processes have the compiled policies already, and each runs every n-th test."""

from __future__ import annotations

import gc
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection

from aiops.policy.testing import Case, Failure
from simulators.policy_tests.run import Result, run_case

LEAST = 16
"""Tests that are worth a process: with fewer, forking takes as long as they do."""

SELDOM = 50_000
"""So many more values than have ended, and garbage is looked for: a loop of a test holds itself."""

Clock = Callable[[], float]


def run_cases(cases: Sequence[Case], clock: Clock, *, whole: bool = False, jobs: int | None = None) -> list[Result]:
    """Return what becomes of each test, in their order.

    jobs: processes at most, as many as there are cores without a word. Results of other processes are without `run`,
    so that what is asked for as a whole, which is for coverage, runs here.
    """
    wanted = min(_cores() if jobs is None else jobs, len(cases) // LEAST)
    with _unswept():
        return _run(cases, clock, whole=whole, wanted=wanted)


def _run(cases: Sequence[Case], clock: Clock, *, whole: bool, wanted: int) -> list[Result]:
    if whole or wanted < 2 or "fork" not in multiprocessing.get_all_start_methods():
        return [_timed(case, clock, whole=whole) for case in cases]
    context = multiprocessing.get_context("fork")
    ends = []
    for place in range(1, wanted):
        mine, theirs = context.Pipe(duplex=False)
        worker = context.Process(target=_work, args=(cases[place::wanted], clock, theirs), daemon=True)
        worker.start()
        theirs.close()
        ends.append((mine, worker))
    found: list[Result | None] = [None] * len(cases)
    found[::wanted] = [_timed(case, clock, whole=False) for case in cases[::wanted]]
    for place, (mine, worker) in enumerate(ends, 1):
        part = _received(mine)
        worker.join()
        slots = range(place, len(cases), wanted)
        for slot, (failures, decisions, elapsed_s) in zip(slots, part, strict=True):
            found[slot] = Result(case=cases[slot], failures=failures, decisions=decisions, elapsed_s=elapsed_s)
    return [one for one in found if one is not None]


@contextmanager
def _unswept() -> Iterator[None]:
    """Look for garbage seldom: tests make values by the thousand, nearly all of which end by themselves.

    What was compiled before is not looked at at all, so that a forked process shares it, too.
    """
    if threading.active_count() > 1:
        yield  # the garbage is others', too
        return
    usual = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(SELDOM, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()


def _cores() -> int:
    """Return how many processes may be forked: one where threads run, of which a child would have the locks alone."""
    if threading.active_count() > 1:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _timed(case: Case, clock: Clock, *, whole: bool) -> Result:
    begun = clock()
    return replace(run_case(case, whole=whole), elapsed_s=clock() - begun)


def _work(cases: Sequence[Case], clock: Clock, end: Connection) -> None:
    """Run some tests in a process of their own; a bug in one is told, to be raised where it is asked for."""
    try:
        results = [_timed(case, clock, whole=False) for case in cases]
        end.send([(one.failures, one.decisions, one.elapsed_s) for one in results])
    except Exception as err:
        end.send(err)
    finally:
        end.close()


def _received(end: Connection) -> list[tuple[tuple[Failure, ...], int, float]]:
    try:
        part = end.recv()
    except EOFError as err:
        raise RuntimeError("a process of tests has ended without a word") from err
    if isinstance(part, Exception):
        raise part
    return list(part)
