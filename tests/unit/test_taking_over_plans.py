"""A process that takes over looks at the objects of the plans that it takes over, before it moves any of them (S6)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

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
    Scope,
    Stage,
    StepResult,
    StepStatus,
    TargetRef,
)
from aiops.core.plans.operations.nodes import CORDONED
from aiops.core.policies import PolicySet
from aiops.loop import ControlLoop, Ports, Setup
from simulators.ports import FixedPolicies, NoTelemetry, StillClock
from tests.builders import NOW
from tests.fake_api import FakeApi
from tests.unit.test_answers import NoControls, World

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
    leads: bool = False

    def leadership(self, at):
        return Leadership(leader=self.leads, epoch=2 if self.leads else 1, elected=True, until=at + 60.0)

    def look(self, wanted, at):
        return self.api.look(wanted, at)

    def stamp(self, stamp, at, until):
        return StepResult(action_id="", status=StepStatus.DONE, at=at, resource_version=self._version())

    def perform(self, errand, step, at):
        self.api.apply(replace(step, resource_version=self._version()))
        return StepResult(action_id=errand.id, status=StepStatus.DONE, at=at)

    def _version(self):
        return self.api.objects[NODE]["metadata"]["resourceVersion"]


@pytest.fixture
def store():
    made = Store.open("sqlite://")
    yield made
    made.close()


def over(store: Store, world: Nodes, plan: Plan) -> ControlLoop:
    """Return a process that stood by while another one wrote the plan down."""
    policies = PolicySet(digest="p")
    store.journal.note_policies(policies)
    ports = Ports(
        policies=FixedPolicies(policies),
        source=world,
        cluster=world,
        dry=world,
        journal=store.journal,
        lease=world,
        controls=NoControls(),
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
