"""What became of an action is written down, whatever happens in between (S6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from aiops.adapters.store import Store
from aiops.core.bank import Bank
from aiops.core.model import (
    Frame,
    Leadership,
    OutcomeKind,
    PriceBook,
    Scope,
    SeriesIndex,
    StepResult,
    StepStatus,
)
from aiops.core.policies import PolicySet
from aiops.errors import StoreUnavailable
from aiops.loop import ControlLoop, Ports, Setup
from aiops.ports import ControlsReading, Inventory, Observation
from simulators.ports import FixedPolicies, NoTelemetry, StillClock
from tests.builders import KEY, NOW, TARGET, answer, policy, workload


@dataclass
class World:
    """A workload that obeys, and a demand that wants 10 of it."""

    replicas: int = 8

    def read(self, signals, watches, at):
        index = SeriesIndex(keys=(), labels=())
        frame = Frame(at=at, index=index, values=np.zeros(0), learn=np.zeros(0, np.bool_))
        values = {"demand": answer(490.0, newest_at=at), "latency": answer(0.1, newest_at=at)}
        return Observation(answers={KEY: values}, frame=frame)

    def inventory(self, targets, at):
        shown = workload(replicas=self.replicas, ready=self.replicas, as_of=at)
        return Inventory(workloads={TARGET.key: shown})

    def send(self, action, step, at):
        self.replicas = action.change.after
        return StepResult(action_id=action.id, status=StepStatus.DONE, at=at)

    def announce(self, *_):
        """Say nothing."""

    def leadership(self, at):
        return Leadership(leader=True, epoch=1)

    def book(self, targets, inventory, at):
        return PriceBook()


class NoControls:
    def read(self, at):
        return ControlsReading()


class Journal:
    """The store's journal, which refuses what the test names."""

    def __init__(self, inner):
        self.inner, self.refuses = inner, ""

    def __getattr__(self, name):
        if name == self.refuses:
            raise StoreUnavailable("the test refuses")
        return getattr(self.inner, name)


@pytest.fixture
def store():
    made = Store.open("sqlite://")
    yield made
    made.close()


def loop_over(store: Store, world: World, journal: Journal) -> ControlLoop:
    policies = PolicySet(digest="p", scaling=(policy(),))
    store.journal.note_policies(policies)
    ports = Ports(
        policies=FixedPolicies(policies),
        source=world,
        cluster=world,
        dry=world,
        journal=journal,
        lease=world,
        controls=NoControls(),
        prices=world,
        telemetry=NoTelemetry(),
        clock=StillClock(),
    )
    return ControlLoop(ports, Bank(policies), Setup(scope=Scope(), keep_inputs=False))


def kinds(store: Store) -> list[tuple[str, str | None]]:
    return [(row["status"], row["outcome"]) for row in store.reader.actions()]


def test_an_answer_that_could_not_be_written_is_written_by_the_next_turn_s6(store):
    journal = Journal(store.journal)
    loop = loop_over(store, World(), journal)
    journal.refuses = "settle"
    assert "held" in loop.run_once(NOW)
    assert kinds(store) == [("begun", None)]
    journal.refuses = ""
    loop.run_once(NOW + 15)
    assert kinds(store) == [("done", OutcomeKind.TOOK_EFFECT.value)]


def test_how_an_action_ended_is_written_with_the_state_that_forgets_it_s6(store):
    """A process that dies right after its turn was begun has told the end of what went before."""
    journal, world = Journal(store.journal), World()
    loop = loop_over(store, world, journal)
    loop.run_once(NOW)
    assert kinds(store) == [("done", None)]
    before = loop.state.targets[KEY].pending
    assert before is not None
    journal.refuses = "settle"
    loop.run_once(NOW + 15)
    assert store.journal.load().targets[KEY].pending is None
    assert kinds(store) == [("done", OutcomeKind.TOOK_EFFECT.value)]
    assert before.id == store.reader.actions()[0]["id"]
