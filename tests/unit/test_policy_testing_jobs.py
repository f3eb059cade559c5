"""Tests of policies over several processes: what becomes of them is what becomes of them in one."""

from __future__ import annotations

import gc
import json
import os
import threading
from pathlib import Path

import pytest

from simulators.policy_tests.files import suite
from simulators.policy_tests.jobs import SELDOM, run_cases
from tests.commands import ROOT, process

CASE = """\
  - name: a step in load {number}
    replicas: 6
    given: {{perReplica: 50, leadTime: 90s, mode: enforce}}
    series: {{demand: '200 200+20x6', latency: '0.08x7'}}
    expect: [{{by: 2m, action: Scale, replicas: '>= {wanted}'}}]
"""


@pytest.fixture
def many(tmp_path) -> Path:
    """Return a file of 34 tests of which every third fails."""
    cases = "".join(CASE.format(number=number, wanted=7 if number % 3 else 70) for number in range(34))
    file = tmp_path / "many.test.yaml"
    policy = ROOT / "policies" / "checkout.yaml"
    file.write_text(f"policies: [{policy}]\nstart: 2026-03-02T12:00:00+01:00\ntests:\n{cases}")
    return file


def told(many: Path, processes: int) -> tuple[int, list[dict[str, object]]]:
    done = process("policy", "test", str(many), "--jobs", str(processes), "-o", "json")
    tests = json.loads(done.stdout)["tests"]
    return done.returncode, [{key: one[key] for key in one if key != "seconds"} for one in tests]


def test_tests_of_several_processes_are_told_as_those_of_one_in_their_order(many):
    code, found = told(many, 2)
    assert (code, found) == told(many, 1)
    assert (code, len(found), sum(not one["passed"] for one in found)) == (1, 34, 12)
    assert found[0]["failures"]


def test_a_bug_in_another_process_is_raised_here(many):
    cases, here = suite([many]).cases, os.getpid()

    def clock() -> float:
        if os.getpid() != here:
            raise ZeroDivisionError("a bug")
        return 0.0

    with pytest.raises(ZeroDivisionError, match="a bug"):
        run_cases(cases, clock, jobs=2)


def test_few_tests_run_where_they_are_asked_for_and_so_do_those_of_which_the_whole_is_asked_for(many):
    cases = suite([many]).cases
    assert all(one.run is not None for one in run_cases(cases[:31], lambda: 0.0, jobs=8))
    assert all(one.run is not None for one in run_cases(cases, lambda: 0.0, whole=True, jobs=8))


def test_garbage_is_looked_for_seldom_where_no_threads_are_and_as_before_when_tests_are_done(many):
    before = gc.get_threshold(), gc.get_freeze_count()
    seen = []

    def clock() -> float:
        seen.append(gc.get_threshold()[0])
        return 0.0

    run_cases(suite([many]).cases[:2], clock, jobs=1)
    assert set(seen) == {SELDOM if threading.active_count() == 1 else before[0][0]}
    assert (gc.get_threshold(), gc.get_freeze_count()) == before
