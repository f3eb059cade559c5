"""Signals are read once in a turn, and read again where what they were read from is not what a decision sees."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.core.model import LoopState, Percepts, SignalMemory, TargetState
from aiops.core.pipeline import Turn, decide, demand_of, read_of
from aiops.core.policies import PolicySet
from tests.builders import KEY, NOW, answer, policy, snapshot, workload

STATE = TargetState(uid="u", signals={"demand": SignalMemory(answered=True, last_value=1.0, last_good_at=NOW - 15.0)})


class Counted(dict):
    """Answers that count how often one is taken."""

    taken = 0

    def get(self, name, default=None):
        self.taken += 1
        return super().get(name, default)


def seen(**changes):
    answers = Counted(demand=answer(2000.0), latency=answer(0.1))
    return replace(snapshot(), answers={KEY: answers}, **changes), answers


def decided(shot, state, reads):
    policies = PolicySet(digest="p", scaling=(policy(),))
    turn = Turn(snapshot=shot, percepts=Percepts(), policies=policies, code="c", platform="p", reads=reads)
    return decide(LoopState(targets={KEY: state}), turn)


def test_demand_and_decision_take_each_answer_once():
    shot, answers = seen()
    read = read_of(policy(), STATE, shot)
    demand = demand_of(policy(), STATE, shot, read)
    made = decided(shot, STATE, {KEY: read})
    assert answers.taken == 2
    assert demand == demand_of(policy(), STATE, shot)
    assert made == decided(shot, STATE, {})
    assert made.tick.actions[0].change.after == 16


OTHERS = {
    "other answers": lambda shot: (replace(shot, answers={KEY: Counted(demand=answer(100.0))}), STATE),
    "another memory": lambda shot: (shot, replace(STATE, signals={"demand": SignalMemory()})),
    "another instant": lambda shot: (replace(shot, at=NOW + 900.0), STATE),
    "other replicas": lambda shot: (replace(shot, workloads={shot_key(shot): workload(replicas=30)}), STATE),
    "a clock that was stepped back": lambda shot: (replace(shot, at=NOW - 900.0), STATE),
}


def shot_key(shot):
    return next(iter(shot.workloads))


@pytest.mark.parametrize("changed", OTHERS.values(), ids=OTHERS)
def test_what_was_read_of_something_else_is_read_again(changed):
    shot, _ = seen()
    read = read_of(policy(), STATE, shot)
    other, state = changed(shot)
    assert decided(other, state, {KEY: read}) == decided(other, state, {})
    assert read_of(policy(), state, other, read) is not read
