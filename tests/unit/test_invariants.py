"""The judges of the end-to-end tests: each rule broken once and kept once, by hand-made records."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from aiops.core.model import (
    Action,
    SetFloor,
    SignalState,
    Step,
)
from aiops.core.policies import Limits, RatePolicy, RateUnit, Reaction, ScalingPolicy
from tests.builders import (
    KEY,
    NOW,
    TARGET,
    policy,
    rules,
    spec,
)
from tests.e2e.record import Claim, Record
from tests.unit.records import decided, floor, found, intent, patch, record, said, stamp

# -- origin ----------------------------------------------------------------------------------------------


def test_a_write_that_was_intended_before_is_well() -> None:
    assert found([patch()], record(intent())) == []


def test_a_write_of_no_action_is_a_violation() -> None:
    assert "no action and no epoch" in said([patch("A1", 10, user_agent="aiops/0.1.0")], record(intent()), "origin")
    assert "not in the journal" in said([patch("A7", 10, code=409)], record(intent()), "origin")


def test_a_write_before_its_intent_is_a_violation_but_for_the_clocks() -> None:
    early = patch(at=NOW - 2)
    assert "2.000 s before its intent" in said([early], record(intent()), "origin")
    assert found([early], record(intent()), clock_slack_s=3.0) == []


def test_a_write_of_something_else_than_was_intended_is_a_violation() -> None:
    assert "is to write 10" in said([patch(level=11)], record(intent()), "origin")
    assert "dry run" in said([patch()], record(intent(dry_run=True)), "origin")
    step = Step(target=TARGET, subresource="scale", body={}, uid="u", resource_version="1", summary="")
    steps = record(intent(steps=(step,)))
    assert found([patch()], steps) == []
    assert "shop" in said([patch(name="payment")], steps, "origin")


def test_the_daemons_own_objects_and_dry_runs_are_no_writes_to_targets() -> None:
    lease = patch("", None, resource="leases", user_agent="aiops/0.1.0")
    trial = patch("", 99, uri="/apis/apps/v1/x?dryRun=All", user_agent="aiops/0.1.0")
    assert found([lease, trial], record()) == []


def test_a_stamp_needs_a_claim_that_was_there_before() -> None:
    claimed = record(claims={3: Claim(epoch=3, holder="pod-a", at=NOW)})
    assert found([stamp(3, NOW + 1)], claimed) == []
    assert "nobody claimed" in said([stamp(4, NOW + 1)], claimed, "origin")
    assert "before pod-a claimed epoch 3" in said([stamp(3, NOW - 1)], claimed, "origin")


def test_an_action_needs_an_epoch_that_was_claimed() -> None:
    claims = {1: Claim(epoch=1, holder="pod-a", at=NOW)}
    assert found([patch()], record(intent(epoch=1), claims=claims)) == []
    assert "epoch 2" in said([patch()], record(intent(epoch=2), claims=claims), "origin")


# -- bounds ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after", "what"), [(3, 1, "below 2"), (38, 41, "above 40")])
def test_a_write_out_of_bounds_is_a_violation(before: int, after: int, what: str) -> None:
    assert what in said([patch(level=after)], blind_to_nothing(intent(1, before, after)), "bounds")


@pytest.mark.parametrize(("before", "after"), [(3, 2), (39, 40), (50, 45)])
def test_a_write_within_bounds_or_back_towards_them_is_well(before: int, after: int) -> None:
    assert found([patch(level=after)], blind_to_nothing(intent(1, before, after))) == []


def blind_to_nothing(*actions: Action, **changes: Any) -> Record:
    states = (SignalState.VALUE, SignalState.VALUE)
    decisions = {one.decision_id: decided(one, None, *states) for one in actions}
    return record(*actions, **{"decisions": decisions, **changes})


def test_the_bounds_of_the_hpa_count_too() -> None:
    one = intent(change=SetFloor(hpa="checkout", before=4, after=20))
    assert "above 15" in said([floor("A1", 20, NOW + 1, 4, most=15)], record(one), "bounds")
    assert found([floor("A1", 20, NOW + 1, 4, most=20)], record(one)) == []


def test_a_release_gives_back_what_was_there_wherever_that_is() -> None:
    first = intent(1, change=SetFloor(hpa="checkout", before=1, after=8))
    back = intent(2, at=NOW + 60, change=SetFloor(hpa="checkout", before=8, after=1))
    known = record(first, back)
    known.decisions.pop("D2")  # what is handed back has no decision
    assert found([floor("A1", 8, NOW + 1, 1), floor("A2", 1, NOW + 61, None)], known) == []
    wrong = replace(back, change=SetFloor(hpa="checkout", before=8, after=5))
    known.actions["A2"] = wrong
    text = said([floor("A1", 8, NOW + 1, 1), floor("A2", 5, NOW + 61, None)], known, "bounds")
    assert "gives back 5, and the record on the object said 1" in text


def test_a_policy_that_nobody_knows_is_a_violation() -> None:
    assert "nobody knows" in said([patch()], record(intent(), policies={}), "bounds")
    assert found([patch()], record(intent(), policies={}), policies={KEY: policy()}) == []


# -- pace ------------------------------------------------------------------------------------------------


def limited(**changes: Any) -> dict[str, ScalingPolicy]:
    wide = {"up": rules(rates=()), "down": rules(rates=())}
    return {KEY: policy(**{**wide, **changes})}


def test_writes_faster_than_the_rate_are_a_violation() -> None:
    two_a_minute = rules(rates=(RatePolicy(unit=RateUnit.PODS, value=2, period_s=60.0),))
    slow = limited(up=two_a_minute)
    first, soon, later = intent(1, 8, 10), intent(2, 10, 12, NOW + 30), intent(2, 10, 12, NOW + 60)
    events = [patch("A1", 10), patch("A2", 12, NOW + 31)]
    assert "allows 10; the last was patch" in said(events, record(first, soon), "pace", policies=slow)
    assert found([patch("A1", 10), patch("A2", 12, NOW + 61)], record(first, later), policies=slow) == []
    # one that was not done does not count, and what the floor of the bounds raises is not held
    assert found([patch("A1", 10, code=409), patch("A2", 12, NOW + 31)], record(first, soon), policies=slow) == []
    raised = intent(1, 1, 9)
    assert found([patch("A1", 9)], record(raised), policies=limited(up=two_a_minute, bounds=bounded(9))) == []


def bounded(least: int) -> Any:
    return replace(policy().bounds, min_replicas=least)


def test_an_object_that_was_made_again_begins_anew() -> None:
    slow = limited(up=rules(rates=(RatePolicy(unit=RateUnit.PODS, value=2, period_s=60.0),)))
    events = [patch("A1", 10), patch("A2", 12, NOW + 31)]
    events[1] = replace(events[1], response={"metadata": {"uid": "other", "resourceVersion": "9"}})
    assert found(events, record(intent(1, 8, 10), intent(2, 10, 12, NOW + 30)), policies=slow) == []


def test_more_changes_than_the_hours_budget_are_a_violation_but_for_reactive_need() -> None:
    tight = limited(limits=Limits(cooldown_out_s=0.0, cooldown_in_s=0.0, changes_per_hour=1))
    first, second = intent(1, 8, 10), intent(2, 10, 12, NOW + 60)
    events = [patch("A1", 10), patch("A2", 12, NOW + 61)]
    known = record(first, second)
    assert "change 2 of 1 in an hour" in said(events, known, "pace", policies=tight)
    known.decisions["D2"] = decided(second, 12)
    assert found(events, known, policies=tight) == []
    late = replace(second, issued_at=NOW + 3600)
    known = record(first, late)
    assert found([patch("A1", 10), patch("A2", 12, NOW + 3601)], known, policies=tight) == []


def test_a_change_within_its_cooldown_is_a_violation() -> None:
    calm = limited(limits=Limits(cooldown_out_s=0.0, cooldown_in_s=300.0, changes_per_hour=60))
    first, second = intent(1, 10, 9), intent(2, 9, 8, NOW + 60)
    events = [patch("A1", 9), patch("A2", 8, NOW + 61)]
    assert "60.0 s after one in its direction" in said(events, blind_to_nothing(first, second), "pace", policies=calm)
    later = replace(second, issued_at=NOW + 300)
    events = [patch("A1", 9), patch("A2", 8, NOW + 301)]
    assert found(events, blind_to_nothing(first, later), policies=calm) == []


# -- once, one actor -------------------------------------------------------------------------------------


def test_an_action_that_is_done_twice_is_a_violation() -> None:
    free = limited()
    again = [patch("A1", 10), patch("A1", 10, NOW + 5)]
    assert "was done again" in said(again, record(intent()), "once", policies=free)
    assert found([again[0], replace(again[1], code=409)], record(intent()), policies=free) == []


def test_a_write_under_an_older_epoch_after_a_newer_one_is_a_violation() -> None:
    claims = {n: Claim(epoch=n, holder=f"pod-{n}", at=NOW - 10) for n in (1, 2)}
    old, new = intent(1, 8, 10, epoch=1), intent(2, 10, 11, NOW + 2, epoch=2)
    known = record(old, new, claims=claims)
    takeover = stamp(2, NOW + 1.5, version=50)
    late = patch("A1", 10, NOW + 1, version=60)  # asked before the stamp, done after it
    assert "under epoch 1 was done after epoch 2" in said([late, takeover], known, "one actor")
    # refused is what the stamp is for, and another object has its own order
    assert found([replace(late, code=409), takeover], known) == []
    assert found([patch("A1", 10, NOW + 1, version=40), takeover, patch("A2", 11, NOW + 3, version=70)], known) == []
    assert found([replace(late, name="payment", response={}), takeover], known) == []


# -- sighted, permitted, ended ---------------------------------------------------------------------------


def test_lowering_on_a_blind_signal_is_a_violation() -> None:
    lower = intent(1, 10, 9)

    def seen(*states: SignalState) -> Record:
        return record(lower, decisions={"D1": decided(lower, None, *states)})

    events = [patch("A1", 9)]
    assert found(events, seen(SignalState.VALUE, SignalState.VALUE)) == []
    assert "while latency is stale" in said(events, seen(SignalState.VALUE, SignalState.STALE), "sighted")
    ignoring = limited(signals={"demand": spec(), "latency": spec("latency", on_stale=Reaction.IGNORE)})
    assert found(events, seen(SignalState.VALUE, SignalState.STALE), policies=ignoring) == []
    assert "demand is failed" in said(events, seen(SignalState.FAILED), "sighted")
    higher = intent(1, 8, 10)
    known = record(higher, decisions={"D1": decided(higher, None, SignalState.NAN)})
    assert found([patch()], known) == []
    assert "not in the journal" in said(events, record(lower, decisions={}), "sighted", policies=limited())


def test_what_is_denied_is_a_violation_unless_the_test_expects_it() -> None:
    reason = {"authorization.k8s.io/decision": "forbid", "authorization.k8s.io/reason": "no role"}
    denied = patch("", None, verb="list", resource="pods", code=403, annotations=reason)
    assert "was denied: no role" in said([denied], record(), "permitted")
    assert found([denied], record(), expected=lambda event: event.resource == "pods") == []
    assert "denied" in said([patch("", None, verb="get", code=401, user="")], record(), "permitted")


def test_an_action_without_an_end_is_a_violation_once_all_is_settled() -> None:
    begun = record(intent(), statuses={"A1": "begun"})
    assert found([patch()], begun) == []
    assert "audit-A1" in said([patch()], begun, "ended", settled_before=math.inf)
    assert "no request of it arrived" in said([], begun, "ended", settled_before=NOW + 1)
    assert found([patch()], begun, settled_before=NOW) == []
    assert (
        found([patch()], record(intent(), statuses={"A1": "begun"}, outcomes={"A1": "failed"}), settled_before=1e12)
        == []
    )
    assert found([patch()], record(intent(), statuses={"A1": "unknown"}), settled_before=math.inf) == []
