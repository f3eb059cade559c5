"""What failover never does, whatever observers say and whatever people and clusters do (S1, S8)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiops.core.decide.failover.judge import judged
from aiops.core.model import (
    GroupState,
    Health,
    Mode,
    OrderKind,
    PlanKind,
    PlanStatus,
    Reason,
    ScaleTo,
    SiteServes,
    VerdictWord,
)
from aiops.core.planning.failover import FailoverPolicy
from aiops.core.record.codec import from_text, to_text
from tests.unit.failing import Driven, a_group

POLICY = a_group(("mode: approve", "mode: enforce"))
ALONE = a_group(("mode: approve", "mode: enforce"), ("  witness: edge\n", ""))
SITES, POINTS = ("west", "north"), ("edge", "west", "north")
SHARES = st.sampled_from([0.0, 0.0, 0.0, 0.02, 0.2, 0.5, 1.0])

SLOW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True)
class Turn:
    """What is so for a while. order: of a person, at its start; moved: a person moves the traffic at its start."""

    seconds: float
    failing: dict[str, float]
    silent: frozenset[str]
    ready: dict[str, int]
    api_down: frozenset[str]
    order: OrderKind | None
    moved: bool


KEYS = [f"{site}@{point}" for site in SITES for point in POINTS]
TURNS = st.builds(
    Turn,
    seconds=st.sampled_from([10.0, 30.0, 60.0, 320.0]),
    failing=st.fixed_dictionaries(dict.fromkeys(KEYS, SHARES)),
    silent=st.frozensets(st.sampled_from(POINTS)),
    ready=st.fixed_dictionaries({"west": st.integers(0, 5), "north": st.integers(0, 5)}),
    api_down=st.frozensets(st.sampled_from(SITES)),
    order=st.sampled_from([None, None, None, OrderKind.START, OrderKind.BACK, OrderKind.DRILL]),
    moved=st.sampled_from([False] * 7 + [True]),
)


def lived(policy: FailoverPolicy, turns: list[Turn]):
    """Yield (group, before, found) for each tick of a life; every plan that is wanted is carried out at once."""
    group = Driven(policy=policy)
    group.run(120.0)
    for turn in turns:
        group.failing, group.silent, group.ready = dict(turn.failing), set(turn.silent), dict(turn.ready)
        group.cluster_errors = dict.fromkeys(turn.api_down, "timed out")
        if turn.moved:
            group.weights = dict(zip(group.weights, reversed(group.weights.values()), strict=True))
        if turn.order is not None:
            group.order(turn.order)
        for _ in range(int(turn.seconds / 5.0)):
            before = group.memory
            found = group.tick()
            yield group, before, found
            if found.plan is not None:
                group.carried_out(found.plan)


@SLOW
@given(st.lists(TURNS, min_size=1, max_size=6))
def test_s8_never_two_failovers_within_ten_minutes_and_never_onto_a_site_that_is_not_known_to_be_well(turns):
    moved_at = -math.inf
    for group, _, found in lived(POLICY, turns):
        if found.plan is None:
            continue
        if found.plan.kind is PlanKind.PREPARE:
            assert all(isinstance(step.operation, ScaleTo) for step in found.plan.steps)  # it moves nobody
            continue
        (served,) = {one.site for step in found.plan.steps for one in step.requires if isinstance(one, SiteServes)}
        assert found.memory.sites[served].health is Health.WELL
        site = group.policy.site(served)
        assert site is not None
        if site.target.key not in group.snapshot.workloads or group.ready[served] < site.standby_replicas:
            assert found.plan.asks or found.plan.steps[0].name == f"ready {served}" or found.plan.by == "ada"
        if found.plan.kind is PlanKind.FAILOVER:
            assert group.now - moved_at >= 600.0
            moved_at = group.now


@SLOW
@given(st.lists(TURNS, min_size=1, max_size=5))
def test_s8_never_automatic_without_a_witness(turns):
    assert ALONE.reach is Mode.APPROVE
    for _, _, found in lived(ALONE, turns):
        assert found.plan is None or found.plan.asks or found.plan.by == "ada"


@SLOW
@given(st.fixed_dictionaries(dict.fromkeys(KEYS, SHARES)), st.sampled_from([5.0, 15.0, 60.0]))
def test_s1_all_metrics_lost_freezes(failing, before_s):
    group = Driven(policy=POLICY).settled()
    group.failing = dict(failing)
    if group.run(before_s).plan is not None:
        return
    group.silent = set(POINTS)
    for number in range(60):
        found = group.tick()
        assert (found.plan, found.judgement.reason) == (None, Reason.PARTITIONED)
        # a person is asked once it has lasted for a minute, trouble before it counted in
        assert found.judgement.word is VerdictWord.ASK or number < 12
        assert found.judgement.word in (VerdictWord.WAIT, VerdictWord.ASK)
        assert {one.health for one in found.memory.sites.values()} == {Health.INCONCLUSIVE}


@SLOW
@given(st.fixed_dictionaries(dict.fromkeys(KEYS, SHARES)), st.sampled_from(POINTS))
def test_s8_whoever_hears_one_vantage_point_of_three_moves_nothing(failing, heard):
    group = Driven(policy=POLICY).settled()
    group.silent = set(POINTS) - {heard}
    group.failing = dict(failing)
    assert group.run(300.0).plan is None


@SLOW
@given(st.sampled_from(POINTS), st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_s8_one_vantage_point_alone_never_moves_anything(point, west, north):
    group = Driven(policy=POLICY).settled()
    group.fail("west", west, (point,))
    group.fail("north", north, (point,))
    assert group.run(300.0).plan is None


@SLOW
@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(6, 20), st.floats(0.0, 1.0)), min_size=1, max_size=6),
    st.sets(st.sampled_from(POINTS), min_size=1),
)
def test_s8_blips_of_fifteen_seconds_at_most_move_nothing(blips, points):
    group = Driven(policy=POLICY).settled()
    for ticks, rest, share in blips:
        group.fail("west", share, points)
        for _ in range(ticks):
            assert group.tick().plan is None
        group.fail("west", 0.0)
        for _ in range(rest):
            assert group.tick().plan is None


@SLOW
@given(st.lists(TURNS, min_size=1, max_size=3))
def test_s8_a_plan_that_stands_is_the_only_one(turns):
    group = Driven(policy=POLICY).settled()
    group.fail("west", 0.5)
    plan = group.run(60.0).plan
    assert plan is not None
    for status in (PlanStatus.RUNNING, PlanStatus.PAUSED, PlanStatus.ASKING, PlanStatus.ROLLING_BACK):
        group.plans = (replace(plan, status=status),)
        for turn in turns:
            group.failing, group.silent = dict(turn.failing), set(turn.silent)
            if turn.order is not None:
                group.order(turn.order)
            assert group.run(turn.seconds).plan is None


@SLOW
@given(st.lists(TURNS, min_size=1, max_size=3))
def test_a_decision_is_made_again_from_what_was_remembered(turns):
    for group, before, found in lived(POLICY, turns):
        again = judged(group.policy, replace(group.situation, orders=()), from_text(to_text(before), GroupState))
        if not found.followed:
            assert (again.plan, again.judgement) == (found.plan, found.judgement)
            assert to_text(again.memory) == to_text(found.memory)


@pytest.mark.parametrize("share", [0.05, 0.3, 1.0])
def test_every_site_failing_alike_moves_nothing(share):
    group = Driven(policy=POLICY).settled()
    for site in SITES:
        group.fail(site, share)
    assert group.run(600.0).plan is None
