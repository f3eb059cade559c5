"""Conditions over nodes, prices and budgets, as a policy test gives them: what is missing, damaged or dear."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import aiops

POLICY = """\
apiVersion: policy.aiops/v1alpha1
kind: ScalingPolicy
metadata: {name: checkout, namespace: shop}
spec:
  mode: enforce
  target: {kind: Deployment, name: checkout}
  signals:
    demand: {query: 'sum(rate(http_requests_total[1m]))', unit: req/s}
  objective: {demand: demand, perReplica: 50}
  bounds: {minReplicas: 3, maxReplicas: 40}
  guardrails:
    - {when: 'pools.exists(p, p.spot && p.ready < p.count)', then: hold-scale-in}
    - {when: 'cost.month.left < 100 || cost.month.burn > 1.5', then: cap, maxReplicas: 8}
    - {when: 'prices.core > 0.06 && nodes.ready < 20', then: cap, maxReplicas: 9}
"""

TESTS = """\
policies: [p.yaml]
start: 2026-03-16T12:00:00Z
tests:
  - name: a spot pool that lost a node holds scale-in until it is whole again
    replicas: 10
    series: {demand: '100x120'}
    budgets: [{amount: 1000, spent: 100}]
    prices: {replicaHour: 0.04, coreHour: 0.03, gibHour: 0.004}
    nodes:
      - {pool: web, count: 4, cores: 3.5, memory: 14Gi, usdPerHour: 0.2}
      - {pool: spot, spot: true, count: 6, ready: 5, to: 20m}
      - {pool: spot, spot: true, count: 6, from: 20m}
    never: [{action: Scale, to: 19m}]
    expect: [{by: 28m, action: Scale, direction: in}, {at: 10m, verdict: wait, story: pools.exists}]
  - name: little money left caps growth
    replicas: 4
    series: {demand: '1000x20'}
    budgets: [{amount: 1000, spent: 950}]
    prices: {replicaHour: 0.04, coreHour: 0.03, gibHour: 0.004}
    nodes: [{pool: web, count: 4}]
    expect: [{by: 4m, action: Scale, replicas: 8}]
    never: [{replicas: '> 8'}]
  - name: money that is spent too fast caps growth, in the first half of the month
    replicas: 4
    series: {demand: '1000x20'}
    budgets: [{amount: 1000, spent: 780}]
    prices: {replicaHour: 0.04, coreHour: 0.03, gibHour: 0.004}
    nodes: [{pool: web, count: 4}]
    expect: [{by: 4m, action: Scale, replicas: 8}]
    never: [{replicas: '> 8'}]
  - name: dear cores cap growth while there are few nodes
    replicas: 4
    series: {demand: '1000x20'}
    budgets: [{amount: 1000, spent: 100}]
    prices: {replicaHour: 0.04, coreHour: 0.07, gibHour: 0.004}
    nodes: [{pool: web, count: 4}]
    expect: [{by: 4m, action: Scale, replicas: 9}]
    never: [{replicas: '> 9'}]
  - name: where nodes are many, dear cores cap nothing
    replicas: 4
    series: {demand: '1000x20'}
    budgets: [{amount: 1000, spent: 100}]
    prices: {replicaHour: 0.04, coreHour: 0.07, gibHour: 0.004}
    nodes: [{pool: web, count: 24}]
    expect: [{by: 4m, action: Scale, replicas: 20}]
  - name: where no node is known scale-in is held
    replicas: 10
    series: {demand: '100x60'}
    budgets: [{amount: 1000, spent: 100}]
    never: [{action: Scale}]
    expect: [{at: 10m, reason: guardrail_undecided}]
"""


def written(folder: Path, policy: str, tests: str) -> Path:
    (folder / "p.yaml").write_text(policy)
    (folder / "p.test.yaml").write_text(tests)
    return folder


def test_nodes_prices_and_money_sway_decisions_as_they_are_given(tmp_path):
    found = aiops("policy", "test", str(written(tmp_path, POLICY, TESTS)))
    assert (found.returncode, "0 failed, 6 passed" in found.stdout) == (0, True), found.stdout + found.stderr


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nodes: [{pool: web, count: 4, ready: 5}]", "5 of 4 cannot be ready"),
        ("nodes: [{pool: web, count: 4, ready: 2, schedulable: 3}]", "3 of 2 that are ready cannot take pods"),
        ("nodes: [{pool: web, count: 4, from: 9m, to: 8m}]", "8m is before 9m"),
        ("budgets: [{amount: 5, from: 9m, to: 8m}]", "8m is before 9m"),
        ("nodes: [{pool: web, cuont: 4}]", "did you mean 'count'?"),
        ("prices: {coreHour: 0.07}", "write coreHour and gibHour"),
        ("prices: {coreHour: 0.07, gibHour: 0.01}", "write replicaHour, too"),
    ],
)
def test_what_cannot_be_is_said_at_its_place(tmp_path, given, said):
    rest = "    series: {demand: '1'}\n    never: [{action: Scale}]\n"
    one = f"policies: [p.yaml]\ntests:\n  - name: a\n    {given}\n{rest}"
    found = aiops("policy", "test", str(written(tmp_path, POLICY, one)))
    assert found.returncode == 3
    assert said in found.stderr
    assert "p.test.yaml:4:" in found.stderr
