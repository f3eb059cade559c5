"""A write to one autoscaler holds nothing of another: where the floor moved on, or the former is gone (S5, S6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.core.guard import verdict
from aiops.core.model import LoopState, OutcomeKind, Percepts, Reason, SetFloor, TargetState, VerdictWord
from aiops.core.pipeline import Turn, decide
from aiops.core.policies import Lever, PolicySet
from tests.builders import KEY, NOW, TARGET, action, context, hpa, policy, proposal, snapshot, workload

FLOOR = policy(lever=Lever.HPA_FLOOR)
PENDING = action(change=SetFloor(hpa="former", before=4, after=8))


def world(*hpas, at=NOW):
    return snapshot(at=at, workloads={TARGET.key: workload(hpas=hpas, as_of=at)})


def turned(shot, pending=PENDING):
    state = LoopState(targets={KEY: TargetState(uid="u", pending=pending)})
    policies = PolicySet(digest="p", scaling=(FLOOR,))
    return decide(state, Turn(snapshot=shot, percepts=Percepts(), policies=policies, code="c", platform="p"))


@pytest.mark.parametrize(("name", "word"), [("former", VerdictWord.WAIT), ("newest", VerdictWord.ALLOW)])
def test_what_is_in_flight_to_another_autoscaler_holds_nothing_here_s5(name, word):
    shot = world(hpa(name=name, min_replicas=0))
    wish = proposal(0, 8, change=SetFloor(hpa=name, before=0, after=8))
    state = TargetState(uid="u", pending=PENDING)
    ruled = verdict(wish, context(policy=FLOOR, snapshot=shot, state=state))
    assert ruled.word is word
    if word is VerdictWord.WAIT:
        assert ruled.binding.ruling.reason is Reason.IN_FLIGHT


def test_a_write_to_an_autoscaler_that_is_gone_ends_as_unknown_s6():
    there = hpa(name="newest", min_replicas=8)
    before = turned(world(there, at=PENDING.expires_at))
    assert (before.tick.outcomes, before.state.targets[KEY].pending) == ((), PENDING)
    after = turned(world(there, at=PENDING.expires_at + 15.0))
    (outcome,) = after.tick.outcomes
    assert (outcome.action_id, outcome.kind, after.state.targets[KEY].pending) == ("A1", OutcomeKind.UNKNOWN, None)
    assert "the autoscaler is gone" in outcome.detail


def test_nothing_ends_while_the_cluster_has_not_shown_what_is_there_s6():
    shot = world(hpa(name="newest", min_replicas=8), at=PENDING.expires_at + 600.0)
    old = replace(shot.workloads[TARGET.key], as_of=PENDING.expires_at)
    assert turned(replace(shot, workloads={TARGET.key: old})).tick.outcomes == ()


def test_what_replaces_a_write_to_an_autoscaler_that_is_gone_says_so_s6():
    # eight replicas run, which is what was wished of the other floor, and proves nothing
    done = turned(world(hpa(name="newest", min_replicas=2)))
    (action_,) = done.tick.actions
    assert (action_.change.hpa, action_.change.before) == ("newest", 2)
    (outcome,) = done.tick.outcomes
    assert (outcome.action_id, outcome.kind) == ("A1", OutcomeKind.UNKNOWN)
    assert "the autoscaler was gone when" in outcome.detail
