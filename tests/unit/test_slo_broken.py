"""A broken SLO: demand is censored, and an overload is answered step by step (S1)."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from aiops.core.guard import in_time
from aiops.core.model import (
    LoopState,
    Nowcast,
    Reason,
    TargetState,
    VerdictWord,
)
from tests.builders import KEY, NOW
from tests.unit.rulings import bound
from tests.unit.steered import BLIND, TICK_S, carries, decided, made, seen, soon

# -- cold start, then learnt ----------------------------------------------------------------------------


def test_a_broken_slo_holds_scale_in_s1():
    verdict = decided(seen(demand=100.0, latency=0.4), soon(100.0, 100.0), carries()).verdict
    assert bound(verdict) == (VerdictWord.WAIT, Reason.CENSORED_DEMAND, 8)
    calm = decided(seen(demand=100.0), soon(100.0, 100.0), carries()).verdict
    assert calm.change.after < 8


def lived(latencies: list[float], ahead: Nowcast, **running: object) -> list[int]:
    """Return what was wished for at each tick of 15 s with these latencies, nothing of it carried out."""
    state, wishes = LoopState(), []
    for tick, latency in enumerate(latencies):
        shot = seen(demand=380.0, latency=latency, at=NOW + tick * TICK_S, **running)
        turn = made(shot, ahead, carries(), state=state)
        state = turn.state
        wishes.append(turn.tick.decisions[0].verdict.proposal.change.after)
    return wishes


def test_an_overload_that_stays_is_answered_after_two_ticks_s1():
    assert lived([0.1, 0.4, 0.4, 0.4, 0.4], soon(380.0, 380.0, margin=0.5)) == [8, 8, 8, 10, 10]


@pytest.mark.parametrize(("use", "most"), [(1.0, 22), (0.3, 8)])
def test_replicas_in_full_use_are_overloaded_though_they_were_known_to_carry_more_s1(use, most):
    ahead, state, replicas = soon(300.0, 300.0, margin=0.5), LoopState(), 8
    for tick in range(20):
        running = {"replicas": replicas, "ready": replicas, "resource_version": str(tick)}
        shot = seen(demand=300.0, latency=3.0, use=use, at=NOW + tick * TICK_S, **running)
        turn = made(shot, ahead, carries(), state=state)
        state = turn.state
        replicas = max(replicas, int(turn.tick.decisions[0].verdict.proposal.change.after))
    assert replicas == most


def test_an_overload_asks_for_no_more_while_what_was_asked_for_is_not_ready():
    ahead = soon(380.0, 380.0, margin=0.5)
    assert lived([0.4] * 5, ahead, replicas=10, ready=8)[2:] == [10] * 3
    assert lived([0.4] * 5, ahead, replicas=40, ready=8)[2:] == [40] * 3


def test_an_overload_that_costs_replicas_their_readiness_is_answered():
    ahead, state = soon(380.0, 380.0, margin=0.5), LoopState()
    for tick, ready in enumerate((10, 10, 6, 6, 6)):
        shot = seen(demand=380.0, latency=0.1 if tick < 2 else 0.4, at=NOW + tick * TICK_S, replicas=10, ready=ready)
        turn = made(shot, ahead, carries(), state=state)
        state = turn.state
    assert turn.tick.decisions[0].verdict.proposal.change.after == 13
    more = made(seen(demand=380.0, latency=0.4, at=NOW + 600.0, replicas=13, ready=6), ahead, carries(), state=state)
    assert more.tick.decisions[0].verdict.proposal.change.after == 13, "of the three more none was ever ready"


def test_an_overload_of_a_single_tick_is_not_answered():
    assert lived([0.4, 0.1, 0.4, 0.1, 0.4, 0.1], soon(380.0, 380.0, margin=0.5)) == [8] * 6


def test_a_broken_slo_that_the_forecast_answers_already_gets_no_more():
    assert lived([0.4] * 6, soon(380.0, 430.0, margin=0.5)) == [9] * 6


def test_without_a_nowcast_a_broken_slo_is_answered_at_once():
    assert lived([0.4], BLIND) == [10]


def test_a_clock_that_is_stepped_back_takes_the_broken_slo_along():
    since = TargetState(slo_broken_since=NOW - 30.0, recommendations=((NOW, 8),))
    assert in_time(since, NOW - 3600.0).slo_broken_since == NOW - 3630.0
    assert in_time(replace(since, slo_broken_since=math.inf), NOW - 3600.0).slo_broken_since == math.inf
    assert in_time(since, NOW) is since
    alone = LoopState(targets={KEY: TargetState(uid="u", slo_broken_since=NOW + 3600.0)})
    after = made(seen(latency=0.4), soon(390.0, 390.0), carries(), state=alone)
    assert after.state.targets[KEY].slo_broken_since == NOW


def test_how_long_the_slo_is_broken_begins_anew_when_it_held():
    state = made(seen(latency=0.4), BLIND, carries()).state
    assert state.targets[KEY].slo_broken_since == NOW
    state = made(seen(latency=0.4, at=NOW + 15.0), BLIND, carries(), state=state).state
    assert state.targets[KEY].slo_broken_since == NOW
    state = made(seen(latency=0.1, at=NOW + 30.0), BLIND, carries(), state=state).state
    assert state.targets[KEY].slo_broken_since == math.inf
