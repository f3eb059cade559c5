"""A test of a policy may say how the budget stands that covers it."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulators.policy_tests.files import suite
from simulators.policy_tests.run import run_case

POLICY = """\
apiVersion: policy.aiops/v1alpha1
kind: ScalingPolicy
metadata: {name: checkout, namespace: shop}
spec:
  mode: enforce
  target: {kind: Deployment, name: checkout}
  lever: replicas
  signals: {demand: {query: 'sum(rate(http_requests_total{service="checkout"}[1m]))', unit: req/s}}
  objective: {demand: demand, perReplica: 50}
  forecast: {quantile: 0.95, leadTime: 60s}
  bounds: {minReplicas: 3, maxReplicas: 40}
  guardrails:
    - {when: 'cost.month.projected > cost.month.budget * 1.1', then: cap, maxReplicas: 20}
"""
TESTS = """\
policies: [p.yaml]
step: 15s
tests:
  - name: NAME
    replicas: 8
    given: {forecast: '390x8 1490x40'}
    series: {demand: '390x40'}
    budgets: [BUDGET]
    expect: [{by: 5m, EXPECT}]
"""


def outcome(tmp_path: Path, budget: str, expect: str) -> list[str]:
    (tmp_path / "p.yaml").write_text(POLICY)
    path = tmp_path / "p.test.yaml"
    path.write_text(TESTS.replace("NAME", "it").replace("BUDGET", budget).replace("EXPECT", expect))
    found = suite([path])
    assert found.problems == (), [str(one) for one in found.problems]
    return [str(one) for one in run_case(found.cases[0]).failures]


@pytest.mark.parametrize(
    ("budget", "expect"),
    [
        ("{amount: 1000, projected: 900}", "running: 30"),
        ("{amount: 1000, projected: 1200}", "reason: guardrail, replicas: 20"),
        ("{amount: 1000, projected: 900, ceiling: 12}", "reason: cost_budget, guard: ceiling, replicas: 12"),
        ("{amount: 1000, projected: 900, ceiling: 12, binds: false}", "running: 30"),
        ("{amount: 1000, projected: 1200, period: day}", "running: 30"),
    ],
)
def test_growth_that_is_only_foreseen_stops_where_the_budget_says(tmp_path, budget, expect):
    assert outcome(tmp_path, budget, expect) == []


def test_a_ceiling_without_a_projection_is_refused(tmp_path):
    with pytest.raises(AssertionError, match="write projected, too"):
        outcome(tmp_path, "{amount: 1000, ceiling: 12}", "running: 30")
