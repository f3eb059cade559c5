"""The fleet in shards: the same findings as in one process, and what happens when a shard is late, dies or fails."""

from __future__ import annotations

import copy
import math
import pickle
import shutil
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from aiops.core.bank import Bank
from aiops.core.detect.elsewhere import Announced
from aiops.core.model import Finding, Incident, Leadership, Percepts
from aiops.core.policies import PolicySet
from aiops.engine.part import parted_by
from aiops.engine.placing import Place, owner
from aiops.engine.shard import Means, Shard
from aiops.engine.sharded import Sharded, Terms
from aiops.engine.told import Ask
from aiops.engine.vault import FolderVault
from tests.unit.fleet import START, a_set, a_watch
from tests.unit.threaded import Series, Threads

STEP_S, LIVED = 30.0, 67.0
NOW = START + 60.0 * LIVED
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


@dataclass(frozen=True)
class Lived:
    """An hour and more that was lived once: what was found in shards and in one process, and what both knew then."""

    mine: list[Percepts]
    theirs: list[Percepts]
    folder: Path
    alone: Alone


@pytest.fixture(scope="module")
def lived(tmp_path_factory) -> Iterator[Lived]:
    folder = tmp_path_factory.mktemp("lived")
    shards, alone = Shards(3, policies(), folder / "shards"), Alone(policies())
    mine, theirs = shards.hour(START, LIVED), alone.hour(START, LIVED)
    shards.engine.keep()
    shards.crew.wait(shards.engine._kept, 20.0)
    shutil.copytree(folder / "shards", folder / "kept")
    known = copy.deepcopy(alone)
    yield Lived(
        mine=[*mine, *shards.hour(NOW, 10.0)],
        theirs=[*theirs, *alone.hour(NOW, 10.0)],
        folder=folder / "kept",
        alone=known,
    )
    shards.crew.close()


@pytest.fixture
def alone(lived) -> Alone:
    return copy.deepcopy(lived.alone)


@pytest.fixture
def folder(lived, tmp_path) -> Path:
    return Path(shutil.copytree(lived.folder, tmp_path / "shards"))


def test_the_findings_of_shards_are_those_of_one_process(lived):
    assert sum(len(one.findings) for one in lived.theirs) > 50
    assert len({incident.id for one in lived.theirs for incident in one.incidents}) > 1
    for mine, theirs in zip(lived.mine, lived.theirs, strict=True):
        assert [words(one) for one in mine.findings] == [words(one) for one in theirs.findings]
        for one, other in zip(mine.findings, theirs.findings, strict=True):
            np.testing.assert_allclose(numbers(one), numbers(other), rtol=1e-9)
        assert [told(one) for one in mine.incidents] == [told(one) for one in theirs.incidents]
        assert mine.unseen == {}


def test_a_budget_for_all_series_is_spent_by_looking_at_them_together(tmp_path, close):
    given = policies(budget=3.0)
    assert [parted_by(one, "") for one in given.watches] == ["", "node", ""]
    assert [parted_by(one, "") for one in policies().watches] == ["node", "node", ""]


# -- faults --------------------------------------------------------------------------------------------


class Fickle(Shard):
    """A shard that does as it is told: dies, fails, or waits for a sign."""

    def __init__(self, place: Place, means: Means, born: str, whims: dict[int, object]) -> None:
        super().__init__(place, means, born)
        self._whims, self._number = whims, place.number

    def turn(self, ask):  # type: ignore[no-untyped-def]
        whim = self._whims.get(self._number)
        if isinstance(whim, Event):
            whim.wait(20)
        elif isinstance(whim, list) and whim:
            raise whim.pop()
        elif isinstance(whim, Exception):
            raise whim
        return super().turn(ask)


def fickle(tmp_path: Path, whims: dict[int, object], *, given: PolicySet | None = None, **terms: object) -> Shards:
    shards = Shards(3, given or policies(), tmp_path, **terms)
    shards.crew.make = lambda place, means, born: Fickle(place, means, born, whims)
    for number in range(3):
        shards.crew.renew(number)
    return shards


class Real:
    def elapsed_s(self) -> float:
        return time.monotonic()


def test_a_slow_shard_delays_its_own_policies_only_and_what_it_says_late_counts_until_it_says_more(folder, close):
    whims: dict[int, object] = {}
    shards = fickle(folder, whims, deadline_s=0.3)
    close(shards)
    now = NOW
    alone = [place for place in range(3) if place != owner(f"policy {ALL}", 3)]
    whims[alone[0]] = sign = Event()
    shards.engine._clock = Real()
    late = shards.turn(now)
    assert set(late.unseen) == {DISK, LOAD}, "the policy that is whole in another shard is seen"
    assert late.unseen[DISK] == f"shard {alone[0]}: it has not answered within 0.3 s"
    began = time.monotonic()
    again = shards.turn(now + STEP_S)
    assert set(again.unseen) == {DISK, LOAD}
    assert time.monotonic() - began < 0.25, "nobody waits once more for who is still at an older question"
    sign.set()
    whims.clear()
    shards.crew.wait([shards.engine.seats[alone[0]].call], 20.0)
    shards.engine._clock = Clock()
    after = shards.turn(now + 2 * STEP_S)
    assert after.unseen == {}
    assert shards.engine.seats[alone[0]].late == 2


def test_a_shard_that_dies_goes_on_from_what_it_kept_and_finds_nothing_twice(folder, alone, close):
    whims: dict[int, object] = {}
    shards = fickle(folder, whims)
    close(shards)
    now = NOW
    shards.engine.keep()
    for _ in range(4):  # findings are open that are younger than what was kept
        wanted, found = alone.turn(now), shards.turn(now)
        now += STEP_S
    assert wanted.findings
    for number in range(3):
        whims[number] = [ConnectionError("its process has ended")]
        shards.crew.renew(number)
    again, wanted = shards.turn(now), alone.turn(now)
    assert again.unseen == {}, "it is asked again within the turn"
    assert [(one.series, one.since, one.alarm) for one in again.findings] == [
        (one.series, one.since, one.alarm) for one in wanted.findings
    ]
    assert [one.id for one in again.incidents] == [one.id for one in found.incidents]
    assert [seat.restarts for seat in shards.engine.seats] == [1, 1, 1]


def test_while_a_shard_is_dead_what_it_last_found_stands_and_is_not_relied_on(folder, close):
    whims: dict[int, object] = {}
    shards = fickle(folder, whims, deadline_s=0.2)
    close(shards)
    now = NOW
    before = shards.turn(now)
    shards.engine._clock = Real()
    whims.update(dict.fromkeys(range(3), ConnectionError("its process has ended")))
    dead = shards.turn(now + STEP_S)
    assert {one.series for one in dead.findings} == {one.series for one in before.findings} != set()
    assert set(dead.unseen) == {DISK, LOAD, ALL}


def test_a_shard_that_always_fails_is_quarantined_reported_and_tried_again_later(tmp_path, close, caplog):
    whims: dict[int, object] = {1: ValueError("a bug")}
    shards = fickle(tmp_path, whims, failures=3, quarantine_s=120.0)
    close(shards)
    reasons = [shards.turn(START + STEP_S * step).unseen[DISK] for step in range(6)]
    assert reasons[0] == "shard 1: ValueError: a bug"
    assert reasons[2:] == ["shard 1: it is quarantined for 120 s after 3 failures in a row: ValueError: a bug"] * 4
    assert "shard_quarantined" in caplog.text
    assert shards.engine.seats[1].failures == 3, "it is not asked meanwhile"
    whims.clear()
    assert shards.turn(START + 200.0).unseen == {}
    assert not shards.engine.seats[1].quarantined


def test_a_deposed_driver_is_refused_and_its_successor_goes_on_with_what_the_shards_know(folder, close):
    shards = Shards(2, policies(), folder)
    close(shards)
    now = NOW
    shards.turn(now)
    now += STEP_S
    second = Sharded(shards.crew, Terms(shards=2), Clock(), "driver-2")
    second.begin(shards.given, LEADER, now)
    assert "driver-1 asks this shard, too" in second.gather(now).unseen[DISK], "the same epoch, and the first is alive"
    leads = Leadership(leader=True, epoch=2, elected=True)
    second.begin(shards.given, leads, now)
    found = second.gather(now)
    assert found.unseen == {}
    assert found.findings, "nothing had to be learnt again"
    assert "driver-2 leads with epoch 2" in shards.turn(now + STEP_S).unseen[DISK]


def test_who_stands_by_asks_no_shard_and_relies_on_none(tmp_path, close):
    shards = Shards(2, policies(), tmp_path)
    close(shards)
    waits = Leadership(leader=False, epoch=1, holder="another", elected=True)
    percepts = shards.turn(START, waits)
    assert set(percepts.unseen) == {DISK, LOAD, ALL}
    assert all(not source.asked for source in shards.sources)


def test_shards_become_more_or_fewer_and_rows_move_with_all_that_is_known_of_them(folder, alone, close):
    few, given = Shards(2, policies(), folder), policies()
    close(few)
    now = NOW
    for count in (4, 1):
        few.turn(now), alone.turn(now)
        now += STEP_S
        few.engine.stop(20.0)
        few = Shards(count, given, folder)
        close(few)
        for _ in range(3):
            mine, theirs = few.turn(now), alone.turn(now)
            now += STEP_S
            assert [words(one)[:2] for one in mine.findings] == [words(one)[:2] for one in theirs.findings] != []
            np.testing.assert_allclose(
                [one.score for one in mine.findings], [one.score for one in theirs.findings], rtol=1e-6
            )


def test_a_source_that_is_down_is_neither_calm_nor_absence(folder, close):
    shards = Shards(2, policies(), folder)
    close(shards)
    now = NOW
    before = [one.series for one in shards.turn(now).findings]
    for source in shards.sources:
        source.down = True
    for step in range(1, 9):
        found = shards.turn(now + STEP_S * step)
    assert [one.series for one in found.findings] == before != []


def test_what_the_driver_is_told_does_not_grow_with_the_series(tmp_path, close):
    def told(count: int) -> tuple[int, int]:
        nodes = [{"node": f"n-{number}", "mount": "x"} for number in range(count)]
        shards = Shards(2, policies(), tmp_path / str(count))
        close(shards)
        for source in shards.sources:
            source.labels = {"disk": nodes, "load": nodes, "queues": QUEUES}
        shards.turn(START)
        seats = shards.engine.seats
        return sum(seat.told.series for seat in seats), sum(len(pickle.dumps(seat.told)) for seat in seats)

    (few, small), (many, large) = told(20), told(1000)
    assert (few, many) == (45, 2005)
    assert large < small + 100


def test_shards_are_told_what_was_being_changed_and_when(tmp_path: Path) -> None:
    class Heard(Threads):
        """Notes what it is asked."""

        def ask(self, shard: int, method: str, *given: Any) -> Any:
            asked.extend(one for one in given if isinstance(one, Ask))
            return super().ask(shard, method, *given)

    asked = list[Ask]()
    crew = Heard(1, Means(source=a_source, vault=FolderVault(tmp_path)))
    engine = Sharded(crew, Terms(shards=1, deadline_s=10.0), Clock(), "driver-1")
    engine.begin(policies(), LEADER, START, Announced(at=START - STEP_S, why={("shop", "web"): "a rollout"}))
    assert not engine.gather(START).unseen
    assert [pickle.loads(pickle.dumps(one)).changed.why for one in asked] == [{("shop", "web"): "a rollout"}]
