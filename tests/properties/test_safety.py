"""The safety promises as properties over random policies, states and worlds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.core.guard import verdict
from aiops.core.guard.limits import rate_limit
from aiops.core.model import (
    Failed,
    Inputs,
    Leadership,
    LoopState,
    Mode,
    NoSeries,
    Percepts,
    ScaleEvent,
    Scope,
    TargetState,
)
from aiops.core.pipeline import Turn, decide, decide_one
from aiops.core.policies import Bounds, Limits, PolicySet, RatePolicy, RateUnit, ScalingRules, Select
from aiops.core.record.codec import from_text, to_text
from tests.builders import (
    KEY,
    NOW,
    TARGET,
    answer,
    context,
    forecast,
    need,
    policy,
    proposal,
    rules,
    snapshot,
    workload,
)

replicas = st.integers(1, 60)
answers = st.one_of(
    st.floats(0.0, 5000.0).map(answer),
    st.floats(0.0, 5000.0).map(lambda value: answer(value, age_s=900.0)),
    st.just(NoSeries()),
    st.just(Failed(error="x")),
    st.just(answer(float("nan"))),
)
rates = st.lists(
    st.builds(
        RatePolicy,
        unit=st.sampled_from(RateUnit),
        value=st.integers(1, 100),
        period_s=st.sampled_from((15.0, 60.0, 300.0)),
    ),
    min_size=1,
    max_size=3,
).map(tuple)
directions = st.builds(
    ScalingRules,
    stabilisation_s=st.sampled_from((0.0, 60.0, 300.0)),
    rates=rates,
    select=st.sampled_from(Select),
    tolerance_ratio=st.sampled_from((0.0, 0.1, 0.5)),
)
events = st.lists(st.builds(ScaleEvent, at=st.floats(NOW - 4000, NOW - 1), delta=st.integers(-5, 5)), max_size=6).map(
    lambda found: tuple(sorted(found, key=lambda one: one.at))
)
histories = st.lists(st.tuples(st.floats(NOW - 400, NOW - 1), replicas), max_size=6).map(
    lambda found: tuple(sorted(found))
)
states = st.builds(
    TargetState,
    uid=st.just("u"),
    recommendations=histories,
    events=events,
    last_out_at=st.floats(NOW - 900, NOW),
    last_in_at=st.floats(NOW - 900, NOW),
)
policies = st.builds(
    lambda low, span, up, down, cool, most: policy(
        bounds=Bounds(min_replicas=low, max_replicas=low + span),
        up=up,
        down=down,
        limits=Limits(cooldown_out_s=cool, cooldown_in_s=cool, changes_per_hour=most),
    ),
    st.integers(1, 10),
    st.integers(0, 50),
    directions,
    directions,
    st.sampled_from((0.0, 300.0)),
    st.integers(1, 5),
)


@st.composite
def turns(draw):
    chosen = draw(policies)
    running = draw(replicas)
    shot = snapshot(
        demand=draw(answers),
        latency=draw(answers),
        workloads={TARGET.key: workload(replicas=running, ready=draw(st.integers(0, running)))},
    )
    ahead = draw(st.one_of(st.none(), st.floats(0.0, 5000.0).map(forecast)))
    percepts = Percepts(forecasts={} if ahead is None else {KEY: ahead})
    return LoopState(targets={KEY: draw(states)}), Turn(
        snapshot=shot, percepts=percepts, policies=PolicySet(digest="p", scaling=(chosen,)), code="c", platform="p"
    )


@given(turns())
def test_blind_demand_never_scales_in_s1_s2(made):
    state, turn = made
    tick = decide(state, turn).tick
    demand = tick.decisions[0].signals[0]
    for action in tick.actions:
        assert demand.usable or action.change.after > action.change.before


@given(turns())
def test_a_change_stays_within_bounds_or_moves_towards_them_s5(made):
    state, turn = made
    low, high, _ = turn.policies.scaling[0].bounds.at(NOW)
    for action in decide(state, turn).tick.actions:
        before, after = action.change.before, action.change.after
        if after > before:
            assert after <= high
        else:
            assert after >= min(low, before)


@given(turns(), st.sampled_from(("leaderless", "store", "cluster", "observe", "protected", "not opted in")))
def test_nothing_is_sent_where_nothing_may_be_s2_s3_s6(made, obstacle):
    state, turn = made
    shot = turn.snapshot
    shot = {
        "leaderless": lambda: replace(shot, leadership=Leadership(leader=False, epoch=1)),
        "store": lambda: replace(shot, store_ok=False),
        "cluster": lambda: replace(shot, cluster_errors={"default": "x"}),
        "observe": lambda: replace(shot, scope=Scope(ceiling=Mode.OBSERVE)),
        "protected": lambda: replace(shot, scope=Scope(protected_namespaces=frozenset({"shop"}))),
        "not opted in": lambda: replace(shot, workloads={TARGET.key: workload(opted_in=False)}),
    }[obstacle]()
    assert decide(state, replace(turn, snapshot=shot)).tick.actions == ()


@pytest.mark.parametrize("spoiled", ["leaderless", "store", "observe", "not opted in"])
def test_a_wish_to_stay_that_bounds_raise_asks_everybody_too_s2_s3_s6(spoiled):
    # wished: as many as there are, since the SLO is broken; the bounds want one more
    chosen = policy(bounds=Bounds(min_replicas=9, max_replicas=9))
    shot = snapshot(demand=answer(0.0), latency=answer(1.0))
    made = {
        "leaderless": replace(shot, leadership=Leadership(leader=False, epoch=1)),
        "store": replace(shot, store_ok=False),
        "observe": replace(shot, scope=Scope(ceiling=Mode.OBSERVE)),
        "not opted in": replace(shot, workloads={TARGET.key: workload(opted_in=False)}),
    }

    def actions(seen):
        turn = Turn(
            snapshot=seen,
            percepts=Percepts(),
            policies=PolicySet(digest="p", scaling=(chosen,)),
            code="c",
            platform="p",
        )
        return decide(LoopState(targets={KEY: TargetState(uid="u")}), turn).tick.actions

    assert [action.change.after for action in actions(shot)] == [9]
    assert actions(made[spoiled]) == ()


@given(
    st.integers(1, 40),
    st.integers(1, 60),
    states,
    st.sampled_from((0.0, 300.0)),
)
def test_reactive_need_is_never_held_by_cooldown_or_budget_s5(before, needed, state, cool):
    strict = policy(
        bounds=Bounds(min_replicas=1, max_replicas=40),
        up=rules(rates=()),
        limits=Limits(cooldown_out_s=cool, cooldown_in_s=cool, changes_per_hour=1),
    )
    shot = snapshot(workloads={TARGET.key: workload(replicas=before)})
    found = verdict(
        proposal(before, max(before, needed), need=need(reactive=needed)),
        context(policy=strict, state=replace(state, recommendations=()), snapshot=shot),
    )
    assert found.change.after == max(before, min(needed, 40))


@given(rates, replicas, events, st.booleans())
def test_the_rate_limit_never_points_the_other_way_and_max_allows_at_least_min_s5(given_rates, level, past, out):
    def limit(select: Select) -> int:
        one = ScalingRules(stabilisation_s=0.0, rates=given_rates, select=select, tolerance_ratio=0.0)
        return rate_limit(one, level, past, NOW, out=out)

    most, least, none = limit(Select.MAX), limit(Select.MIN), limit(Select.DISABLED)
    assert none == level
    assert (most >= least >= level) if out else (0 <= most <= least <= level)


@given(turns(), st.integers(0, 40))
def test_a_disruption_budget_is_a_floor_for_scale_in_s5(made, floor):
    state, turn = made
    running = turn.snapshot.workloads[TARGET.key]
    shot = replace(turn.snapshot, workloads={TARGET.key: replace(running, pdb_min_available=floor)})
    for action in decide(state, replace(turn, snapshot=shot)).tick.actions:
        if action.change.after < action.change.before:
            assert action.change.after >= floor


@settings(max_examples=50)
@given(turns())
def test_a_decision_made_again_from_its_stored_inputs_is_the_same_bytes(made):
    state, turn = made
    decisions = decide(state, turn)
    for decision in decisions.tick.decisions:
        if decision.changed:
            text = to_text(decisions.inputs[decision.id])
            again = decide_one(turn.policies.scaling[0], from_text(text, Inputs))
            assert to_text(again.decision) == to_text(decision)


@given(turns())
def test_every_ruling_that_binds_has_a_reason_and_a_sentence(made):
    state, turn = made
    verdict_ = decide(state, turn).tick.decisions[0].verdict
    if verdict_.binding is not None:
        assert verdict_.binding.ruling.reason.value
        assert len(verdict_.binding.ruling.detail) > 5
