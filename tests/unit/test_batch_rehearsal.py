"""Batch work that can wait, rehearsed: the world, the other rules, and that nobody is cheaper than who knows it all."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.core.planning.cost_defer import DeferPolicy
from aiops.errors import InvalidContent, InvalidInput
from simulators.batch.curve import Curve
from simulators.batch.rehearse import OURS, begun_by, contenders, fared, fared_once, policy, rows, seeded
from simulators.batch.rules import OPTIMUM, RULES, Scene, clairvoyant
from simulators.batch.scenario import BatchScenario, is_batch, load, names, next_clock
from simulators.batch.world import Work
from simulators.chance import Chance
from tests.commands import aiops

HOUR = 3600.0
TINY = """
kind: batch
name: batch-tariff
start: 2026-03-02T16:00:00Z
step: 5m
lasts: 2h
late: 3
night: '23:00'
curve: {unit: price, base: 0.3, hours: [{schedule: "0 0 * * *", duration: 5h, timeZone: Europe/Berlin, price: 0.1}]}
work:
  - name: report
    cronJob: true
    schedule: "0 17 * * *"
    count: 3
    takes: {median: 30m, p95: 45m}
    cores: 2
    by: '06:00'
  - {name: quick, schedule: "30 16 * * *", takes: {median: 20m, p95: 30m}, within: 1h}
"""


def written(tmp_path: Path, *changes: tuple[str, str]) -> BatchScenario:
    text = TINY
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "tiny.yaml"
    path.write_text(text)
    return load(str(path))


def test_deferred_work_begins_in_the_cheap_hours_and_what_cannot_wait_at_once(tmp_path):
    scenario = written(tmp_path)
    ours = policy(scenario, [])
    begun = begun_by(scenario, ours, 1, ours.within_s)
    hours = {name: (at - scenario.start.timestamp()) / HOUR for name, at in begun.items()}
    assert set(hours) == {"report-0001", "report-0002", "report-0003", "quick-0001"}
    assert all(7.0 <= hours[f"report-000{number}"] <= 7.5 for number in (1, 2, 3))  # from 23:00 UTC on it is cheap
    assert hours["quick-0001"] <= 0.75
    who = {
        name: fared(scenario, (name, one), 1, ours.within_s) for name, one in contenders(ours, baselines=True).items()
    }
    assert who[OURS].late == who["at once"].late == 0
    assert who[OURS].jobs == 4
    assert who["at night"].late == 1
    assert who["at night"].late_usd == 3.0
    assert who["at once"].usd == pytest.approx(sum(one.cores * one.takes_s for one in _work(scenario)) * 0.3 / HOUR)
    assert who[OURS].total_usd < 0.6 * who["at once"].total_usd
    assert who[OPTIMUM].above_usd == 0.0
    assert all(one.above_usd >= -1e-9 for one in who.values())


def _work(scenario: BatchScenario) -> tuple[Work, ...]:
    return scenario.drawn_work(Chance(1))


def test_the_shipped_guards_bind_the_rehearsal(tmp_path):
    scenario = written(tmp_path)
    ours = policy(scenario, [])
    assert ours.targets is not None
    narrow = replace(ours, at_once=1)
    begun = begun_by(scenario, narrow, 1, narrow.within_s)
    takes = {one.name: one.takes_s for one in _work(scenario)}
    spans = sorted((at, at + takes[name]) for name, at in begun.items() if name.startswith("report"))
    # one at a time: each begins once the one before is done
    assert all(later[0] >= earlier[1] for earlier, later in pairwise(spans))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000), within_h=st.floats(0.2, 20.0), cores=st.floats(0.1, 64.0), makes=st.floats(0.0, 40.0)
)
def test_no_start_costs_less_than_the_clairvoyant_one(seed, within_h, cores, makes):
    scenario = load("batch-prices")
    dice = np.random.default_rng(seed)
    start = scenario.start.timestamp()
    curve = Curve.of(start, 300.0, dice.gamma(2.0, 0.02, 12 * 24 * 6))
    scene = Scene(scenario=scenario, curve=curve, within_s=HOUR)
    work = Work(
        name="a-1", sort="report", cron_job=False, made_at=start + float(int(makes * HOUR)), cores=cores,
        takes_s=float(dice.integers(1, 20_000)), within_s=within_h * HOUR,
    )  # fmt: skip

    def whole(at: float) -> float:
        return scene.usd(work, at) + scenario.late * scene.late(work, at)

    best = whole(clairvoyant(work, scene))
    others = [rule(work, scene) for rule in RULES.values()]
    others += [scene.turn(work.made_at + float(dice.uniform(0.0, within_h * HOUR))) for _ in range(20)]
    assert all(best <= whole(at) + 1e-9 for at in others)


def test_a_curve_is_summed_exactly_across_its_slots():
    curve = Curve.of(0.0, 100.0, np.array([1.0, 3.0, 0.0, 2.0]))
    assert curve.integral(50.0, 100.0) == pytest.approx(50.0 + 150.0)
    assert curve.integral(150.0, 200.0) == pytest.approx(150.0 + 0.0 + 100.0)
    assert [curve.at(one) for one in (0.0, 99.9, 100.0, 399.0, 1e9)] == [1.0, 1.0, 3.0, 2.0, 2.0]
    with pytest.raises(ValueError, match="not below nothing"):
        Curve.of(0.0, 100.0, np.array([-1.0]))


def test_carbon_comes_to_money_by_power_and_by_what_a_tonne_is_worth():
    scenario = load("batch-carbon")
    # 1000 cores at 12 W for an hour are 12 kWh; at 500 g each 6 kg, and at 150 USD a tonne 0.90 USD
    assert scenario.grams(500.0 * HOUR, 1000.0) == pytest.approx(6000.0)
    assert scenario.usd(500.0 * HOUR, 1000.0) == pytest.approx(0.9)


def test_the_next_time_that_it_is_so_late_is_today_or_tomorrow():
    assert next_clock(HOUR, "01:00") == HOUR
    assert next_clock(HOUR + 1.0, "01:00") == 25 * HOUR


def test_the_same_seed_makes_the_same_bytes_in_whatever_process(tmp_path):
    scenario = written(tmp_path)
    tasks = seeded(scenario, contenders(policy(scenario, []), baselines=False), [3])
    assert [fared_once(one).as_json() for one in tasks] == [fared_once(one).as_json() for one in tasks]
    assert len(rows([fared_once(one) for one in tasks])) == 2


@pytest.mark.parametrize("name", names())
def test_every_shipped_scenario_has_its_policy(name):
    assert isinstance(policy(load(name), []), DeferPolicy)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("0 17 * * *", "0 99 * * *"), "is no cron schedule"),
        (("by: '06:00'", "by: '6 am'"), "is no time of day such as 01:30"),
        (("within: 1h", "within: 1h, by: '06:00'"), "`within` or `by`"),
        (("p95: 45m", "p95: 20m"), "less than the median"),
        (("name: quick", "name: report"), "the same name"),
        (("base: 0.3", "base: -1"), "base"),
        (("2026-03-02T16:00:00Z", "2026-03-02T16:00:00"), "has no zone"),
    ],
)
def test_what_is_wrong_in_a_scenario_is_said_with_its_place(tmp_path, change, said):
    with pytest.raises(InvalidContent, match=rf"tiny\.yaml:\d+:\d+: .*{said}"):
        written(tmp_path, change)


def test_other_policies_than_one_with_defer_are_refused(tmp_path):
    with pytest.raises(InvalidInput, match="needs one CostPolicy with defer, and has 0"):
        policy(written(tmp_path), [Path("policies/mailer.yaml")])


def test_the_command_shows_a_row_for_each_rule_in_money(tmp_path):
    written(tmp_path)
    path = tmp_path / "tiny.yaml"
    assert is_batch(str(path))
    done = aiops("-o", "json", "simulate", str(path), "--report", str(tmp_path / "r.html"))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {one["rule"] for one in found["episodes"]} == {OURS, *RULES}
    assert "right" not in found
    assert "clairvoyant" in (tmp_path / "r.html").read_text()
    refused = aiops("simulate", str(path), "--journal", str(tmp_path / "j.db"))
    assert refused.returncode == 2
    assert "several seeds" in refused.stderr
