"""Records of the API server and of the journal, made by hand, and what the judges say of them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from aiops.core.act.set_floor import RESTORE
from aiops.core.model import (
    Action,
    Decision,
    SignalState,
    Verdict,
)
from tests.builders import (
    KEY,
    NOW,
    TARGET,
    action,
    need,
    policy,
    proposal,
    rules,
    signal,
)
from tests.e2e.audit import AuditEvent
from tests.e2e.invariants import Evidence, violations
from tests.e2e.record import Record

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
