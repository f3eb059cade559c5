"""Hours of sleep: across midnight, over weekends and holidays, through both changes of the clock, less exceptions."""

from __future__ import annotations

import math
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.policy.hours import Asleep
from aiops.policy.schedule import Holidays, Span, calendar, window

BERLIN = "Europe/Berlin"


def local(text: str, zone: str = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


OFFICE = Asleep(awake=(window("0 7 * * 1-5", 13 * 3600.0, BERLIN),))
NIGHTS = Asleep(asleep=(window("0 20 * * 1-5", 11 * 3600.0, BERLIN), window("0 0 * * 6,0", 24 * 3600.0, BERLIN)))


@pytest.mark.parametrize(
    ("now", "until"),
    [
        ("2026-03-03 12:00", None),
        ("2026-03-03 19:59", None),
        ("2026-03-03 20:00", "2026-03-04 07:00"),
        ("2026-03-04 02:00", "2026-03-04 07:00"),
        ("2026-03-04 06:59", "2026-03-04 07:00"),
        ("2026-03-04 07:00", None),
        ("2026-03-06 20:00", "2026-03-09 07:00"),
        ("2026-03-08 15:00", "2026-03-09 07:00"),
    ],
)
def test_outside_of_hours_of_work_it_sleeps_until_the_next_of_them(now, until):
    assert OFFICE.active_until(local(now)) == (None if until is None else local(until))


def test_hours_of_work_begin_by_the_clock_on_the_wall_whatever_the_season():
    # 2026-03-29: summer time begins; 2026-10-25: it ends
    assert OFFICE.active_until(local("2026-03-27 20:00")) == local("2026-03-30 07:00")
    assert OFFICE.active_until(local("2026-10-23 20:00")) == local("2026-10-26 07:00")
    assert local("2026-03-30 07:00") - local("2026-03-27 20:00") == (59 - 1) * 3600.0
    assert local("2026-10-26 07:00") - local("2026-10-23 20:00") == (59 + 1) * 3600.0


def test_a_window_lasts_elapsed_time_and_so_ends_an_hour_later_or_sooner_on_the_wall():
    night = Asleep(asleep=(window("0 20 * * *", 11 * 3600.0, BERLIN),))
    assert night.active_until(local("2026-03-28 22:00")) == local("2026-03-29 08:00")
    assert night.active_until(local("2026-10-24 22:00")) == local("2026-10-25 06:00")


def test_a_beginning_that_summer_time_skips_counts_right_after_it():
    skipped = Asleep(asleep=(window("30 2 * * *", 3600.0, BERLIN),))
    assert skipped.active_until(local("2026-03-29 03:10")) is not None


def test_windows_that_follow_one_another_are_one_sleep():
    assert NIGHTS.active_until(local("2026-03-06 21:00")) == local("2026-03-09 00:00")


def test_on_holidays_it_sleeps_whatever_the_hour():
    days = calendar("DE", "", ())
    office = Asleep(awake=(window("0 7 * * 1-5", 13 * 3600.0, BERLIN, days),))
    # Good Friday and Easter Monday
    assert office.active_until(local("2026-04-02 20:00")) == local("2026-04-07 07:00")
    nights = Asleep(asleep=(window("0 20 * * 1-5", 11 * 3600.0, BERLIN),), off=(Holidays(days, BERLIN),))
    assert nights.active_until(local("2026-04-03 12:00")) == local("2026-04-04 07:00")


def test_an_exception_ends_sleep_and_what_begins_in_it_does_not_begin():
    spans = (Span(local("2026-03-04 02:00"), local("2026-03-04 05:00")),)
    night = Asleep(awake=OFFICE.awake, exceptions=spans)
    assert night.active_until(local("2026-03-03 21:00")) == local("2026-03-04 02:00")
    assert night.active_until(local("2026-03-04 03:00")) is None
    assert night.active_until(local("2026-03-04 05:00")) == local("2026-03-04 07:00")


def test_what_never_ends_is_for_ever_and_what_is_never_is_never():
    leap, march = window("0 0 29 2 *", 3600.0, "UTC"), local("2026-03-01 00:00")
    assert Asleep(awake=(leap,)).active_until(march) == math.inf
    assert Asleep(asleep=(leap,)).active_until(march) is None
    always = Asleep(asleep=(window("0 0 * * *", 86_400.0, "UTC"),)).active_until(0.0)
    assert always is not None
    assert always > 300 * 86_400.0


ZONES = st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])


@settings(max_examples=60, deadline=None)
@given(
    now=st.floats(local("2026-01-01 00:00"), local("2026-12-31 00:00")),
    hour=st.integers(0, 23),
    hours=st.integers(1, 30),
    zone=ZONES,
    way=st.booleans(),
)
def test_until_it_ends_it_sleeps_and_after_that_it_does_not(now, hour, hours, zone, way):
    one = window(f"0 {hour} * * 1-5", hours * 3600.0, zone)
    sleep = Asleep(awake=(one,)) if way else Asleep(asleep=(one,))
    until = sleep.active_until(now)
    if until is None or math.isinf(until):
        return
    assert until > now
    for share in (0.0, 0.3, 0.7, 0.999):
        assert sleep.active_until(now + share * (until - now)) == pytest.approx(until)
    assert sleep.active_until(until) is None
