"""Fits in a process of their own: what hangs, raises or dies there delays no turn and is told."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest

from aiops.core.bank import Bank
from aiops.core.capacity import Demand
from aiops.core.forecast.fitted import Fitted
from aiops.core.forecast.fitting import fit
from aiops.core.forecast.grid import Grid
from aiops.core.forecast.members import MEMBERS
from aiops.core.forecast.past import History
from aiops.core.lineage.version import FitJob, FitResult
from aiops.core.model import Frame, SeriesIndex
from aiops.core.policies import PolicySet
from aiops.engine.trainer import MOST_QUEUED, ProcessTrainer
from aiops.loop.learning import train
from aiops.loop.seams import NoTrainer
from tests.builders import loaded

GRID = Grid.of(60.0, 3600.0)
PATIENCE_S = 60.0
START = 1_800_000_000.0


def job(why: str = "") -> FitJob:
    values = 100.0 + 10.0 * np.sin(np.arange(600) / 9.5)[None, :]
    history = History(grid=GRID, values=values, first_step=1000)
    return FitJob(
        policy="ScalingPolicy/shop/web", number=1, asked_at=0.0, why=why, history=history, members=MEMBERS[:3]
    )


def work(one: FitJob) -> Fitted:
    """Do what the job's reason says; runs in the worker."""
    match one.why:
        case "hang":
            time.sleep(3600.0)
        case "raise":
            raise ZeroDivisionError("singular matrix")
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
    return fit(one.history, one.members)


def became(trainer: ProcessTrainer, number: int, patience_s: float = PATIENCE_S) -> list[FitResult]:
    """Return the results of so many jobs, in the order in which they came."""
    found: list[FitResult] = []
    until = time.monotonic() + patience_s
    while len(found) < number and time.monotonic() < until:
        found += trainer.finished()
        time.sleep(0.02)
    return found


class Hanging:
    """A trainer whose every fit hangs."""

    def __init__(self, inner: ProcessTrainer) -> None:
        self._inner = inner

    def submit(self, one: FitJob) -> str:
        return self._inner.submit(replace(one, why="hang"))

    def finished(self) -> list[FitResult]:
        return list(self._inner.finished())


@pytest.fixture
def trainer():
    made = ProcessTrainer(limit_s=2.0, work=work)
    yield made
    made.stop()


def test_what_is_fitted_elsewhere_is_what_would_be_fitted_here(trainer):
    assert trainer.submit(job()) == ""
    (found,) = became(trainer, 1)
    here = fit(job().history, job().members)
    assert found.error == ""
    for name, array in here.arrays().items():
        assert np.array_equal(found.fitted.arrays()[name], array, equal_nan=True), name


def test_a_fit_that_hangs_is_ended_one_that_raises_or_dies_is_told_and_the_next_ones_are_fitted(trainer):
    for why in ("hang", "raise", "die", ""):
        assert trainer.submit(job(why)) == ""
    hung, raised, died, good = became(trainer, 4)
    assert (hung.fitted, hung.error) == (None, "the fit took longer than 2 s and was ended")
    assert (raised.fitted, raised.error) == (None, "ZeroDivisionError: singular matrix")
    assert died.fitted is None
    assert died.error.startswith("the process of fits has ended")
    assert good.fitted is not None


def test_what_is_queued_is_bounded_and_a_trainer_that_stopped_takes_nothing(trainer):
    answers = [trainer.submit(job("hang")) for _ in range(MOST_QUEUED + 2)]
    assert answers[-1] == f"{MOST_QUEUED} fits wait already"
    trainer.stop()
    assert trainer.submit(job()) == "the trainer has stopped"


def test_a_fit_that_hangs_delays_no_turn(trainer):
    # were it waited for, this test would last an hour
    policy = loaded(forecast={"model": "combined", "history": "2d"})
    policies = PolicySet(digest="d", scaling=(policy,))
    bank = Bank(policies, elsewhere=True)
    nothing = SeriesIndex(keys=(), labels=())
    for number in range(100):
        at = START + 15.0 * number
        frame = Frame(at=at, values=np.zeros(0), index=nothing, learn=np.zeros(0, np.bool_))
        bank.perceive(frame, {policy.key: Demand(100.0 + number % 9, whole=True)}, policies)
        train(bank, Hanging(trainer), at)
    assert bank.lineages[policy.key].current.number == 1
    assert bank.jobs(at) == ()  # it is asked for, and not twice
    (hung,) = became(trainer, 1)
    bank.take(hung, at)
    assert bank.lineages[policy.key].champion.fitted is None


def test_what_nobody_fits_is_told_and_asked_for_again_when_history_has_grown():
    policy = loaded(forecast={"model": "combined", "history": "2d"})
    policies = PolicySet(digest="d", scaling=(policy,))
    bank = Bank(policies, elsewhere=True)
    lineage = bank.lineages[policy.key]
    for number in range(60):
        at = START + 60.0 * number
        frame = Frame(at=at, values=np.zeros(0), index=SeriesIndex(keys=(), labels=()), learn=np.zeros(0, np.bool_))
        bank.perceive(frame, {policy.key: Demand(100.0, whole=True)}, policies)
        train(bank, NoTrainer(), at)
    assert lineage.counts == {"not fitted": 2}
