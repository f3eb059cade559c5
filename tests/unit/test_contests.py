"""Contests of autoscalers: days and seeds that are judged, intervals over them, and many lanes of ours in one bank."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.contenders import SCENARIOS, entries
from benchmarks.external import Scaler, Scalers
from benchmarks.paired import apart, resampled
from simulators.lab.contest import Entry, best_hours, contest
from simulators.lab.lanes import Service, Tables
from simulators.lab.traces import Part, Trace, hostile, real

CELLS = {
    (f"trace-{t}", s, d): 1.0 + 0.1 * t + 0.01 * s + 0.001 * d for t in range(4) for s in range(3) for d in range(2)
}


def short(seed: int) -> Trace:
    """Return forty minutes of history and four of contest."""
    whole = hostile("shocks", None, pod_rps=37.5, part=Part(days=0.5, seed=seed))
    return Trace(name="shocks", history=whole.history[-160:], rps=whole.rps[:16], mean=whole.mean[:16])


def test_no_day_and_no_seed_that_is_judged_is_one_that_was_tuned_on():
    tuning, judged = SCENARIOS["tuning"], SCENARIOS["judged"]
    assert tuning.first_day + tuning.days <= judged.first_day
    assert not set(tuning.seeds) & set(judged.seeds)


def test_an_interval_holds_the_mean_and_is_as_wide_as_traces_differ():
    found = resampled(CELLS)
    assert found.mean == pytest.approx(np.mean(list(CELLS.values())))
    assert found.low < found.mean < found.high
    # four traces 0.1 apart: the mean of four draws has a standard deviation of about 0.056
    assert found.high - found.low == pytest.approx(4 * 0.056, abs=0.03)


def test_what_lived_through_the_same_differs_by_less_than_what_it_lived_through():
    theirs = {cell: value + 0.05 for cell, value in CELLS.items()}
    gap = apart(CELLS, theirs)
    assert (gap.mean, gap.low, gap.high) == pytest.approx((0.05, 0.05, 0.05))
    assert gap.told(2) == "+0.05 [+0.05, +0.05]"


def test_cells_that_are_missing_are_an_error_and_not_a_mean_of_fewer():
    with pytest.raises(ValueError, match="the same seeds and days"):
        resampled({cell: value for cell, value in CELLS.items() if cell != ("trace-1", 1, 1)})


def test_many_lanes_in_one_bank_decide_as_each_would_alone():
    traces = [short(seed) for seed in range(6)]
    tables = Tables(Service())
    together = contest(entries("ours", (0.98, 0.995), traces, tables), tables, 60.0)

    class Alone:
        name = "ours"

        def __init__(self, objective: float) -> None:
            self._scaler = Scaler(objective=objective)

        def fit(self, history, step_s, startup_s, slo_p95_s):
            self._scaler.fit(history, step_s, startup_s, slo_p95_s)

        def decide(self, sample, ready, current):
            fields = ("t", "rps", "util", "p95", "inflight", "dropped", "backlog", "ready")
            return self._scaler.decide({name: getattr(sample, name) for name in fields}, ready, current)

    picked = [(0, 0.98), (5, 0.995)]
    alone = contest([Entry(trace=traces[t], name="ours", autoscaler=Alone(o)) for t, o in picked], tables, 60.0)
    assert alone == [together[0], together[11]]
    assert len({score.pod_hours for score in together}) > 3


def test_policies_of_many_lanes_stand_in_the_order_of_the_lanes():
    objectives = [0.98 + 0.001 * lane for lane in range(12)]
    many = Scalers(objectives)
    many.fit([short(1).history] * 12, 15.0, 60.0, 0.25)
    assert [policy.objective.slo.target_ratio for policy in many._policies.scaling] == pytest.approx(objectives)


def test_a_score_is_the_sum_of_its_days():
    trace = hostile("noise", None, pod_rps=37.5, part=Part(days=1.001, seed=3))
    tables = Tables(Service())
    [score] = contest(entries("hpa", (0.7,), [trace], tables), tables, 60.0)
    assert len(score.days) == 2
    assert score.pod_hours == pytest.approx(sum(day.pod_hours for day in score.days))
    offered = sum(day.offered for day in score.days)
    assert offered == pytest.approx(trace.rps.sum() * 15.0)
    assert score.violating_ratio == pytest.approx(sum(day.violating for day in score.days) / offered)


def test_who_knows_the_mean_keeps_the_slo_but_for_noise_and_a_margin_is_for_that():
    trace = hostile("drifting-season", None, pod_rps=37.5, part=Part(days=1.0, seed=3))
    tables = Tables(Service())
    [still] = contest(entries("mean-known", (0.0,), [replace(trace, rps=trace.mean)], tables), tables, 180.0)
    assert still.violating_ratio == 0.0
    assert still.pod_hours <= 1.05 * best_hours(replace(trace, rps=trace.mean), tables, 180.0, 0.0)
    bare, margin = contest(entries("mean-known", (0.0, 0.12), [trace], tables), tables, 180.0)
    assert bare.violating_ratio > 0.1
    assert margin.violating_ratio < 0.005


def test_a_trace_that_is_finer_is_read_in_means(tmp_path):
    times, values = np.arange(0, 864_000, 60), np.random.default_rng(1).uniform(90.0, 110.0, 14_400)
    rows = "".join(f"{at},{value}\n" for at, value in zip(times, values, strict=True))
    (tmp_path / "fine.csv").write_text(rows, encoding="utf-8")
    fine, coarse = (real("fine", tmp_path, pod_rps=37.5, part=Part(days=1.0, resolution_s=s)) for s in (0.0, 300.0))
    assert np.std(fine.mean) / np.std(coarse.mean) == pytest.approx(math.sqrt(5.0), rel=0.2)
    assert len(coarse.rps) == len(fine.rps) == 5760
