"""A level that an announced change brought is what is usual once it has settled, where a policy says so."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from aiops.core.detect.elsewhere import Announced, Elsewhere
from aiops.core.detect.fleet import Fleet
from aiops.core.detect.settling import Settling, Thing
from aiops.core.model import Finding, Frame
from aiops.core.policies import NewLevel, Rollouts, WatchPolicy
from tests.unit.fleet import START, WATCH, Days, a_set, a_watch, an_index, services

STEP_S, SETTLE_S, SETTLES = 300.0, 5400.0, 18
"""Samples five minutes apart, and how many of them a change settles."""

ROLLOUT: Mapping[Thing, str] = {("shop", "web"): "a rollout of Deployment shop/web goes on, or has just ended"}
SCALED: Mapping[Thing, str] = {("shop", "web"): "ScalingPolicy/shop/web has changed Deployment shop/web"}
DETECTORS = pytest.mark.parametrize("detector", ["familiar", "novelty"])


def watching(
    new_level: NewLevel = NewLevel.UP, *, detector: str = "familiar", settle_s: float = SETTLE_S
) -> WatchPolicy:
    return a_watch(
        detector=detector, false_alarms_per_week=0.02, rollouts=Rollouts(settle_s=settle_s, new_level=new_level)
    )


class Watched:
    """One series under a policy, led through time as the bank does it: scored, then parted into told and excused."""

    def __init__(self, policy: WatchPolicy, *, seed: int = 5) -> None:
        self.policy, self.fleet, self.settling = policy, Fleet([policy]), Settling()
        self.index, self.now = services("web", policy=policy.key), START
        self.chance = np.random.default_rng(seed)
        self.called: list[Finding] = []
        self.turns_late, self._heard = 0, list[Announced]()

    def sees(self, level: Callable[[float], float] | float, ticks: int, changed: Mapping[Thing, str] = {}) -> None:
        """See so many samples around a level, while something is being changed."""
        for _ in range(ticks):
            self.now += STEP_S
            usual = level(self.now) if callable(level) else level
            values = np.array([usual * (1.0 + 0.03 * self.chance.standard_normal())])
            frame = Frame(at=self.now, index=self.index, values=values, learn=np.ones(1, bool))
            self._heard.append(Announced(at=self.now, why=changed))
            found = self.fleet.find(frame, self._heard[-1 - min(self.turns_late, len(self._heard) - 1)])
            assert not self.fleet.bugs, self.fleet.bugs
            waits = {self.policy.key: 0.0 if self.policy.rollouts is None else self.policy.rollouts.settle_s}
            self.settling.note(self.now, changed, max(waits.values()))
            told, _ = self.settling.parted(found, waits, self.now)
            self.called += [one for one in told if one.alarm]

    def learns(self, level: Callable[[float], float] | float = 100.0, days: int = 2) -> Watched:
        """Learn some days of a level: those that were learnt once for all policies with the same detector."""
        known = _learnt(self.policy.detector, level, days)
        self.fleet, self.chance, self.now = copy.deepcopy(known.fleet), copy.deepcopy(known.chance), known.now
        self.fleet.follow([self.policy])
        return self

    @property
    def rebased(self):
        return self.fleet.look(self.index.keys[0]).rebased


@cache
def _learnt(detector: str, level: Callable[[float], float] | float, days: int) -> Watched:
    one = Watched(watching(NewLevel.NONE, detector=detector))
    one.sees(level, days * 288)
    return one


def day(at: float) -> float:
    return 100.0 + 40.0 * float(np.sin(2 * np.pi * at / 86_400.0))


@DETECTORS
@pytest.mark.parametrize("times", [3.0, 40.0])
def test_a_level_of_any_size_that_a_rollout_brought_is_usual_when_it_has_settled(detector: str, times: float) -> None:
    one = Watched(watching(detector=detector)).learns()
    one.sees(100.0 * times, 2, ROLLOUT)
    one.sees(100.0 * times, 320)
    assert one.called == []
    assert one.rebased.by == pytest.approx(100.0 * (times - 1.0), rel=0.05)
    assert one.rebased.level == pytest.approx(100.0, rel=0.05)
    assert (one.rebased.why, one.rebased.refused) == (ROLLOUT["shop", "web"], "")


@pytest.mark.parametrize("brought", [lambda at: 3.0 * day(at), lambda at: 200.0 + day(at)], ids=["times 3", "plus 200"])
def test_a_season_moves_with_the_level_whether_it_was_added_to_or_multiplied(brought: Callable[[float], float]) -> None:
    one = Watched(watching()).learns(day, days=3)
    one.sees(brought, 2, ROLLOUT)
    one.sees(brought, 320)
    assert one.called == []


def test_where_nothing_is_said_a_new_level_calls_people_when_it_should_have_settled() -> None:
    one = Watched(watching(Rollouts(settle_s=1.0).new_level)).learns()
    one.sees(300.0, 1, ROLLOUT)
    one.sees(300.0, SETTLES)
    assert one.called == []
    one.sees(300.0, 8)
    assert len(one.called) == 1
    assert one.rebased is None


@pytest.mark.parametrize(
    ("new_level", "to", "told"),
    [
        (NewLevel.UP, 30.0, "the policy's newLevel is up, and it went down"),
        (NewLevel.DOWN, 300.0, "the policy's newLevel is down, and it went up"),
        (NewLevel.DOWN, 30.0, ""),
        (NewLevel.BOTH, 30.0, ""),
        (NewLevel.BOTH, 300.0, ""),
    ],
)
def test_a_level_becomes_usual_on_the_side_that_the_policy_names(new_level: NewLevel, to: float, told: str) -> None:
    one = Watched(watching(new_level)).learns()
    one.sees(to, 2, ROLLOUT)
    one.sees(to, 40)
    assert one.rebased.refused == told
    assert bool(one.called) == bool(told)


def test_what_falls_back_unannounced_calls_people() -> None:
    one = Watched(watching(NewLevel.BOTH)).learns()
    one.sees(300.0, 2, ROLLOUT)
    one.sees(300.0, 288)
    assert one.called == []
    one.sees(100.0, 3)
    assert one.called[0].value < one.called[0].lower


def test_what_is_odd_right_after_a_level_became_usual_calls_people_though_an_alarm_was_excused_lately() -> None:
    one = Watched(watching()).learns()
    one.sees(300.0, 2, ROLLOUT)
    one.sees(300.0, SETTLES + 1)
    assert one.rebased.refused == ""
    one.sees(900.0, 1)
    assert len(one.called) == 1


def test_a_rollout_that_is_rolled_back_while_it_settles_leaves_everything_as_it_was() -> None:
    one = Watched(watching(NewLevel.BOTH)).learns()
    one.sees(300.0, 6, ROLLOUT)
    one.sees(100.0, 2, ROLLOUT)
    one.sees(100.0, 60)
    assert (one.rebased, one.called) == (None, [])
    one.sees(300.0, 3)
    assert len(one.called) == 1, "what had been there for half an hour has become nobody's usual"


def test_a_roll_back_to_the_level_before_is_usual_on_either_side() -> None:
    one = Watched(watching(NewLevel.UP)).learns()
    one.sees(300.0, 2, ROLLOUT)
    one.sees(300.0, 100)
    one.sees(100.0, 2, ROLLOUT)
    one.sees(100.0, 100)
    assert one.called == []
    assert one.rebased.by == pytest.approx(-200.0, rel=0.05)


def test_a_release_that_falls_below_what_was_usual_before_the_last_one_is_no_roll_back() -> None:
    one = Watched(watching(NewLevel.UP)).learns()
    one.sees(300.0, 2, ROLLOUT)
    one.sees(300.0, 100)
    one.sees(20.0, 2, ROLLOUT)
    one.sees(20.0, 40)
    assert one.rebased.refused == "the policy's newLevel is up, and it went down"
    assert len(one.called) == 1


def test_an_outage_after_a_much_larger_level_is_no_roll_back_though_the_level_before_was_small() -> None:
    one = Watched(watching(NewLevel.UP)).learns(10.0)
    one.sees(1010.0, 2, ROLLOUT)
    one.sees(1010.0, 100)
    one.sees(0.0, 2, ROLLOUT)
    one.sees(0.0, 40)
    assert one.rebased.refused == "the policy's newLevel is up, and it went down"
    assert one.called


def test_a_roll_back_to_nothing_is_one() -> None:
    one = Watched(watching(NewLevel.UP)).learns(0.0)
    one.sees(200.0, 2, ROLLOUT)
    one.sees(200.0, 100)
    one.sees(0.0, 2, ROLLOUT)
    one.sees(0.0, 40)
    assert (one.rebased.refused, one.rebased.by, one.called) == ("", pytest.approx(-200.0, rel=0.05), [])


def test_what_was_usual_more_than_a_week_ago_is_not_rolled_back_to() -> None:
    one = Watched(watching(NewLevel.UP)).learns()
    one.sees(300.0, 2, ROLLOUT)
    one.sees(300.0, 8 * 288)
    one.sees(100.0, 2, ROLLOUT)
    one.sees(100.0, 40)
    assert one.rebased.refused == "the policy's newLevel is up, and it went down"


@DETECTORS
def test_a_release_that_makes_a_series_swing_to_both_sides_brings_no_level_to_one(detector: str) -> None:
    one = Watched(watching(NewLevel.UP, detector=detector)).learns()
    for tick in range(42):
        one.sees(10.0 if tick % 2 else 2500.0, 1, ROLLOUT if tick < 2 else {})
    assert one.rebased.refused == "the policy's newLevel is up, and it went both ways"
    assert len(one.called) == 1


def test_one_sample_on_the_other_side_is_no_example_of_the_new_level() -> None:
    one = Watched(watching(NewLevel.UP)).learns()
    one.sees(300.0, 2, ROLLOUT)
    for level, ticks in ((300.0, SETTLES - 4), (5.0, 1), (300.0, 20)):
        one.sees(level, ticks)
    assert (one.rebased.refused, one.called) == ("", [])
    one.sees(5.0, 2)
    assert one.called


def test_a_change_that_was_seen_while_the_clock_was_ahead_holds_nothing_after_it() -> None:
    one = Watched(watching(NewLevel.UP)).learns()
    before = one.now
    one.now += 3 * 86_400.0
    one.sees(100.0, 1, ROLLOUT)
    one.now = before
    one.sees(100.0, 2)
    assert not any(len(group.levels.rows) for group in one.fleet.groups.values())


def test_what_was_odd_before_the_change_is_not_what_it_brought() -> None:
    one = Watched(watching()).learns()
    one.sees(300.0, 3)
    assert len(one.called) == 1
    one.sees(300.0, 2, ROLLOUT)
    one.sees(300.0, SETTLES + 2)
    assert one.rebased is None or "odd before the change" in one.rebased.refused


def test_changes_one_after_another_bring_no_level() -> None:
    one = Watched(watching()).learns()
    one.sees(300.0, 2 * SETTLES + 6, ROLLOUT)
    assert len(one.called) == 1, "nothing is excused for longer than twice what its policy waits"
    one.sees(300.0, SETTLES + 2)
    assert one.rebased is None or "nothing has settled" in one.rebased.refused


def test_a_gap_while_it_settles_leaves_enough_or_nothing_is_concluded() -> None:
    enough, nothing = Watched(watching()).learns(), Watched(watching()).learns()
    for one, missing in ((enough, 10), (nothing, SETTLES - 3)):
        one.sees(300.0, 2, ROLLOUT)
        one.sees(float("nan"), missing)
        one.sees(300.0, SETTLES + 4 - missing)
    assert (enough.called, enough.rebased.refused) == ([], "")
    assert nothing.rebased.refused == "of the second half of that time 2 of 8 parts were seen, 3 are enough"
    assert len(nothing.called) == 1


def test_a_wait_of_a_few_samples_is_too_short_for_a_level() -> None:
    one = Watched(watching(settle_s=900.0)).learns()
    one.sees(300.0, 2, ROLLOUT)
    one.sees(300.0, 8)
    assert one.rebased.refused == "of the second half of that time 2 of 8 parts were seen, 3 are enough"
    assert len(one.called) == 1


def test_what_the_loop_itself_changes_brings_a_level_too() -> None:
    one = Watched(watching(NewLevel.DOWN)).learns()
    one.sees(50.0, 1, SCALED)
    one.sees(50.0, 100)
    assert one.called == []
    assert one.rebased.why == "ScalingPolicy/shop/web has changed Deployment shop/web"


def test_a_shard_hears_of_a_change_a_turn_later_and_knows_when_it_was() -> None:
    one = Watched(watching()).learns()
    one.turns_late = 1
    one.sees(300.0, 2, ROLLOUT)
    one.sees(300.0, 60)
    assert one.called == []
    assert (one.rebased.refused, one.rebased.at - one.now) == ("", -STEP_S * (60 - SETTLES - 1))


def test_a_constant_that_begins_to_move_at_its_new_level_is_learnt_anew() -> None:
    one = Watched(watching())
    one.sees(0.0, 288)
    one.sees(50.0, 2, ROLLOUT)
    one.sees(50.0, 288)
    assert one.called == []
    assert one.rebased.by == pytest.approx(50.0, rel=0.05)


def test_the_greatest_numbers_move_nothing() -> None:
    one = Watched(watching(NewLevel.BOTH)).learns()
    one.sees(1e308, 2, ROLLOUT)
    one.sees(1e308, SETTLES + 2)
    assert one.rebased.refused in {"", "its values are too large to be told apart"}
    one.sees(100.0, 20)
    look = one.fleet.look(one.index.keys[0])
    assert np.isfinite(look.expected)


@DETECTORS
def test_a_restart_while_it_settles_loses_nothing(detector: str) -> None:
    policy = watching(detector=detector)
    through, until = Watched(policy).learns(), Watched(policy).learns()
    for one in (through, until):
        one.sees(300.0, 2, ROLLOUT)
        one.sees(300.0, 9)
    after = Fleet([policy])
    about = json.loads(json.dumps({**until.fleet.about(), "at": until.now}))
    assert after.restore({name: array.copy() for name, array in until.fleet.arrays().items()}, about, until.now) == []
    until.fleet = after
    for one in (through, until):
        one.sees(300.0, 60)
    assert until.rebased == through.rebased is not None
    looks = [one.fleet.look(one.index.keys[0]) for one in (through, until)]
    assert looks[0] == looks[1]
    other = through.fleet.arrays()
    assert all(np.array_equal(array, other[name], equal_nan=True) for name, array in after.arrays().items())


def test_rows_that_move_to_another_shard_take_along_what_settles() -> None:
    one = Watched(watching()).learns()
    one.sees(300.0, 2, ROLLOUT)
    one.sees(300.0, 9)
    about = json.loads(json.dumps({**one.fleet.about(), "at": one.now}))
    kept = [({name: array.copy() for name, array in one.fleet.arrays().items()}, about)]
    mine, others = Fleet([one.policy]), Fleet([one.policy])
    mine.rejoin(kept, lambda key: True)
    others.rejoin(kept, lambda key: False)
    one.fleet = mine
    one.sees(300.0, 40)
    assert (one.called, one.rebased.refused) == ([], "")
    assert others.about()["levels"] == {}


@DETECTORS
def test_without_a_change_all_is_to_the_bit_as_where_no_level_is_asked_for(detector: str) -> None:
    asked, plain = (Watched(watching(one, detector=detector)) for one in (NewLevel.BOTH, NewLevel.NONE))
    for one in (asked, plain):
        one.sees(100.0, 100)
        one.sees(250.0, 20)
    left, right = asked.fleet.arrays(), plain.fleet.arrays()
    assert left.keys() == right.keys()
    assert all(np.array_equal(left[name], right[name], equal_nan=True) for name in left)
    assert asked.fleet.look(asked.index.keys[0]) == plain.fleet.look(plain.index.keys[0])
    assert asked.fleet.about()["levels"] == {}


def test_a_checkpoint_of_before_levels_were_kept_is_taken() -> None:
    one = Watched(watching()).learns(days=1)
    about = {**one.fleet.about(), "at": one.now}
    del about["levels"]
    assert Fleet([one.policy]).restore(one.fleet.arrays(), about, one.now) == []


def test_what_a_checkpoint_says_of_levels_and_is_none_is_refused_with_the_reason() -> None:
    one = Watched(watching()).learns(days=1)
    (name,) = one.fleet.groups
    about = {
        **one.fleet.about(),
        "at": one.now,
        "levels": {name: {"episodes": {one.index.keys[0]: ["why", "", [1.0]]}}},
    }
    (refused,) = Fleet([one.policy]).restore(one.fleet.arrays(), about, one.now)
    assert "what the checkpoint says of levels is none" in refused


def test_requests_of_a_release_are_quiet_and_its_errors_call_people() -> None:
    requests = replace(watching(NewLevel.UP, settle_s=2700.0), key="WatchPolicy/shop/requests")
    errors = replace(watching(NewLevel.NONE, settle_s=2700.0), key=WATCH)
    policies = [replace(one, query=replace(one.query, policy=one.key)) for one in (requests, errors)]
    index = [an_index([{"service": "web"}], one.key) for one in policies]
    both = type(index[0])(
        keys=tuple(key for one in index for key in one.keys), labels=tuple(own for one in index for own in one.labels)
    )
    days = Days(a_set(*policies), both, step_s=STEP_S)
    told = [days.tick(values_of(days, 100.0, 2.0)) for _ in range(2 * 288)]
    told = [
        days.tick(values_of(days, 300.0, 8.0), beside=Elsewhere(changed=ROLLOUT if tick < 2 else {}))
        for tick in range(100)
    ]
    called = [one for each in told for one in each.findings if one.alarm]
    assert {one.policy for one in called} == {errors.key}
    assert {series for each in told for one in each.incidents for series in one.series} == {index[1].keys[0]}


def values_of(days: Days, requests: float, errors: float) -> Sequence[float]:
    noise = days.chance.standard_normal(2)
    return [requests * (1.0 + 0.03 * noise[0]), errors * (1.0 + 0.1 * noise[1])]
