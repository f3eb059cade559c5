"""Each guard's ruling, one case a sentence: guardrails and the limits of change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.core.guard import verdict
from aiops.core.model import (
    Freeze,
    Reason,
    ScaleEvent,
    TargetState,
    VerdictWord,
)
from aiops.core.policies import (
    CalendarFreeze,
    Guardrail,
    Limits,
    RatePolicy,
    RateUnit,
    Select,
    Then,
)
from aiops.policy.schedule import Span
from tests.builders import (
    KEY,
    NOW,
    TARGET,
    action,
    context,
    need,
    policy,
    proposal,
    rules,
    snapshot,
    with_workload,
    workload,
)
from tests.unit.rulings import Says, bound

# -- guardrails ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("then", "after", "left"),
    [
        (Then.HOLD, 10, 8),
        (Then.HOLD, 6, 8),
        (Then.HOLD_SCALE_IN, 6, 8),
        (Then.HOLD_SCALE_IN, 10, 10),
        (Then.HOLD_SCALE_OUT, 10, 8),
        (Then.HOLD_SCALE_OUT, 6, 6),
    ],
)
def test_a_guardrail_binds_its_direction(then, after, left):
    railed = policy(guardrails=(Guardrail(when=Says(), then=then),))
    assert verdict(proposal(8, after), context(policy=railed)).change.after == left


def test_a_cap_stops_growth_and_never_cuts_what_runs_s5():
    for cap, after, left in ((9, 12, 9), (4, 12, 8), (4, 6, 6)):
        railed = policy(guardrails=(Guardrail(when=Says(), then=Then.CAP, max_replicas=cap),))
        assert verdict(proposal(8, after), context(policy=railed)).change.after == left


def test_a_guardrail_that_cannot_be_told_holds_scale_in_s2():
    railed = policy(guardrails=(Guardrail(when=Says(None), then=Then.HOLD_SCALE_OUT),))
    assert bound(verdict(proposal(8, 6), context(policy=railed)))[1] is Reason.GUARDRAIL_UNDECIDED
    assert verdict(proposal(8, 10), context(policy=railed)).word is VerdictWord.ALLOW


# -- limits of change (S5) -----------------------------------------------------------------------------


def test_use_within_the_tolerance_changes_nothing_s5():
    tolerant = policy(down=rules(tolerance=0.1))
    near = proposal(8, 7, need=need(reactive=7, usage_ratio=0.92))
    far = proposal(8, 7, need=need(reactive=7, usage_ratio=0.88))
    assert bound(verdict(near, context(policy=tolerant)))[1:] == (Reason.TOLERANCE, 8)
    assert verdict(far, context(policy=tolerant)).change.after == 7


def test_scale_in_goes_to_the_most_that_was_wished_in_the_window_s5():
    steady = policy(down=rules(window_s=300.0))
    state = TargetState(uid="u", recommendations=((NOW - 400, 20), (NOW - 200, 7), (NOW - 15, 5)))
    assert bound(verdict(proposal(8, 5), context(policy=steady, state=state)))[1:] == (Reason.STABILISATION, 7)


def test_a_loop_that_has_just_begun_drops_no_replicas_s5():
    steady = policy(down=rules(window_s=300.0))
    assert bound(verdict(proposal(8, 3), context(policy=steady)))[1:] == (Reason.STABILISATION, 8)


def test_scale_out_goes_to_the_least_that_was_wished_in_its_window_s5():
    slow = policy(up=rules(window_s=60.0))
    state = TargetState(uid="u", recommendations=((NOW - 30, 9), (NOW - 15, 12)))
    assert bound(verdict(proposal(8, 12), context(policy=slow, state=state)))[1:] == (Reason.STABILISATION, 9)


@pytest.mark.parametrize(
    ("select", "allowed"),
    [(Select.MAX, 12), (Select.MIN, 10), (Select.DISABLED, 8)],
)
def test_the_rate_is_counted_from_the_level_at_the_periods_start_s5(select, allowed):
    rates = (
        RatePolicy(unit=RateUnit.PERCENT, value=100, period_s=60.0),
        RatePolicy(unit=RateUnit.PODS, value=4, period_s=60.0),
    )
    limited = policy(up=rules(rates=rates, select=select))
    state = TargetState(uid="u", events=(ScaleEvent(at=NOW - 30, delta=2),))
    assert verdict(proposal(8, 40), context(policy=limited, state=state)).change.after == allowed


def test_a_disruption_budget_is_a_floor_for_scale_in_s5():
    found = verdict(proposal(8, 2), context(snapshot=with_workload(pdb_min_available=6)))
    assert bound(found)[1:] == (Reason.DISRUPTION_BUDGET, 6)


@pytest.mark.parametrize(
    ("before", "after", "left"), [(8, 1, 2), (30, 50, 40), (45, 50, 45), (45, 42, 42), (45, 30, 30)]
)
def test_bounds_stop_growth_and_never_cut_what_is_needed_s5(before, after, left):
    assert verdict(proposal(before, after), context()).change.after == left


def test_cooldown_and_budget_never_block_reactive_need_s5():
    state = TargetState(uid="u", last_out_at=NOW - 10, last_in_at=NOW - 10, events=(ScaleEvent(at=NOW - 10, delta=1),))
    strict = policy(limits=Limits(cooldown_out_s=300.0, cooldown_in_s=300.0, changes_per_hour=1))
    reactive = proposal(8, 12, need=need(reactive=12))
    foreseen = proposal(8, 12, need=need(reactive=8, forecast=12))
    part = proposal(8, 12, need=need(reactive=10, forecast=12))
    inward = proposal(8, 6, need=need(reactive=6))
    ruled = [bound(verdict(one, context(policy=strict, state=state))) for one in (reactive, foreseen, part, inward)]
    assert ruled[0] == (VerdictWord.ALLOW, None, 12)
    assert ruled[1] == (VerdictWord.WAIT, Reason.COOLDOWN, 8)
    assert ruled[2][2] == 10
    assert ruled[3] == (VerdictWord.WAIT, Reason.COOLDOWN, 8)


def test_a_freeze_holds_what_is_not_needed_now_s9():
    frozen = context(snapshot=snapshot(freezes=(Freeze(name="friday", until=NOW + 60),)))
    assert bound(verdict(proposal(8, 6), frozen))[1] is Reason.FROZEN
    assert verdict(proposal(8, 12), frozen).word is VerdictWord.ALLOW


def test_a_freeze_that_names_policies_holds_no_other_s9():
    named = Freeze(name="silence 7f by ann", until=NOW + 60, policies=("ScalingPolicy/shop/other", KEY))
    other = replace(named, policies=("ScalingPolicy/shop/other",))
    assert bound(verdict(proposal(8, 6), context(snapshot=snapshot(freezes=(named,)))))[1] is Reason.FROZEN
    assert verdict(proposal(8, 6), context(snapshot=snapshot(freezes=(other,)))).word is VerdictWord.ALLOW


def test_a_policys_own_freeze_holds_as_the_settings_do_s9():
    year_end = CalendarFreeze(name="year-end", schedule=Span(NOW - 60, NOW + 60))
    frozen = context(policy=policy(freezes=(year_end,)))
    assert bound(verdict(proposal(8, 6), frozen))[1] is Reason.FROZEN
    assert verdict(proposal(8, 12), frozen).word is VerdictWord.ALLOW
    both = context(
        policy=policy(freezes=(year_end,)), snapshot=snapshot(freezes=(Freeze(name="friday", until=NOW + 1),))
    )
    assert verdict(proposal(8, 6), both).binding.ruling.until == NOW + 60
    over = context(policy=policy(freezes=(replace(year_end, schedule=Span(NOW - 60, NOW)),)))
    assert verdict(proposal(8, 6), over).word is VerdictWord.ALLOW


def test_a_write_that_was_not_seen_yet_holds_the_next_but_not_more_reactive_need_s6():
    state = TargetState(uid="u", pending=action(8, 10))
    assert bound(verdict(proposal(8, 10), context(state=state)))[1] is Reason.IN_FLIGHT
    assert verdict(proposal(8, 14), context(state=state)).change.after == 14
    seen = context(snapshot=snapshot(workloads={TARGET.key: workload(replicas=10)}), state=state)
    assert verdict(proposal(10, 12), seen).word is VerdictWord.ALLOW


def test_a_rollout_holds_scale_in():
    assert bound(verdict(proposal(8, 6), context(snapshot=with_workload(rollout=True))))[1] is Reason.ROLLOUT


def test_a_guard_that_passes_the_same_level_again_tells_what_it_sees_this_time():
    told = []
    for changes in (0, 2, 0):
        events = tuple(ScaleEvent(at=NOW - 900.0 - place, delta=1) for place in range(changes))
        made = verdict(proposal(8, 10), context(state=TargetState(uid="u", events=events)))
        told += [(one.ruling.detail, one.after) for one in made.rulings if one.guard == "budget"]
    assert told == [(f"{changes} of 60 changes this hour", 10) for changes in (0, 2, 0)]
