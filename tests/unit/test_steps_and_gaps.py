"""A clock that is stepped, a loop that stood, caches that stopped: nothing is scaled in on account of them (S2, S5)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.core.guard import in_time, verdict
from aiops.core.model import Reason, ScaleEvent, SignalMemory, TargetState, VerdictWord
from tests.builders import NOW, context, policy, proposal, rules, with_workload

BACK_S = 3600.0
REMEMBERED = TargetState(
    recommendations=((NOW - 30.0, 8), (NOW - 15.0, 8)),
    events=(ScaleEvent(at=NOW - 200.0, delta=2), ScaleEvent(at=NOW - 15.0, delta=10)),
    last_out_at=NOW - 15.0,
    last_in_at=NOW - 200.0,
    signals={"demand": SignalMemory(answered=True, last_good_at=NOW)},
)


def test_a_clock_that_goes_on_moves_nothing():
    assert in_time(REMEMBERED, NOW) is REMEMBERED
    assert in_time(TargetState(), NOW) == TargetState()


def test_what_is_remembered_moves_along_with_a_clock_that_was_stepped_back_s5():
    moved = in_time(REMEMBERED, NOW - BACK_S)
    assert moved.last_out_at == NOW - 15.0 - BACK_S
    assert moved.recommendations[-1] == (NOW - 15.0 - BACK_S, 8)
    assert [event.at for event in moved.events] == [NOW - 200.0 - BACK_S, NOW - 15.0 - BACK_S]
    assert moved.signals["demand"].last_good_at == NOW - BACK_S
    # the spaces between are what they were, and going back forth again changes nothing more
    assert in_time(moved, NOW - BACK_S) is moved


def test_a_step_back_does_not_hold_what_is_needed_for_as_long_as_the_step_s5():
    """Left where they are, all changes of the last hour would count in a rate of one minute."""
    quick = policy(up=rules(stabilisation_s=0.0), down=rules(stabilisation_s=0.0))
    now = NOW - BACK_S + 120.0
    later = context(policy=quick, snapshot=replace(with_workload(as_of=now), at=now))
    later = replace(later, now=now, state=in_time(REMEMBERED, NOW - BACK_S))
    found = verdict(proposal(8, 20), later)
    assert found.word is VerdictWord.ALLOW
    assert found.change.after == 16  # as many again as there are, which is what the rate allows


@pytest.mark.parametrize(("gap_s", "after"), [(15.0, 4), (2000.0, 8)])
def test_after_a_gap_of_a_whole_window_the_present_level_is_in_the_window_s5(gap_s, after):
    state = TargetState(recommendations=((NOW - gap_s, 4),))
    calm = policy(up=rules(stabilisation_s=0.0), down=rules(stabilisation_s=300.0))
    found = verdict(proposal(8, 4), context(policy=calm, state=state))
    assert found.change.after == after


@pytest.mark.parametrize(("age_s", "after", "word"), [(10.0, 4, VerdictWord.ALLOW), (40.0, 8, VerdictWord.WAIT)])
def test_nothing_is_scaled_in_on_caches_that_are_behind_s2(age_s, after, word):
    quick = policy(up=rules(stabilisation_s=0.0), down=rules(stabilisation_s=0.0))
    seen = with_workload(as_of=NOW - age_s)
    found = verdict(proposal(8, 4), context(policy=quick, snapshot=seen))
    assert (found.change.after, found.word) == (after, word)
    if word is VerdictWord.WAIT:
        assert found.binding is not None
        assert found.binding.ruling.reason is Reason.CLUSTER_UNAVAILABLE
        assert "known only as of 40 s ago" in found.binding.ruling.detail
    # what is needed goes on
    assert verdict(proposal(8, 10), context(policy=quick, snapshot=seen)).change.after == 10
