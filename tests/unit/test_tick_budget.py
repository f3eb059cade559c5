"""A turn that cannot end within its period leaves out what acts on nothing, says so, and takes it up again."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from aiops.adapters.store import Store
from aiops.core.bank import Bank
from aiops.core.model import Frame, Mode, Scope, SeriesIndex, TargetRef
from aiops.core.policies import Guardrail, PolicySet, Then
from aiops.loop import ControlLoop, Ports, Setup
from aiops.loop.shedding import Budget, Rank, Shedding, candidates
from aiops.ports import Inventory, Observation
from simulators.ports import FixedPolicies, NoTelemetry
from tests.builders import KEY, NOW, answer, policy, workload
from tests.unit.fleet import a_watch
from tests.unit.test_answers import Journal, NoControls, World

ROWS = 40
WATCHES = (a_watch("WatchPolicy/shop/big", expr="big"), a_watch("WatchPolicy/shop/small", expr="small"))


def rehearsed(number: int, mode: Mode = Mode.DRY_RUN, **changes: object):
    key, name = f"ScalingPolicy/shop/p{number}", f"p{number}"
    made = policy(key=key, mode=mode, target=TargetRef(namespace="shop", name=name), **changes)
    signals = {n: replace(s, query=replace(s.query, policy=key)) for n, s in made.signals.items()}
    return replace(made, signals=signals)


@dataclass
class SlowWorld(World):
    """Every query and every watch that is asked takes so long by the loop's clock."""

    each_s: float = 0.0
    now_s: float = 0.0
    asked: tuple[set[str], set[str]] = (set(), set())

    def elapsed_s(self):
        return self.now_s

    def read(self, signals, watches, at):
        asked = {query.policy for query in signals}, {query.policy for query in watches if not query.spared}
        self.asked = asked
        self.now_s += self.each_s * (len(asked[0]) + len(asked[1]))
        keys = tuple(f"{query.policy}#{row}" for query in watches for row in range(ROWS))
        index = SeriesIndex(keys=keys, labels=({},) * len(keys))
        whole = np.array([not query.spared for query in watches for _ in range(ROWS)], np.bool_)
        frame = Frame(at=at, index=index, values=np.where(whole, 1.0, np.nan), learn=whole)
        values = {"demand": answer(490.0, newest_at=at), "latency": answer(0.1, newest_at=at)}
        return Observation(answers=dict.fromkeys(asked[0], values), frame=frame)

    def inventory(self, targets, at):
        shown = {one.key: workload(replicas=self.replicas, ready=self.replicas, as_of=at) for one in targets}
        return Inventory(workloads=shown)


@pytest.fixture
def store():
    made = Store.open("sqlite://")
    yield made
    made.close()


def loop_over(store: Store, world: SlowWorld, policies: PolicySet, budget: Budget | None) -> ControlLoop:
    store.journal.note_policies(policies)
    ports = Ports(
        policies=FixedPolicies(policies),
        source=world,
        cluster=world,
        dry=world,
        journal=Journal(store.journal),
        lease=world,
        controls=NoControls(),
        prices=world,
        telemetry=NoTelemetry(),
        clock=world,
    )
    setup = Setup(scope=Scope(ceiling=Mode.ENFORCE), keep_inputs=False, budget=budget)
    return ControlLoop(ports, Bank(policies), setup)


def everything() -> PolicySet:
    others = (rehearsed(1), rehearsed(2), rehearsed(3, Mode.OBSERVE), rehearsed(4, candidate_for=KEY))
    return PolicySet(digest="p", scaling=(policy(), *others), watches=WATCHES)


def test_watches_go_first_then_shadows_then_what_observes_then_dry_runs_and_what_acts_never(store):
    world = SlowWorld(each_s=6.0)
    loop = loop_over(store, world, everything(), Budget.of(15.0))
    left_out = []
    for turn in range(6):
        loop.run_once(NOW + 15 * turn)
        left_out.append(tuple(loop.timekeeper.shed.keys))
        assert KEY in {decision.policy for decision in loop.last.decisions}
    assert left_out[0][:4] == (
        "ScalingPolicy/shop/p4",
        "ScalingPolicy/shop/p3",
        "ScalingPolicy/shop/p1",
        "ScalingPolicy/shop/p2",
    )
    assert left_out[-1][:3] == ("WatchPolicy/shop/big", "WatchPolicy/shop/small", "ScalingPolicy/shop/p4")
    assert world.asked[1] == set()
    assert KEY in world.asked[0]
    assert world.now_s > 0


def test_it_is_told_in_the_record_and_counted(store):
    world = SlowWorld(each_s=6.0)
    loop = loop_over(store, world, everything(), Budget.of(15.0))
    loop.run_once(NOW)
    sentence = loop.run_once(NOW + 15)
    assert "left out from now on:" in sentence
    assert "2 watch" in sentence
    assert any("left out from now on" in one for one in loop.last.waiting)
    assert loop.timekeeper.overruns >= 1
    assert loop.timekeeper.times[Rank.WATCH] == 2


def test_a_bug_in_keeping_time_takes_nothing_from_a_turn_that_was_decided(store):
    class Stopped:
        """A clock by which the time after a turn cannot be told."""

        def elapsed_s(self):
            if loop.turns:
                raise RuntimeError("a bug")
            return 0.0

    loop = loop_over(store, SlowWorld(), everything(), Budget.of(15.0))
    loop.ports = replace(loop.ports, clock=Stopped())
    sentence = loop.run_once(NOW)
    assert KEY in {decision.policy for decision in loop.last.decisions}
    assert "held" not in sentence


def test_what_was_left_out_is_taken_up_again_when_there_is_room_and_that_is_told(store):
    world = SlowWorld(each_s=6.0)
    loop = loop_over(store, world, everything(), Budget.of(15.0))
    for turn in range(5):
        loop.run_once(NOW + 15 * turn)
    world.each_s = 0.1
    sentences = [loop.run_once(NOW + 15 * turn) for turn in range(5, 60)]
    assert not loop.timekeeper.shed.keys
    assert world.asked[1] == {one.key for one in WATCHES}
    assert sum("nothing is left out any more" in one for one in sentences) == 1


def test_watches_that_are_left_out_keep_their_rows_and_what_they_learnt(store):
    world = SlowWorld(each_s=6.0)
    loop = loop_over(store, world, everything(), Budget.of(15.0))
    loop.run_once(NOW)
    index = loop._observer.index
    loop.run_once(NOW + 15)
    assert world.asked[1] == set()
    assert loop._observer.index.keys == index.keys
    assert len(index.keys) == 2 * ROWS
    assert not loop.last.findings, "what was not asked for is not absent"


def test_a_turn_that_is_late_already_decides_what_acts_and_nothing_else(store):
    world = SlowWorld(each_s=6.0)
    loop = loop_over(store, world, everything(), Budget.of(15.0))
    loop.run_once(NOW)
    assert [decision.policy for decision in loop.last.decisions] == [KEY]


def test_without_a_budget_nothing_is_ever_left_out(store):
    world = SlowWorld(each_s=100.0)
    loop = loop_over(store, world, everything(), None)
    for turn in range(3):
        loop.run_once(NOW + 15 * turn)
        assert len(loop.last.decisions) == 5
        assert len(world.asked[1]) == 2


def test_a_watch_that_a_guardrail_of_what_acts_may_look_at_stays():
    class Condition:
        text = "findings.size() > 0"
        used = ("findings",)

    guarded = policy(guardrails=(Guardrail(when=Condition(), then=Then.HOLD),))
    state = loop_state()
    budget = Budget.of(15.0)
    kept = candidates(PolicySet(digest="", scaling=(guarded,), watches=WATCHES), state, Mode.ENFORCE, budget, {})
    assert kept == ()
    free = candidates(PolicySet(digest="", scaling=(guarded,), watches=WATCHES), state, Mode.DRY_RUN, budget, {})
    assert len(free) == 3, "nothing acts below that ceiling"


def test_forecasts_that_autoscalers_go_by_are_kept():
    from tests.unit.fleet import a_scaling

    exporting = replace(a_scaling(), mode=Mode.OBSERVE)
    policies = PolicySet(digest="", scaling=(exporting,))
    assert candidates(policies, loop_state(), Mode.ENFORCE, Budget.of(15.0, exported=True), {}) == ()
    assert len(candidates(policies, loop_state(), Mode.ENFORCE, Budget.of(15.0), {})) == 1


def test_what_was_too_much_again_waits_longer_the_next_time():
    every = candidates(everything(), loop_state(), Mode.ENFORCE, budget := Budget.of(15.0), {})
    shedding, backs = Shedding(), []
    for turn in range(200):
        took_s = 14.0 if shedding.left_out == 0 else 2.0
        before, shedding = shedding, shedding.after(took_s, budget, every, 1.0)
        if shedding.left_out < before.left_out and shedding.left_out == 0:
            backs.append(turn)
    gaps = np.diff(backs)
    assert (gaps[1:] >= gaps[:-1]).all()
    assert gaps[-1] > 1.5 * gaps[0]


def loop_state():
    from aiops.core.model import LoopState

    return LoopState()
