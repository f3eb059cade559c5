"""`aiops policy test` drives policies whose decisions are plans: objects in, plans and changed objects out."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiops.policy.testing import Case
from simulators.policy_tests.files import suite
from simulators.policy_tests.run import Result, run_case

POLICY = """
apiVersion: policy.aiops/v1alpha1
kind: CostPolicy
metadata: {name: nights, namespace: dev}
spec:
  mode: enforce
  target: {kinds: [Deployment, CronJob], every: true, maxTargets: 20}
  sleep: {windows: [{schedule: "0 20 * * *", duration: 10h, timeZone: UTC}], wakeAhead: 5m}
"""
TESTS = """
policies: [nights.yaml]
step: 1m
start: 2026-03-03T19:58:00Z
tests:
  - name: one
    objects: [{kind: Deployment, name: web, replicas: 3}, {kind: CronJob, name: report}]
"""


def cases(folder: Path, tests: str, policy: str = POLICY) -> tuple[Case, ...]:
    """Return the tests of a file beside its policy."""
    (folder / "nights.yaml").write_text(policy, encoding="utf-8")
    (folder / "nights.test.yaml").write_text(tests, encoding="utf-8")
    found = suite([folder / "nights.test.yaml"])
    assert found.problems == (), [str(one) for one in found.problems]
    return found.cases


def result(folder: Path, expects: str) -> Result:
    """Return what becomes of one test with these expectations."""
    (case,) = cases(folder, TESTS + expects)
    return run_case(case)


def test_what_a_plan_does_changes_the_objects_of_the_test(tmp_path: Path) -> None:
    made = result(
        tmp_path,
        """
    expect:
      - {at: 1m, plan: none, verdict: steady}
      - {by: 4m, plan: done, subject: web, does: 'replicas 3 -> 0', object: {name: web, replicas: 0}}
      - {by: 4m, object: {kind: CronJob, name: report, suspended: true, annotation: policy.aiops/asleep}}
    never: [{to: 1m, object: {name: web, replicas: 0}}]
""",
    )
    assert made.failures == ()


@pytest.mark.parametrize(
    ("expects", "got"),
    [
        ("{by: 5m, object: {name: web, replicas: 2}}", "plan of web done"),
        ("{at: 5m, plan: none}", "plan of web done"),
        ("{by: 5m, subject: api, plan: done}", "plan of web done"),
        ("{by: 5m, does: 'replicas 3 -> 1'}", "replicas 3 -> 0"),
        ("{by: 5m, because: the moon}", "plan of web done"),
        ("{at: 1m, reason: frozen}", "verdict steady"),
        ("{by: 5m, object: {kind: CronJob, name: report, gone: true}}", "plan of web done"),
        ("{by: 5m, object: {kind: CronJob, name: other}}", "plan of web done"),
    ],
)
def test_what_is_not_so_fails_and_says_what_there_was(tmp_path: Path, expects: str, got: str) -> None:
    made = result(tmp_path, f"    expect: [{expects}]\n")
    assert len(made.failures) == 1
    assert got in made.failures[0].got


@pytest.mark.parametrize("wrong", ["cluster", "write-refused"])
def test_faults_of_the_cluster_keep_a_plan_from_acting(tmp_path: Path, wrong: str) -> None:
    faults = f"    faults: [{{fault: {wrong}, from: 1m}}]\n"
    made = result(tmp_path, faults + "    never: [{to: 10m, object: {name: web, replicas: 0}}]\n")
    assert made.failures == ()


@pytest.mark.parametrize(
    ("expects", "wrong"),
    [
        ("    expect: [{by: 5m, replicas: 3}]", "tests[0].expect[0].replicas: replicas: a plan has none"),
        ("    expect: [{by: 5m, guard: bounds}]", "tests[0].expect[0].guard: guard: a plan has none"),
        ("    expect: [{by: 5m, plan: finished}]", "tests[0].expect[0].plan: 'finished' is not one of"),
        ("    expect: [{by: 5m, object: {nam: web}}]", "tests[0].expect[0].object.nam: unknown field"),
        ("    series: {nothing: '1x9'}\n    expect: [{by: 5m, plan: none}]", "has no signal 'nothing'"),
    ],
)
def test_mistakes_have_their_place(tmp_path: Path, expects: str, wrong: str) -> None:
    (tmp_path / "nights.yaml").write_text(POLICY, encoding="utf-8")
    (tmp_path / "nights.test.yaml").write_text(TESTS + expects + "\n", encoding="utf-8")
    found = suite([tmp_path / "nights.test.yaml"])
    assert wrong in " ".join(map(str, found.problems))


def test_objects_are_for_plans(tmp_path: Path) -> None:
    folder = Path(__file__).parents[2] / "policies"
    text = f"""
policies: [{folder}/checkout.yaml]
tests:
  - name: one
    objects: [{{kind: Deployment, name: web}}]
    series: {{demand: '1x9'}}
    expect: [{{at: 0s, plan: none}}]
"""
    (tmp_path / "one.test.yaml").write_text(text, encoding="utf-8")
    said = " ".join(map(str, suite([tmp_path / "one.test.yaml"]).problems))
    assert "tests[0].objects: is for policies whose decisions are plans" in said
    assert "tests[0].expect[0].plan: plan: is said of plans" in said
