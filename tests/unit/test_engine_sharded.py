"""The fleet in shards: the same findings as in one process, and what happens when a shard is late, dies or fails."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aiops.core.bank import Bank
from aiops.core.model import Finding, Incident, Leadership, Percepts
from aiops.core.policies import PolicySet
from aiops.engine.shard import Means
from aiops.engine.sharded import Sharded, Terms
from aiops.engine.vault import FolderVault
from tests.unit.fleet import START, a_set, a_watch
from tests.unit.threaded import Series, Threads

STEP_S = 30.0
DISK, LOAD, ALL = (f"WatchPolicy/shop/{name}" for name in ("disk", "load", "all"))
LEADER = Leadership(leader=True, epoch=1)
NODES = [{"node": f"n-{number}", "zone": "ab"[number % 2], "mount": mount} for number in range(14) for mount in "xy"]
QUEUES = [{"queue": f"q{number}"} for number in range(5)]


def policies(*, budget: float | None = None) -> PolicySet:
    disk = a_watch(DISK, expr="disk", budget_per_week=budget)
    load = a_watch(LOAD, expr="load", false_alarms_per_week=0.2)
    return a_set(
        replace(disk, query=replace(disk.query, identity=("node", "mount"))),
        replace(load, query=replace(load.query, identity=("node",))),
        a_watch(ALL, expr="queues"),
    )


def noise(what: str, at: float) -> float:
    """Return what looks like a normal number, the same for the same words."""
    seeds = [zlib.crc32(f"{what}/{at}/{part}".encode()) / 2**32 for part in range(4)]
    return (sum(seeds) - 2.0) * math.sqrt(3.0)


def value(metric: str, labels: Mapping[str, str], at: float) -> float:
    """Return a seeded life of a series: noise, and faults at some times on some nodes."""
    usual = 100.0 + 2.0 * noise(f"{metric}{sorted(labels.items())}", at)
    minute = (at - START) / 60.0
    faulty = labels.get("node") in ("n-3", "n-7", "n-9") and 66.0 <= minute < 70.0
    late = labels.get("node") == "n-5" and metric == "load" and 74.0 <= minute < 75.0
    return usual + 60.0 * (faulty or late) + 80.0 * (labels.get("queue") == "q2" and 71.0 <= minute < 72.0)


def a_source() -> Series:
    return Series(labels={"disk": NODES, "load": NODES[::2], "queues": QUEUES}, value=value)


class Clock:
    """Stands still, so that no answer of a thread is late."""

    def elapsed_s(self) -> float:
        return 0.0


class Shards:
    """An engine over threads, with the bank that puts together what the shards find."""

    def __init__(self, count: int, given: PolicySet, folder: Path, **terms: object) -> None:
        self.sources: list[Series] = []
        self.given, self.folder = given, folder
        means = Means(source=self._source, vault=FolderVault(folder))
        self.crew = Threads(count, means)
        self.engine = Sharded(self.crew, replace(Terms(shards=count, deadline_s=10.0), **terms), Clock(), "driver-1")
        self.bank = Bank(given)

    def _source(self) -> Series:
        self.sources.append(a_source())
        return self.sources[-1]

    def turn(self, at: float, leadership: Leadership = LEADER) -> Percepts:
        self.engine.begin(self.given, leadership, at)
        own = self.engine.own(self.given)
        frame = a_source().read((), [one.query for one in own.watches], at).frame
        return self.bank.perceive(frame, {}, self.given, self.engine.gather(at))

    def hour(self, start: float, minutes: float) -> list[Percepts]:
        return [self.turn(at) for at in np.arange(start, start + 60.0 * minutes, STEP_S).tolist()]


class Alone:
    """The same in one process."""

    def __init__(self, given: PolicySet) -> None:
        self.given, self.bank, self.source = given, Bank(given), a_source()

    def turn(self, at: float) -> Percepts:
        frame = self.source.read((), [one.query for one in self.given.watches], at).frame
        return self.bank.perceive(frame, {}, self.given)

    def hour(self, start: float, minutes: float) -> list[Percepts]:
        return [self.turn(at) for at in np.arange(start, start + 60.0 * minutes, STEP_S).tolist()]


def words(one: Finding) -> tuple[object, ...]:
    return one.policy, one.series, dict(one.labels), one.kind, one.at, one.since, one.alarm


def numbers(one: Finding) -> list[float]:
    own = [one.score, one.p_value, one.value, one.expected, one.lower, one.upper]
    return own + [one.evidence[name] for name in sorted(one.evidence)]


def told(one: Incident) -> tuple[object, ...]:
    return one.id, one.kind, one.since, dict(one.labels), one.series, one.state, one.standing, one.merged_into


@pytest.fixture
def close():
    opened: list[Shards] = []
    yield opened.append
    for one in opened:
        one.crew.close()


def test_the_findings_of_shards_are_those_of_one_process(tmp_path, close):
    given = policies(budget=3.0)
    shards, alone = Shards(3, given, tmp_path), Alone(given)
    close(shards)
    found, wanted = shards.hour(START, 76.0), alone.hour(START, 76.0)
    assert sum(len(one.findings) for one in wanted) > 50
    assert len({incident.id for one in wanted for incident in one.incidents}) > 1
    for mine, theirs in zip(found, wanted, strict=True):
        assert [words(one) for one in mine.findings] == [words(one) for one in theirs.findings]
        for one, other in zip(mine.findings, theirs.findings, strict=True):
            np.testing.assert_allclose(numbers(one), numbers(other), rtol=1e-9)
        assert [told(one) for one in mine.incidents] == [told(one) for one in theirs.incidents]
        assert mine.unseen == {}
