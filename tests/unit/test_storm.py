"""When too many workloads are sick at once none is remedied, until enough have been well for a while (S5)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.core.decide.remediation.storm import over_workloads
from aiops.core.model import (
    BlastRadius,
    Fleet,
    LadderState,
    Looked,
    LoopState,
    Percepts,
    Reason,
    SeenObject,
    SubjectState,
    TargetRef,
)
from aiops.core.pipeline import Turn, decide
from aiops.core.pipeline.lane import fleet
from aiops.core.policies import PolicySet
from tests.builders import snapshot
from tests.unit.remedied import CRASHES, NODES_SPEC, START, World, a_policy


@pytest.mark.parametrize(
    ("workloads", "sick", "storm"),
    [(0, 0, False), (1, 1, False), (2, 2, False), (3, 2, False), (3, 3, True), (10, 4, False), (10, 5, True)],
)
def test_a_storm_is_a_share_of_the_workloads_and_never_fewer_than_three(workloads, sick, storm):
    found = over_workloads(Fleet(workloads=workloads, sick=sick), BlastRadius(), LadderState(), START)
    assert found.storm is storm


def test_in_a_storm_of_workloads_none_is_remedied_people_are_called_and_it_ends_after_its_delay():
    world = World(crashing=lambda *_: True, fleet=Fleet(workloads=4, sick=3))
    world.run(300.0)
    assert world.did() == []
    assert world.told == ["checkout asks: storm"]
    word, reason, detail = world.said
    assert (word, reason) == ("ask", Reason.STORM)
    assert "1 of 4 workloads are well, 2 must be" in detail
    world.fleet = Fleet(workloads=4, sick=1)
    world.run(270.0)
    assert world.did() == []
    world.run(60.0)
    assert world.did() == ["Deployment shop/checkout: restart"]


def test_what_only_tells_people_and_who_looks_after_nodes_are_not_held_by_it():
    pages = a_policy(CRASHES.replace("    - {do: restart, within: 3m}\n    - {do: rollback, within: 3m}\n", ""))
    world = World(policy=pages, crashing=lambda *_: True, fleet=Fleet(workloads=4, sick=4))
    world.run(120.0)
    assert world.told == ["checkout: Deployment shop/checkout is in trouble"]
    nodes = World(policy=a_policy(NODES_SPEC), fleet=Fleet(workloads=4, sick=4))
    nodes.not_ready("n2")
    nodes.run(120.0)
    assert nodes.did()[0] == "Node n2: cordon"


def test_each_workload_is_counted_once_and_is_sick_while_any_policy_sees_trouble_of_it():
    one, nodes = a_policy(), a_policy(NODES_SPEC)
    twin, other = replace(one, key="RemediationPolicy/shop/twin"), TargetRef(namespace="shop", name="cart")
    policies = (twin, one, replace(one, key="RemediationPolicy/shop/cart", target=other), nodes)
    ill = LadderState(subjects={one.target.key: SubjectState(since=START)})
    body = {"status": {"readyReplicas": 3}}
    seen = SeenObject(ref=other, uid="u", resource_version="1", as_of=START, body=body)
    looked, expected = Looked(objects={other.key: seen}), Fleet(workloads=2, sick=1, ready=3)
    assert fleet(policies, {twin.key: ill}, looked) == expected
    rules = PolicySet(digest="d", plans=policies)
    turn = Turn(snapshot=snapshot(looked=looked), percepts=Percepts(), policies=rules, code="c", platform="p")
    made = decide(LoopState(ladders={twin.key: ill}), turn)
    assert made.seen[one.key].fleet == expected
