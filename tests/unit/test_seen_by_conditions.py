"""What is stored with a decision is what could sway it: findings, incidents and alerts where a condition sees them."""

from __future__ import annotations

from aiops.core.model import LoopState, Percepts
from aiops.core.pipeline import Turn, decide
from aiops.core.policies import Guardrail, PolicySet, Then
from aiops.policy.cel import condition
from tests.builders import KEY, policy, snapshot
from tests.store_contract import ALERT, FINDING, INCIDENT


def test_only_a_policy_with_conditions_keeps_what_they_see():
    when = condition("alerts.exists(a, a.name == 'HighLatency')", ())
    percepts = Percepts(findings=(FINDING,), incidents=(INCIDENT,))
    for guardrails, kept in (((), 0), ((Guardrail(when=when, then=Then.HOLD_SCALE_IN),), 1)):
        policies = PolicySet(digest="p", scaling=(policy(guardrails=guardrails),))
        shot = snapshot(alerts=(ALERT,))
        turn = Turn(snapshot=shot, percepts=percepts, policies=policies, code="c", platform="p")
        inputs = decide(LoopState(), turn).seen[KEY]
        assert [len(inputs.findings), len(inputs.incidents), len(inputs.snapshot.alerts)] == [kept] * 3
