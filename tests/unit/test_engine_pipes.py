"""What becomes of questions and fits when the process that speaks to Ray answers oddly, late or not at all."""

from __future__ import annotations

import multiprocessing
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import numpy as np
import pytest

from aiops.core.forecast.fitting import fit
from aiops.engine.clerk import RayOptions
from aiops.engine.crew import ShardFailed, Unreached
from aiops.engine.fits import Terms, limited
from aiops.engine.ray_crew import RayCrew
from aiops.engine.ray_trainer import RayTrainer
from aiops.engine.shard import Means
from aiops.engine.spreading import Lost, Processes
from aiops.errors import CannotReach
from tests.unit.spread_tasks import done
from tests.unit.test_engine_keeping import Memory
from tests.unit.test_engine_sharded import a_source
from tests.unit.test_trainer import became, job, work

OPTIONS = RayOptions(address="ray-head:6379", namespace="n", shards=1)
PATIENCE_S = 60.0
MEANS = Means(source=a_source, vault=Memory())


class NoProcess:
    """A process that is over."""

    def is_alive(self) -> bool:
        return False

    def join(self, timeout: float | None = None) -> None:
        """Wait for nothing."""


@dataclass
class Clerks:
    """Plays the processes that speak to Ray: `play` has the other end of the pipe. away: nobody can be hired."""

    play: Callable[[Connection], None]
    hired: int = 0
    away: bool = False
    threads: list[threading.Thread] = field(default_factory=list)

    def __call__(self) -> tuple[NoProcess, Connection]:
        if self.away:
            raise CannotReach("engine.address: Ray at ray-head:6379: nothing listens there")
        self.hired += 1
        ours, theirs = multiprocessing.Pipe()
        self.threads.append(threading.Thread(target=self._played, args=(theirs,), daemon=True))
        self.threads[-1].start()
        return NoProcess(), ours

    def _played(self, pipe: Connection) -> None:
        try:
            self.play(pipe)
        except (EOFError, OSError):
            pass
        finally:
            pipe.close()


class Unreadable:
    """Says at its unpickling that its class is another one here."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return _raise, ("no module named numpy._core here",)


def _raise(words: str) -> None:
    raise ModuleNotFoundError(words)


def answered(crew: RayCrew, method: str) -> object:
    handle = crew.ask(0, method)
    crew.wait([handle], PATIENCE_S)
    return crew.answer(handle)


def odd(pipe: Connection) -> None:
    """Answer `odd` by what cannot be read, `cut` by no pickle at all, and everything else by its name."""
    while True:
        match pipe.recv():
            case ("ask", number, _, "odd", _):
                pipe.send(("answer", number, pickle.dumps(Unreadable())))
            case ("ask", _, _, "cut", _):
                pipe.send_bytes(b"this is no pickle")
            case ("ask", number, _, method, _):
                pipe.send(("answer", number, pickle.dumps(method)))
            case ("end",):
                return


def test_an_answer_that_cannot_be_read_is_that_questions_failure_and_others_are_answered():
    clerks = Clerks(odd)
    crew = RayCrew(OPTIONS, MEANS, clerks)
    with pytest.raises(ShardFailed, match=r"cannot be read.*numpy\._core") as told:
        answered(crew, "odd")
    assert not told.value.gone
    assert answered(crew, "code") == "code"
    assert clerks.hired == 1
    crew.close()


def test_a_pipe_that_holds_nonsense_is_given_up_and_the_next_clerk_goes_on():
    clerks = Clerks(odd)
    crew = RayCrew(OPTIONS, MEANS, clerks)
    with pytest.raises(Unreached, match="the connection has ended"):
        answered(crew, "cut")
    said = None
    while said is None:  # until the next one is hired
        try:
            said = answered(crew, "code")
        except Unreached:
            continue
    assert (said, clerks.hired) == ("code", 2)
    crew.close()


# -- fits ------------------------------------------------------------------------------------------------


def fitting(pipe: Connection) -> None:
    """Fit jobs, the last that came first."""
    jobs = [pipe.recv() for _ in range(3)]
    for number, one in reversed(jobs):
        pipe.send((number, limited(Terms(work=work, limit_s=PATIENCE_S), one)))
    pipe.poll(None)


def test_fits_that_end_in_any_order_are_each_what_one_process_makes_of_it():
    trainer = RayTrainer(OPTIONS, limit_s=PATIENCE_S, hire=Clerks(fitting))
    jobs = [job(), job("raise"), job()]
    assert [trainer.submit(one) for one in jobs] == ["", "", ""]
    found = became(trainer, 3)
    assert [one.job for one in found] == jobs[::-1]
    assert found[1].error == "ZeroDivisionError: singular matrix"
    for name, array in fit(jobs[0].history, jobs[0].members).arrays().items():
        for one in (found[0], found[2]):
            assert np.array_equal(one.fitted.arrays()[name], array, equal_nan=True), name
    trainer.stop()
    assert trainer.submit(job()) == "the trainer has stopped"


def test_a_fit_that_takes_too_long_is_ended_where_it_runs_and_the_next_is_fitted():
    terms = Terms(work=work, limit_s=0.1)
    made, why, took_s = limited(terms, job("hang"))
    assert (made, why) == (None, "the fit took longer than 0.1 s and was ended")
    assert took_s < PATIENCE_S
    assert limited(Terms(work=work, limit_s=PATIENCE_S), job())[1] == ""


def test_without_a_connection_fits_fail_with_the_reason_and_it_is_not_tried_again_at_once():
    clerks = Clerks(fitting, away=True)
    trainer = RayTrainer(OPTIONS, limit_s=PATIENCE_S, hire=clerks)
    trainer.submit(job())
    (first,) = became(trainer, 1)
    assert "nothing listens there" in first.error
    clerks.away = False
    trainer.submit(job())
    (second,) = became(trainer, 1)
    assert "nothing listens there" in second.error
    assert clerks.hired == 0
    trainer.stop()


def test_fits_whose_connection_ends_fail_and_none_is_lost():
    trainer = RayTrainer(OPTIONS, limit_s=PATIENCE_S, hire=Clerks(lambda pipe: pipe.recv()))
    for _ in range(2):
        trainer.submit(job())
    found = became(trainer, 2)
    assert len(found) == 2
    assert all("the connection to Ray has ended" in one.error for one in found)
    trainer.stop()


# -- processes -------------------------------------------------------------------------------------------


class Breaking(ThreadPoolExecutor):
    """A pool one of whose processes ends while tasks are still given to it."""

    def submit(self, *given: object) -> Future[object]:  # type: ignore[override]
        if self._threads:
            raise BrokenProcessPool("a process has ended")
        return super().submit(*given)  # type: ignore[arg-type]


def test_a_process_that_ends_while_tasks_are_still_given_out_loses_none_of_them(tmp_path):
    pools: list[Executor] = []

    def pool(count: int) -> Executor:
        pools.append(Breaking(count) if not pools else ThreadPoolExecutor(count))
        return pools[-1]

    found = Processes(2, pool)(done, [("easy", tmp_path)] * 3, lambda: None)
    assert found == ["EASY"] * 3
    assert not any(isinstance(one, Lost) for one in found)
