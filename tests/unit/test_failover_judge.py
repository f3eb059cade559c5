"""When a FailoverPolicy moves traffic, when it asks, and when it leaves all as it is (S8)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aiops.core.model import (
    Goal,
    GroupState,
    Health,
    Mode,
    Otherwise,
    PlanKind,
    PlanStatus,
    Reason,
    ScaleTo,
    SiteServes,
    Stage,
    VerdictWord,
)
from aiops.core.record.codec import from_text, to_text
from tests.unit.failing import Driven, a_group, failed_over

OUTSIDE = ("edge", "north")


def weights(plan):
    return [dict(step.operation.weights) for step in plan.steps if hasattr(step.operation, "weights")]


def test_while_users_are_served_nothing_is_done():
    found = Driven().settled().tick()
    assert found.plan is None
    assert found.judgement.word is VerdictWord.STEADY
    assert found.judgement.detail.startswith("west serves, well for 120 s; north stands by, well for 120 s")


def test_a_crash_is_found_after_twenty_seconds_and_everybody_goes_at_once():
    group = Driven().settled()
    group.fail("west", 1.0, OUTSIDE)
    since = group.now
    found = group.run(60.0)
    assert group.now - since == 20.0
    assert found.judgement.word is VerdictWord.ALLOW
    assert found.judgement.detail == (
        "users of west fail (100%), seen from 2 vantage points outside of it; north takes over"
    )
    plan = found.plan
    assert (plan.kind, plan.status, plan.keeps) == (PlanKind.FAILOVER, PlanStatus.PROPOSED, ())
    assert weights(plan) == [{"storefront-west": 0, "storefront-north": 100}]
    assert plan.steps[0].otherwise is Otherwise.ASK
    assert "west from edge: bad, 100% of the newest requests fail, 20 s of failure" in plan.evidence


def test_a_plan_says_what_it_must_better_and_what_would_be_without_it():
    group = Driven().settled()
    group.fail("west", 0.5)
    plan = group.run(60.0).plan
    assert plan.goal == Goal(signal="served", within_s=120.0, at_most=0.05)
    without = plan.counterfactual
    assert (without.start, without.step_s, set(without.middle)) == (group.now, 60.0, {0.5})
    # 150 of 300 requests failed: two vantage points, ten requests a second, fifteen seconds
    assert without.lower[0] == pytest.approx(0.463, abs=0.001)
    assert without.upper[0] == pytest.approx(0.537, abs=0.001)


def test_half_a_failure_is_found_within_a_minute_and_shifted_by_steps_that_are_taken_back():
    group = Driven().settled()
    group.fail("west", 0.5)
    since = group.now
    plan = group.run(60.0).plan
    assert group.now - since == 30.0
    assert weights(plan) == [
        {"storefront-west": 50, "storefront-north": 50},
        {"storefront-west": 0, "storefront-north": 100},
    ]
    north = SiteServes(group=group.policy.key, site="north")
    assert plan.keeps == (north,)
    assert all(north in step.requires and north in step.checks for step in plan.steps[:2])
    assert [step.otherwise for step in plan.steps[:2]] == [Otherwise.UNDO, Otherwise.UNDO]


def test_a_standby_that_is_too_small_is_raised_first():
    group = Driven(ready={"west": 4, "north": 1}).settled()
    group.fail("west", 1.0, OUTSIDE)
    first = group.run(60.0).plan.steps[0]
    assert first.operation == ScaleTo(target=group.policy.sites[1].target, replicas=4, only_up=True)


@pytest.mark.parametrize(
    ("points", "share"), [(("edge",), 1.0), (("north",), 0.5), (("west",), 1.0)], ids=["edge", "north", "inside"]
)
def test_one_who_looks_is_not_enough_and_lasting_disagreement_asks_a_person(points, share):
    group = Driven().settled()
    group.fail("west", share, points)
    found = group.run(300.0)
    assert found.plan is None
    assert found.judgement.word is (VerdictWord.STEADY if points == ("west",) else VerdictWord.ASK)
    assert found.judgement.reason is (None if points == ("west",) else Reason.INCONCLUSIVE)


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
def test_an_observer_that_loses_probes_is_evidence_against_nobody(share):
    group = Driven().settled()
    for site in ("west", "north"):
        group.fail(site, share, ("edge", "north"))
    assert group.run(300.0).plan is None


def test_a_crash_is_seen_through_an_observer_that_loses_probes_and_asks_since_north_is_not_known():
    group = Driven().settled()
    group.fail("north", 0.3, ("edge",))
    group.fail("west", 0.3, ("edge",))
    group.run(60.0)
    group.fail("west", 1.0, OUTSIDE)
    group.silent = {"west"}
    found = group.run(60.0)
    assert group.memory.sites["west"].health is Health.SICK
    assert (found.plan, found.judgement.word, found.judgement.reason) == (None, VerdictWord.ASK, Reason.STANDBY_SICK)


def test_a_site_that_is_cut_off_accuses_the_other_and_is_not_heard():
    group = Driven().settled()
    group.fail("west", 1.0, OUTSIDE)
    group.fail("north", 1.0, ("west",))
    assert group.run(30.0).plan.kind is PlanKind.FAILOVER


def test_every_site_failing_at_once_moves_nothing_and_asks():
    group = Driven().settled()
    for site in ("west", "north"):
        group.fail(site, 1.0)
    found = group.run(120.0)
    assert (found.plan, found.judgement.word, found.judgement.reason) == (None, VerdictWord.ASK, Reason.INCONCLUSIVE)
    assert "every site looks bad at once" in found.judgement.detail


@pytest.mark.parametrize("silent", [{"west", "north"}, {"edge", "west", "north"}])
def test_hearing_no_majority_of_the_vantage_points_may_be_our_own_fault(silent):
    group = Driven().settled()
    group.fail("west", 1.0)
    group.silent = silent
    found = group.run(120.0)
    assert (found.plan, found.judgement.word, found.judgement.reason) == (None, VerdictWord.ASK, Reason.PARTITIONED)


def test_one_answer_that_does_not_come_wakes_nobody():
    group = Driven().settled()
    group.silent = {"edge", "west", "north"}
    assert group.tick().judgement.word is VerdictWord.WAIT
    assert group.run(55.0).judgement.word is VerdictWord.WAIT
    assert group.tick().judgement.word is VerdictWord.ASK
    group.silent = set()
    assert group.tick().judgement.word is not VerdictWord.ASK


def test_an_api_that_is_down_while_users_are_served_is_a_hold():
    group = Driven().settled()
    group.cluster_errors = {"west": "timed out"}
    found = group.tick()
    assert (found.plan, found.judgement.word, found.judgement.reason) == (None, VerdictWord.WAIT, Reason.API_DOWN)


def test_an_api_that_is_down_where_users_were_sent_is_a_hold_that_is_told_and_home_s_is_not():
    group = failed_over()
    assert group.run(30.0).judgement.reason is Reason.NOT_WELL_LONG_ENOUGH
    group.cluster_errors = {"west": "timed out"}
    assert group.tick().judgement.reason is Reason.NOT_WELL_LONG_ENOUGH
    group.cluster_errors = {"north": "timed out"}
    found = group.tick()
    assert (found.plan, found.judgement.word, found.judgement.reason) == (None, VerdictWord.WAIT, Reason.API_DOWN)


def test_a_cluster_of_which_only_the_watches_have_gone_silent_is_an_api_that_is_down():
    group = Driven().settled()
    west = group.policy.sites[0].target.key
    group.target_errors = {west: (Reason.CLUSTER_UNAVAILABLE, "last heard of 61 s ago")}
    assert group.tick().judgement.reason is Reason.API_DOWN
    group.target_errors = {west: (Reason.NO_PERMISSION, "forbidden")}
    assert group.tick().judgement.word is VerdictWord.STEADY


def test_an_api_that_is_down_does_not_keep_users_in_a_site_that_fails_them():
    group = Driven().settled()
    group.cluster_errors = {"west": "timed out"}
    group.fail("west", 1.0, OUTSIDE)
    assert group.run(60.0).plan.asks == ""


def test_a_standby_whose_replicas_cannot_be_counted_asks_a_person():
    group = Driven().settled()
    group.cluster_errors = {"north": "timed out"}
    group.fail("west", 1.0, OUTSIDE)
    found = group.run(60.0)
    assert found.judgement.word is VerdictWord.ASK
    assert found.plan.asks == "how many replicas are ready in north is not known (timed out)"


LAGS = (
    "  preconditions:\n",
    "  preconditions:\n"
    "    replicationLag: {query: 'max(lag_seconds{site=\"$(site.name)\"})', source: edge}\n"
    "    rpo: 30s\n",
)


@pytest.mark.parametrize(
    ("lag_s", "reason", "asks"),
    [
        (5.0, None, ""),
        (31.0, Reason.REPLICATION_LAG, None),
        (float("nan"), Reason.INCONCLUSIVE, "how far north lags behind is not known (the query has no series)"),
    ],
    ids=["near", "far", "unknown"],
)
def test_a_copy_that_lags_too_far_behind_is_not_gone_to_and_an_unknown_one_is_asked_about(lag_s, reason, asks):
    group = Driven(policy=a_group(LAGS), lags={"north": lag_s}).settled()
    group.fail("west", 1.0, OUTSIDE)
    found = group.run(60.0)
    assert (found.plan and found.plan.asks, found.judgement.reason) == (asks, reason)


def test_a_standby_that_does_not_exist_is_not_gone_to():
    group = Driven(ready={"west": 4}).settled()
    group.fail("west", 1.0, OUTSIDE)
    found = group.run(60.0)
    assert (found.plan, found.judgement.reason) == (None, Reason.UNKNOWN_TARGET)
    assert "there is no Deployment shop/storefront in cluster north" in found.judgement.detail


def test_what_nobody_can_read_cannot_be_moved():
    group = Driven().settled()
    group.weights = {}
    group.fail("west", 1.0, OUTSIDE)
    found = group.run(65.0)
    assert (found.plan, found.judgement.word, found.judgement.reason) == (None, VerdictWord.ASK, Reason.UNKNOWN_TARGET)


@pytest.mark.parametrize(
    ("change", "asks"),
    [
        (("  witness: edge\n", ""), "there is no third place as witness"),
        (("automatic: true,", "automatic: false,"), "it has state"),
    ],
)
def test_without_a_witness_or_with_state_a_person_is_asked_in_every_mode(change, asks):
    state = [("  mode: approve", "  stateful: true\n  mode: approve")] if asks == "it has state" else []
    policy = a_group(*state, ("mode: approve", "mode: enforce"), change)
    assert policy.reach is Mode.APPROVE
    group = Driven(policy=policy).settled()
    group.fail("west", 1.0, OUTSIDE)
    assert group.run(60.0).plan.asks == asks


@pytest.mark.parametrize(
    ("lies_in", "asks"),
    [
        ("west", "edge is to be the witness, and the Lease lies in west"),
        ("", "edge is to be the witness, and there is no Lease"),
        ("edge", ""),
        (None, ""),
    ],
)
def test_a_witness_that_does_not_hold_the_lease_is_none(lies_in, asks):
    group = Driven(policy=a_group(("mode: approve", "mode: enforce")), lies_in=lies_in).settled()
    group.fail("west", 1.0, OUTSIDE)
    found = group.run(60.0)
    assert found.plan.asks == asks
    assert found.judgement.reason is (Reason.NO_WITNESS if asks else None)


# -- afterwards ----------------------------------------------------------------------------------------


def test_home_is_gone_back_to_by_canary_steps_after_ten_minutes_and_five_of_health():
    group = failed_over()
    moved = group.now
    group.run(60.0)
    group.fail("west", 0.0)
    found = group.tick()
    assert (found.judgement.word, found.judgement.reason) == (VerdictWord.WAIT, Reason.NOT_WELL_LONG_ENOUGH)
    plan = group.run(1200.0).plan
    assert plan.kind is PlanKind.FAILBACK
    assert 600.0 <= group.now - moved <= 610.0
    assert [one["storefront-west"] for one in weights(plan)] == [5, 25, 50, 100]
    assert plan.keeps == (SiteServes(group=group.policy.key, site="west"),)


def test_a_failback_that_had_to_be_taken_back_asks_the_next_time():
    group = failed_over()
    group.fail("west", 0.0)
    plan = group.run(1200.0).plan
    group.plans = (*group.plans, replace(plan, status=PlanStatus.ROLLED_BACK, ended_at=group.now))
    again = group.run(600.0).plan
    assert again.asks == "the last failback had to be taken back"


def test_no_second_failover_within_ten_minutes_and_people_are_asked():
    group = failed_over()
    group.fail("west", 0.0)
    group.run(30.0)
    group.fail("north", 1.0, ("edge", "west"))
    found = group.run(300.0)
    assert found.plan is None
    assert found.judgement.reason in (Reason.STANDBY_SICK, Reason.MOVED_LATELY)


def test_traffic_that_a_person_moved_is_left_where_it_is():
    group = Driven().settled()
    group.weights = {"storefront-west": 0, "storefront-north": 100}
    found = group.run(900.0)
    assert found.plan is None
    assert found.judgement.word is VerdictWord.STEADY


def test_after_a_person_moved_traffic_a_failover_asks_for_an_hour():
    group = Driven().settled()
    group.weights = {"storefront-west": 90, "storefront-north": 10}
    group.tick()
    group.fail("west", 1.0, OUTSIDE)
    assert group.run(60.0).plan.asks == "somebody else moved traffic lately"


def test_whoever_stands_by_takes_weights_as_they_are():
    group = Driven(leader=False).settled()
    group.weights = {"storefront-west": 0, "storefront-north": 100}
    group.tick()
    assert group.memory.override_until < group.now


def test_a_plan_that_a_person_paused_is_left_to_that_person():
    group = Driven().settled()
    group.fail("west", 0.5)
    plan = group.run(60.0).plan
    group.plans = (replace(plan, status=PlanStatus.PAUSED),)
    found = group.run(60.0)
    assert (found.plan, found.judgement.word, found.judgement.reason) == (None, VerdictWord.WAIT, Reason.PAUSED)
    assert found.judgement.plan_id == plan.id


def test_a_proposal_is_made_anew_each_tick_and_withdrawn_when_users_are_served_again():
    group = Driven().settled()
    group.fail("west", 0.5)
    plan = group.run(60.0).plan
    group.plans = (plan,)
    assert group.tick().plan is not None
    group.fail("west", 0.0)
    group.run(5.0)
    for _ in range(12):
        found = group.tick()
    assert found.plan is None


# -- orders --------------------------------------------------------------------------------------------


def test_what_is_remembered_comes_back_from_its_text_and_judges_alike():
    group = Driven().settled()
    group.fail("west", 0.5)
    for _ in range(20):
        memory = from_text(to_text(group.memory), GroupState)
        assert memory == group.memory
        before = (group.memory, group.now, {key: list(value) for key, value in group.counted.items()})
        one = group.tick()
        group.memory, group.now, group.counted = memory, before[1], before[2]
        again = group.tick()
        assert to_text(again.memory) == to_text(one.memory)
        assert (again.plan, again.judgement) == (one.plan, one.judgement)


def test_the_stage_of_a_plan_in_a_test_is_one_that_plans_have():
    assert {step.stage for step in failed_over().plans[0].steps} == {Stage.DONE}
