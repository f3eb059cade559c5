"""The judges of the end-to-end tests: each rule broken once and kept once, by hand-made records."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiops.adapters.store import Store
from aiops.core.act.set_floor import RESTORE
from aiops.core.model import (
    Action,
    Decision,
    LoopState,
    Percepts,
    SetFloor,
    SignalState,
    Step,
    StepResult,
    StepStatus,
    Verdict,
)
from aiops.core.pipeline import Turn, decide
from aiops.core.policies import Limits, RatePolicy, RateUnit, Reaction, ScalingPolicy
from aiops.policy import parse
from tests.builders import (
    KEY,
    NOW,
    TARGET,
    action,
    answer,
    need,
    policy,
    proposal,
    rules,
    signal,
    snapshot,
    spec,
)
from tests.e2e.audit import AUDIT_POLICY, AuditEvent, AuditLog, parsed
from tests.e2e.invariants import Claim, Evidence, Record, Witness, violations

USER = "system:serviceaccount:aiops:aiops"


def patch(action_id: str = "A1", level: int | None = 10, at: float = NOW + 1, **changes: Any) -> AuditEvent:
    """Return an accepted patch of a Deployment's scale."""
    version = changes.pop("version", None)
    made = AuditEvent(
        id=f"audit-{action_id}-{at:.0f}",
        verb="patch",
        group="apps",
        resource="deployments",
        subresource="scale",
        namespace="shop",
        name="checkout",
        user=USER,
        user_agent=f"aiops/0.1.0 action/{action_id}",
        code=200,
        at=at,
        ended_at=at + 0.01,
        request={"metadata": {"uid": "u"}, "spec": {} if level is None else {"replicas": level}},
        response={"metadata": {"uid": "u", "resourceVersion": str(version or int(at))}},
    )
    return replace(made, **changes)


def stamp(epoch: int, at: float = NOW, **changes: Any) -> AuditEvent:
    return patch("", None, at, user_agent=f"aiops/0.1.0 epoch/{epoch}", **changes)


def floor(action_id: str, level: int, at: float, original: int | None, most: int = 30, **changes: Any) -> AuditEvent:
    """Return an accepted patch of an HPA's floor. original: what the record says, None for a release."""
    note = None if original is None else json.dumps({"minReplicas": original})
    body = {"metadata": {"uid": "h", "annotations": {RESTORE: note}}, "spec": {"minReplicas": level}}
    answered = {"metadata": {"uid": "h", "resourceVersion": str(int(at))}, "spec": {"maxReplicas": most}}
    made = patch(action_id, level, at, resource="horizontalpodautoscalers", subresource="", request=body)
    return replace(made, response=answered, **changes)


def decided(one: Action, reactive: int | None = None, *states: SignalState) -> Decision:
    change = one.change
    wish = proposal(change.before, change.after, change=change, need=need(reactive=reactive))
    return Decision(
        id=one.decision_id,
        tick_id=one.tick_id,
        at=one.issued_at,
        policy=KEY,
        policy_digest="d",
        target=TARGET,
        verdict=Verdict(proposal=wish, rulings=(), change=change, dry_run=False),
        signals=tuple(signal(name, state=s) for name, s in zip(("demand", "latency"), states, strict=False)),
        action_id=one.id,
        changed=True,
        story="",
    )


def intent(number: int = 1, before: int = 8, after: int = 10, at: float = NOW, **changes: Any) -> Action:
    ids = {"id": f"A{number}", "decision_id": f"D{number}"}
    return action(before, after, **ids, issued_at=at, expires_at=at + 30, **changes)


def record(*actions: Action, **changes: Any) -> Record:
    made = Record(
        actions={one.id: one for one in actions},
        statuses={one.id: "done" for one in actions},
        decisions={one.decision_id: decided(one) for one in actions},
        policies={"d": policy(up=rules(rates=()), down=rules(rates=()))},
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def found(events: list[AuditEvent], known: Record, **more: Any) -> list[str]:
    return violations(Evidence(events=events, record=known, **more))


def said(events: list[AuditEvent], known: Record, rule: str, **more: Any) -> str:
    """Return the one violation, which is of the rule and names a record of the audit log."""
    (only,) = found(events, known, **more)
    assert only.startswith(f"{rule}: ")
    assert "audit-" in only or "audit " in only or rule == "ended"
    return only


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


# -- the audit log ---------------------------------------------------------------------------------------


def line(**changes: Any) -> str:
    raw: dict[str, Any] = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "RequestResponse",
        "auditID": "a-1",
        "stage": "ResponseComplete",
        "requestURI": "/apis/apps/v1/namespaces/shop/deployments/checkout/scale?fieldManager=aiops",
        "verb": "patch",
        "user": {"username": USER, "groups": ["system:serviceaccounts:aiops"]},
        "userAgent": "aiops/0.1.0 action/01J0000000000000000000000A",
        "objectRef": {
            "apiGroup": "apps",
            "resource": "deployments",
            "subresource": "scale",
            "namespace": "shop",
            "name": "checkout",
        },
        "responseStatus": {"metadata": {}, "code": 200},
        "requestObject": {"spec": {"replicas": 10}},
        "responseObject": {"metadata": {"resourceVersion": "77"}, "spec": {"replicas": 10}},
        "requestReceivedTimestamp": "2026-03-02T12:00:00.123456Z",
        "stageTimestamp": "2026-03-02T12:00:00.223456Z",
        "annotations": {"authorization.k8s.io/decision": "allow"},
    }
    return json.dumps({**raw, **changes}, separators=(",", ":")) + "\n"


def test_an_event_says_who_asked_for_what() -> None:
    event = parsed(line().encode())
    assert event is not None
    assert (event.action_id, event.epoch) == ("01J0000000000000000000000A", None)
    assert (event.level, event.resource_version, event.object) == (10, 77, "deployments/shop/checkout")
    assert event.at == datetime(2026, 3, 2, 12, 0, 0, 123456, UTC).timestamp()
    assert (event.writes, event.accepted, event.denied) == (True, True, False)
    stamped = parsed(line(userAgent="aiops/0.1.0 epoch/12").encode())
    assert stamped is not None
    assert (stamped.action_id, stamped.epoch) == (None, 12)


def test_only_whole_lines_of_ended_requests_of_the_user_count(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    log = AuditLog(path, users=[USER])
    assert log.read() == []
    other = line(user={"username": "system:admin"}, auditID="a-3", userAgent="kubectl/1.36")
    unknown = line(user={}, auditID="a-4", userAgent="aiops/0.1.0", responseStatus={"code": 401})
    cut = line(auditID="a-5")
    path.write_text(line(stage="ResponseStarted") + line() + other + unknown + cut[:60])
    assert [event.id for event in log.read()] == ["a-1", "a-4"]
    assert log.read() == []
    with path.open("a") as file:
        file.write(cut[60:])
    assert [event.id for event in log.read()] == ["a-5"]
    assert [event.id for event in log.events] == ["a-1", "a-4", "a-5"]
    assert len(AuditLog(path).read()) == 4
    assert log.wait_for(lambda event: event.id == "a-5", 0).id == "a-5"
    with pytest.raises(AssertionError, match=r"waited 0 s for the lost one(.|\n)*a-5"):
        log.wait_for(lambda event: event.id == "a-9", 0, "the lost one")


def test_the_audit_policy_takes_the_first_rule_that_fits_and_ends_with_one_for_all() -> None:
    made = yaml.safe_load(AUDIT_POLICY)
    assert (made["kind"], made["omitStages"]) == ("Policy", ["RequestReceived"])
    assert set(made["rules"][-1]) == {"level"}
    full = [rule for rule in made["rules"] if rule["level"] == "RequestResponse"]
    assert full[0]["resources"][1] == {"group": "autoscaling", "resources": ["horizontalpodautoscalers"]}


# -- the journal -----------------------------------------------------------------------------------------


POLICY = """
apiVersion: policy.aiops/v1alpha1
kind: ScalingPolicy
metadata: {name: checkout, namespace: shop}
spec:
  mode: enforce
  target: {kind: Deployment, name: checkout}
  signals:
    demand: {query: 'sum(demand)', unit: req/s}
  objective: {demand: demand, perReplica: 50}
  bounds: {minReplicas: 2, maxReplicas: 40}
"""


def test_a_witness_reads_the_journal_and_the_log_as_they_grow(tmp_path: Path) -> None:
    url, path = f"sqlite:///{tmp_path / 'aiops.db'}", tmp_path / "audit.log"
    policies = parse(POLICY, "test")
    shot = snapshot(answers={KEY: {"demand": answer(590.0)}})
    turn = Turn(snapshot=shot, percepts=Percepts(), policies=policies, code="c", platform="p")
    made = decide(LoopState(), turn)
    (one,) = made.tick.actions
    store = Store.open(url)
    store.journal.note_policies(policies)
    store.journal.begin(made.tick, made.state)
    path.write_text(_written(one, one.change.after, NOW + 1))
    witness = Witness(log=AuditLog(path, [USER]), stores=[url], wanted=lambda event: event.namespace == "shop")
    assert witness.check() == []
    assert [move.policy.bounds.max_replicas for move in _moves(witness) if move.policy] == [40]
    assert [what.partition(":")[0] for what in witness.check(settled_before=math.inf)] == ["ended"]
    store.journal.settle((StepResult(action_id=one.id, status=StepStatus.DONE, at=NOW + 1),), (), made.state)
    assert witness.check(settled_before=math.inf) == []
    with path.open("a") as file:
        file.write(_written(one, one.change.after, NOW + 3))
    assert [what.partition(":")[0] for what in witness.check(settled_before=math.inf)] == ["pace", "once"]
    store.close()


def _moves(witness: Witness) -> list[Any]:
    return Evidence(events=witness.log.events, record=witness.record).moves


def _written(one: Action, level: int, at: float) -> str:
    stamp_at = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    body = {"metadata": {"uid": "u"}, "spec": {"replicas": level}}
    named = {"userAgent": f"aiops/0.1.0 action/{one.id}", "requestReceivedTimestamp": stamp_at}
    return line(auditID=f"audit-{at:.0f}", requestObject=body, responseObject=body, stageTimestamp=stamp_at, **named)
