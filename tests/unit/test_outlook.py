"""What is told of the time to come: forecasts, anomaly scores, and why one of them is missing (S1)."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from aiops.adapters.metrics.outlook import OutlookCollector
from aiops.core.model import NoSeries
from aiops.core.pipeline.outlook import ANOMALY, FORECAST, NEVER, PEAK, Missing, Outlook, Reading, Viewer
from aiops.core.policies import PolicySet
from aiops.loop.lookout import Lookout, Seen
from tests.builders import KEY, NOW, TARGET, snapshot, workload
from tests.outlooks import Stage, finding, looked, rising, sight
from tests.unit.fleet import WATCH


def told(outlook: Outlook, metric: str = FORECAST, now: float = NOW, namespace: str = "shop"):
    viewer = Viewer(newest=lambda: outlook, present=lambda: now, max_age_s=180.0)
    every = viewer.told(metric, namespace)
    return [one for one in every if isinstance(one, Reading)], [one for one in every if isinstance(one, Missing)]


def by_place(found):
    return {(one.labels["quantile"], one.labels["horizon"]): one.value for one in found}


# -- forecasts -----------------------------------------------------------------------------------------


def test_every_quantile_is_told_at_the_lead_time_and_at_1_5_15_and_30_minutes():
    found, missing = told(looked(sight()))
    assert missing == []
    values = by_place(found)
    assert len(values) == 25
    assert {quantile for quantile, _ in values} == {"0.05", "0.5", "0.9", "0.95", "0.99"}
    assert [values["0.95", name] for name in ("1m", "5m", "15m", "30m")] == [100.0, 140.0, 240.0, 390.0]
    # start-up took 50, 60 and 70 s: its p95 is 70 s, and a decision comes up to a tick of 15 s later
    assert values["0.95", "lead"] == pytest.approx(100.0 + 10.0 * 25 / 60)
    assert values["0.5", "5m"] == pytest.approx(112.0)


def test_a_peak_is_the_greatest_value_on_the_way():
    hill = tuple(100.0 + (300.0 if minute == 2 else 0.0) for minute in range(30))
    outlook = looked(sight(issued=replace(rising(), paths=(hill,) * 5)))
    values, peaks = by_place(told(outlook)[0]), by_place(told(outlook, PEAK)[0])
    assert (values["0.95", "5m"], peaks["0.95", "5m"]) == (100.0, 400.0)
    assert (peaks["0.95", "1m"], peaks["0.95", "30m"]) == (100.0, 400.0)


def test_horizons_count_from_the_tick_and_not_from_when_the_forecast_was_issued():
    values = by_place(told(looked(sight(at=NOW + 30.0)), now=NOW + 30.0)[0])
    assert (values["0.95", "1m"], values["0.95", "5m"]) == (105.0, 145.0)


def test_beyond_its_reach_a_forecast_tells_nothing():
    short = rising(paths=tuple(path[:10] for path in rising().paths))
    found, missing = told(looked(sight(issued=short)))
    assert {horizon for _, horizon in by_place(found)} == {"lead", "1m", "5m"}
    assert {(one.labels["horizon"], one.why) for one in missing} == {
        ("15m", "the forecast does not reach 900 s ahead"),
        ("30m", "the forecast does not reach 1800 s ahead"),
    }


@pytest.mark.parametrize(
    ("sights", "now", "why"),
    [
        ([sight(demand=math.nan)], NOW, "demand has not been seen since the start"),
        ([sight(age_s=91.0)], NOW, "demand has not been seen since the start"),
        ([sight()], NOW + 181.0, "the forecast is 181 s old, at most 180 s are served"),
        (
            [sight(), sight(at=NOW + 240.0, demand=math.nan, issued=rising(issued_at=NOW + 240.0))],
            NOW + 240.0,
            "the forecast is 240 s old",
        ),
        ([sight()], NOW - 3600.0, "the forecast is -3600 s old"),
        ([sight(issued=rising(learned=False, history_s=7200.0))], NOW, "test-v1 has not learnt enough yet (2.0 h"),
    ],
    ids=[
        "never seen",
        "stale from the start",
        "the loop stands",
        "demand is gone",
        "the clock was stepped back",
        "unlearned",
    ],
)
def test_what_the_loop_would_not_act_on_is_told_to_nobody_s1(sights, now, why):
    found, missing = told(looked(*sights), now=now)
    assert found == []
    (one,) = missing
    assert one.labels == {"policy": "checkout", "signal": "demand"}
    assert why in one.why


def test_a_demand_of_zero_that_a_presence_query_vouches_for_is_a_demand():
    absent = replace(snapshot(), answers={KEY: {"demand": NoSeries(presence=True)}})
    assert len(told(looked(sight(demand=0.0, snapshot=absent)))[0]) == 25


def test_a_short_gap_in_demand_is_bridged_by_what_was_seen_before():
    outlook = looked(sight(), sight(at=NOW + 60.0, demand=math.nan, issued=rising(issued_at=NOW + 60.0)))
    found, _ = told(outlook, now=NOW + 60.0)
    assert {one.as_of for one in found} == {NOW}


def test_a_forecast_that_is_not_a_number_is_missing_and_not_zero_s1():
    paths = (*rising().paths[:3], (math.nan,) * 30, rising().paths[4])
    found, missing = told(looked(sight(issued=rising(paths=paths))))
    assert {quantile for quantile, _ in by_place(found)} == {"0.05", "0.5", "0.9", "0.99"}
    assert {(one.labels["quantile"], one.why) for one in missing} == {("0.95", "the forecast is not a number")}


def test_a_peak_over_a_gap_is_no_peak_s1():
    gap = tuple(math.nan if minute == 3 else 100.0 for minute in range(30))
    peaks = by_place(told(looked(sight(issued=rising(paths=(gap,) * 5))), PEAK)[0])
    assert {horizon for _, horizon in peaks} == {"lead", "1m"}


def test_the_peak_at_the_lead_time_is_what_the_decision_reads():
    for second in range(0, 60, 7):
        outlook = looked(sight(at=NOW + second))
        one = outlook.prospects[KEY]
        assert one.peak(0.95, one.lead_s) == rising().quantile_max(0.95, NOW + second + 70.0 + 15.0)


def test_a_target_that_is_out_of_sight_keeps_its_lead_time():
    gone = replace(snapshot(), workloads={})
    slow = replace(snapshot(), workloads={TARGET.key: workload(startup_s=(200.0,))})
    assert looked(sight(snapshot=gone)).prospects[KEY].lead_s == 60.0
    assert looked(sight(snapshot=slow), sight(snapshot=gone)).prospects[KEY].lead_s == 215.0


def test_another_namespace_sees_nothing():
    assert told(looked(sight()), namespace="else") == ([], [])


def test_a_policy_that_is_gone_is_told_no_more():
    after = looked(sight(), sight(policies=PolicySet(digest="q")))
    assert (after.prospects, after.alarms) == ({}, {})


# -- anomalies -----------------------------------------------------------------------------------------


def test_the_worst_open_finding_is_told_and_none_is_zero_only_while_series_are_seen_s1():
    (one,), _ = told(looked(sight(findings=(finding(1.5), finding(3.25, "b")))), ANOMALY)
    assert (one.labels, one.value) == ({"policy": "latency"}, 3.25)
    (quiet,), _ = told(looked(sight()), ANOMALY)
    assert quiet.value == 0.0
    found, missing = told(looked(sight(live=math.nan)), ANOMALY)
    assert (found, missing[0].why) == ([], "none of the watched series has been seen since the start")
    found, missing = told(looked(sight(), sight(at=NOW + 200.0, live=math.nan)), ANOMALY, now=NOW + 200.0)
    assert (found, missing[0].why) == ([], "the watched series were last seen 200 s ago")


def test_that_all_series_are_gone_can_be_the_finding():
    (one,), _ = told(looked(sight(live=math.nan, findings=(finding(2.0),))), ANOMALY)
    assert one.value == 2.0


# -- as Prometheus metrics --------------------------------------------------------------------------------


@pytest.fixture
def scraped():
    stage, registry = Stage(), CollectorRegistry()
    registry.register(OutlookCollector(stage.viewer))

    def scrape(*sights: Seen, now: float = NOW):
        stage.now = now
        stage.look(*sights)
        text = generate_latest(registry).decode()
        return {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    return scrape


def labelled(name: str, **labels: str):
    return (name, *sorted(labels.items()))


def test_a_scrape_shows_forecasts_scores_and_their_age(scraped):
    samples = scraped(sight(findings=(finding(2.5),)))
    of = {"policy": KEY, "signal": "demand"}
    assert samples[labelled(FORECAST, **of, quantile="0.95", horizon="15m")] == 240.0
    assert samples[labelled(PEAK, **of, quantile="0.95", horizon="30m")] == 390.0
    assert samples[labelled("aiops_forecast_lead_time_seconds", **of)] == 85.0
    assert samples[labelled("aiops_forecast_timestamp_seconds", **of)] == NOW
    assert samples[labelled("aiops_forecast_usable", **of)] == 1.0
    assert samples[labelled(ANOMALY, policy=WATCH)] == 2.5
    assert samples[labelled("aiops_finding_score", policy=WATCH, kind="point", series="a")] == 2.5
    assert len([key for key in samples if key[0] in (FORECAST, PEAK)]) == 30


def test_a_scrape_shows_no_stale_number_s1(scraped):
    samples = scraped(sight(), now=NOW + 500.0)
    assert samples[labelled("aiops_forecast_usable", policy=KEY, signal="demand")] == 0.0
    assert [key for key in samples if key[0] in (FORECAST, PEAK, ANOMALY)] == []


def test_series_go_with_their_policy(scraped):
    scraped(sight())
    assert scraped(sight(policies=PolicySet(digest="q"))) == {}


def test_findings_that_are_shown_one_by_one_are_bounded(scraped):
    many = tuple(finding(float(score), f"series-{score}") for score in range(2, 202))
    samples = scraped(sight(findings=many))
    shown = sorted(value for key, value in samples.items() if key[0] == "aiops_finding_score")
    assert shown == [float(score) for score in range(182, 202)]


def test_nothing_is_known_before_the_first_turn():
    assert (Lookout().outlook.at, Lookout().outlook.prospects) == (NEVER, {})
