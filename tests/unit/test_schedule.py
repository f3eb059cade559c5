"""When windows, freezes and holidays are in force, clocks that are put forward and back included."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops.policy import parse
from aiops.policy.schedule import Holidays, Span, calendar, window

BERLIN = ZoneInfo("Europe/Berlin")
OFFICE = ("0 8 * * 1-5", 10 * 3600.0, "Europe/Berlin")


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def told(until: float | None) -> str | None:
    return None if until is None else datetime.fromtimestamp(until, UTC).astimezone(BERLIN).isoformat()[:16]


@pytest.mark.parametrize(
    ("when", "until"),
    [
        ("2026-03-02T07:59", None),
        ("2026-03-02T08:00", "2026-03-02T18:00"),
        ("2026-03-02T17:59", "2026-03-02T18:00"),
        ("2026-03-02T18:00", None),
        ("2026-03-07T12:00", None),
    ],
)
def test_a_window_begins_by_cron_and_lasts(when, until):
    assert told(window(*OFFICE).active_until(at(when))) == until


def test_a_window_reaches_over_midnight():
    night = window("0 22 * * *", 8 * 3600.0, "Europe/Berlin")
    assert told(night.active_until(at("2026-03-03T03:00"))) == "2026-03-03T06:00"


def test_a_beginning_that_summer_time_skips_comes_right_after_it():
    skipped = window("30 2 * * *", 3600.0, "Europe/Berlin")
    assert told(skipped.active_until(at("2026-03-29T03:15"))) == "2026-03-29T04:00"


def test_a_window_lasts_elapsed_time_through_the_night_of_winter_time():
    night = window("0 22 * * *", 8 * 3600.0, "Europe/Berlin")
    assert told(night.active_until(at("2026-10-25T00:00"))) == "2026-10-25T05:00"


@pytest.mark.parametrize(
    ("when", "until"),
    [
        ("2026-03-29T07:30", "2026-03-29T08:00"),  # nine hours after 22:00, of which one was skipped
        ("2026-03-29T08:00", None),
        ("2026-10-25T05:30", "2026-10-25T06:00"),
        ("2026-10-25T06:00", None),
    ],
)
def test_who_asks_first_at_the_end_of_a_night_on_which_the_clock_is_set_hears_the_same(when, until):
    # nothing is known yet, as after a restart: the beginning is looked for so much elapsed time before
    assert told(window("0 22 * * *", 9 * 3600.0, "Europe/Berlin").active_until(at(when))) == until


@given(st.integers(0, 4 * 366 * 1440), st.integers(0, 23), st.integers(600, 82_800))
def test_when_a_window_ends_does_not_depend_on_when_it_was_asked_before(minute, hour, duration_s):
    asked = at("2026-01-01T00:00") + 60.0 * minute
    fresh, used = (window(f"0 {hour} * * *", float(duration_s), "Europe/Berlin") for _ in range(2))
    used.active_until(asked - 6 * 3600.0)
    used.active_until(asked - 60.0)
    assert used.active_until(asked) == fresh.active_until(asked)


def test_on_a_holiday_a_window_does_not_begin():
    german = calendar("DE", "", ())
    assert window(*OFFICE, german).active_until(at("2026-05-01T12:00")) is None
    assert told(window(*OFFICE, german).active_until(at("2026-05-04T12:00"))) == "2026-05-04T18:00"


def test_a_window_of_holidays_only_begins_on_no_other_day():
    bavarian = calendar("DE", "BY", ())
    only = window("0 0 * * *", 86_400.0, "Europe/Berlin", bavarian, only=True)
    assert told(only.active_until(at("2026-01-06T12:00"))) == "2026-01-07T00:00"
    assert only.active_until(at("2026-01-07T12:00")) is None


def test_days_of_ones_own_are_holidays():
    own = calendar("", "", (date(2026, 3, 2),))
    assert window(*OFFICE, own).active_until(at("2026-03-02T12:00")) is None


def test_holidays_that_follow_each_other_end_at_the_midnight_after_the_last():
    german = Holidays(calendar("DE", "", ()), "Europe/Berlin")
    assert told(german.active_until(at("2026-12-25T10:00"))) == "2026-12-27T00:00"
    assert german.active_until(at("2026-12-28T10:00")) is None


def test_a_span_is_in_force_from_its_start_and_not_at_its_end():
    span = Span(100.0, 200.0)
    assert [span.active_until(at) for at in (99.0, 100.0, 199.0, 200.0)] == [None, 200.0, 200.0, None]


@pytest.mark.parametrize(
    ("country", "part", "words"),
    [
        ("XX", "", "no holidays are known of 'XX'"),
        ("DE", "ZZ", "DE has no part 'ZZ'"),
        ("", "BY", "belongs to a country"),
    ],
)
def test_a_calendar_that_is_not_known_is_refused(country, part, words):
    with pytest.raises(ValueError, match=words):
        calendar(country, part, ())


@given(st.integers(0, 400 * 86_400), st.sampled_from([None, calendar("DE", "", ())]), st.booleans())
def test_the_answer_that_is_kept_is_the_answer(seconds, days, only):
    start = at("2026-01-01T00:00")
    kept = window(*OFFICE, days, only=only)
    for step in (0, 60, 3600, 7200):
        moment = start + seconds + step
        assert kept.active_until(moment) == window(*OFFICE, days, only=only).active_until(moment)


POLICY = """
apiVersion: policy.aiops/v1alpha1
kind: ScalingPolicy
metadata: {name: checkout, namespace: shop}
spec:
  target: {name: checkout}
  signals: {demand: {query: 'sum(rate(http_requests_total[1m]))'}}
  objective: {demand: demand, perReplica: 50}
  bounds:
    maxReplicas: 9
    windows: [{schedule: '0 8 * * *', duration: 10h, minReplicas: 3, holidays: {country: DE}}]
  freezes:
    - {name: year-end, from: '2026-12-20T00:00:00+01:00', to: '2027-01-03T00:00:00+01:00'}
    - {name: fridays, schedule: '0 12 * * 5', duration: 12h, timeZone: Europe/Berlin}
    - {name: holidays, holidays: {country: DE}, timeZone: Europe/Berlin}
"""


def test_a_policy_says_its_freezes_and_the_holidays_of_its_windows():
    (policy,) = parse(POLICY, "checkout.yaml").scaling
    when = {one.name: told(one.schedule.active_until(at("2026-12-25T13:00"))) for one in policy.freezes}
    assert when == {"year-end": "2027-01-03T00:00", "fridays": "2026-12-26T00:00", "holidays": "2026-12-27T00:00"}
    assert policy.bounds.at(at("2026-12-25T13:00"))[0] == 1
    assert policy.bounds.at(at("2026-12-28T13:00"))[0] == 3


@pytest.mark.parametrize(
    ("freeze", "words"),
    [
        ("{name: x}", "one of schedule"),
        ("{name: x, schedule: '0 0 * * *'}", "schedule goes with duration"),
        ("{name: x, from: '2026-12-20T00:00:00', to: '2027-01-03T00:00:00Z'}", "timezone"),
        ("{name: x, from: '2027-12-20T00:00:00Z', to: '2027-01-03T00:00:00Z'}", "is not after"),
        ("{name: x, holidays: {country: XX}}", "no holidays are known"),
        ("{name: x, schedule: nonsense, duration: 1h}", "no cron schedule"),
        ("{name: x, holidays: {country: DE}, timeZone: Mars}", "unknown time zone"),
    ],
)
def test_a_freeze_without_a_clear_time_is_refused(freeze, words):
    from aiops.errors import InvalidPolicy

    text = POLICY.partition("  freezes:")[0] + f"  freezes: [{freeze}]\n"
    with pytest.raises(InvalidPolicy, match=words):
        parse(text, "checkout.yaml")
