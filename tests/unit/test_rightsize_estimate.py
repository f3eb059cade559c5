"""Estimates of what containers need: quantiles with decay, peaks and kills, and how sure they are."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiops.core.decide.cost.rightsize.buckets import CORES, GROWTH, added, decayed, quantile
from aiops.core.decide.cost.rightsize.sizes import text
from aiops.core.decide.cost.rightsize.uses import (
    MOST_KILLS,
    Seen,
    floors,
    fresh,
    history_days,
    killed,
    packed,
    taken,
    throttled,
    unpacked,
)
from aiops.core.decide.cost.rightsize.wishes import Held, Why, wishes
from aiops.core.model import ContainerUse
from aiops.core.planning.cost_rightsize import DAY_S, CpuTerms, MemoryTerms, Sizing, Terms
from aiops.core.record.codec import from_text, to_text

START = 1_700_006_400.0
MIB = 2.0**20
TERMS = Terms()
SIZING = Sizing()


def watched(cores, size, days=10.0, step_s=300.0, uses=None, start=START):
    """Return what is known of one container after days of use; cores and size: of the seconds since the start."""
    uses = fresh(["a"], TERMS, start) if uses is None else uses
    for number in range(int(days * DAY_S / step_s)):
        at = start + number * step_s
        seen = Seen(at=at, rows=np.array([0]), cores=np.array([cores(at - start)]), bytes=np.array([size(at - start)]))
        uses = taken(uses, seen, TERMS)
    return uses


def wished(uses, cores=1.0, size=1024.0 * MIB, now=START + 10 * DAY_S, sizing=SIZING, *, whole=False):
    held = Held(cores=np.array([cores]), bytes=np.array([size]), whole=np.array([whole]))
    return wishes(uses, held, sizing, now)


def steady(value):
    return lambda _s: value


# -- histograms ----------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(
    values=st.lists(st.floats(0.001, 900.0), min_size=1, max_size=60),
    share=st.floats(0.01, 1.0),
)
def test_a_quantile_is_never_too_low_and_never_more_than_a_bucket_too_high(values, share):
    weights = added(np.zeros((1, CORES.count)), np.zeros(len(values), np.intp), np.array(values), np.ones(len(values)))
    exact = np.sort(values)[max(0, math.ceil(share * len(values) - 1e-9) - 1)]
    assert exact * (1 - 1e-9) <= quantile(weights, share)[0] <= exact * GROWTH * (1 + 1e-9)


def test_weights_halve_in_a_half_life_and_quantiles_follow_the_newer():
    old = added(np.zeros((1, CORES.count)), np.array([0]), np.array([2.0]), np.array([1.0]))
    after = added(decayed(old, np.array([DAY_S]), DAY_S), np.array([0]), np.array([0.1]), np.array([1.0]))
    assert after.sum() == pytest.approx(1.5)
    assert quantile(after, 0.6)[0] < 0.11
    assert quantile(after, 0.7)[0] > 1.9
    assert quantile(np.zeros((1, CORES.count)), 0.9).tolist() == [0.0]


# -- confidence ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "above"), [(0.5, 3.0), (1.0, 2.0), (7.0, 1.143), (14.0, 1.0714), (20.0, 1.0714)])
def test_the_upper_bound_is_the_vertical_pod_autoscalers_and_closed_once_the_history_is_whole(days, above):
    uses = watched(steady(0.2), steady(500.0 * MIB), days=days)
    found = wished(uses, now=START + days * DAY_S).cpu.estimate
    assert found.upper[0] / found.target[0] == pytest.approx(above - 1.0 / 14.0, rel=0.02)
    assert found.lower[0] < found.target[0]


def test_history_is_what_was_seen_not_what_went_by():
    uses = watched(steady(0.2), steady(1.0), days=1.0)
    late = taken(
        uses, Seen(at=START + 9 * DAY_S, rows=np.array([0]), cores=np.array([0.2]), bytes=np.array([1.0])), TERMS
    )
    assert history_days(late, 300.0)[0] == pytest.approx(1.0, abs=0.02)
    assert history_days(fresh(["a"], TERMS, START), 300.0)[0] == 0.0


def test_of_nothing_nothing_is_wished():
    found = wished(fresh(["a"], TERMS, START))
    assert (found.cpu.wished[0], found.memory.wished[0]) == (1.0, 1024.0 * MIB)
    assert found.cpu.why[0] == found.memory.why[0] == Why.NO_HISTORY


# -- CPU -----------------------------------------------------------------------------------------------


def test_a_steady_use_is_wished_with_its_margin():
    uses = replace(watched(steady(0.2), steady(500.0 * MIB)), cpu_low_since=np.array([START]))
    found = wished(uses)
    assert found.cpu.why[0] == Why.TOO_LARGE
    assert found.cpu.wished[0] == pytest.approx(0.2 * 1.05 * 1.1, rel=GROWTH - 1.0 + 0.01)


def test_less_is_wished_only_after_less_would_have_done_for_long_enough():
    uses = watched(steady(0.2), steady(500.0 * MIB))
    found = wished(uses)
    assert found.cpu.why[0] == Why.WAITS
    assert found.cpu.wished[0] == 1.0
    later = wishes(found.uses, _one(1.0, 1024.0 * MIB), SIZING, START + 11.1 * DAY_S)
    assert later.cpu.why[0] == Why.TOO_LARGE
    back = wishes(found.uses, _one(0.225, 1024.0 * MIB), SIZING, START + 10.5 * DAY_S)
    assert math.isinf(back.uses.cpu_low_since[0])


def _one(cores, size, *, whole=False):
    return Held(cores=np.array([cores]), bytes=np.array([size]), whole=np.array([whole]))


def test_a_little_less_is_not_worth_a_change():
    uses = replace(watched(steady(0.2), steady(500.0 * MIB)), cpu_low_since=np.array([START]))
    enough = wished(uses).cpu.estimate.upper[0]
    assert wished(uses, cores=enough * 1.04).cpu.why[0] == Why.FITS
    assert wished(uses, cores=enough * 1.07).cpu.why[0] == Why.TOO_LARGE


def test_a_rise_of_hours_is_followed_although_days_say_otherwise():
    uses = watched(steady(0.2), steady(500.0 * MIB))
    before = wished(uses, cores=0.225).cpu
    assert before.why[0] == Why.FITS
    risen = watched(steady(0.6), steady(500.0 * MIB), days=0.4, uses=uses, start=START + 10 * DAY_S)
    found = wished(risen, cores=0.225, now=START + 10.4 * DAY_S).cpu
    assert found.why[0] == Why.TOO_SMALL
    assert found.wished[0] >= 0.6


def test_a_request_that_is_the_limit_is_sized_for_peaks_because_it_throttles():
    spiky = watched(lambda s: 2.0 if s % 6000 < 120 else 0.2, steady(500.0 * MIB))
    plain, whole = (wished(spiky, cores=0.5, whole=one).cpu.estimate.target[0] for one in (False, True))
    assert plain < 0.3
    assert whole > 2.0


def test_throttling_raises_the_floor_of_what_is_limited_and_is_forgotten_with_the_history():
    uses = throttled(watched(steady(0.2), steady(1.0)), np.array([0]), START + 10 * DAY_S, np.array([0.5]))
    assert floors(uses, START + 10 * DAY_S, TERMS)[0][0] == pytest.approx(0.6)
    assert wished(uses, cores=0.5, whole=True).cpu.why[0] == Why.THROTTLED
    assert wished(uses, cores=0.5).cpu.why[0] != Why.THROTTLED
    assert floors(uses, START + 25 * DAY_S, TERMS)[0][0] == 0.0


# -- memory --------------------------------------------------------------------------------------------


def test_memory_follows_the_greatest_peak_of_the_windows_that_are_remembered():
    uses = watched(steady(0.2), lambda s: 900.0 * MIB if s < 600 else 300.0 * MIB, days=10.0)
    assert wished(uses).memory.estimate.target[0] >= 900.0 * MIB
    later = watched(steady(0.2), steady(300.0 * MIB), days=5.0, uses=uses, start=START + 10 * DAY_S)
    assert wished(later, now=START + 15 * DAY_S).memory.estimate.target[0] < 360.0 * MIB


def test_peaks_that_agree_need_a_third_of_the_margin_and_those_that_do_not_need_all():
    calm = wished(watched(steady(0.2), steady(400.0 * MIB))).memory.estimate.target[0]
    assert calm == pytest.approx(400.0 * MIB * 1.05)
    wild = watched(steady(0.2), lambda s: (400.0 if s // DAY_S % 2 else 250.0) * MIB)
    assert wished(wild).memory.estimate.target[0] == pytest.approx(400.0 * MIB * 1.15)


def test_memory_that_grows_is_sized_for_two_days_ahead():
    uses = watched(steady(0.2), lambda s: (400.0 + 20.0 * s / DAY_S) * MIB, days=10.0)
    assert wished(uses).memory.estimate.target[0] >= (400.0 + 20.0 * 12) * MIB


def test_a_kill_raises_the_floor_once_by_a_fifth_or_a_hundred_mebibytes():
    uses = watched(steady(0.2), steady(400.0 * MIB), days=1.0)
    at = np.array([START + DAY_S])
    once = killed(uses, at, np.array([1000.0 * MIB]), TERMS)
    assert once.floor_bytes[0] == 1200.0 * MIB
    assert killed(once, at, np.array([1200.0 * MIB]), TERMS).floor_bytes[0] == 1200.0 * MIB
    small = killed(uses, at, np.array([410.0 * MIB]), TERMS)
    assert small.floor_bytes[0] == 510.0 * MIB
    found = wished(once, size=1000.0 * MIB, now=START + DAY_S)
    assert (found.memory.why[0], found.memory.wished[0]) == (Why.KILLED, 1200.0 * MIB)


def test_kills_raise_no_more_than_three_times_in_a_history():
    uses, limit = watched(steady(0.2), steady(400.0 * MIB), days=1.0), 1000.0 * MIB
    for number in range(6):
        uses = killed(uses, np.array([START + DAY_S + number]), np.array([limit]), TERMS)
        limit = max(limit, uses.floor_bytes[0])
    assert uses.kills[0] == 6
    assert uses.floor_bytes[0] == pytest.approx(1000.0 * MIB * 1.2**MOST_KILLS)


def test_a_resource_that_the_policy_leaves_alone_is_left_alone():
    uses = watched(steady(5.0), steady(5000.0 * MIB))
    found = wished(uses, sizing=Sizing(cpu=None))
    assert (found.cpu.why[0], found.cpu.wished[0]) == (Why.LEFT_ALONE, 1.0)
    assert found.memory.why[0] == Why.TOO_SMALL


def test_bounds_of_the_policy_hold_whatever_is_used_s5():
    uses = watched(steady(5.0), steady(1.0 * MIB))
    sizing = Sizing(cpu=CpuTerms(most=2.0), memory=MemoryTerms(least=64.0 * MIB), lower_after_s=0.0)
    found = wished(uses, sizing=sizing)
    assert found.cpu.wished[0] == 2.0
    assert found.memory.wished[0] == 64.0 * MIB


# -- what holds of all ---------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    used=st.lists(st.tuples(st.floats(0.0, 8.0), st.floats(1.0, 4e9)), min_size=1, max_size=80),
    held=st.tuples(st.floats(0.0, 16.0), st.floats(0.0, 64e9)),
    whole=st.booleans(),
)
def test_memory_is_never_below_the_peaks_that_are_remembered_and_no_wish_is_absurd_s5(used, held, whole):
    uses = fresh(["a"], TERMS, START)
    for number, (cores, size) in enumerate(used):
        at = START + number * 6 * 3600.0
        seen = Seen(at=at, rows=np.array([0]), cores=np.array([cores]), bytes=np.array([size]))
        uses = taken(uses, seen, TERMS)
    now = START + len(used) * 6 * 3600.0
    sizing = Sizing(sample_s=6 * 3600.0, lower_after_s=0.0)
    found = wishes(uses, _one(*held, whole=whole), sizing, now)
    assert math.isfinite(found.cpu.wished[0])
    assert math.isfinite(found.memory.wished[0])
    newest = max(size for number, (_, size) in enumerate(used) if (now - START) / DAY_S - number / 4 < 13)
    assert found.memory.wished[0] >= min(newest, held[1]) or found.memory.wished[0] >= newest
    if found.memory.wished[0] < held[1]:
        assert found.memory.why[0] == Why.TOO_LARGE
        assert found.memory.wished[0] >= newest


@settings(max_examples=100, deadline=None)
@given(used=st.lists(st.tuples(st.floats(0.001, 8.0), st.floats(1.0, 4e9)), min_size=1, max_size=60))
def test_what_is_remembered_comes_back_from_its_text_with_the_same_wishes(used):
    uses = fresh(["a"], TERMS, START)
    for number, (cores, size) in enumerate(used):
        at = START + number * 3600.0
        seen = Seen(at=at, rows=np.array([0]), cores=np.array([cores]), bytes=np.array([size]))
        uses = taken(uses, seen, TERMS)
    now = START + len(used) * 3600.0
    kept = {key: from_text(to_text(one), ContainerUse) for key, one in packed(uses).items()}
    again = unpacked(kept, ["a"], TERMS, now)
    one, other = wished(uses, now=now), wished(again, now=now)
    assert other.memory.estimate.target[0] == one.memory.estimate.target[0]
    ratio = other.cpu.estimate.target[0] / one.cpu.estimate.target[0]
    assert 1 / GROWTH**2 <= ratio <= GROWTH**2


def test_a_container_that_is_not_seen_keeps_what_is_known_of_it():
    uses = watched(steady(0.2), steady(400.0 * MIB), days=2.0)
    unseen = Seen(at=START + 3 * DAY_S, rows=np.array([], np.intp), cores=np.array([]), bytes=np.array([]))
    after = taken(uses, unseen, TERMS)
    assert after.cpu.tolist() == uses.cpu.tolist()
    assert after.until[0] == uses.until[0]
    bad = Seen(at=START + 3 * DAY_S, rows=np.array([0]), cores=np.array([np.nan]), bytes=np.array([np.nan]))
    assert taken(uses, bad, TERMS).samples[0] == uses.samples[0]


@pytest.mark.parametrize(
    ("resource", "value", "said"),
    [
        ("cpu", 0.25, "250m"),
        ("cpu", 2.0, "2"),
        ("memory", 300 * MIB, "300Mi"),
        ("memory", 2**31, "2Gi"),
        ("cpu", math.nan, ""),
    ],
)
def test_quantities_read_well(resource, value, said):
    assert text(resource, value) == said
