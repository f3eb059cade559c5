"""What is stored with a decision is what could sway it: findings, incidents and alerts where a condition sees them."""

from __future__ import annotations

from dataclasses import replace

from aiops.core.model import Inputs, LoopState, Percepts, Reason
from aiops.core.pipeline import Turn, decide, decide_one
from aiops.core.policies import Guardrail, PolicySet, Then
from aiops.core.record.codec import from_text, to_text
from aiops.policy.cel import condition
from tests.builders import KEY, answer, policy, snapshot
from tests.stored import ALERT, FINDING, INCIDENT


def test_only_a_policy_with_conditions_keeps_what_they_see():
    when = condition("alerts.exists(a, a.name == 'HighLatency')", ())
    percepts = Percepts(findings=(FINDING,), incidents=(INCIDENT,))
    for guardrails, kept in (((), 0), ((Guardrail(when=when, then=Then.HOLD_SCALE_IN),), 1)):
        policies = PolicySet(digest="p", scaling=(policy(guardrails=guardrails),))
        shot = snapshot(alerts=(ALERT,))
        turn = Turn(snapshot=shot, percepts=percepts, policies=policies, code="c", platform="p")
        inputs = decide(LoopState(), turn).seen[KEY]
        assert [len(inputs.findings), len(inputs.incidents), len(inputs.snapshot.alerts)] == [kept] * 3


def test_a_decision_that_an_alert_swayed_is_made_again_from_what_was_stored():
    when = condition("alerts.exists(a, a.labels.alertname == 'HighLatency')", ())
    held = policy(guardrails=(Guardrail(when=when, then=Then.HOLD),))
    turn = Turn(
        snapshot=snapshot(demand=answer(190.0), alerts=(ALERT,)),
        percepts=Percepts(incidents=(INCIDENT,)),
        policies=PolicySet(digest="p", scaling=(held,)),
        code="c",
        platform="p",
    )
    made = decide(LoopState(), turn)
    (decision,) = made.tick.decisions
    assert decision.verdict.binding.ruling.reason is Reason.GUARDRAIL
    stored = from_text(to_text(made.inputs[decision.id]), Inputs)
    assert stored.snapshot.alerts == (ALERT,)
    assert decide_one(held, stored).decision == decision
    free = replace(stored, snapshot=replace(stored.snapshot, alerts=()))
    assert decide_one(held, free).decision.verdict.change.after == 4
