"""Tests of policies give alerts and suspects, as Alertmanager and the detectors would."""

from __future__ import annotations

from pathlib import Path

from tests.commands import aiops

POLICY = """
apiVersion: policy.aiops/v1alpha1
kind: ScalingPolicy
metadata: {name: checkout, namespace: shop}
spec:
  mode: enforce
  target: {name: checkout}
  signals: {demand: {query: 'sum(rate(x{service="checkout"}[1m]))'}}
  objective: {demand: demand, perReplica: 50}
  bounds: {minReplicas: 2, maxReplicas: 40}
  guardrails:
    - {when: 'alerts.exists(a, a.name == "Migration" && a.labels.service == "checkout")', then: hold-scale-in}
    - {when: 'incidents.exists(i, "shop/db" in i.suspects && i.start > 0)', then: hold-scale-in}
"""
TESTS = """
policies: [p.yaml]
step: 15s
tests:
  - name: an alert holds while it fires
    replicas: 10
    series: {demand: '100x80'}
    alerts: [{name: Migration, labels: {service: checkout}, to: 12m}]
    expect: [{at: 10m, reason: guardrail}, {by: 13m, action: Scale}]
    never: [{action: Scale, to: 11m45s}]
  - name: an alert of another service holds nobody
    replicas: 10
    series: {demand: '100x80'}
    alerts: [{name: Migration, labels: {service: cart}}]
    never: [{reason: guardrail}]
    expect: [{by: 19m, action: Scale}]
  - name: a suspect holds
    replicas: 10
    series: {demand: '100x80'}
    incidents: [{suspects: [shop/db]}]
    expect: [{at: 10m, reason: guardrail}]
"""


def test_alerts_and_suspects_are_given_for_a_time(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(POLICY)
    (tmp_path / "p.test.yaml").write_text(TESTS)
    found = aiops("policy", "test", str(tmp_path))
    assert (found.returncode, "3 passed" in found.stdout) == (0, True), found.stdout


def test_an_alert_that_ends_before_it_begins_or_has_no_name_is_refused_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(POLICY)
    wrong = TESTS.replace("to: 12m}]", "from: 13m, to: 12m}]").replace(
        "{name: Migration, labels: {service: cart}}", "{}"
    )
    (tmp_path / "p.test.yaml").write_text(wrong)
    found = aiops("policy", "test", str(tmp_path))
    assert found.returncode == 3
    assert "tests[1].alerts[0].name: this field is required" in found.stderr
    (tmp_path / "p.test.yaml").write_text(TESTS.replace("to: 12m}]", "from: 13m, to: 12m}]"))
    assert "tests[0].alerts[0].to: 12m is before 13m" in aiops("policy", "test", str(tmp_path)).stderr
