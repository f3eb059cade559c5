"""The world of a policy's test: pods, clock times, and pages that must not lie."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from aiops.core.guard.chain import CHAIN
from aiops.policy.testing.spec import TestFileSpec, TestSpec
from aiops.policy.testing.surroundings import FaultKind, InventorySpec
from aiops.policy.testing.times import comparison, told, when
from simulators.policy_tests.cluster import Pods, Watched
from simulators.policy_tests.coverage import Gathered
from simulators.policy_tests.faults import Faults
from simulators.policy_tests.files import suite

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "policy-tests.md").read_text()


def test_pods_are_ready_after_the_lead_time_and_the_youngest_go_first():
    pods = Pods(2, 0.0)
    pods.resize(5, 10.0, 60.0)
    assert (len(pods), pods.ready(69.0), pods.ready(70.0)) == (5, 2, 5)
    pods.resize(6, 80.0, 60.0)
    pods.resize(5, 90.0, 60.0)
    assert pods.ready(200.0) == 5
    pods.resize(1_000_000_000, 300.0, 60.0)
    pods.resize(3, 310.0, 60.0)
    assert (len(pods), pods.ready(310.0)) == (3, 3)


def test_a_clock_time_is_the_next_one_after_the_start():
    start = datetime(2026, 3, 2, 17, 50, tzinfo=UTC)
    assert when("18:00").after(start) == 600.0
    assert when("17:49:30").after(start) == 86_370.0
    assert when("13m").after(start) == 780.0


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ("8", 8, True),
        (8, 9, False),
        (">= 8", 8, True),
        ("> 8", 8, False),
        ("<8", 7, True),
        ("<= 8", 9, False),
        ("!= 8", 8, False),
        ("8..10", 10, True),
        ("8 .. 10", 11, False),
    ],
)
def test_a_comparison_says_what_fits(text, value, holds):
    assert comparison(text).holds(value) is holds


def test_offsets_are_told_as_they_are_written():
    assert [told(one) for one in (0, 45, 780, 5400)] == ["0s", "45s", "13m", "1h30m"]


def test_every_field_and_fault_stands_on_the_page():
    words = set(re.findall(r"[A-Za-z-]+", PAGE))
    fields = [
        info.alias or name
        for model in (TestFileSpec, TestSpec, InventorySpec)
        for name, info in model.model_fields.items()
    ]
    assert [one for one in (*fields, *(kind.value for kind in FaultKind)) if one not in words] == []


def test_what_is_not_tested_is_not_covered():
    found = suite([ROOT / "policies" / "search.yaml"])
    (nothing,) = Gathered().coverage(found.policies)
    assert (nothing.ratio, nothing.missed, nothing.tests) == (0.0, nothing.items, 0)
    guards = {item.split(" ")[1] for item in nothing.items if item.startswith("guard ")}
    assert guards < {name for name, _ in CHAIN}


def test_a_rollout_is_seen_only_by_a_watch_policy_that_looks_at_one(tmp_path: Path):
    for name in ("releases", "watch-shop"):
        (tmp_path / f"{name}.yaml").write_text((ROOT / "policies" / f"{name}.yaml").read_text())
    written = (
        "policies: [releases.yaml, watch-shop.yaml]\nstep: 5m\ntests:\n"
        "  - {name: a, policy: catalog-requests, series: {service=catalog: '1x9'}, never: [{finding: point}],\n"
        "     inventory: {rollout: [{from: 10m, to: 15m}]}}\n"
    )
    (tmp_path / "a.test.yaml").write_text(written)
    (case,) = suite([tmp_path]).cases
    watched = Watched(case, case.policy, Faults(case))
    begun = case.start.timestamp()
    (ref,) = case.policy.rollouts.of
    seen = [watched.inventory((), begun + 300.0 * step).workloads[ref.key] for step in range(4)]
    assert [one.rollout for one in seen] == [False, False, True, False]
    (tmp_path / "a.test.yaml").write_text(written.replace("catalog-requests", "latency"))
    (problem,) = suite([tmp_path]).problems
    assert problem.field == "tests[0].inventory.rollout"
    assert "WatchPolicy/shop/latency looks at no rollouts" in problem.message
