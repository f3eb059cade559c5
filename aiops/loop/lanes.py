"""Writing to several systems beside each other: one that hangs delays no other; within each the order stays (S10)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeAlias, TypeVar

Result = TypeVar("Result")
GoOn: TypeAlias = Callable[[], bool]

_LOG = logging.getLogger("aiops.loop")
SILENT_S = 5.0
"""How long one request of a system is waited for while others have been answered."""

HUNG_S = 1.0
"""The same, for a system that did not answer the last time."""

PEOPLE = "people"
"""The lane of messages: each way to people has a limit of its own, and the turn waits for it."""

LONGEST_S = 30.0
"""How long a turn writes to a system that answers: what is not sent by then is sent by the next turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Generic[Result]):
    """Some requests to one system. run: sends them, and asks before each but the first whether it may go on.

    unsent, unanswered: what is said of it when it was not begun, and when it was left in the middle, and why.
    """

    run: Callable[[GoOn], Result]
    unsent: Callable[[str], Result]
    unanswered: Callable[[str], Result]


class Lanes(Protocol):
    """Does jobs; those of one lane in their order."""

    def do(self, jobs: Sequence[tuple[str, Job[Result]]]) -> list[Result]:
        """Return what became of each, in the order of the jobs, which come with the names of their lanes."""
        ...


class InOrder:
    """One after the other, whatever their lanes: for virtual time, and where there is one system."""

    def do(self, jobs: Sequence[tuple[str, Job[Result]]]) -> list[Result]:
        """Do them."""
        return [job.run(_always) for _, job in jobs]


def _always() -> bool:
    return True


@dataclass(slots=True)
class _Run(Generic[Result]):
    """One lane's jobs in one turn. since: when the request at work began. over: nobody waits for it any more."""

    jobs: Sequence[Job[Result]]
    since: float
    done: list[Result] = field(default_factory=list)
    over: bool = False
    thread: threading.Thread | None = None

    @property
    def finished(self) -> bool:
        return len(self.done) == len(self.jobs)


class Beside:
    """A thread for each lane that has something to do. A lane that left a turn waiting is asked nothing while it hangs.

    What a lane has not begun when nobody waits any more is not sent; what is at work then is unanswered, and what
    becomes of it is seen by looking at the world.
    """

    def __init__(self, *, silent_s: float = SILENT_S, hung_s: float = HUNG_S, longest_s: float = LONGEST_S) -> None:
        self._silent_s, self._hung_s, self._longest_s = silent_s, hung_s, longest_s
        self._news = threading.Condition()
        self._at_work: dict[str, threading.Thread] = {}
        self._hung: set[str] = set()

    def do(self, jobs: Sequence[tuple[str, Job[Result]]]) -> list[Result]:
        """Do them, and return when each lane has done its own, or was silent for too long."""
        lanes: dict[str, list[Job[Result]]] = {}
        for name, job in jobs:
            lanes.setdefault(name, []).append(job)
        found: dict[str, list[Result]] = {}
        runs: dict[str, _Run[Result]] = {}
        for name, own in lanes.items():
            before = self._at_work.get(name)
            if before is not None and before.is_alive():
                why = f"{name} has not answered what it was sent before"
                found[name] = [job.unsent(why) for job in own]
            else:
                runs[name] = self._begun(name, own)
        self._wait(runs)
        found |= {name: self._settled(name, run) for name, run in runs.items()}
        in_turn = {name: iter(results) for name, results in found.items()}
        return [next(in_turn[name]) for name, _ in jobs]

    def _begun(self, name: str, jobs: Sequence[Job[Result]]) -> _Run[Result]:
        run = _Run(jobs, time.monotonic())
        # a daemon's: the end of the process waits for nobody who hangs
        thread = threading.Thread(target=self._serve, args=(run,), name=f"write-{name}", daemon=True)
        self._at_work[name] = run.thread = thread
        thread.start()
        return run

    def _serve(self, run: _Run[Result]) -> None:
        def go_on() -> bool:
            with self._news:
                run.since = time.monotonic()
                return not run.over

        for job in run.jobs:
            if not go_on():
                return
            try:
                result = job.run(go_on)
            except Exception:  # a bug of one lane is no reason to lose what others were answered
                _LOG.exception("write_failed")
                result = job.unanswered("a bug, see the log")
            with self._news:
                if run.over:
                    return
                run.done.append(result)
                self._news.notify_all()

    def _wait(self, runs: Mapping[str, _Run[Result]]) -> None:
        """Wait while any lane may still answer in time; then nobody goes on."""
        until = time.monotonic() + self._longest_s
        with self._news:
            while True:
                now = time.monotonic()
                last = [run.since + self._limit_s(name) for name, run in runs.items() if not run.finished]
                left_s = min(max(last, default=now), until) - now
                if left_s <= 0.0:
                    break
                self._news.wait(left_s)
            for run in runs.values():
                run.over = True

    def _limit_s(self, name: str) -> float:
        if name == PEOPLE:
            return self._longest_s
        return self._hung_s if name in self._hung else self._silent_s

    def _settled(self, name: str, run: _Run[Result]) -> list[Result]:
        if run.finished:
            self._hung.discard(name)
            return run.done
        silent_s = time.monotonic() - run.since
        self._hung.add(name)
        _LOG.warning("write_unanswered", extra={"lane": name, "silent_s": round(silent_s, 1)})
        at_work, *rest = run.jobs[len(run.done) :]
        left = at_work.unanswered(f"{name} did not answer within {silent_s:.1f} s")
        return [*run.done, left, *(job.unsent(f"{name} has not answered what was sent before it") for job in rest)]
