"""A part of a turn with a bug is left out of it, logged and counted; the turn decides and acts all the same (S10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from aiops.adapters.store import Store
from aiops.core.bank import Bank
from aiops.core.model import Scope
from aiops.core.policies import PolicySet, Rollouts
from aiops.errors import FatalError
from aiops.loop import ControlLoop, Setup
from aiops.loop.lookout import Lookout
from aiops.loop.seams import InProcess, NoBooks, NoTrainer
from simulators.ports import FixedPolicies, NoTelemetry
from tests.builders import NOW, policy
from tests.unit.fleet import a_watch
from tests.unit.test_answers import Journal, World, loop_over


class Counting(NoTelemetry):
    def __init__(self) -> None:
        self.failures: list[str] = []

    def failure(self, kind: str) -> None:
        self.failures.append(kind)


@dataclass(frozen=True, slots=True)
class Broken:
    """Whatever is asked of it fails."""

    error: Exception = field(default_factory=lambda: RuntimeError("a bug"))

    def __getattr__(self, name: str) -> object:
        raise self.error


class Noting(Lookout):
    """Keeps what was not seen in the last turn."""

    def look(self, seen):
        super().look(seen)
        self.unseen = dict(seen.percepts.unseen)


class BrokenOverruns(NoBooks):
    def overruns(self, policies, standings):
        raise RuntimeError("a bug in the books")


class BrokenTrainer(NoTrainer):
    def finished(self):
        raise RuntimeError("a bug in the trainer")


class BrokenEngine(InProcess):
    def gather(self, at):
        raise RuntimeError("a bug in the engine")


class Silent(World):
    def announce(self, *_):
        raise RuntimeError("a bug in telling people")


WATCH = replace(a_watch(), rollouts=Rollouts(settle_s=600.0))


@pytest.fixture
def over():
    """Return what makes a loop over ports: it wants 10 of 8, and watches one series, but for rollouts."""
    store = Store.open("sqlite://")
    policies = PolicySet(digest="w", scaling=(policy(),), watches=(WATCH,))
    store.journal.note_policies(policies)
    sound = loop_over(store, World(), Journal(store.journal)).ports
    sound = replace(sound, policies=FixedPolicies(policies), telemetry=Counting())

    def make(**ports) -> ControlLoop:
        made = ControlLoop(replace(sound, **ports), Bank(policies), Setup(scope=Scope(), keep_inputs=False))
        made.lookout = Noting()
        return made

    yield make
    store.close()


def decided(loop: ControlLoop, now: float = NOW) -> Sequence[int]:
    """Turn, and return how many replicas were asked for."""
    assert "held" not in loop.run_once(now)
    return [action.change.after for action in loop.last.actions]


def unseen(loop: ControlLoop) -> dict[str, str]:
    return loop.lookout.unseen


@pytest.mark.parametrize(
    "ports",
    [
        {"books": BrokenOverruns()},
        {"trainer": BrokenTrainer()},
        {"engine": BrokenEngine()},
        {"cluster": Silent()},
    ],
    ids=lambda ports: next(iter(ports)),
)
def test_a_bug_in_one_part_ends_no_turn_and_is_counted_s10(over, ports):
    turning = over(**ports)
    assert decided(turning) == [10]
    assert turning.ports.telemetry.failures == ["bug"]


def test_a_bug_in_what_tells_of_the_time_to_come_ends_no_turn_s10(over):
    turning = over()
    turning.lookout = Broken()
    assert decided(turning) == [10]
    assert turning.ports.telemetry.failures == ["bug"]


def test_a_bug_in_what_watched_series_say_ends_no_turn_and_is_not_seen_for_them_s10(over):
    turning = over()
    (group,) = turning.bank._fleet.groups.values()
    group.keys, group.detector = ("a series",), Broken()
    assert decided(turning) == [10]
    assert turning.ports.telemetry.failures == ["bug"]
    assert "a bug: " in turning.lookout.unseen[WATCH.key]


def test_while_it_is_not_known_what_is_changed_on_purpose_watches_that_wait_for_it_are_not_seen_s1(over):
    turning = over()
    assert decided(turning) == [10]
    assert turning.lookout.unseen == {}
    turning.last = replace(turning.last, actions=None)
    assert decided(turning, NOW + 600.0) == []
    assert turning.ports.telemetry.failures == ["bug"]
    assert "what is changed on purpose is not known" in turning.lookout.unseen[WATCH.key]
    decided(turning, NOW + 615.0)
    assert turning.lookout.unseen == {}


def test_what_shards_have_found_is_not_seen_while_the_engine_has_a_bug_s1(over):
    turning = over(engine=BrokenEngine())
    decided(turning)
    assert "a bug" in turning.lookout.unseen[WATCH.key]


def test_what_is_fatal_is_the_callers(over):
    turning = over()
    turning.lookout = Broken(FatalError("the disk is gone"))
    with pytest.raises(FatalError, match="the disk is gone"):
        turning.run_once(NOW)
