"""Seasons by the clocks on people's walls: what is usual at eight stays usual at eight when the clocks change."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from aiops.core.bank import Bank
from aiops.core.detect.changes import ChangeWatch
from aiops.core.detect.envelopes import Envelopes
from aiops.core.detect.familiar import Familiar
from aiops.core.detect.joint import JointWatch
from aiops.core.detect.rules import DAY_S, WEEK_S, usual
from aiops.core.detect.wall_clock import WallClock
from aiops.core.model import Finding, FindingKind
from tests.unit.fleet import WATCH, Days, a_set, a_watch, services

HOUR_S, STEP_S, LEARNT_DAYS = 3600.0, 600.0, 9
SPRING, AUTUMN = 1_774_746_000.0, 1_792_890_000.0
"""29 March and 25 October 2026, 01:00 UTC: the clocks of Berlin skip an hour, and repeat one."""

BERLIN = "Europe/Berlin"
CHANGES = pytest.mark.parametrize("change", [SPRING, AUTUMN], ids=["spring", "autumn"])


SELDOM = a_watch(false_alarms_per_week=0.05)
"""Chance is to call nobody here."""


def local_hour(at: float, zone: str = BERLIN) -> float:
    moment = datetime.fromtimestamp(at, ZoneInfo(zone))
    return moment.hour + moment.minute / 60.0


def people_at_work(at: float) -> float:
    """Ten at night, four hundred from eight to six by their own clocks."""
    return 400.0 if 8 <= local_hour(at) < 18 else 10.0


def called(change: float, zone: str, detector: str) -> list[Finding]:
    """For what people are called from a change of the clocks on, for two days; learnt were the nine days before it."""
    policies = a_set(replace(SELDOM, detector=detector, time_zone=zone))
    days = Days(policies, services("web"), step_s=STEP_S)
    days.now = change - LEARNT_DAYS * DAY_S
    out: list[Finding] = []
    while days.now < change + 2 * DAY_S:
        told = days.tick([people_at_work(days.now + STEP_S) + days.chance.uniform(-5, 5)])
        out += [one for one in told.findings if one.alarm and days.now >= change]
    return out


@CHANGES
@pytest.mark.parametrize("detector", ["familiar", "novelty"])
def test_the_morning_after_the_clocks_change_is_usual_by_local_time_and_odd_by_utc(
    change: float, detector: str
) -> None:
    assert called(change, BERLIN, detector) == []
    by_utc = called(change, "UTC", detector)
    assert by_utc
    # an hour too early in spring, an hour too late in autumn: at eight and at six by local time
    assert {int(local_hour(one.since)) for one in by_utc} <= {7, 8, 17, 18}


def test_a_zone_without_changes_is_its_own_clock_and_years_beyond_calendars_are_utc() -> None:
    assert WallClock("Asia/Kolkata").ahead_s(SPRING) == 5.5 * HOUR_S
    assert WallClock("America/New_York").ahead_s(SPRING) == -4 * HOUR_S
    assert WallClock().ahead_s(SPRING) == 0.0
    assert [WallClock(BERLIN).ahead_s(at) for at in (1e18, float("nan"), float("inf"))] == [0.0, 0.0, 0.0]


def test_an_oddity_before_the_repeated_hour_is_no_excuse_in_it() -> None:
    kept = Envelopes(1, DAY_S, BERLIN)
    for at in np.arange(AUTUMN - 2 * DAY_S, AUTUMN + 3 * HOUR_S, STEP_S):
        if kept.turns(at):
            kept.turn(at)
        kept.note(np.array([900.0 if AUTUMN - HOUR_S <= at < AUTUMN else 5.0]))
        if AUTUMN <= at < AUTUMN + HOUR_S:
            assert kept.around(at)[1, 0] == 5.0
    # it counts when it has waited as long as anything else, and is not forgotten
    assert kept.high.max() == 900.0


@CHANGES
def test_neither_change_of_the_clocks_is_a_gap_or_a_step_back_for_trend_and_variance(change: float) -> None:
    watch, chance, looks = ChangeWatch(1, DAY_S, BERLIN), np.random.default_rng(2), 0
    for at in np.arange(change - 5 * DAY_S, change + DAY_S, STEP_S):
        told = watch.look(at, np.array([people_at_work(at) + chance.normal(0, 3)]), np.ones(1, np.bool_))
        if at >= change and told is not None:
            looks += 1
            assert np.isfinite(watch.residuals).all()
            # by UTC the hour before eight, or after it, is off by 390
            assert np.abs(watch.residuals).max() < 30
            assert told.trend.surprise[0] < 3
            assert told.variance.surprise[0] < 3
    assert looks == 48


@CHANGES
def test_signals_are_looked_at_together_by_what_is_usual_on_the_wall_clock(change: float) -> None:
    watch, chance = JointWatch(2, DAY_S, BERLIN), np.random.default_rng(2)
    watch.group([np.array([0, 1])])
    for at in np.arange(change - 5 * DAY_S, change + DAY_S, STEP_S):
        by_hour = 300.0 + 150.0 * np.sin(2 * np.pi * local_hour(at) / 24.0)
        watch.look(at, by_hour + chance.normal(0, 3, 2), np.ones(2, np.bool_))
        if at >= change:
            usual = watch.level.at(int(watch.blocks.place(at)))
            assert usual[0] == pytest.approx(by_hour, abs=25)
            # in deviations: an hour off is thirteen of them
            assert np.abs(watch.smooth).max() < 2.2


def test_what_was_learnt_by_one_clock_is_not_taken_for_another_and_the_checkpoint_says_so() -> None:
    berlin = a_set(replace(SELDOM, time_zone=BERLIN))
    days = Days(berlin, services("web"), step_s=STEP_S)
    days.ticks(200)
    kept = days.bank.arrays()
    again = Bank(berlin)
    assert again.restore(kept) == ()
    assert again.arrays().keys() == kept.keys()
    for other in (a_set(SELDOM), a_set(replace(SELDOM, time_zone="Europe/London"))):
        assert Bank(other).restore(kept) == (
            f"watch familiar@86400{'' if other.watches[0].time_zone == 'UTC' else '@Europe/London'}: "
            "the checkpoint does not have it",
        )


def test_policies_by_several_clocks_are_watched_side_by_side() -> None:
    second = "WatchPolicy/shop/second"
    both = a_set(SELDOM, replace(SELDOM, key=second, time_zone=BERLIN))
    ours, theirs = services("web"), services("web", policy=second)
    index = replace(ours, keys=(*ours.keys, *theirs.keys), labels=(*ours.labels, *theirs.labels))
    days = Days(both, index, step_s=STEP_S)
    days.now = SPRING - LEARNT_DAYS * DAY_S
    who: set[str] = set()
    while days.now < SPRING + DAY_S:
        value = people_at_work(days.now + STEP_S) + days.chance.uniform(-5, 5)
        told = days.tick([value, value])
        who |= {one.policy for one in told.findings if one.alarm and days.now >= SPRING}
    assert who == {WATCH}


def test_a_season_of_a_week_knows_its_weekends() -> None:
    """What is usual on five days is odd on the sixth, and the other way round."""
    days = Days(a_set(replace(SELDOM, season_s=WEEK_S, time_zone=BERLIN)), services("web"), step_s=HOUR_S)
    days.now = SPRING - 4 * WEEK_S
    found: list[Finding] = []
    while days.now < SPRING + 5 * DAY_S + 12 * HOUR_S:
        at = days.now + days.step_s
        day = datetime.fromtimestamp(at, ZoneInfo(BERLIN)).weekday()
        busy = day < 5 if at < SPRING + 5 * DAY_S else True
        told = days.tick([(400.0 if busy else 10.0) + days.chance.uniform(-5, 5)])
        found += told.findings if at >= SPRING else ()
    assert not any(one.alarm for one in found)
    while days.now < SPRING + 6 * DAY_S + 12 * HOUR_S:
        found += days.tick([400.0 + days.chance.uniform(-5, 5)]).findings
    (first,) = [one for one in found if one.alarm][:1]
    assert first.kind is FindingKind.CONTEXTUAL
    assert datetime.fromtimestamp(first.at, ZoneInfo(BERLIN)).weekday() == 5


def test_a_checkpoint_of_a_season_of_another_length_is_none() -> None:
    short, values = Familiar(usual(1)), np.array([5.0])
    for at in (SPRING, SPRING + STEP_S):
        short.learn(at, values, np.ones(1, np.bool_))
    kept = short.arrays()
    Familiar(usual(1)).restore(kept)
    Familiar(usual(1, zone=BERLIN)).restore(kept)  # as zones whose rules were changed by law since
    with pytest.raises(ValueError, match="a season of another length"):
        Familiar(usual(1, WEEK_S)).restore(kept)
