"""`aiops policy test` of a policy with a selector: several workloads, one of which is looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulators.policy_tests.coverage import Gathered
from simulators.policy_tests.files import suite
from simulators.policy_tests.run import run_case
from tests.unit.chosen import WEB, changed

TESTS = """\
policies: [web.yaml]
tests:
  - name: whoever has the label
    targets: [{name: cart, labels: {tier: web}}, {name: ledger, labels: {tier: batch}}]
    replicas: 2
    given: {leadTime: 60s}
    series: {demand: '100x8 400x40'}
    expect: [{at: 1m, members: [cart]}, {by: 3m, action: Scale, replicas: 8}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "web.yaml").write_text(WEB)
    (tmp_path / "web.test.yaml").write_text(TESTS)
    return tmp_path


def written(folder: Path, *changes: tuple[str, str]) -> Path:
    (folder / "web.test.yaml").write_text(changed(*changes, text=TESTS))
    return folder


def test_the_first_target_is_looked_at_and_its_policy_is_the_members(folder):
    (case,) = suite([folder]).cases
    assert case.policy.key == "ScalingPolicy/shop/web_cart"
    result = run_case(case)
    assert result.failures == ()
    assert {moment.members for moment in result.run.moments} == {("cart",)}


def test_another_target_is_named_and_may_be_none_of_the_members(folder):
    named = written(
        folder,
        ("    replicas: 2", "    target: ledger\n    replicas: 2"),
        (", {by: 3m, action: Scale, replicas: 8}", ""),
    )
    (case,) = suite([named]).cases
    result = run_case(case)
    assert result.failures == ()
    assert [moment.decision for moment in result.run.moments] == [None] * len(result.run.moments)


def test_who_is_expected_among_the_members_and_is_not_fails_with_who_is(folder):
    (case,) = suite([written(folder, ("members: [cart]", "members: [cart, ledger]"))]).cases
    (failure,) = run_case(case).failures
    assert failure.expected == "at 1m: members cart, ledger"
    assert failure.got.startswith("at 1m: members cart; verdict steady")


def test_the_members_of_the_selector_count_for_its_coverage(folder):
    found = suite([folder])
    gathered = Gathered()
    gathered.note(run_case(found.cases[0]).run)
    (coverage,) = gathered.coverage(found.policies)
    assert (coverage.policy, coverage.tests) == ("ScalingPolicy/shop/web", 1)
    assert "direction out" in coverage.hit


WRONG = [
    (
        "tests[0]",
        "ScalingPolicy/shop/web selects its targets: which are there?",
        [("    targets: [{name: cart, labels: {tier: web}}, {name: ledger, labels: {tier: batch}}]\n", "")],
    ),
    ("tests[0].target", "there is no target 'cat'", [("    replicas: 2", "    target: cat\n    replicas: 2")]),
    ("tests[0].targets[1].name", "'cart' is there already", [("name: ledger", "name: cart")]),
    ("tests[0].targets[0]", "a.b: its name 'a.b' is no DNS label", [("{name: cart,", "{name: a.b,")]),
    ("tests[0].targets[0].to", "1m is before 2m", [("{name: cart,", "{name: cart, from: 2m, to: 1m,")]),
]


@pytest.mark.parametrize(("field", "message", "changes"), WRONG)
def test_what_is_wrong_with_targets_is_said_at_its_place(folder, field, message, changes):
    problems = suite([written(folder, *changes)]).problems
    assert [(one.field, message in one.message) for one in problems] == [(field, True)]


def test_a_policy_with_a_name_has_no_targets_to_choose_from(folder):
    own = ("selector: {matchLabels: {tier: web}}, maxTargets: 4, maxGrowth: 1", "name: checkout")
    (folder / "web.yaml").write_text(changed(own))
    (problem,) = suite([folder]).problems
    assert (problem.field, "does not select its targets" in problem.message) == ("tests[0].targets", True)
