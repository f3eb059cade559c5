"""Several backtests over the cores. Conditions in CEL do not pickle: a worker compiles policies from their text."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

from aiops.core.policies import ScalingPolicy, WatchPolicy
from simulators.backtest.grid import Variant
from simulators.backtest.recording import Recording
from simulators.backtest.run import Order, Result, past_of, run


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One backtest as text and numbers."""

    variant: Variant
    watches: tuple[str, ...]
    recording: Recording
    order: Order


def done(job: Job, progress: Callable[[], None] = lambda: None) -> Result:
    """Return what comes of a job; the same in whatever process."""
    from aiops.policy import recompile

    policy = recompile(job.variant.document)
    watches = tuple(recompile(document) for document in job.watches)
    assert isinstance(policy, ScalingPolicy)  # noqa: S101  # a variant is of a scaling policy; tells the type checker so
    past = past_of(job.recording, policy, [one for one in watches if isinstance(one, WatchPolicy)], job.order)
    return run(past, job.order, job.variant.label, progress)


def all_done(jobs: Sequence[Job], processes: int, progress: Callable[[], None]) -> list[Result]:
    """Return the results in the order of the jobs. progress: after each step in one process, each job in several."""
    if processes <= 1 or len(jobs) <= 1:
        return [done(job, progress) for job in jobs]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(processes, len(jobs)), mp_context=context) as pool:
        asked = {pool.submit(done, job): number for number, job in enumerate(jobs)}
        results: dict[int, Result] = {}
        try:
            for future in as_completed(asked):
                results[asked[future]] = future.result()
                progress()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [results[number] for number in range(len(jobs))]
