"""Whatever happens to a workload or to nodes, a RemediationPolicy keeps its promises; the numbers are SAFETY.md's.

Every turn of these worlds is carried as text and judged again from what is stored, so that each is a replay, too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.core.model import BlastRadius, PlanStatus, Reason
from tests.unit.remedied import CRASHES, NODES_SPEC, START, TARGET, TICK_S, World, a_policy, firing, node

NAMES = ("n1", "n2", "n3", "n4", "n5")
SPEC = (
    CRASHES.replace("[{condition: CrashLoop}]", "[{condition: CrashLoop}, {alert: CheckoutErrors}]")
    + "  breaker: {after: 2, for: 30m}\n  backoff: {first: 2m}\n"
)


@dataclass(frozen=True)
class Moment:
    """What goes on for some turns. sick: revisions whose pods crash. lost: nodes. seen: whether the API answers."""

    turns: int
    sick: frozenset[str]
    alert: int
    lost: frozenset[str]
    taken: frozenset[str]
    seen: bool


MOMENTS = st.builds(
    Moment,
    turns=st.integers(1, 25),
    sick=st.frozensets(st.sampled_from(["r1", "r2", "r3", "r4", "r5"]), max_size=5),
    alert=st.integers(0, 2),
    lost=st.frozensets(st.sampled_from(NAMES), max_size=4),
    taken=st.frozensets(st.sampled_from(NAMES), max_size=1),
    seen=st.booleans() | st.just(value=True),
)
LIVES = st.lists(MOMENTS, min_size=1, max_size=8)


def standing(world: World) -> list[str]:
    return [one.id for one in world.plans if not one.status.ended and one.status is not PlanStatus.PROPOSED]


@pytest.mark.timeout(120)
@settings(max_examples=40, deadline=None)
@given(life=LIVES, mode=st.sampled_from(["enforce", "approve", "dry-run", "observe"]))
def test_s5_s6_s7_a_workload_is_disrupted_seldom_one_plan_at_a_time_and_never_while_it_is_not_seen(life, mode):
    world = World(policy=a_policy(SPEC, ("enforce", mode)))
    begun_blind = 0
    for moment in life:
        world.crashing = lambda revision, _, sick=moment.sick: revision in sick
        world.alerts = [firing(since=START + moment.alert)] if moment.alert else []
        world.errors = {} if moment.seen else {TARGET.key: (Reason.CLUSTER_UNAVAILABLE, "timed out")}
        for _ in range(moment.turns):
            before = len(world.plans)
            world.turn()
            assert len(standing(world)) <= 1
            if not moment.seen and not world.alerts:
                begun_blind += len(world.plans) - before
    assert begun_blind == 0
    if mode != "enforce":
        assert world.did() == []
    if mode == "observe":
        assert world.plans == []
    restarts = [at for at, said in world.sent if said.endswith("restart")]
    assert all(sum(at <= other < at + 1800.0 for other in restarts) <= 3 for at in restarts)


@pytest.mark.timeout(120)
@settings(max_examples=40, deadline=None)
@given(life=LIVES)
def test_s3_s5_nodes_that_people_took_are_theirs_and_in_a_storm_none_is_touched(life):
    world = World(policy=a_policy(NODES_SPEC), nodes=NAMES, blast=BlastRadius(nodes_ratio=1.0))
    ours: set[str] = set()
    for moment in life:
        world.not_ready(*moment.lost)
        theirs = moment.taken - ours
        for name in theirs:
            world.body(node(name))["spec"]["unschedulable"] = True
        assert world.policy.nodes is not None
        key = world.policy.nodes.selection.key
        world.errors = {} if moment.seen else {key: (Reason.CLUSTER_UNAVAILABLE, "timed out")}
        for _ in range(moment.turns):
            cordoned = {name for name in NAMES if world.body(node(name))["spec"].get("unschedulable")}
            well = len(set(NAMES) - cordoned - moment.lost)
            before, plans = len(world.sent), len(world.plans)
            world.turn()
            assert len(standing(world)) <= 1
            if well < 3 or not moment.seen:
                assert len(world.plans) == plans
            for _, said in world.sent[before:]:
                name = said.removeprefix("Node ").partition(":")[0]
                if said.endswith("uncordon"):
                    assert name in ours
                    ours.discard(name)
                elif said.endswith("cordon"):
                    assert name not in cordoned
                    ours.add(name)
        for name in theirs:
            # what a person took, only a person gives back
            assert world.body(node(name))["spec"].get("unschedulable") is True
            world.body(node(name))["spec"].pop("unschedulable")


@pytest.mark.timeout(60)
@settings(max_examples=60, deadline=None)
@given(
    labels=st.dictionaries(st.text(max_size=20), st.text(max_size=40), max_size=8),
    name=st.sampled_from(["CheckoutErrors", "Other", ""]) | st.text(max_size=20),
)
def test_s10_whatever_an_alert_is_called_and_labelled_nothing_of_it_is_sent_or_said(labels, name):
    marked = {key: f"<<{value}>>" for key, value in labels.items()}
    world = World(policy=a_policy(SPEC))
    world.alerts = [replace(firing(name), labels=marked)]
    world.run(8 * TICK_S)
    said = [*world.did(), *world.told, *(one.reason for one in world.plans), world.said[2]]
    assert not [one for one in said if "<<" in one]
    assert bool(world.did()) is (name == "CheckoutErrors")
