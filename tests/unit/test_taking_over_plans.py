"""A process that takes over looks at the objects of the plans that it takes over, before it moves any of them (S6)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from aiops.adapters.store import Store
from aiops.core.bank import Bank
from aiops.core.model import (
    AwaitRemoval,
    Cordon,
    Leadership,
    LoopState,
    Plan,
    PlanKind,
    PlanStatus,
    PlanStep,
    RestLever,
    Scope,
    Sleep,
    Stage,
    StepResult,
    StepStatus,
    TargetRef,
    Wake,
)
from aiops.core.objects.resting import MARK
from aiops.core.plans.operations.nodes import CORDONED
from aiops.core.policies import PolicySet
from aiops.errors import Fenced, StoreUnavailable
from aiops.loop import ControlLoop, Ports, Setup
from simulators.ports import FixedPolicies, NoTelemetry, StillClock
from tests.builders import NOW
from tests.fake_api import FakeApi
from tests.unit.test_answers import Journal, NoControls, World

NODE = TargetRef(namespace="", api_version="v1", kind="Node", name="n1")
KEY = "CostPolicy/kube/nodes"
DOWN = Cordon(node=NODE)
UP = replace(DOWN, unschedulable=False)
DONE = PlanStep(name="cordon", operation=DOWN, stage=Stage.DONE, since=NOW - 900, sent=1, sent_at=NOW - 900, undo=(UP,))
GONE = PlanStep(
    name="gone", operation=AwaitRemoval(node=NODE, uid="uid-Node-n1", by="a person"), stage=Stage.BEGUN, since=NOW - 600
)


@dataclass
class Nodes(World):
    """A cluster with a cordoned node, and a lease that another process holds at first."""

    api: FakeApi = field(default_factory=FakeApi)
    about: TargetRef = NODE
    leads: bool = False
    sent: int = 0

    def leadership(self, at):
        return Leadership(leader=self.leads, epoch=2 if self.leads else 1, elected=True, until=at + 60.0)

    def look(self, wanted, at):
        return self.api.look(wanted, at)

    def stamp(self, stamp, at, until):
        return StepResult(action_id="", status=StepStatus.DONE, at=at, resource_version=self._version())

    def perform(self, errand, step, at):
        self.sent += 1
        self.api.apply(replace(step, resource_version=self._version()))
        return StepResult(action_id=errand.id, status=StepStatus.DONE, at=at)

    def _version(self):
        return self.api.objects[self.about]["metadata"]["resourceVersion"]


@pytest.fixture
def store():
    made = Store.open("sqlite://")
    yield made
    made.close()


def over(store: Store, world: Nodes, plan: Plan, **more: Any) -> ControlLoop:
    """Return a process that stood by while another one wrote the plan down."""
    policies = PolicySet(digest="p")
    store.journal.note_policies(policies)
    ports = Ports(
        policies=FixedPolicies(policies),
        source=world,
        cluster=world,
        dry=world,
        journal=more.get("journal", store.journal),
        lease=world,
        controls=more.get("controls", NoControls()),
        prices=world,
        telemetry=NoTelemetry(),
        clock=StillClock(),
    )
    loop = ControlLoop(ports, Bank(policies), Setup(scope=Scope(), keep_inputs=False))
    loop.run_once(NOW)
    store.journal.settle((), (), LoopState(plans={plan.id: plan}))
    world.leads = True
    return loop


def a_plan(status: PlanStatus, *steps: PlanStep) -> Plan:
    return Plan(
        id="01PLAN",
        kind=PlanKind.SAVING,
        policy=KEY,
        by=KEY,
        subject=NODE.key,
        reason="it is used least",
        created_at=NOW - 900,
        status=status,
        steps=steps,
    )


def test_a_node_that_was_being_given_back_is_given_back_s2(store):
    world = Nodes()
    world.api.put(NODE, {"metadata": {"annotations": {CORDONED: "01PLAN"}}, "spec": {"unschedulable": True}})
    loop = over(store, world, a_plan(PlanStatus.ROLLING_BACK, DONE))
    for turn in range(4):
        said = loop.run_once(NOW + 15 * (turn + 1))
        assert "held" not in said, said
    assert "unschedulable" not in world.api.objects[NODE]["spec"]


def test_a_node_that_nobody_has_looked_at_yet_is_not_gone_s1(store):
    world = Nodes()
    world.api.put(NODE, {"metadata": {"annotations": {CORDONED: "01PLAN"}}, "spec": {"unschedulable": True}})
    loop = over(store, world, a_plan(PlanStatus.RUNNING, DONE, GONE))
    for turn in range(4):
        loop.run_once(NOW + 15 * (turn + 1))
    notes = [one.text for one in loop.state.plans["01PLAN"].notes]
    assert not any("is done" in text for text in notes)
    # its policy is gone, so that it is given back
    assert "unschedulable" not in world.api.objects[NODE]["spec"]


# -- a store that cannot be written --------------------------------------------------------------------------


WEB = TargetRef(namespace="shop", name="web")
ASLEEP = Sleep(
    target=WEB,
    object=WEB,
    uid="uid-Deployment-web",
    lever=RestLever.REPLICAS,
    seen="3",
    original="3",
    to="0",
    mark="01PLAN",
    after="",
)
BACK = Wake(target=WEB, object=WEB, uid=ASLEEP.uid, lever=ASLEEP.lever, original="3", to="0", mark="01PLAN")
SLEPT = PlanStep(
    name="rest", operation=ASLEEP, stage=Stage.DONE, since=NOW - 900, sent=1, sent_at=NOW - 900, undo=(BACK,)
)


class FullDisk(Journal):
    """A journal that refuses what is begun, or whose claim was taken by another."""

    def begin(self, tick, state):
        if self.refuses:
            raise Fenced("another leads") if self.refuses == "fenced" else StoreUnavailable("the disk is full")
        self.inner.begin(tick, state)


class Deaf:
    def read(self, at):
        raise StoreUnavailable("the disk is gone")


@pytest.mark.parametrize(
    ("refuses", "controls", "replicas"), [("full", NoControls(), 3), ("fenced", NoControls(), 0), ("full", Deaf(), 0)]
)
def test_what_sleeps_is_woken_though_the_disk_is_full_unless_another_leads_or_a_stop_may_stand_s2_s9(
    store, refuses, controls, replicas
):
    world = Nodes(about=WEB)
    notes = {MARK: "01PLAN"}
    world.api.put(WEB, {"metadata": {"annotations": notes}, "spec": {"replicas": 0}})
    journal = FullDisk(store.journal)
    loop = over(store, world, a_plan(PlanStatus.DONE, SLEPT), journal=journal, controls=controls)
    journal.refuses = refuses
    for turn in range(3):
        assert "held" in loop.run_once(NOW + 15 * (turn + 1))
    assert world.api.objects[WEB]["spec"]["replicas"] == replicas
    journal.refuses = ""
    for turn in range(3, 7):
        loop.run_once(NOW + 15 * (turn + 1))
    if replicas:
        assert loop.state.plans["01PLAN"].status is PlanStatus.ROLLED_BACK
        assert world.sent == 1
