"""Holidays in forecasts: foreseen as the weekday that they were most like, and no harm where there is nothing in it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from aiops.core.forecast import FORECASTERS
from aiops.core.forecast.holidays import DAY, NOTHING, SUNDAY, Resting
from aiops.core.model import F64
from aiops.core.policies import ForecastSpec
from aiops.policy import parse
from aiops.policy.checking import checked
from aiops.policy.schedule import Days, calendar
from tests.conformance.test_forecasters import OWN_CODE
from tests.unit.chosen import WEB, changed

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
FIRST = int(MONDAY.timestamp()) // 60
LEVELS = np.array((0.05, 0.5, 0.9, 0.95, 0.99))
WEEK = {5: 0.7, 6: 0.35}
HOLIDAYS = (17, 31, 45)
"""Thursdays, by the day since the Monday."""


def days(*numbers: int, zone: str = "UTC") -> Days:
    """Return a calendar of one's own, of days since the Monday; one far away where none is given."""
    dates = [MONDAY.date() + timedelta(days=number) for number in numbers] or [date(2040, 1, 1)]
    return Days(calendar("", "", dates), zone)


def trace(length: int, special: Collection[int] = (), like: float = WEEK[6], noise: float = 8.0) -> F64:
    """Return a value a minute: a daily wave, lower on weekends, and on special days as low as said."""
    dice = np.random.default_rng(1)
    wave = 300.0 * (1.0 + 0.6 * np.sin(2 * np.pi * (np.arange(DAY) / DAY - 0.3)))
    shares = [like if day in special else WEEK.get(day % 7, 1.0) for day in range(length)]
    made = np.concatenate([share * wave for share in shares])
    return np.maximum(made + dice.normal(0.0, noise, len(made)), 0.0)


def spec(known: Days | None) -> ForecastSpec:
    return ForecastSpec(
        model="x", history_s=28 * 86_400.0, quantile=0.95, lead_s=60.0, season_s=86_400.0, calendar=known
    )


def pinball(model: str, known: Days | None, values: F64, first: int, every: int = 20) -> float:
    """Return the mean loss from day `first` on, 5, 30 and 60 minutes ahead; what is before is learnt at once."""
    forecaster = FORECASTERS[model](spec(known))
    minutes = FIRST + np.arange(len(values))
    begun = first * DAY
    forecaster.backfill(minutes[:begun] * 60.0, values[:begun])
    rows = [forecaster.quantiles.index(level) for level in LEVELS]
    losses = []
    for place in range(begun, len(values) - 60):
        forecaster.learn(minutes[place] * 60.0, float(values[place]))
        if place % every == every - 1:
            paths = forecaster.paths(minutes[place] * 60.0 + 59.0, 60)[rows]
            over = np.array([values[place + 1 + ahead] for ahead in (4, 29, 59)]) - paths[:, (4, 29, 59)]
            losses.append(np.maximum(LEVELS[:, None] * over, (LEVELS[:, None] - 1.0) * over).mean())
    return float(np.mean(losses))


# -- what it is worth --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("holidays", "most"), [(HOLIDAYS, 0.65), ((45,), 0.6)], ids=["with some before", "the first ever"]
)
def test_a_calendar_lowers_the_loss_on_a_holiday_and_the_day_after(holidays, most):
    values = trace(47, holidays)
    with_one = pinball("seasonal-naive", days(*holidays), values, 45)
    without = pinball("seasonal-naive", None, values, 45)
    assert with_one < most * without


def test_the_combined_model_gains_by_it_as_well():
    holidays = (10, 24, 31)
    values = trace(33, holidays)[: 32 * DAY + 12 * 60]
    with_one = pinball("combined", days(*holidays), values, 31, every=60)
    without = pinball("combined", None, values, 31, every=60)
    assert with_one < 0.8 * without


def test_without_holidays_nothing_is_otherwise_to_the_last_digit():
    values = trace(18)
    assert pinball("seasonal-naive", days(), values, 16) == pinball("seasonal-naive", None, values, 16)


def test_a_calendar_of_days_that_are_like_any_other_is_not_used():
    values = trace(47)
    assert pinball("seasonal-naive", days(*HOLIDAYS), values, 45) == pinball("seasonal-naive", None, values, 45)


# -- which weekday -----------------------------------------------------------------------------------------------------


def resting(values: F64, *numbers: int) -> Resting:
    made = Resting(days(*numbers))
    made.weigh(values, FIRST)
    return made


@pytest.mark.parametrize(("like", "weekday"), [(0.35, SUNDAY), (0.7, 5), (1.0, NOTHING)])
def test_a_holiday_reads_as_the_weekday_that_it_resembles_by_evidence(like, weekday):
    assert resting(trace(40, (31,), like), 31).like == weekday


def test_without_evidence_it_is_a_sunday():
    assert resting(trace(20), 25).like == SUNDAY
    assert Resting(days()).like == SUNDAY


def test_a_holiday_half_of_which_was_not_seen_is_no_evidence():
    values = trace(40, (31,), like=0.7)
    values[31 * DAY : 31 * DAY + 13 * 60] = np.nan
    assert resting(values, 31).like == SUNDAY


def test_a_weekday_that_was_not_seen_is_no_nearer_than_any_other():
    values = trace(6, (5,), like=0.35)
    assert resting(values, 5).like == NOTHING


def test_days_of_rest_are_holidays_and_the_weekday_that_they_are_like():
    mask = resting(trace(40, (31,)), 31).mask(FIRST + 28 * DAY, 14 * DAY).reshape(14, DAY)
    assert [int(row.sum()) for row in mask] == [DAY if number in (3, 6, 13) else 0 for number in range(14)]


def test_where_no_holiday_is_near_no_day_is_one_of_rest():
    assert not resting(trace(40, (31,)), 31).mask(FIRST + 60 * DAY, 14 * DAY).any()


def test_evidence_outlives_what_is_kept_of_values_and_a_restart():
    lived = resting(trace(40, (31,), like=0.7), 31)
    lived.weigh(trace(20), FIRST + 60 * DAY)
    assert lived.like == 5
    again = Resting(days(31))
    again.restore(lived.arrays())
    assert again.like == 5
    with pytest.raises(ValueError, match="the checkpoint's holidays do not fit"):
        again.restore({"holidays": np.zeros((3, 2))})


@pytest.mark.parametrize("model", OWN_CODE)
def test_a_checkpoint_of_a_policy_that_had_no_calendar_is_taken(model):
    values = trace(4)
    before, after = FORECASTERS[model](spec(None)), FORECASTERS[model](replace(spec(days(3))))
    before.backfill((FIRST + np.arange(len(values))) * 60.0, values)
    if model == "seasonal-naive":
        after.restore(before.arrays())
        assert after.history_s == before.history_s
    after.backfill((FIRST + np.arange(len(values))) * 60.0, values)
    again = FORECASTERS[model](spec(days(3)))
    again.restore(after.arrays())
    at = (FIRST + len(values)) * 60.0
    np.testing.assert_array_equal(again.paths(at, 30), after.paths(at, 30))


# -- days --------------------------------------------------------------------------------------------------------------


def test_a_day_on_which_the_clock_is_set_has_another_length():
    berlin = Days(calendar("DE", "", ()), "Europe/Berlin")
    spring, autumn = (datetime(2026, *day, 12, tzinfo=UTC).timestamp() for day in ((3, 29), (10, 25)))
    assert [(one.end - one.start) / 3600.0 for one in map(berlin.day, (spring, autumn))] == [23.0, 25.0]
    assert berlin.day(spring).weekday == SUNDAY
    assert berlin.day(datetime(2026, 5, 1, 12, tzinfo=UTC).timestamp()).holiday
    assert not berlin.day(spring).holiday
    assert berlin.text == "days in Europe/Berlin, holidays of DE"


# -- in a policy -------------------------------------------------------------------------------------------------------

BOUNDS = "  bounds: {minReplicas: 2"
NAMED = ("selector: {matchLabels: {tier: web}}, maxTargets: 4, maxGrowth: 1", "name: checkout")


def policy(forecast: str) -> str:
    return changed(NAMED, (BOUNDS, f"  forecast: {forecast}\n{BOUNDS}"), text=WEB)


def test_a_policy_names_a_country_and_a_time_zone():
    (made,) = parse(policy("{calendar: {country: DE, subdivision: BY, timeZone: Europe/Berlin}}"), "x.yaml").scaling
    assert made.forecast.calendar == Days(calendar("DE", "BY", ()), "Europe/Berlin")
    (plain,) = parse(policy("{history: 14d}"), "x.yaml").scaling
    assert plain.forecast.calendar is None


@pytest.mark.parametrize(
    ("forecast", "field", "message"),
    [
        ("{calendar: {country: XX}}", "spec.forecast.calendar", "no holidays are known of 'XX'"),
        ("{calendar: {}}", "spec.forecast.calendar", "a calendar names a country, or dates of its own"),
        ("{calendar: {country: DE, timeZone: Nowhere}}", "spec.forecast.calendar.timeZone", "unknown time zone"),
        ("{season: 7d, calendar: {country: DE}}", "spec.forecast.calendar", "a calendar needs a season of 1d"),
    ],
)
def test_a_calendar_that_is_none_is_refused_at_its_place(forecast, field, message):
    ((where, said),) = [(one.field, one.message) for one in checked([("x.yaml", policy(forecast))], 15.0).problems]
    assert (where, message in said) == (field, True)
