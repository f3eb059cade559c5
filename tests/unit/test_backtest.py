"""A backtest finds what is known of a world that was made, never looks ahead, and says what it cannot know."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aiops.engine.spreading import Processes
from aiops.errors import InvalidInput
from simulators.autoscalers import AUTOSCALERS
from simulators.backtest.best import by_optimum
from simulators.backtest.calibration import Basis, calibrate, measured
from simulators.backtest.grid import axes, variants
from simulators.backtest.recording import Recording
from simulators.backtest.replay import Run, by_autoscaler, by_policy
from simulators.backtest.run import Order, Result, baselines, past_of, prices_of, run
from simulators.backtest.scoring import scores
from simulators.backtest.work import Job, all_done
from tests.unit.recorded import (
    CAPACITY_RPS,
    LEAD_S,
    ON_TOP_S,
    POLICY,
    SERVICE_S,
    STEP_S,
    changed,
    lived,
    policy,
    wave,
    without,
)

HPA = Order(baselines=(("hpa", 0.8),), curves=False)
ALONE = Order(baselines=(), curves=False)


@pytest.fixture(scope="module")
def world() -> Recording:
    return lived(wave(24.0))


@pytest.fixture(scope="module")
def result(world: Recording) -> Result:
    return run(past_of(world, policy(), (), HPA), HPA)


def test_the_calibration_finds_the_replica_that_was_simulated(world: Recording) -> None:
    model = past_of(world, policy(), (), HPA).calibration
    assert model.basis is Basis.LATENCY
    assert model.per_replica == pytest.approx(CAPACITY_RPS, rel=0.08)
    low, high = model.per_replica_range
    assert low <= CAPACITY_RPS * 1.02
    assert high >= CAPACITY_RPS * 0.98
    assert model.service_s * np.log(20) + model.on_top_s == pytest.approx(SERVICE_S * np.log(20) + ON_TOP_S, rel=0.08)
    assert model.startup_s == pytest.approx(LEAD_S, abs=STEP_S)
    assert model.startup_from.endswith("recorded scale-outs")
    assert model.log_error is not None
    assert model.log_error < 0.06
    assert model.trusted


def test_an_hpa_on_data_that_an_hpa_made_needs_the_same_replica_hours(result: Result) -> None:
    hours = {one.name: one.replica_hours for one in result.scores}
    assert hours["hpa"] == pytest.approx(hours["recorded"], rel=0.03)


def test_modelled_misses_of_what_ran_are_near_those_measured(result: Result) -> None:
    recorded = next(one for one in result.scores if one.name == "recorded")
    assert recorded.measured_miss_minutes is not None
    assert recorded.miss_minutes == pytest.approx(recorded.measured_miss_minutes, abs=12.0)


def test_intervals_are_of_others_less_the_policy(result: Result) -> None:
    ours, *others = result.scores
    assert ours.less_policy == {}
    for one in others:
        low, high = one.less_policy["replica_hours"]
        assert low <= one.replica_hours - ours.replica_hours <= high


def test_there_are_at_most_five_worst_moments_half_an_hour_apart_with_their_stories(result: Result) -> None:
    times = sorted(one.at for one in result.worst)
    assert len(times) == 5
    assert min(np.diff(times)) >= 1800.0
    assert all(one.story for one in result.worst)


@pytest.mark.parametrize("spoilt", ["demand", "latency", "ready", "use"])
def test_another_future_changes_no_past_decision(world: Recording, spoilt: str) -> None:
    part = world.between(None, float(world.times[0]) + 8 * 3600.0)
    cut = int(len(part.times) * 0.75)
    values = part.columns[spoilt].copy()
    values[cut:] = values[cut:] * 3.0 + 1.0
    courses = []
    for one in (part, changed(part, **{spoilt: values})):
        past = past_of(one, policy(), (), ALONE)
        course = by_policy(past, lambda: None)
        courses.append((past.first, course))
    (first, plain), (_, other) = courses
    assert plain.decided[: cut - first] == other.decided[: cut - first]
    assert plain.stories[:5] == other.stories[:5]
    if spoilt == "demand":
        assert plain.decided[cut - first :] != other.decided[cut - first :]


def test_what_is_learnt_from_is_not_scored(world: Recording) -> None:
    order = Order(baselines=(), warmup_s=18 * 3600.0, curves=False)
    made = run(past_of(world, policy(), (), order), order)
    assert made.scored_steps == len(world.times) - 18 * 240
    assert made.start == world.times[18 * 240]


def test_two_processes_say_what_one_says(world: Recording) -> None:
    part = world.between(None, float(world.times[0]) + 6 * 3600.0)
    tried = variants(policy().document, axes(["objective.perReplica=45,55"]))
    work = [Job(variant=one, watches=(), recording=part, order=ALONE) for one in tried]
    one, two = (all_done(work, spread, lambda: None) for spread in (None, Processes(2)))
    assert [made.as_json() for made in one] == [made.as_json() for made in two]
    assert one[0].scores[0].replica_hours > one[1].scores[0].replica_hours


def test_without_latency_misses_are_not_told_and_the_policy_says_what_a_replica_carries(world: Recording) -> None:
    bare = without(world, "latency", "use")
    made = run(past_of(bare, policy(), (), ALONE), ALONE)
    assert made.calibration.basis is Basis.POLICY
    assert made.calibration.per_replica == 50.0
    assert not made.calibration.trusted
    assert any("no facts" in one for one in made.warnings)
    assert any("perReplica" in one for one in made.warnings)
    assert all(row["miss_minutes"] is None for row in made.as_json()["contenders"])


def test_latency_that_has_nothing_to_do_with_load_is_not_trusted(world: Recording) -> None:
    dice = np.random.default_rng(3)
    noise = changed(world, latency=np.exp(dice.normal(-1.5, 1.5, len(world.times))))
    assert not past_of(noise, policy(), (), ALONE).calibration.trusted


def test_utilisation_says_what_a_replica_carries_where_latency_is_missing(world: Recording) -> None:
    seen = measured(without(world, "latency"), policy())
    half = len(world.times) // 2
    model = calibrate(policy(), seen.part(0, half), seen.part(half, 2 * half), STEP_S)
    assert model.basis is Basis.UTILISATION
    assert model.per_replica == pytest.approx(CAPACITY_RPS, rel=0.02)


def test_gaps_of_the_load_are_scored_for_nobody(world: Recording) -> None:
    load = world.columns["demand"].copy()
    load[4000:5000] = np.nan
    made = run(past_of(changed(world, demand=load), policy(), (), HPA), HPA)
    assert made.unknown_steps == 1000
    assert any("unknown" in one for one in made.warnings)
    whole = run(past_of(world, policy(), (), HPA), HPA)
    assert made.scores[0].replica_hours < whole.scores[0].replica_hours


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda one: one.between(None, float(one.times[0]) + 1800.0), "at least 60 minutes to learn from"),
        (lambda one: without(one, "demand"), "no column for the signal 'demand'"),
        (lambda one: changed(one, demand=np.full(len(one.times), np.nan)), "has no data"),
        (lambda one: changed(one, demand=one.columns["demand"] - 400.0), "is below 0"),
        (
            lambda one: changed(one, demand=one.columns["demand"] / np.where(one.times > 1.70004e9, 0.0, 1.0)),
            "infinite",
        ),
    ],
    ids=["too short", "no column", "no data", "negative", "infinite"],
)
def test_a_recording_that_does_not_carry_a_backtest_is_refused(world: Recording, spoil: object, said: str) -> None:
    with pytest.raises(InvalidInput, match=said), np.errstate(divide="ignore"):
        past_of(spoil(world), policy(), (), ALONE)  # type: ignore[operator]


# -- grids -----------------------------------------------------------------------------------------------


def test_several_grids_are_multiplied() -> None:
    tried = variants(policy().document, axes(["objective.perReplica=40,50", "spec.bounds.minReplicas=2,3,4"]))
    assert [one.label for one in tried][:2] == [
        "objective.perReplica=40 bounds.minReplicas=2",
        "objective.perReplica=40 bounds.minReplicas=3",
    ]
    assert len(tried) == 6


@pytest.mark.parametrize(
    ("grid", "said"),
    [
        (["nonsense"], "expected path=value"),
        (["objective.perReplica="], "expected path=value"),
        (["objective.perReplca=4"], "near: objective.perReplica"),
        (["objective.perReplica=many"], "is no number or quantity"),
        (["objective.perReplica=-4"], "perReplica"),
        (["bounds=3"], "is no single value"),
        (["bounds.minReplicas=9", "bounds.minReplicas=8"], "given twice"),
        (["limits.changesPerHour=" + ",".join(map(str, range(1, 300)))], "at most 200"),
    ],
)
def test_a_grid_that_makes_no_policy_is_refused(grid: Sequence[str], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        variants(policy().document, axes(grid))


def test_baselines_are_known_by_name_with_their_knob() -> None:
    assert baselines("hpa:0.6,static") == (("hpa", 0.6), ("static-peak", 1.2))
    assert baselines("none") == ()
    for wrong in ("hpaa", "hpa:x", "hpa:0"):
        with pytest.raises(InvalidInput, match="--baselines"):
            baselines(wrong)


def test_costs_are_those_of_the_prices_of_then() -> None:
    short = lived(wave(4.0))
    past = past_of(short, policy(), (), ALONE)
    ours, half = by_policy(past, lambda: None), len(short.times) * 3 // 4

    def cost(first: float, second: float, **more: Any) -> float | None:
        price = np.where(np.arange(len(short.times)) < half, first, second)
        priced = replace(short, columns={**short.columns, "price:shop/checkout": price})
        then = replace(past, usd_per_hour=prices_of(priced, policy(), Order(baselines=(), **more)))
        return scores(then, [ours])[0].cost_usd

    hours = scores(past, [ours])[0].replica_hours
    early, late = cost(1.0, 3.0), cost(3.0, 1.0)
    assert early is not None
    assert late is not None
    assert early + late == pytest.approx(4.0 * hours)
    assert early != pytest.approx(late, rel=1e-3)
    assert cost(1.0, math.nan) == pytest.approx(hours), "what it cost last stands for a day"
    assert cost(math.nan, 1.0) is None, "what it cost later says nothing of before"
    assert cost(1.0, 3.0, replica_usd_per_hour=0.5) == pytest.approx(0.5 * hours)
    assert scores(past, [ours])[0].cost_usd is None


def test_the_optimum_violates_no_more_than_the_policy_and_nothing_that_does_so_is_cheaper() -> None:
    past = past_of(lived(wave(4.0)[::-1]), policy(), (), ALONE)
    ours = by_policy(past, lambda: None)
    best, why = by_optimum(past, ours, lambda: None)
    assert (best is not None, why) == (True, "")
    fixed = [by_autoscaler(past, "static-peak", AUTOSCALERS["static-peak"](knob), lambda: None) for knob in (0.8, 1.1)]
    mine, least, *others = scores(past, [ours, best, *fixed])
    assert least.violating_ratio <= mine.violating_ratio * 1.02 + 1e-9
    assert least.replica_hours < mine.replica_hours
    assert [
        one for one in others if one.violating_ratio <= mine.violating_ratio and one.replica_hours < least.replica_hours
    ] == []
    startup = math.ceil(past.calibration.startup_s / STEP_S)
    assert startup >= 2
    assert all(there >= later for there, later in zip(best.replicas, best.ready[startup:], strict=False)), (
        "asked before"
    )


def test_there_is_no_optimum_where_nothing_is_promised() -> None:
    bare = policy(POLICY.replace(", slo: {signal: latency, atMost: 400ms, target: 99.5%}", ""))
    past = past_of(lived(wave(4.0)), bare, (), ALONE)
    best, why = by_optimum(past, Run("policy"), lambda: None)
    assert (best, "policies with an SLO" in why) == (None, True)


def test_the_optimum_has_no_knob() -> None:
    assert baselines("hpa:0.6,optimum") == (("hpa", 0.6), ("optimum", 0.0))
    with pytest.raises(InvalidInput, match="has no knob"):
        baselines("optimum:2")
