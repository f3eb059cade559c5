"""Versions of models outlive a restart, and a clock that is set back."""

from __future__ import annotations

import numpy as np
import pytest

from aiops.core.forecast.clock import BACK_SAMPLES
from aiops.core.lineage.contest import AHEAD, KEPT
from aiops.core.lineage.lineage import Lineage
from aiops.core.lineage.version import Terms
from tests.unit.test_lineage import DAY_S, HOUR_S, START, lineage, live, make, refitted, wave


def test_what_was_judged_before_a_restart_counts_after_it():
    one = lineage()
    now = live(one, 300)
    again = lineage()
    again.restore(one.arrays(), one.champion.arrays())
    judged = one.scores()[one.current.number].judged
    assert judged > 200
    for minute in range(1, 4):
        again.learn(now + 60.0 * minute, 100.0)
    assert again.scores()[again.current.number].judged == pytest.approx(judged, abs=4)


@pytest.mark.parametrize("ahead_s", [HOUR_S, 30 * DAY_S])
def test_when_a_clock_that_was_ahead_is_set_back_minutes_are_judged_again_at_once(ahead_s):
    one = lineage()
    live(one, 90, START + ahead_s)
    (record,) = one._records.values()
    was = record.judged
    assert was > 0
    live(one, 10)
    assert record.judged <= was, "what was promised by the wrong clock is not judged by the right one"
    live(one, AHEAD[-1] + 10, START + 600.0)
    minutes = np.arange(START // 60 + AHEAD[-1] + BACK_SAMPLES, START // 60 + AHEAD[-1] + 19).astype(int)
    assert np.isfinite(record.losses[minutes % KEPT]).all()
    assert one.scores()[one.current.number].judged >= len(minutes)


def test_a_clock_that_is_set_back_a_little_takes_nothing_of_what_was_judged():
    one = lineage()
    now = live(one, 90)
    (record,) = one._records.values()
    was = record.losses.copy()
    one.learn(now - 90.0, 100.0)
    np.testing.assert_array_equal(record.losses, was)


def test_a_lineage_goes_on_where_it_was_after_a_restart():
    one = lineage()
    now = live(one, 100)
    refitted(one, now)
    now = live(one, 30, begin=now)
    again = Lineage(one.policy, make("combined"), make, Terms(elsewhere=True))
    again.restore(one.arrays(), one.champion.arrays())
    assert repr(again.versions) == repr(one.versions)
    assert again.scores().keys() == one.scores().keys()
    for model in (one, again):
        live(model, 200, begin=now)
    assert again.current.number == one.current.number == one.versions[-1].number
    assert np.array_equal(again.champion.paths(now, 30), one.champion.paths(now, 30))


def test_another_kind_of_champion_comes_back_as_what_it_is():
    one = lineage()
    now = live(one, 100)
    naive = make("seasonal-naive")
    times = START - DAY_S + np.arange(1440) * 60.0
    naive.backfill(times, wave(times))
    one.challenge(naive, now, "another model")
    one.promote(one.versions[-1].number, "ada", now)
    again = Lineage(one.policy, make("combined"), make, Terms(elsewhere=True))
    again.restore(one.arrays(), one.champion.arrays())
    assert again.champion.name == "seasonal-naive"
    assert repr(again.versions) == repr(one.versions)


@pytest.mark.parametrize("about", [b"{", b"{}", b"[1]"])
def test_a_checkpoint_that_cannot_be_read_changes_nothing(about):
    one, broken = lineage(), {"about": np.frombuffer(about, np.uint8)}
    before = one.versions
    with pytest.raises(ValueError, match="the versions of a model cannot be read"):
        one.restore(broken, one.champion.arrays())
    assert one.versions is before
