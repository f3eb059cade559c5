"""What history tells of use before the first look: as if it had been lived through, or as if there were none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.app.pasts import PastReader
from aiops.core.decide.cost.rightsize.past import Block, Pods, joined, lived
from aiops.core.decide.cost.rightsize.scene import Container, Scene
from aiops.core.decide.cost.rightsize.uses import fresh, packed, taken, throttled
from aiops.core.model import Inputs, SeenObject, SeriesIndex, TargetRef, TargetState
from aiops.core.planning.cost_rightsize import DAY_S, Terms
from aiops.errors import SourceUnavailable
from aiops.loop.pasts import UsePasts
from aiops.ports import Matrix
from tests.unit.rightsized import MIB, START, World, a_policy

HOUR_S = 3600.0
STEP_S = 2400.0
TERMS = Terms(half_life_s=DAY_S / 2, windows=4)
LIMITS = np.array([1.0, math.nan])


# -- many instants at once -----------------------------------------------------------------------------


@st.composite
def blocks(draw):
    """Draw some days of three pods of two containers, with gaps."""
    seed, count = draw(st.integers(0, 2**32 - 1)), draw(st.integers(2, 150))
    dice = np.random.default_rng(seed)
    missing = draw(st.sampled_from([0.0, 0.3, 0.95]))
    shape = (3, count)

    def table(scale):
        return np.where(dice.random(shape) < missing, np.nan, scale * dice.lognormal(size=shape))

    return Block(
        times=START + STEP_S * np.arange(count),
        rows=np.array([0, 1, 0]),
        cores=table(0.3),
        bytes=table(200.0 * MIB),
        throttled=np.minimum(table(0.01), 1.0),
    )


def one_by_one(uses, block, most_ratio=0.05):
    for number, at in enumerate(block.times):
        uses = taken(uses, block.seen(number), TERMS)
        slow = np.nan_to_num(block.throttled[:, number]) > most_ratio
        uses = throttled(uses, block.rows[slow], float(at), LIMITS)
    return uses


def assert_alike(one, other):
    for name in ("cpu", "lately", "peaks", "since", "until", "samples", "floor_cores", "floor_cores_at"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), rel=1e-9, abs=1e-12), name
    assert one.window == other.window


@settings(max_examples=20, deadline=None)
@given(block=blocks(), share=st.floats(0.0, 1.0))
def test_many_instants_at_once_are_as_one_after_the_other(block, share):
    cut = int(share * len(block.times))
    begun = fresh(["a", "b"], TERMS, START)
    whole = lived(begun, block.part(0, cut), TERMS, LIMITS, 0.05)
    whole = lived(whole, block.part(cut, len(block.times)), TERMS, LIMITS, 0.05)
    assert_alike(whole, one_by_one(begun, block))


@settings(max_examples=20, deadline=None)
@given(block=blocks(), share=st.floats(0.0, 1.0))
def test_what_is_put_before_is_as_if_it_had_been_lived_through(block, share):
    cut, end = int(share * len(block.times)), float(block.times[-1])
    before, since = block.part(0, cut), block.part(cut, len(block.times))
    past = packed(lived(fresh(["a", "b"], TERMS, START), before, TERMS, LIMITS, 0.05))
    seen = packed(one_by_one(fresh(["a", "b"], TERMS, START), since))
    expected = packed(one_by_one(fresh(["a", "b"], TERMS, START), block))
    for key in ("a", "b"):
        made = joined(past[key], seen[key], TERMS, end)
        want = expected[key]
        exact = ("since", "until", "samples", "floor_cores", "floor_cores_at")
        assert [getattr(made, one) for one in exact] == [getattr(want, one) for one in exact]
        assert made.peaks == want.peaks
        for name in ("cpu", "lately"):
            assert dense(getattr(made, name)) == pytest.approx(dense(getattr(want, name)), rel=2e-3, abs=5e-4), name


def dense(weights):
    row = np.zeros(300)
    row[weights.first : weights.first + len(weights.weights)] = weights.weights
    return row


# -- whose pods they were ------------------------------------------------------------------------------


def scene_of(*workloads):
    containers = []
    for kind, name in workloads:
        ref = TargetRef(namespace="shop", api_version="apps/v1", kind=kind, name=name)
        made = SeenObject(ref=ref, uid=name, resource_version="1", as_of=START, body={})
        containers.append(Container(key=f"{kind}/{name}/app", workload=made, name="app", requests={}, limits={}))
    return Scene(containers=tuple(containers))


@pytest.mark.parametrize(
    ("pod", "row"),
    [
        ("web-6d4cf56db6-x2x9p", 0),
        ("web-api-6d4cf56db6-x2x9p", 1),
        ("db-0", 2),
        ("agent-x2x9p", 3),
        ("web-db-0", None),
        ("web-6d4cf56db6-aeiou", None),
        ("agent-x2x9pq", None),
        ("db-zero", None),
        ("other-6d4cf56db6-x2x9p", None),
    ],
)
def test_a_pod_that_is_gone_is_told_by_how_kubernetes_names_pods(pod, row):
    found = scene_of(("Deployment", "web"), ("Deployment", "web-api"), ("StatefulSet", "db"), ("DaemonSet", "agent"))
    assert Pods(found).row(pod, "app") == row
    assert Pods(found).row(pod, "proxy") is None


# -- a policy that is new ------------------------------------------------------------------------------


@dataclass
class Past:
    """The history of a world's pods. since: what is older is not kept; error: why it does not answer."""

    world: World
    since: float = -math.inf
    error: str = ""
    asked: int = 0

    def range(self, query, start, end, step_s):
        self.asked += 1
        if self.error:
            raise SourceUnavailable(self.error)
        world = self.world
        name = next(key for key, one in world.policy.queries.items() if one.expr == query.expr)
        read = {"cpu": world.cores, "memory": world.size, "throttled": world.throttled}[name]
        times = np.arange(start, end + step_s / 2, step_s)
        # the pods of before had other names
        pods = [f"checkout-6d4cf56db6-x2x9{letter}" for letter in "bcdf"]
        values = [[read(pod, at) if at >= self.since else math.nan for at in times] for pod in pods]
        labels = tuple({"pod": pod, "container": "app"} for pod in pods)
        index = SeriesIndex(keys=tuple(pods), labels=labels)
        return Matrix(times=times, values=np.array(values).reshape(len(pods), -1), index=index)


def daily(pod, at):
    return 0.2 + 0.1 * math.sin(2 * math.pi * at / DAY_S)


def size(pod, at):
    return (300.0 + 40.0 * math.sin(2 * math.pi * at / DAY_S)) * MIB


def looks(world, pasts, history):
    """Turn once, and read what there was before."""
    world.pasts = pasts.take((world.policy,))
    world.turn()
    pasts.read((world.policy,), ({world.policy.key: seen_by(world)}, world.state), history, world.now)


def seen_by(world):
    """Return the inputs of the next decision."""
    return Inputs(
        tick_id="", tick_s=HOUR_S, policy=world.policy.key, policy_digest="", code="", platform="",
        snapshot=world.lane().snapshot, state=TargetState(), findings=(), incidents=(),
    )  # fmt: skip


def observing(every_s=HOUR_S):
    """Return a world that is looked at once an hour, so that days are few turns."""
    policy = a_policy(("mode: enforce", "mode: observe"), ("every: 300s", f"every: {every_s:.0f}s"), ("30m", "6h"))
    return World(policy=policy, cores=daily, size=size, tick_s=every_s)


def test_a_policy_that_is_new_recommends_what_one_does_that_has_looked_for_days():
    old = observing()
    old.run(3 * DAY_S)
    new = observing()
    new.now = old.now - 3 * HOUR_S
    pasts, history = UsePasts(), Past(new)
    for _ in range(3):
        looks(new, pasts, history)
    assert new.now == old.now
    assert "2.1 d are known" in new.decision.judgement.evidence[0]
    mine, theirs = (one.memory.uses["Deployment/checkout/app"] for one in (new, old))
    # who has looked for longer remembers weights of before, and no peaks
    assert mine.peaks == theirs.peaks
    assert sum(mine.cpu.weights) == pytest.approx(sum(theirs.cpu.weights), rel=0.01)
    assert said(new)[1:] == said(old)
    assert any("-> " in line for line in said(old))
    asked = history.asked
    looks(new, pasts, history)
    assert history.asked == asked


def said(world):
    """Return what is recommended, without for how many days it was looked."""
    return [line.rpartition(",")[0].rpartition(",")[0] for line in world.decision.judgement.evidence]


def test_what_a_source_does_not_answer_is_said_and_asked_again_later():
    world = observing(300.0)
    pasts, history = UsePasts(), Past(world, error="connection refused")
    for _ in range(2):
        looks(world, pasts, history)
    assert world.decision.judgement.evidence[0] == (
        "what 1 of 1 containers used before the first look is not known: connection refused"
    )
    assert history.asked == 1
    world.turn()
    bare = observing(300.0)
    bare.run(3 * 300.0)
    assert world.decision.judgement.evidence[1:] == bare.decision.judgement.evidence
    history.error = ""
    world.run(900.0)
    for _ in range(2):
        looks(world, pasts, history)
    assert "are known" in world.decision.judgement.evidence[0]
    assert world.memory.unread == ""


def test_a_source_that_has_kept_nothing_leaves_it_as_it_was():
    world = observing()
    pasts, history = UsePasts(), Past(world, since=math.inf)
    for _ in range(2):
        looks(world, pasts, history)
    bare = observing()
    bare.run(2 * HOUR_S)
    assert world.memory.uses == bare.memory.uses
    assert world.decision.judgement.evidence[1:] == bare.decision.judgement.evidence
    asked = history.asked
    looks(world, pasts, history)
    assert history.asked == asked > 0


def test_what_was_read_once_is_kept_and_taken_in_no_second_time():
    world = observing()
    pasts, history = UsePasts(), Past(world)
    for _ in range(2):
        looks(world, pasts, history)
    known = world.memory.uses
    asked = history.asked
    again = UsePasts()  # another process, with the same store
    looks(world, again, history)
    assert history.asked == asked
    world.pasts = {}
    assert world.memory.uses["Deployment/checkout/app"].samples == known["Deployment/checkout/app"].samples + 1


def test_an_object_that_was_made_just_now_has_no_past():
    world = observing()
    world.api.objects[TARGET_OF_WORLD]["metadata"]["creationTimestamp"] = "2023-11-15T00:00:00Z"
    pasts, history = UsePasts(), Past(world)
    for _ in range(2):
        looks(world, pasts, history)
    assert history.asked == 0
    assert world.memory.read


TARGET_OF_WORLD = TargetRef(namespace="shop", name="checkout")


@pytest.mark.parametrize("virtual", [False, True])
def test_a_daemon_reads_beside_its_turns_and_of_a_virtual_world_nothing(virtual):
    world = observing()
    history = Past(world)
    pasts = UsePasts()
    world.turn()
    inputs = seen_by(world)
    loop = SimpleNamespace(pasts=pasts, seen={world.policy.key: inputs}, state=world.state)
    there = SimpleNamespace(virtual=virtual, history=history, present=lambda: world.now)
    policies = SimpleNamespace(current=lambda: SimpleNamespace(plans=(world.policy,)))
    reader = PastReader(SimpleNamespace(loop=loop, world=there, policies=policies))
    reader.begin()
    if not virtual:
        reader._thread.join(30.0)
    found = pasts.take((world.policy,))
    assert set(found) == (set() if virtual else {world.policy.key})
    assert (history.asked > 0) is not virtual
