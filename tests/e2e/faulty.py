"""The daemon with fault points around its ports: `python -m tests.e2e.faulty run --config FILE`, as `aiops run`.

`AIOPS_E2E_DIE=point[:N]` kills the process (SIGKILL) when it passes the point for the Nth time, `AIOPS_E2E_PAUSE`
stops it (SIGSTOP) until somebody lets it go on. The points stand between the journal, each request, each answer and
the outcome; the product knows nothing of them.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiops.app import logs
from aiops.app.daemon import Daemon
from aiops.app.settings import load_settings
from aiops.app.wiring import Built, build
from aiops.core.model import Action, Instant, LoopState, Outcome, Stamp, Step, StepResult, TargetRef, Tick
from aiops.loop import ControlLoop
from aiops.ports import Cluster, Inventory, Journal

POINTS = (
    "before-claim",
    "after-claim",
    "before-stamp",
    "after-stamp",
    "before-journal",
    "after-journal",
    "before-request",
    "after-request",
    "before-settle",
    "after-settle",
    "before-announce",
    "after-announce",
)
"""Every point, in the order in which a turn passes them."""

Pass = Callable[[str], None]


@dataclass(slots=True)
class Stroke:
    """Sends this process a signal at the Nth pass of one point."""

    point: str
    left: int
    how: signal.Signals

    @classmethod
    def of(cls, said: str, how: signal.Signals) -> Stroke:
        point, _, times = said.partition(":")
        assert point in ("", *POINTS), f"{point} is none of {', '.join(POINTS)}"
        return cls(point, int(times or 1), how)

    def __call__(self, point: str) -> None:
        if point != self.point:
            return
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), self.how)


def strokes() -> Pass:
    """Return what the environment asks for."""
    asked = (("AIOPS_E2E_DIE", signal.SIGKILL), ("AIOPS_E2E_PAUSE", signal.SIGSTOP))
    made = [Stroke.of(os.environ.get(name, ""), how) for name, how in asked]

    def at(point: str) -> None:
        for stroke in made:
            stroke(point)

    return at


@dataclass(slots=True)
class FaultyJournal:
    """ports.Journal with points around what is written for an action."""

    inner: Journal
    at: Pass

    def load(self) -> LoopState:
        return self.inner.load()

    def epoch(self) -> int:
        return self.inner.epoch()

    def claim(self, epoch: int, holder: str, at: Instant) -> LoopState:
        self.at("before-claim")
        state = self.inner.claim(epoch, holder, at)
        self.at("after-claim")
        return state

    def begin(self, tick: Tick, state: LoopState) -> None:
        if tick.actions:
            self.at("before-journal")
        self.inner.begin(tick, state)
        if tick.actions:
            self.at("after-journal")

    def settle(self, results: Sequence[StepResult], outcomes: Sequence[Outcome], state: LoopState) -> None:
        if results:
            self.at("before-settle")
        self.inner.settle(results, outcomes, state)
        if results:
            self.at("after-settle")

    def note_inputs(self, tick: Tick, inputs: Mapping[str, str]) -> None:
        self.inner.note_inputs(tick, inputs)

    def unsettled(self) -> Sequence[Action]:
        return self.inner.unsettled()


@dataclass(slots=True)
class FaultyCluster:
    """ports.Cluster with points around each request."""

    inner: Cluster
    at: Pass
    stamps: int = field(default=0)

    def inventory(self, targets: Sequence[TargetRef], at: Instant) -> Inventory:
        return self.inner.inventory(targets, at)

    def send(self, action: Action, step: Step, at: Instant) -> StepResult:
        self.at("before-request")
        result = self.inner.send(action, step, at)
        self.at("after-request")
        return result

    def stamp(self, stamp: Stamp, at: Instant, until: Instant) -> StepResult:
        self.at("before-stamp")
        result = self.inner.stamp(stamp, at, until)
        self.at("after-stamp")
        return result

    def announce(self, target: TargetRef, reason: str, message: str, action_id: str, at: Instant) -> None:
        self.at("before-announce")
        self.inner.announce(target, reason, message, action_id, at)
        self.at("after-announce")


def wrapped(built: Built, at: Pass) -> ControlLoop:
    """Return the loop over the same ports with the points around them."""
    loop = built.loop
    ports = replace(
        loop.ports, journal=FaultyJournal(loop.ports.journal, at), cluster=FaultyCluster(loop.ports.cluster, at)
    )
    return ControlLoop(ports, loop.bank, loop.setup)


def main(arguments: Sequence[str]) -> int:
    assert arguments[:2] == ["run", "--config"], arguments
    settings = load_settings(Path(arguments[2]))
    logs.configure(settings.log)
    built = build(settings)
    limit_pages(built, os.environ.get("AIOPS_E2E_MAX_PAGES_FILE"))
    built.loop = wrapped(built, strokes())
    return Daemon(built).run()


def limit_pages(built: Built, file: str | None) -> None:
    """Let SQLite believe that its disk is full beyond as many pages as the file says, before each transaction."""
    if file is None:
        return
    from sqlalchemy import event

    def begin(connection: Any) -> None:
        pages = Path(file).read_text().strip() or "1073741823"
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    event.listen(built.store.engine, "begin", begin)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
