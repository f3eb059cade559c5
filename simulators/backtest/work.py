"""Several backtests, wherever they are done. Conditions in CEL do not pickle: who works compiles policies from text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from aiops.core.policies import ScalingPolicy, WatchPolicy
from simulators.backtest.grid import Variant
from simulators.backtest.recording import Recording
from simulators.backtest.run import Order, Result, past_of, run

Spread: TypeAlias = Callable[[Callable[..., Any], Sequence[Any], Callable[[], None]], list[Any]]
"""Does tasks somewhere, as processes of this machine or of a cluster do."""


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


def all_done(jobs: Sequence[Job], spread: Spread | None, progress: Callable[[], None]) -> list[Any]:
    """Return what comes of the jobs, in their order: results, or whatever `spread` says of one that has none.

    spread: does them elsewhere, and tells `progress` after each; None does them here, and tells it after each step.
    """
    if spread is None:
        return [done(job, progress) for job in jobs]
    return spread(done, jobs, progress)
