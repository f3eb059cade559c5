"""What is looked for beside odd samples: changes of trend and movement, drift, signals together, each by its name."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest

from aiops.core.bank import Bank
from aiops.core.detect.changes import TESTS, ChangeWatch
from aiops.core.detect.distributions import HOURLY, histograms
from aiops.core.detect.elsewhere import Elsewhere
from aiops.core.detect.group import WatchGroup
from aiops.core.detect.joint import JointWatch
from aiops.core.detect.kinds import Kinds
from aiops.core.detect.rejoined import joined
from aiops.core.detect.rules import of_policies, usual
from aiops.core.detect.windows import Windows
from aiops.core.model import F64, Bools, FindingKind
from aiops.core.policies import Beside, Distribution, NewLevel, Rollouts, WatchPolicy
from tests.unit.fleet import START, WATCH, Days, a_set, a_watch, services

STEP_S, DAY_S = 600.0, 86_400.0
ROWS, DAYS, CHANGED = 12, 11, 9


def a_past(change: F64 | float = 0.0, louder: float = 1.0) -> F64:
    """Return float64[rows, samples] with a season and noise of 5; then comes `change`, and noise grows."""
    chance, count = np.random.default_rng(4), round(DAYS * DAY_S / STEP_S)
    times = np.arange(count) * STEP_S
    after = times >= CHANGED * DAY_S
    noise = 5.0 * chance.normal(size=(ROWS, count)) * np.where(after, louder, 1.0)
    return 100.0 + 40.0 * np.sin(2 * np.pi * times / DAY_S) + noise + np.where(after, change, 0.0)


def hours_to(values: F64, name: str) -> tuple[F64, Bools]:
    """Return the hours from the change to the finding of each row, inf for never; and which were found before."""
    watch, first = ChangeWatch(ROWS, DAY_S), np.full(ROWS, np.inf)
    before, limit = np.zeros(ROWS, np.bool_), np.log10(TESTS * 7.0 / 0.25)
    for column in range(values.shape[1]):
        found = watch.look(START + column * STEP_S, values[:, column], np.ones(ROWS, np.bool_))
        if found is None:
            continue
        odd, after = getattr(found, name).surprise > limit, column * STEP_S / 3600.0 - CHANGED * 24.0
        before |= odd & (after < 0)
        first = np.where(odd & (after >= 0), np.fmin(first, after), first)
    return first, before


def ramp(per_hour: float) -> F64:
    hours = np.arange(round(DAYS * DAY_S / STEP_S)) * STEP_S / 3600.0 - CHANGED * 24.0
    return per_hour * np.maximum(hours, 0.0)


def test_a_slow_rise_is_found_as_a_change_of_trend_within_six_hours_whatever_the_season_does() -> None:
    first, before = hours_to(a_past(ramp(7.5)), "trend")
    assert before.sum() <= 2  # twelve rows in six days: 2.6 are allowed
    assert first.max() <= 6.0


def test_a_new_level_is_no_change_of_trend() -> None:
    assert (hours_to(a_past(100.0), "trend")[0] > 12.0).all()


def test_three_times_the_noise_is_found_as_a_change_of_movement_and_as_no_trend() -> None:
    first, before = hours_to(a_past(louder=4.0), "variance")
    assert before.sum() <= 2  # twelve rows in six days: 2.6 are allowed
    assert first.max() <= 8.0
    assert (hours_to(a_past(louder=4.0), "trend")[0] > 24.0).all()


@pytest.mark.parametrize("change", [ramp(7.5), 100.0], ids=["a slope", "a step"])
def test_neither_a_slope_nor_a_step_is_a_change_of_movement(change: F64 | float) -> None:
    assert (hours_to(a_past(change), "variance")[0] > 12.0).sum() >= ROWS - 1


def test_what_was_said_of_a_row_is_so_yet_when_other_rows_come() -> None:
    watch, values = ChangeWatch(ROWS, DAY_S), a_past(ramp(7.5))
    for column in range(values.shape[1]):
        watch.look(START + column * STEP_S, values[:, column], np.ones(ROWS, np.bool_))
    before = watch.last
    watch.take(np.array([3, -1, 0]))
    assert before is not None
    assert watch.last is not None
    for name in ("trend", "variance"):
        was, now = getattr(before, name), getattr(watch.last, name)
        for field in ("surprise", "much", "deviation", "usual"):
            np.testing.assert_array_equal(getattr(now, field)[[0, 2]], getattr(was, field)[[3, 0]])
            assert np.isnan(getattr(now, field)[1])


def test_distributions_share_the_budget_that_a_policy_has_for_all_of_them() -> None:
    keys = [f"{WATCH}#le={le},model=m{number}" for number in range(20) for le in ("1", "2", "+Inf")]
    asks = Distribution(psi=0.25, reference={})
    for budget, each in (((7.0, 1.0), 0.05), ((7.0, np.inf), 7.0), ((0.01, 1.0), 0.01)):
        found = histograms(keys, np.arange(60), asks, budget)
        assert [one.allowed * HOURLY for one in found] == pytest.approx([each] * 20)


def test_a_row_that_hardly_ever_moves_has_no_trend() -> None:
    watch = ChangeWatch(1, DAY_S)
    for column in range(1500):
        found = watch.look(START + column * STEP_S, np.array([5.0 * (column % 97 == 0)]), np.ones(1, np.bool_))
        assert found is None or np.isnan(found.trend.surprise).all()


def test_windows_are_cut_where_river_cuts_them() -> None:
    adwin = pytest.importorskip("river.drift").ADWIN
    chance, rows = np.random.default_rng(0), 6
    ours, cut = Windows(rows), np.full(rows, -1)
    theirs, other = [adwin(delta=0.002, clock=1) for _ in range(rows)], np.full(rows, -1)
    for number in range(420):
        values = np.clip(chance.normal(0.2 if number < 300 else 0.5, 0.15, rows), 0.0, 1.0)
        now = ours.add(np.arange(rows), values, np.full(rows, 0.002))
        cut = np.where(now & (cut < 0), number, cut)
        for row, one in enumerate(theirs):
            one.update(float(values[row]))
            other[row] = number if one.drift_detected and other[row] < 0 else other[row]
    assert (cut > 300).all()
    assert cut.tolist() == other.tolist()


def test_signals_that_part_from_each_other_are_found_though_each_is_as_usual() -> None:
    chance, count = np.random.default_rng(2), 1700
    times = np.arange(count) * 300.0
    load, other = (
        100.0 + 40.0 * np.sin(2 * np.pi * times / DAY_S) + 15.0 * chance.normal(size=count) for _ in range(2)
    )
    parted = np.where(np.arange(count) < 1500, load, other)
    values = np.stack([parted, 2.0 * load, 0.5 * load]) + chance.normal(size=(3, count))
    watch = JointWatch(3, DAY_S)
    watch.group([np.arange(3)])
    seen = [watch.look(START + t, values[:, n], np.ones(3, np.bool_)) for n, t in enumerate(times.tolist())]
    odd = np.array([float(one.surprise[0]) for one in seen])
    assert np.nanmax(odd[1000:1500]) < 2.5
    worst = int(np.nanargmax(odd[1500:1530])) + 1500
    assert odd[worst] > 3.3
    assert int(np.argmax(np.abs(seen[worst].pull[0]))) == 0


def everything(**more: object) -> WatchPolicy:
    return replace(a_watch(), beside=tuple(Beside), joint=(), **more)


def test_what_is_looked_for_shares_the_budget_of_a_series() -> None:
    alone, rows = a_watch(), np.zeros(4, np.intp)
    assert of_policies((alone,), rows).false_alarms_per_week.tolist() == [1.0] * 4
    assert of_policies((everything(),), rows).false_alarms_per_week.tolist() == [0.2] * 4
    assert of_policies((everything(budget_per_week=2.0),), rows).false_alarms_per_week.tolist() == [0.1] * 4


def early() -> F64:
    """Return two rows that rise steeply after four of four and a half days."""
    begin, end = (round(days * DAY_S / STEP_S) for days in (CHANGED - 4, CHANGED + 0.5))
    return a_past(ramp(30.0))[:2, begin:end]


def led(days: Days, values: F64) -> dict[str, set[FindingKind]]:
    """Return the kinds of findings by series."""
    found: dict[str, set[FindingKind]] = {}
    for column in range(values.shape[1]):
        for one in days.tick(list(values[:, column])).findings:
            found.setdefault(one.series, set()).add(one.kind)
    return found


def test_findings_say_their_kind_and_policies_that_ask_for_none_have_none() -> None:
    asked = led(Days(a_set(everything()), services("a", "b"), step_s=STEP_S), early())
    assert [FindingKind.TREND in asked[f"{WATCH}#service={name}"] for name in "ab"] == [True, True]
    plain = led(Days(a_set(a_watch()), services("a", "b"), step_s=STEP_S), early())
    assert plain
    beside = {FindingKind.TREND, FindingKind.VARIANCE, FindingKind.DRIFT, FindingKind.JOINT}
    assert not beside & set().union(*plain.values())


def test_what_is_known_of_changes_outlives_a_restart() -> None:
    policies, values = a_set(replace(a_watch(), beside=(Beside.TREND,))), early()
    half = round(4.05 * DAY_S / STEP_S)
    before = Days(policies, services("a", "b"), step_s=STEP_S)
    led(before, values[:, :half])
    kept, then = {name: array.copy() for name, array in before.bank.arrays().items()}, before.now
    whole = led(before, values[:, half:])
    after = Days(policies, services("a", "b"), step_s=STEP_S)
    after.bank, after.now = Bank(policies), then
    assert after.bank.restore(kept) == ()
    assert led(after, values[:, half:]) == whole
    assert FindingKind.TREND in whole[f"{WATCH}#service=a"]


def test_a_level_that_a_rollout_brought_is_no_finding_of_other_kinds_either() -> None:
    moves = Rollouts(settle_s=5400.0, new_level=NewLevel.UP)
    days = Days(a_set(replace(a_watch(), beside=(Beside.VARIANCE,), rollouts=moves)), services("a"), step_s=STEP_S)
    values, released = a_past()[:1], round(CHANGED * DAY_S / STEP_S)
    led(days, values[:, :released])
    for column in range(released, released + 2):
        days.tick(list(3.0 * values[:, column]), beside=Elsewhere(changed={("shop", "a"): "a rollout"}))
    found = led(days, 3.0 * values[:, released + 2 : released + 75])
    assert FindingKind.VARIANCE not in found.get(f"{WATCH}#service=a", set())


def test_what_begins_anew_says_nothing_of_its_group_and_others_go_on() -> None:
    keys = [f"{WATCH}#__name__={name},zone={zone}" for zone in "ab" for name in ("cpu", "requests")]
    kinds, every = Kinds(DAY_S), np.ones(4, np.bool_)
    kinds.follow((replace(everything(), joint=("zone",)),), np.zeros(4, np.intp), keys, usual(4))
    past = a_past()[:4, : round(4 * DAY_S / STEP_S)]
    for column in range(past.shape[1]):
        kinds.past(START + column * STEP_S, past[:, column], every)
    now, other = START + past.shape[1] * STEP_S, copy.deepcopy(kinds)
    kinds.begin_anew(np.array([1], np.intp))
    seen, whole = (one.joint.watch.look(now, past[:, 0], every).surprise for one in (kinds, other))
    assert np.isfinite(whole).all()
    assert np.isnan(seen[0])
    assert seen[1] == whole[1]
    usuals = kinds.changes.watch.level.usual
    assert np.isnan(usuals).all(axis=1).tolist() == [False, True, False, False]


def test_rows_take_what_is_known_of_them_to_another_process() -> None:
    policies = (everything(),)
    days = Days(a_set(*policies), services("a", "b", "c"), step_s=STEP_S)
    led(days, a_past()[:3, :300])
    (group,) = days.bank._fleet.groups.values()
    arrays, keys = group.arrays(), group.keys
    made = joined([arrays, arrays], group.state_of)
    other = WatchGroup(group._make, policies)
    other.restore(made, [*keys, *(f"{key}x" for key in keys)], START)
    for name in ("kinds/changes/residuals", "kinds/drifts/usual"):
        assert np.isfinite(arrays[name]).any()
        assert np.array_equal(other.arrays()[name], np.concatenate([arrays[name]] * 2), equal_nan=True)


def test_a_series_costs_less_than_a_kibibyte_for_changes_and_for_drift() -> None:
    sizes = {}
    for beside in Beside:
        policies = a_set(replace(a_watch(), beside=(beside,)))
        for count in (1, 2):
            days = Days(policies, services(*"ab"[:count]), step_s=STEP_S)
            led(days, a_past()[:count, :5])
            (group,) = days.bank._fleet.groups.values()
            sizes[beside, count] = sum(one.nbytes for one in group.kinds.arrays(count).values())
    assert all(0 < sizes[beside, 2] - sizes[beside, 1] <= 1024 for beside in Beside)
