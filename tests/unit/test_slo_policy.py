"""A policy that is steered by its SLO, through the shared decision: cold start, learnt capacity, forecast, overload."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from aiops.adapters.store.rows import sample_row
from aiops.adapters.store.tables import SAMPLES
from aiops.core.decide.scaling.room import room_of
from aiops.core.model import (
    Answered,
    Inputs,
    LoopState,
    Percepts,
    Reason,
    Signal,
    SignalState,
    TargetState,
    VerdictWord,
)
from aiops.core.pipeline import Turn, decide, decide_one, demand_of
from aiops.core.policies import Backlog, PolicySet, Reaction, ScalingPolicy
from aiops.core.record.codec import from_text, to_text
from aiops.core.record.story import Told, explanation
from simulators.autoscalers.replicas import Pods, Tolerance, resource_replicas
from tests.builders import KEY, NOW, forecast, rules, spec, workload
from tests.unit.rulings import bound
from tests.unit.steered import AHEAD, BLIND, OBJECTIVE, TICK_S, UNLEARNT, carries, decided, made, seen, soon, steered

# -- cold start, then learnt ----------------------------------------------------------------------------


@pytest.mark.parametrize("known", [None, UNLEARNT], ids=["not looked at", "not learnt"])
@pytest.mark.parametrize(("use", "wanted"), [(0.9, 12), (0.6, 8), (1.5, 20), (0.3, 4), (0.0, 0)])
def test_until_its_capacity_is_learnt_it_goes_by_utilisation(known, use, wanted):
    found = decided(seen(use=use), BLIND, known).verdict.proposal
    assert found.change.after == wanted
    need = found.need
    assert (need.capacity, need.capacity_learned, need.forecast, need.usage_ratio) == (0.0, False, None, None)


def test_what_all_of_them_carry_is_not_recorded_as_nothing_while_it_is_not_learnt():
    place = [column.name for column in SAMPLES.columns].index("capacity")
    assert sample_row(decided(seen(use=0.6), BLIND, UNLEARNT))[place] is None
    assert sample_row(decided(seen(demand=390.0), BLIND, carries()))[place] > 390.0


def test_once_it_is_learnt_demand_is_divided_by_what_so_many_carry():
    for demand, wanted in ((390.0, 8), (800.0, 16), (30.0, 2), (200.0, 4), (1700.0, 32)):
        need = decided(seen(demand=demand, use=0.1), BLIND, carries()).verdict.proposal.need
        assert max(need.reactive, 2) == wanted
        assert need.capacity_learned
    assert need.capacity == pytest.approx(850.0 / 16)


def test_without_a_forecast_utilisation_asks_for_room_above_what_they_carry_at_the_edge():
    found = decided(seen(demand=390.0, use=0.9), BLIND, carries())
    assert found.verdict.change.after == 12
    assert "90% of 8 ready are used, and no forecast may be acted on" in found.verdict.proposal.reason
    assert (
        decided(seen(demand=390.0, use=0.9), None, carries(), policy=steered(forecast=None)).verdict.change.after == 12
    )
    assert decided(seen(demand=390.0, use=0.65), BLIND, carries()).verdict.change.after == 8, "within the tolerance"
    assert decided(seen(demand=390.0, use=0.67), BLIND, carries()).verdict.change.after == 9
    assert decided(seen(demand=390.0, use=0.7, ready=4), BLIND, carries()).verdict.change.after == 8, "never fewer"
    tolerant = steered(up=rules(0.0, tolerance=0.1))
    assert decided(seen(demand=398.0, use=0.95), BLIND, carries(), policy=tolerant).verdict.change.after == 13
    assert decided(seen(demand=800.0, use=0.1), BLIND, carries()).verdict.change.after == 16
    assert decided(seen(demand=390.0, use=0.9), soon(380.0, 385.0), carries()).verdict.change.after < 12
    given = steered(objective=replace(OBJECTIVE, per_replica=100.0))
    assert decided(seen(demand=390.0, use=0.9), BLIND, carries(), policy=given).verdict.proposal.need.reactive == 4


@pytest.mark.parametrize("down", [0.0, 0.05, 0.1])
def test_that_room_is_what_an_hpa_would_have_at_every_use_and_with_every_number_of_pods_that_start(down):
    policy, tolerance = steered(down=rules(tolerance=down)), Tolerance(down=down, up=0.1)
    for replicas, ready, before, percent in product(
        (1, 7, 8, 20), (1, 5, 8, 21), (0, 4, 30), np.arange(0.0, 130.0, 0.7)
    ):
        use, metered = float(percent) / 100.0, min(ready, before or ready)
        shot = seen(use=use, replicas=replicas, ready=ready)
        signals = {"use": Signal(name="use", state=SignalState.VALUE, value=use, age_s=0.0)}
        room = room_of(policy, signals, shot.workloads[policy.target.key], before)
        pods, told = Pods(use, metered, unready=max(0, replicas - metered)), (replicas, ready, before, use)
        assert math.ceil(room - 1e-9) == resource_replicas(pods, 60, tolerance, replicas), told


@pytest.mark.parametrize("known", [UNLEARNT, carries()], ids=["not learnt", "learnt"])
@pytest.mark.parametrize("ready", [20, 12])
def test_s5_use_within_the_tolerance_of_scale_in_takes_no_pod_though_some_still_start(ready, known):
    tolerant = steered(down=rules(tolerance=0.1))
    shot = seen(demand=100.0, use=0.57, replicas=20, ready=ready)
    assert decided(shot, BLIND, known, policy=tolerant).verdict.change.after == 20
    below = seen(demand=100.0, use=0.53, replicas=20, ready=ready)
    assert decided(below, BLIND, known, policy=tolerant).verdict.change.after == math.ceil(ready * 53 / 60)


@pytest.mark.parametrize(("after_s", "wanted"), [(TICK_S, 12), (10 * TICK_S, 18)], ids=["a tick", "a gap"])
def test_who_became_ready_since_the_last_tick_is_not_in_what_is_used_yet(after_s, wanted):
    first = made(seen(use=0.9, replicas=12, ready=8), BLIND, UNLEARNT)
    then = seen(use=0.9, replicas=12, ready=12, at=NOW + after_s)
    assert decided(then, BLIND, UNLEARNT).verdict.change.after == 18, "as if all twelve were used like that"
    found = made(then, BLIND, UNLEARNT, state=first.state).tick.decisions[0].verdict
    assert found.proposal.change.after == wanted


def test_a_capacity_that_is_written_down_is_not_overruled():
    given = steered(objective=replace(OBJECTIVE, per_replica=100.0))
    need = decided(seen(), None, carries(), policy=given).verdict.proposal.need
    assert (need.reactive, need.capacity, need.capacity_learned) == (4, 100.0, False)


def test_nobody_ready_and_nothing_learnt_is_a_wish_to_stay_that_says_so():
    found = decided(seen(ready=0), BLIND, UNLEARNT)
    assert found.verdict.change.after == 8
    assert "none is ready to tell by its use" in found.story


def test_nobody_running_and_a_capacity_that_is_learnt_is_no_division_by_zero():
    found = decided(seen(replicas=0, ready=0, latency=0.4), soon(390.0, 400.0), carries())
    assert found.verdict.proposal.need.usage_ratio is None


# -- the forecast raises only ----------------------------------------------------------------------------


def test_the_forecast_raises_above_the_reactive_need_by_its_margin():
    verdict = decided(seen(), soon(400.0, 600.0), carries()).verdict
    need = verdict.proposal.need
    assert need.demand_ahead == pytest.approx(600.0 * math.exp(0.1))
    assert need.forecast == math.ceil(8 + (need.demand_ahead - 400.0) / 56.25)
    assert verdict.change.after == need.forecast > need.reactive == 8


def test_what_comes_before_a_new_replica_would_serve_keeps_those_that_run_and_adds_none():
    kept = decided(seen(replicas=16, ready=16), soon(700.0, 300.0), carries())
    need = kept.verdict.proposal.need
    assert need.demand_ahead == pytest.approx(700.0 * math.exp(0.04))
    assert need.forecast == math.ceil(8 + (need.demand_ahead - 400.0) / 56.25) == 14
    assert "forecast 700 + margin = 729 req/s within 45 s keeps 14" in kept.verdict.proposal.reason
    told = explanation(Told(decision=kept, workload=workload(), unit="req/s"))
    assert "demand 700 req/s within 45 s (before one that is asked for now would serve)" in told
    short = decided(seen(), soon(700.0, 300.0), carries()).verdict
    assert (short.proposal.need.forecast, short.change.after) == (8, 8), "one that is asked for now would come too late"
    later = decided(seen(), soon(700.0, 440.0), carries()).verdict
    assert later.change.after == later.proposal.need.forecast == 10, "what comes later is had by then"


def test_the_forecast_never_lowers_below_the_reactive_need():
    assert decided(seen(), soon(50.0, 50.0), carries()).verdict.change.after == 8


def test_a_nowcast_that_may_not_be_acted_on_leaves_the_slower_forecast():
    percepts = Percepts(nowcasts={KEY: soon(900.0, 900.0, acts=False)}, capacities={KEY: carries()})
    percepts = replace(percepts, forecasts={KEY: forecast(500.0)})
    policies = PolicySet(digest="p", scaling=(steered(),), step_s=TICK_S)
    turn = Turn(snapshot=seen(), percepts=percepts, policies=policies, code="c", platform="p")
    need = decide(LoopState(), turn).tick.decisions[0].verdict.proposal.need
    assert (need.demand_ahead, need.foreseen) == (500.0, None)


def test_a_nowcast_is_not_followed_where_a_quantile_is_asked_for():
    quantile = steered(forecast=replace(AHEAD, by_slo=False))
    need = decided(seen(), soon(900.0, 900.0), carries(), policy=quantile).verdict.proposal.need
    assert (need.forecast, need.demand_ahead) == (None, None)


def test_a_forecast_that_has_not_learnt_states_no_risk():
    percepts = Percepts(nowcasts={KEY: soon(390.0, 400.0)}, capacities={KEY: carries()})
    for learned in (False, True):
        percepts = replace(percepts, forecasts={KEY: forecast(500.0, learned=learned)})
        policies = PolicySet(digest="p", scaling=(steered(),), step_s=TICK_S)
        turn = Turn(snapshot=seen(), percepts=percepts, policies=policies, code="c", platform="p")
        risk = decide(LoopState(), turn).tick.decisions[0].verdict.proposal.expectation.risk_before
        assert (risk is not None) is learned


# -- one replica has a longer window ------------------------------------------------------------------------


def wished(
    policy: ScalingPolicy, demands: list[float], *, step_s: float = TICK_S, foreseen: float | None = None
) -> list[int]:
    """Return the levels that were allowed at each tick, carried out at once. foreseen: the demand, if it is."""
    ahead = BLIND if foreseen is None else soon(foreseen, foreseen)
    state, level, levels = LoopState(), 8, []
    for tick, demand in enumerate(demands):
        shot = seen(demand=demand, use=0.1, at=NOW + tick * step_s, replicas=level, ready=level)
        turn = made(shot, ahead, carries(), policy=policy, state=state)
        state, level = replace(turn.state, effects={}), turn.tick.decisions[0].verdict.change.after
        target = replace(state.targets[KEY], pending=None, owned=False)
        state = replace(state, targets={KEY: target})
        levels.append(level)
    return levels


def test_one_replica_more_waits_for_its_window_and_two_do_not():
    slow = steered(up=rules(0.0, single_step_s=60.0))
    assert wished(slow, [440.0] * 6) == [8, 8, 8, 8, 9, 9]
    assert wished(slow, [500.0] * 2) == [10, 10]


def test_one_replica_less_waits_for_its_window_and_two_for_the_ordinary_one():
    slow = steered(down=rules(30.0, single_step_s=90.0))
    assert wished(slow, [340.0] * 8) == [8, 8, 8, 8, 8, 8, 7, 7]
    assert wished(slow, [290.0] * 4) == [8, 8, 6, 6]


def test_what_is_foreseen_is_asked_for_in_whole_steps_and_what_is_needed_now_is_not():
    steps = steered(step_ratio=0.2)
    foreseen = decided(seen(), soon(400.0, 600.0), carries(), policy=steps)
    assert decided(seen(), soon(400.0, 600.0), carries()).verdict.change.after == 13
    assert foreseen.verdict.change.after == 14
    assert "needs 14 in steps of 20%" in foreseen.verdict.proposal.reason
    assert decided(seen(), soon(100.0, 200.0), carries(), policy=steps).verdict.change.after == 8
    assert decided(seen(demand=640.0, use=0.1), BLIND, carries(), policy=steps).verdict.change.after == 13
    assert [steps.step(one) for one in (0, 1, 9, 10, 14, 15)] == [1, 1, 1, 2, 2, 3]
    shared = replace(OBJECTIVE, backlog=Backlog(signal="waiting", drain_s=60.0, partitions=13))
    signals = {**steps.signals, "waiting": spec("waiting", on_absent=Reaction.IGNORE)}
    few = steered(step_ratio=0.2, objective=shared, signals=signals)
    assert decided(seen(), soon(400.0, 600.0), carries(), policy=few).verdict.proposal.need.forecast == 13


def test_a_step_of_what_is_foreseen_has_the_window_of_one_replica():
    slow = steered(down=rules(30.0, single_step_s=90.0), step_ratio=0.25)
    assert wished(slow, [290.0] * 8, foreseen=100.0) == [8, 8, 8, 8, 8, 8, 6, 6]
    assert wished(slow, [240.0] * 4, foreseen=100.0) == [8, 8, 5, 5]
    assert wished(slow, [290.0] * 4) == [8, 8, 6, 6]  # without a forecast nothing is in steps


def test_a_loop_that_stood_for_an_ordinary_window_drops_nothing_s5():
    slow = steered(down=rules(60.0, single_step_s=600.0))
    state = made(seen(), BLIND, carries(), policy=slow).state
    for back_s in (200.0, 215.0, 230.0, 245.0):
        turn = made(seen(demand=100.0, use=0.1, at=NOW + back_s), BLIND, carries(), policy=slow, state=state)
        state = turn.state
        assert turn.tick.decisions[0].verdict.change.after == 8, back_s
    turn = made(seen(demand=100.0, use=0.1, at=NOW + 260.0), BLIND, carries(), policy=slow, state=state)
    assert turn.tick.decisions[0].verdict.change.after < 8


# -- blind in a signal (S2) ---------------------------------------------------------------------------------


def test_without_utilisation_and_nothing_learnt_it_stays_and_names_what_is_missing_s2():
    found = decided(seen(use=math.nan), BLIND, UNLEARNT)
    assert found.verdict.change.after == 8
    assert "use is absent" in found.verdict.proposal.reason


def test_without_demand_and_nothing_learnt_utilisation_may_raise_and_not_lower_s2():
    assert decided(seen(demand=math.nan, use=0.9), BLIND, UNLEARNT).verdict.change.after == 12
    verdict = decided(seen(demand=math.nan, use=0.1), BLIND, UNLEARNT).verdict
    assert bound(verdict) == (VerdictWord.WAIT, Reason.ABSENT_SIGNAL, 8)


@pytest.mark.parametrize("missing", ["use", "latency"])
def test_once_learnt_a_missing_signal_holds_scale_in_and_no_scale_out_s2(missing):
    blind = {"use": 0.1, missing: math.nan}
    assert decided(seen(demand=800.0, **blind), BLIND, carries()).verdict.change.after == 16
    held = decided(seen(demand=100.0, **blind), BLIND, carries()).verdict
    assert bound(held) == (VerdictWord.WAIT, Reason.ABSENT_SIGNAL, 8)


def test_utilisation_that_is_ignored_when_absent_holds_nothing_once_learnt():
    signals = {"demand": spec(), "latency": spec("latency"), "use": spec("use", on_absent=Reaction.IGNORE)}
    verdict = decided(seen(demand=100.0, use=math.nan), BLIND, carries(), policy=steered(signals=signals)).verdict
    assert verdict.change.after < 8


def test_without_latency_the_forecast_is_followed_all_the_same_s2():
    assert decided(seen(latency=math.nan), soon(400.0, 600.0), carries()).verdict.change.after > 10


# -- what is learnt from ----------------------------------------------------------------------------------


def test_a_stale_sample_is_no_demand_s1():
    stale = seen()
    answers = stale.answers[KEY] | {"demand": Answered(value=390.0, newest_at=NOW - 600.0)}
    found = demand_of(steered(), TargetState(), replace(stale, answers={KEY: answers}))
    assert math.isnan(found.value)
    assert not found.whole


def test_a_partial_sample_is_a_lower_bound_and_measures_no_replica_s1():
    partial = seen()
    answers = partial.answers[KEY] | {
        "demand": Answered(value=390.0, newest_at=NOW - 5.0, warnings=("a shard is gone",))
    }
    found = demand_of(steered(), TargetState(), replace(partial, answers={KEY: answers}))
    assert (found.value, found.whole, found.calm) == (390.0, False, False)


def test_what_is_served_under_a_broken_slo_is_not_all_that_was_asked_for_s1():
    found = demand_of(steered(), TargetState(), seen(latency=0.4))
    assert (found.value, found.whole, found.latency, found.use_ratio, found.ready) == (390.0, False, 0.4, 0.6, 8)
    assert found.calm
    assert found.lead_s == 70.0


def test_a_rollout_measures_no_replica():
    assert not demand_of(steered(), TargetState(), seen(rollout=True)).calm


def test_an_inventory_that_is_not_there_for_a_tick_has_no_lead_time():
    found = demand_of(steered(), TargetState(), replace(seen(), workloads={}))
    assert math.isnan(found.lead_s)
    assert (found.ready, found.calm) == (0, False)


# -- the record ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ahead", "known"), [(soon(400.0, 600.0), carries()), (BLIND, UNLEARNT), (BLIND, carries()), (None, None)]
)
def test_a_decision_is_made_again_byte_for_byte_from_its_recorded_inputs(ahead, known):
    turn = made(seen(use=0.9), ahead, known)
    (inputs,) = turn.inputs.values()
    text = to_text(inputs)
    again = decide_one(steered(), from_text(text, Inputs))
    assert to_text(again.inputs) == text
    assert to_text(again.decision) == to_text(turn.tick.decisions[0])
    assert to_text(again.state) == to_text(turn.state.targets[KEY])


def test_the_explanation_prints_what_was_learnt_and_foreseen():
    decision = decided(seen(), soon(400.0, 600.0), carries())
    told = explanation(Told(decision=decision, workload=workload(), capacity=carries(doubt_ratio=0.041), unit="req/s"))
    assert "one replica carries 50 req/s ± 4.1% (learned)" in told
    assert "demand 600 req/s within 70 s (start-up p95 of this workload)" in told
    assert "2.0 times its error of 5.0% above it: 663.1 (skill 0.30 against last value and season)" in told
    assert "forecast 600 + margin = 663 req/s within 70 s needs 13" in told


def test_the_explanation_says_what_is_not_learnt_yet():
    told = explanation(Told(decision=decided(seen(use=0.9), BLIND, UNLEARNT), workload=workload(), unit="req/s"))
    assert "what one replica carries is not learnt yet" in told
    assert "no forecast: reactive only" in told
    assert "use" in told
