"""Watched series as metrics in the names that users of vmanomaly know, within the limit, and absent when not known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from aiops.adapters.metrics import AnomalyCollector, IncidentCollector, Naming
from aiops.core.model import IncidentState
from aiops.core.policies import Side
from tests.stored import INCIDENT
from tests.unit.fleet import WATCH, Days, a_set, a_watch, an_index, services


def scraped(days: Days, *, late_s: float = 0.0, **naming: object) -> dict[str, dict[str, float]]:
    """Return what a Prometheus reads: by metric, the numbers by the value of `service`."""
    registry = CollectorRegistry()
    registry.register(AnomalyCollector(lambda: days.bank.sights, lambda: days.now + late_s, Naming(**naming)))
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            key = sample.labels.get("service", sample.labels["for"])
            assert key not in found.setdefault(sample.name, {}), "a series twice is a scrape that fails"
            found[sample.name][key] = sample.value
    return found


def taught(*names: str, **rules: object) -> Days:
    days = Days(a_set(a_watch(**rules)), services(*names))
    days.learn_history(1.5)
    days.ticks(8)
    return days


def test_each_series_has_its_score_its_value_and_what_was_expected():
    days = taught("checkout", "cart")
    (finding,) = days.tick([160.0, 100.0]).findings
    found = scraped(days)
    assert sorted(found) == [
        "aiops_anomaly_series_left_out", "anomaly_score", "y", "yhat", "yhat_lower", "yhat_upper",
    ]  # fmt: skip
    assert found["y"] == {"checkout": 160.0, "cart": 100.0}
    assert found["anomaly_score"]["checkout"] == pytest.approx(finding.score, rel=1e-5)
    assert found["anomaly_score"]["cart"] < 1.0
    assert found["yhat"]["checkout"] == finding.expected
    assert found["yhat_lower"]["cart"] < 100.0 < found["yhat_upper"]["cart"]
    assert found["aiops_anomaly_series_left_out"] == {"shop/latency": 0.0}


def test_names_are_as_the_settings_say():
    assert "vmanomaly_yhat" in scraped(taught("checkout"), metric_format="vmanomaly_$VAR")


def test_beyond_the_limit_only_what_is_anomalous_is_told_the_worst_first():
    days = taught(*(f"s{n}" for n in range(10)))
    days.tick([100.0] * 7 + [160.0, 400.0, 220.0])
    found = scraped(days, max_series=5)
    assert set(found["anomaly_score"]) == {"s7", "s8", "s9"}
    assert found["aiops_anomaly_series_left_out"] == {"shop/latency": 7.0}
    assert set(scraped(days, max_series=2)["y"]) == {"s8", "s9"}


def test_what_is_not_learnt_missing_or_old_is_absent_and_never_zero_s1():
    young = Days(a_set(a_watch()), services("checkout"))
    young.tick([100.0])
    assert set(scraped(young)) == {"y", "aiops_anomaly_series_left_out"}
    days = taught("checkout", "cart")
    days.tick([math.nan, 100.0])
    found = scraped(days)
    assert "checkout" not in found["y"] | found["anomaly_score"]
    assert "checkout" in found["yhat"], "what was expected of it is known"
    assert scraped(days, late_s=181.0) == {}


def test_one_side_that_does_not_count_has_no_bound():
    days = taught("checkout", side=Side.ABOVE)
    assert scraped(days)["yhat_lower"]["checkout"] == -math.inf


def test_labels_of_the_series_that_are_called_as_ours_are_kept_under_another_name():
    index = an_index([{"__name__": "up", "for": "x", "metric": "y", "service": "a", "we ird": "1"}])
    days = Days(a_set(a_watch()), index)
    days.tick([100.0])
    registry = CollectorRegistry()
    registry.register(AnomalyCollector(lambda: days.bank.sights, lambda: days.now, Naming()))
    (sample,) = [s for f in registry.collect() for s in f.samples if s.name == "y"]
    assert sample.labels == {
        "for": "shop/latency", "metric": "up", "exported_for": "x", "exported_metric": "y", "service": "a",
    }  # fmt: skip
    assert WATCH.endswith("shop/latency")


def test_a_new_set_of_series_is_told_and_the_old_one_is_not():
    days = taught("checkout")
    scraped(days)
    days.index = services("cart")
    days.tick([100.0])
    assert set(scraped(days)["y"]) == {"cart"}


def test_open_incidents_are_told_the_worst_first_and_no_more_than_twenty():
    one = replace(INCIDENT, standing=3, peak_score=4.5)
    many = [replace(one, id=f"{n:02}", peak_score=1.0 + n, suspects=()) for n in range(30)]
    ended = replace(one, id="ended", state=IncidentState.ENDED, peak_score=99.0)
    registry = CollectorRegistry()
    told = [one, ended]
    registry.register(IncidentCollector(lambda: told))
    text = generate_latest(registry).decode()
    labels = f'incident="{one.id}",kind="point",suspect="shop/db"'
    assert f"aiops_incident_peak_score{{{labels}}} 4.5" in text
    assert f"aiops_incident_series{{{labels}}} 3.0" in text
    assert f"aiops_incident_start_timestamp_seconds{{{labels}}}" in text
    assert "ended" not in text
    told[:] = many
    scores = [s for f in registry.collect() for s in f.samples if s.name == "aiops_incident_peak_score"]
    assert [s.value for s in scores] == [30.0 - n for n in range(20)]
    told.clear()
    assert "aiops_incident" not in generate_latest(registry).decode()
