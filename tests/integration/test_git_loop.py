"""The whole loop over a real repository: turns that commit, a stand-in for Argo CD that follows, people who answer."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from aiops.adapters.store import Store
from aiops.core.bank import Bank
from aiops.core.model import Frame, Leadership, OwnerKind, PriceBook, Reason, Scope, SeriesIndex
from aiops.core.policies import PolicySet
from aiops.loop import ControlLoop, Ports, Setup
from aiops.ports import ControlsReading, Inventory, Observation
from simulators.ports import FixedPolicies, NoTelemetry, StillClock
from tests.builders import KEY, TARGET, answer, owner, policy, workload
from tests.git_world import TEXT, Desk, Origin

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="the program git is not here")
TICK_S = 15.0


@dataclass
class Cluster:
    """A workload that Argo CD owns: it holds what the branch said when it was last followed. told: its Events."""

    origin: Origin
    demand_rps: float = 490.0
    replicas: int = 8
    follows: bool = True
    told: list[tuple[str, str]] = field(default_factory=list)
    asked: int = 0

    def sync(self) -> None:
        if self.follows:
            line = next(one for one in self.origin.shown().splitlines() if one.startswith("replicaCount"))
            self.replicas = int(line.split()[1])

    def read(self, signals, watches, at):
        frame = Frame(at=at, index=SeriesIndex(keys=(), labels=()), values=np.zeros(0), learn=np.zeros(0, np.bool_))
        values = {"demand": answer(self.demand_rps, newest_at=at), "latency": answer(0.1, newest_at=at)}
        return Observation(answers={KEY: values}, frame=frame)

    def inventory(self, targets, at):
        shown = workload(replicas=self.replicas, ready=self.replicas, as_of=at, owners=(owner(OwnerKind.ARGO_CD),))
        return Inventory(workloads={TARGET.key: shown})

    def send(self, action, step, at):
        self.asked += 1
        raise AssertionError("what stands in Git is not asked of the API")

    def announce(self, target, reason, message, action_id, at):
        self.told.append((reason, message))

    def leadership(self, at):
        return Leadership(leader=True, epoch=1)

    def book(self, targets, inventory, at):
        return PriceBook()


class NoControls:
    def read(self, at):
        return ControlsReading()


class Scene:
    """A loop, its cluster, its repository, and a clock that all of them share."""

    def __init__(self, origin: Origin, store: Store, **repository: object) -> None:
        self.origin, self.store, self.cluster = origin, store, Cluster(origin)
        self.desk = Desk(origin, more={"settle_s": 120.0, **repository})
        policies = PolicySet(digest="p", scaling=(policy(),))
        store.journal.note_policies(policies)
        ports = Ports(
            policies=FixedPolicies(policies),
            source=self.cluster,
            cluster=self.cluster,
            dry=self.cluster,
            journal=store.journal,
            lease=self.cluster,
            controls=NoControls(),
            prices=self.cluster,
            telemetry=NoTelemetry(),
            clock=StillClock(),
            repositories=self.desk.repositories,
        )
        self.loop = ControlLoop(ports, Bank(policies), Setup(scope=Scope(), keep_inputs=False))

    def turn(self, times: int = 1, fetched: bool = True) -> None:
        for _ in range(times):
            self.desk.now += TICK_S
            if fetched:
                self.desk.repository.look()
            self.loop.run_once(self.desk.now)
            self.cluster.sync()

    @property
    def reason(self) -> Reason | None:
        (decision,) = self.loop.last.decisions
        bound = decision.verdict.binding
        return None if bound is None else bound.ruling.reason

    @property
    def story(self) -> str:
        return self.loop.last.decisions[0].story

    def ends(self) -> list[str | None]:
        return [row["outcome"] for row in reversed(self.store.reader.actions())]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    origin, store = Origin(tmp_path), Store.open("sqlite://")
    origin.write(TEXT, message="first")
    yield Scene(origin, store)
    origin.close()
    store.close()


def test_demand_becomes_a_commit_the_commit_replicas_and_the_action_took_effect(scene: Scene):
    scene.turn(3)
    assert (scene.cluster.replicas, scene.ends()) == (10, ["took-effect"])
    (action,) = scene.store.reader.actions()
    assert f"Aiops-Action: {action['id']}" in scene.origin.message()
    assert [reason for reason, _ in scene.cluster.told] == ["Scaled"]
    scene.cluster.demand_rps = 200.0
    scene.turn(3)
    assert (scene.cluster.replicas, scene.ends(), scene.cluster.asked) == (4, ["took-effect"] * 2, 0)


def test_the_declared_range_is_the_end_whatever_is_needed(scene: Scene):
    scene.cluster.demand_rps = 5000.0
    scene.turn(4)
    assert (scene.cluster.replicas, scene.origin.commits()) == (12, 2)


def test_a_person_who_reverts_is_yielded_to_for_an_hour(scene: Scene):
    scene.turn(3)
    scene.origin.come_to("main")
    scene.origin.git("revert", "--no-edit", "HEAD")
    scene.origin.git("push", "-q", "origin", "main")
    scene.turn(2)
    assert (scene.cluster.replicas, scene.reason) == (8, Reason.MANUAL_OVERRIDE)
    assert "Alice (" in scene.story
    assert "took back our commit" in scene.story
    scene.desk.now += 3400.0
    scene.turn()
    assert (scene.origin.commits(), scene.reason) == (3, Reason.MANUAL_OVERRIDE)
    scene.desk.now += 300.0
    scene.turn(3)
    assert (scene.cluster.replicas, scene.origin.commits()) == (10, 4)


def test_a_branch_that_nobody_follows_ends_without_effect_and_greater_need_goes_on(scene: Scene):
    scene.cluster.follows = False
    scene.turn(3)
    assert (scene.reason, scene.origin.commits()) == (Reason.IN_FLIGHT, 2)
    scene.desk.now += 420.0
    scene.turn(2)
    assert (scene.reason, scene.ends()) == (Reason.NOT_SYNCED, ["no-effect"])
    scene.cluster.demand_rps = 590.0
    scene.turn(2)
    assert "replicaCount: 12 " in scene.origin.shown()
    scene.cluster.follows = True
    scene.turn(3)
    assert (scene.cluster.replicas, scene.ends()) == (12, ["no-effect", "took-effect"])


def test_a_protected_branch_is_told_tried_again_later_and_nothing_is_lost(scene: Scene):
    scene.origin.protect("open a merge request")
    scene.turn()
    assert [reason for reason, _ in scene.cluster.told] == ["ScalingFailed"]
    assert "open a merge request" in scene.cluster.told[0][1]
    scene.turn(3)
    assert (scene.reason, scene.ends()) == (Reason.PUSH_REFUSED, ["failed"])
    assert "open a merge request" in scene.story
    scene.origin.open()
    scene.turn(4)
    assert (scene.cluster.replicas, scene.ends()) == (10, ["failed", "took-effect"])


def test_a_repository_that_is_gone_holds_what_stands_in_it_and_comes_back(scene: Scene):
    scene.turn(3)
    away = scene.origin.bare.rename(scene.origin.folder / "away.git")
    scene.cluster.follows, scene.cluster.demand_rps = False, 590.0
    scene.turn(3)
    assert scene.reason is Reason.REPOSITORY_UNAVAILABLE
    away.rename(scene.origin.bare)
    scene.cluster.follows = True
    scene.turn(3)
    assert scene.cluster.replicas == 12
