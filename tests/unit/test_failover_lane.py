"""The loop judges failover groups between two ordinary turns, too, and moves no other plan then (S8)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.adapters.store import Store
from aiops.core.bank import Bank
from aiops.core.model import Answered, Looked, PlanStatus, Scope
from aiops.core.policies import PolicySet
from aiops.loop import ControlLoop, Setup
from simulators.ports import FixedPolicies
from tests.builders import KEY, NOW, policy
from tests.plan_world import plan
from tests.unit.failing import a_group
from tests.unit.test_answers import Journal, World, loop_over

GROUP = a_group()


class Seeing(World):
    """Answers each signal of the group, too; no object is there. broken: what ordinary turns ask."""

    broken = False

    def read(self, signals, watches, at):
        if self.broken and any(one.policy == KEY for one in signals):
            raise RuntimeError("a bug")
        seen = super().read(signals, watches, at)
        asked = {one.name: Answered(value=0.5, newest_at=at) for one in signals if one.policy == GROUP.key}
        return replace(seen, answers={**seen.answers, GROUP.key: asked})

    def look(self, wanted, at):
        return Looked()


@pytest.fixture
def turning():
    """Return what makes a loop over a group and a ScalingPolicy, whose fast lane turns so often."""
    store = Store.open("sqlite://")
    policies = PolicySet(digest="g", scaling=(policy(),), plans=(GROUP,))
    store.journal.note_policies(policies)
    ports = replace(loop_over(store, Seeing(), Journal(store.journal)).ports, policies=FixedPolicies(policies))

    def make(lane_s: float) -> ControlLoop:
        return ControlLoop(ports, Bank(policies), Setup(scope=Scope(), keep_inputs=False, lane_s=lane_s))

    yield make
    store.close()


def heard(loop: ControlLoop) -> set[float]:
    """Return when the group was looked at last, by its observers."""
    return {one.at for one in loop.state.groups[GROUP.key].views.values()}


def test_a_group_is_judged_between_two_turns_and_by_every_turn_s8(turning):
    loop = turning(5.0)
    loop.run_once(NOW)
    assert [one.policy for one in loop.last.decisions] == [KEY, GROUP.key]
    assert heard(loop) == {NOW}
    before = loop.last
    assert loop.run_plans(NOW + 5.0)
    assert heard(loop) == {NOW + 5.0}
    assert loop.last is before
    loop.run_once(NOW + 15.0)
    assert heard(loop) == {NOW + 15.0}


def test_without_a_lane_nothing_is_judged_between_turns(turning):
    loop = turning(0.0)
    loop.run_once(NOW)
    assert loop.run_plans(NOW + 5.0) == ""
    assert heard(loop) == {NOW}


def test_between_turns_no_plan_of_another_policy_moves(turning):
    loop = turning(5.0)
    loop.run_once(NOW)
    stranger = plan(policy="FailoverPolicy/shop/deleted", status=PlanStatus.RUNNING)
    loop.state = replace(loop.state, plans={stranger.id: stranger})
    loop.run_plans(NOW + 5.0)
    assert loop.state.plans == {stranger.id: stranger}
    loop.run_once(NOW + 15.0)
    assert "not in force any more" in loop.state.plans[stranger.id].held


def test_what_holds_ordinary_turns_is_said_until_one_goes_well(turning):
    loop = turning(5.0)
    loop.ports.source.broken = True
    loop.run_once(NOW)
    assert loop.run_plans(NOW + 5.0)
    assert (loop.turns, "a bug, see the log" in loop.held) == (0, True)
    loop.ports.source.broken = False
    loop.run_once(NOW + 15.0)
    assert (loop.turns, loop.held) == (1, "")
