"""The report of a week: what is counted, for how long, beside the week before, in every form."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from aiops.adapters.store import Store
from aiops.adapters.store.rows import decision_row
from aiops.adapters.store.tables import DECISIONS, INCIDENTS, OUTCOMES, SAMPLES, TICKS
from aiops.app.service import Service
from aiops.app.weekly import asked_of, weekly
from aiops.app.weekly.models import Point, kept
from aiops.app.weekly.page import page
from aiops.app.weekly.parquet import write
from aiops.app.weekly.tables import flat, text
from aiops.core.model import Direction, Pause
from aiops.core.money.spend import Row, Subject
from aiops.errors import InvalidInput
from tests.stored import acting, opened

__all__ = ["opened"]
MONDAY = 1_772_409_600.0
"""2026-03-02T00:00:00Z, the first day of 2026-W10."""

DAY_S, STEP_S = 86_400.0, 15.0
WEEK = asked_of({"week": "2026-W10"}, 0.0, STEP_S)
KEY = "ScalingPolicy/shop/checkout"


@pytest.fixture
def url(tmp_path) -> str:
    return f"sqlite:///{tmp_path / 'aiops.db'}"


def decided(store: Store, at: float, until: float, verdict: str, reason: str = "", **more: object) -> str:
    """Write a decision that stood from `at` to the tick at `until`."""
    row = decision_row(replace(acting().tick.decisions[0], id=f"D{at:.0f}{verdict}"[:26], at=at))
    row |= {"until": until, "ticks": 1, "verdict": verdict, "reason": reason, **more}
    put(store, DECISIONS, row)
    return str(row["id"])


def put(store: Store, table, *rows: dict[str, object]) -> None:
    with store.engine.begin() as connection:
        connection.execute(table.insert(), list(rows))


def ticks(store: Store, *spans: tuple[float, float]) -> None:
    times = [at for start, end in spans for at in range(int(start), int(end), int(STEP_S))]
    put(store, TICKS, *({"id": f"T{at}", "at": float(at)} for at in times))


# -- which week --------------------------------------------------------------------------------------------


def test_a_week_is_monday_to_sunday_in_utc_and_days_go_back_from_now():
    assert (WEEK.since, WEEK.until) == (MONDAY, MONDAY + 7 * DAY_S)
    assert asked_of({}, MONDAY, STEP_S).since == MONDAY - 7 * DAY_S
    assert asked_of({"days": 2}, MONDAY, STEP_S).since == MONDAY - 2 * DAY_S
    assert WEEK.before().since == MONDAY - 7 * DAY_S


@pytest.mark.parametrize("wish", [{"week": "2026-W54"}, {"week": "last"}, {"days": 0}, {"days": 93}, {"days": True}])
def test_what_is_no_week_is_refused(wish):
    with pytest.raises(InvalidInput):
        asked_of(wish, MONDAY, STEP_S)


# -- what is counted ---------------------------------------------------------------------------------------


def test_a_decision_counts_for_as_long_as_it_stood_within_the_week(opened):
    store = opened()
    decided(store, MONDAY - 600, MONDAY + 600 - STEP_S, "wait", "cooldown")
    decided(store, MONDAY + 600, MONDAY + 1800 - STEP_S, "wait", "stale_signal")
    decided(store, MONDAY + 7 * DAY_S - 300, MONDAY + 7 * DAY_S + 900, "steady")
    decided(store, MONDAY + 7 * DAY_S + 915, MONDAY + 7 * DAY_S + 930, "bug")
    decided(store, MONDAY + 50, MONDAY + 3600, "deny", "paused", policy=f"{KEY}@abcd1234")
    found = weekly(store, WEEK)
    minutes = {(one["verdict"], one["reason"]): one["minutes"] for one in found["reasons"]}
    assert minutes == {("wait", "cooldown"): 10.0, ("wait", "stale_signal"): 20.0, ("steady", ""): 5.0}
    seen = found["reliability"]
    assert (seen["blind_minutes"], seen["held_minutes"], seen["decided_minutes"], seen["bugs"]) == (20.0, 30.0, 35.0, 0)
    (policy,) = found["policies"]
    assert (policy["policy"], policy["blind_minutes"], policy["decisions"]) == (KEY, 20.0, 3)


def test_a_loop_that_did_not_turn_is_a_gap_and_a_slow_turn_is_none(opened):
    store = opened()
    day = MONDAY + DAY_S
    ticks(store, (MONDAY - 60, MONDAY + 60), (MONDAY + 90, day), (day + 3600, MONDAY + 7 * DAY_S - 1800))
    seen = weekly(store, WEEK)["reliability"]
    # an hour and the end; the 45 s between two turns were one slow turn
    assert seen["loop_down_minutes"] == pytest.approx(90.0, abs=0.51)
    assert weekly(opened(), asked_of({"week": "2026-W20"}, 0.0, STEP_S))["reliability"]["loop_down_minutes"] == 7 * 1440


def test_what_nobody_watched_is_not_known_and_not_nothing(opened):
    found = weekly(opened(), WEEK)
    assert found["reliability"]["slo_minutes"] is None
    assert found["before"] == dict.fromkeys(found["before"])
    assert found["actions"]["effective_ratio"] is None
    assert "SLO lost     - target-minutes" in text(found)
    assert "- USD spent" in text(found)


def test_minutes_of_the_slo_and_money_come_from_the_ledger_by_policy_and_day(opened):
    store = opened()
    subject = Subject(target="default/shop/apps/v1/Deployment/checkout", policy=KEY, namespace="shop")
    hour = 3_600_000
    # 4 replicas for an hour at 0.25 USD: nano-USD per hour times milliseconds
    row = Row(seen_ms=hour, replica_ms=4 * hour, money=4 * hour * 250_000_000, slo_ms=5 * 60_000, late=120.0)
    hours = [(subject, int(MONDAY), row), (subject, int(MONDAY + DAY_S), row), (subject, int(MONDAY - 3600), row)]
    store.costs.write(hours, (), None)
    ticks(store, (MONDAY - 60, MONDAY))
    found = weekly(store, WEEK)
    seen = found["reliability"]
    assert (seen["slo_minutes"], seen["watched_hours"], seen["late_requests"]) == (10.0, 2.0, 240.0)
    assert (found["money"]["spent"], found["before"]["spent"]) == (pytest.approx(2.0), pytest.approx(1.0))
    assert [(one["date"], one["slo_minutes"]) for one in found["days"]] == [("2026-03-02", 5.0), ("2026-03-03", 5.0)]
    assert (found["policies"][0]["slo_minutes"], found["policies"][0]["spent"]) == (10.0, pytest.approx(2.0))
    assert "10 (before: 5) target-minutes" in text(found)


def test_actions_are_told_by_how_they_ended_and_dry_runs_apart(opened):
    store = opened()
    for number in range(3):
        turn = acting(1000.0 * number)
        store.journal.begin(turn.tick, turn.state)
        put(
            store,
            OUTCOMES,
            {"action_id": turn.tick.actions[0].id, "at": MONDAY + 100.0 + number, "kind": "unknown", "detail": ""},
            {
                "action_id": turn.tick.actions[0].id,
                "at": MONDAY + 200.0 + number,
                "kind": ["took-effect", "took-effect", "no-effect"][number],
                "detail": "",
            },
        )
    found = weekly(store, WEEK)["actions"]
    assert (found["sent"], found["ended"]) == (3, {"no-effect": 1, "took-effect": 2})
    assert found["effective_ratio"] == pytest.approx(2 / 3)


def test_incidents_count_for_as_long_as_they_stood_in_the_week(opened):
    store = opened()
    plain = {"kind": "point", "series": 3, "peak_at": MONDAY, "state": "ended", "body": None}
    put(
        store,
        INCIDENTS,
        {**plain, "id": "I1", "since": MONDAY - 600, "until": MONDAY + 600, "peak": 2.0},
        {**plain, "id": "I2", "since": MONDAY + DAY_S, "until": MONDAY + DAY_S + 1800, "peak": 9.0},
        {**plain, "id": "I3", "since": MONDAY - 900, "until": MONDAY - 600, "peak": 99.0},
    )
    found = weekly(store, WEEK)["incidents"]
    assert (found["count"], found["minutes"], found["longest_minutes"]) == (2, 40.0, 30.0)
    assert [one["id"] for one in found["worst"]] == ["I2", "I1"]


def test_what_people_did_is_told_by_who_and_the_loop_is_nobody(opened):
    store = opened()
    turn = acting()
    store.journal.begin(turn.tick, turn.state)
    for number in range(2):
        pause = Pause(id="", scope="*", direction=Direction.ALL, reason="r", by="ann", since=MONDAY + number)
        store.people.add_pause(pause)
    assert weekly(store, WEEK)["people"] == [{"by": "ann", "kind": "pause", "times": 2}]


# -- models ------------------------------------------------------------------------------------------------


def test_a_forecast_is_kept_when_the_demand_stays_below_until_the_lead_time_is_over():
    path = [Point(float(at), demand, 10.0) for at, demand in ((0, 1.0), (15, 11.0), (30, 2.0), (45, 10.0), (60, 3.0))]
    assert kept(path, 15.0) == (4, 3)
    assert kept(path, 30.0) == (3, 2)
    assert kept([one._replace(foretold=None) for one in path], 15.0) == (0, 0)
    assert kept([one._replace(demand=None) for one in path], 15.0) == (0, 0)
    assert kept([], 15.0) == (0, 0)


def test_coverage_is_told_of_forecasts_that_were_recorded(opened):
    store = opened()
    turn = acting()
    store.journal.begin(turn.tick, turn.state)
    columns = {column.name: None for column in SAMPLES.columns}
    rows = [
        {**columns, "policy": KEY, "at": MONDAY + 15.0 * n, "demand": 100.0 + (n % 10), "ahead_p95": 108.0}
        for n in range(200)
    ]
    put(store, SAMPLES, *rows)
    (model,) = weekly(store, WEEK)["models"]
    assert (model["policy"], model["judged"] > 100) == (KEY, True)
    assert 0.0 < model["coverage"] < 1.0
    assert model["forecast_ratio"] == pytest.approx(200 / 201, abs=0.01)


# -- forms -------------------------------------------------------------------------------------------------


@pytest.fixture
def full(opened):
    store = opened()
    decided(store, MONDAY + 600, MONDAY + 1800, "wait", "<script>alert(1)</script>")
    ticks(store, (MONDAY, MONDAY + 3600))
    return weekly(store, WEEK)


def test_the_page_needs_nothing_else_and_shows_texts_of_others_as_text(full):
    html = page(full)
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "http://" not in html.replace("http://www.w3.org", "")
    assert html.count("<svg") == 1
    assert "@media print" in html


def test_parquet_has_one_row_for_each_number_and_null_for_what_is_not_known(full, tmp_path):
    import pyarrow.parquet as pq

    path = tmp_path / "week.parquet"
    assert write(full, path) == len(flat(full))
    rows = pq.read_table(path).to_pylist()
    by = {(one["scope"], one["name"], one["measure"]): one["value"] for one in rows}
    assert len(by) == len(rows), "a measure of a thing is one row"
    assert by["all", "", "held_minutes"] == pytest.approx(20.25)
    assert by["all", "", "slo_minutes"] is None
    assert {one["since"].timestamp() for one in rows} == {MONDAY}
    with pytest.raises(InvalidInput, match="cannot be written"):
        write(full, tmp_path / "nowhere" / "week.parquet")


def test_the_report_is_plain_data(full):
    assert json.loads(json.dumps(full, allow_nan=False)) == full
    assert all(math.isfinite(one["value"]) for one in flat(full) if one["value"] is not None)


def test_the_service_tells_of_the_last_seven_days_of_the_record(opened):
    store = opened()
    ticks(store, (MONDAY, MONDAY + 600))
    found = Service(store).weekly({})
    assert found["until"] == MONDAY + 585.0
    assert text(found).startswith("from 2026-02-23")
