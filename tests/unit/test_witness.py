"""How the judges of the end-to-end tests read the audit log and the journal as they grow."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiops.adapters.store import Store
from aiops.core.model import (
    Action,
    LoopState,
    Percepts,
    StepResult,
    StepStatus,
)
from aiops.core.pipeline import Turn, decide
from aiops.policy import parse
from tests.builders import (
    KEY,
    NOW,
    answer,
    snapshot,
)
from tests.e2e.audit import AUDIT_POLICY, AuditLog, parsed
from tests.e2e.invariants import Evidence, Witness
from tests.unit.records import USER

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
