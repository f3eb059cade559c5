"""Tests of policies: the language, what its mistakes say, and a runner that cannot be fooled."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from aiops.app.cli import app
from aiops.policy.testing import MISSING, STALE, InvalidNotation, failures, series
from simulators.policy_tests import record, run_case
from simulators.policy_tests.coverage import Gathered
from simulators.policy_tests.files import suite

SHIPPED = Path(__file__).parents[2] / "policies"
POLICY = (SHIPPED / "search.yaml").read_text()
GOOD = """\
policies: [search.yaml]
step: 15s
tests:
  - name: more demand gets more replicas
    replicas: 2
    given: {mode: enforce, forecast: off}
    series: {demand: '100x8 400x40'}
    expect: [{by: 3m, action: Scale, replicas: 5}]
"""


def invoked(*words: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["policy", "test", *words])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "search.yaml").write_text(POLICY)
    (tmp_path / "search.test.yaml").write_text(GOOD)
    return tmp_path


def changed(folder: Path, old: str, new: str) -> Path:
    assert old in GOOD
    (folder / "search.test.yaml").write_text(GOOD.replace(old, new))
    return folder


# -- the notation ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "samples"),
    [
        ("0+10x3", (0.0, 10.0, 20.0, 30.0)),
        ("-2+4x3", (-2.0, 2.0, 6.0, 10.0)),
        ("1-2x4", (1.0, -1.0, -3.0, -5.0, -7.0)),
        ("1x4", (1.0,) * 5),
        ("1 _x3 stale", (1.0, MISSING, MISSING, MISSING, STALE)),
        ("_ 5", (MISSING, 5.0)),
        ("_x0 5x0", (5.0,)),
        ("stalex2 .5 1e3 4.", (STALE, STALE, 0.5, 1000.0, 4.0)),
        ("+Inf -inf", (math.inf, -math.inf)),
        ("1e2-1e1x2", (100.0, 90.0, 80.0)),
    ],
)
def test_a_series_reads_as_promtool_reads_it(text, samples):
    assert series(text) == samples


def test_nan_is_a_sample():
    (one,) = series("NaN")
    assert isinstance(one, float)
    assert math.isnan(one)


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("", 1, "at least one sample"),
        ("5 6 abc", 5, "'abc' is no sample"),
        ("1x4y", 4, "'y' is no sample"),
        ("5 1+2", 6, "lacks how often"),
        ("1x-3", 2, "'x-3' is no sample"),
        ("1x99999999999", 1, "more than 20000"),
        ("1x19999 1", 9, "more than 20000"),
        ("{{schema:1}}", 1, "histograms"),
    ],
)
def test_what_is_no_series_says_where(text, column, said):
    with pytest.raises(InvalidNotation, match=said) as caught:
        series(text)
    assert caught.value.column == column


@given(st.text(alphabet="0123456789+-.x_ eEinfNaNstale{}", max_size=40))
def test_no_text_is_read_as_anything_but_samples_or_a_mistake_inside_of_it(text):
    assert 1 <= place_of_mistake(text) <= len(text) + 1


def place_of_mistake(text: str) -> int:
    """Return where a series cannot be read, 1 where it can."""
    try:
        found = series(text)
    except InvalidNotation as err:
        return err.column
    return 1 if all(one in (MISSING, STALE) or isinstance(one, float) for one in found) else 0


@given(st.floats(-1e6, 1e6), st.floats(-1e3, 1e3), st.integers(0, 50))
def test_a_ramp_has_one_sample_more_than_its_steps(start, step, times):
    found = series(f"{start!r}{step:+}x{times}")
    assert len(found) == times + 1
    assert found[0] == start
    assert found[-1] == pytest.approx(start + step * times, abs=1e-3)


# -- mistakes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "demand:",
            "demnd:",
            ":7:14: tests[0].series.demnd: policy ScalingPolicy/shop/search has no signal 'demnd'",
        ),
        ("100x8 4", "100x8 z4", ":7:29: tests[0].series.demand: 'z400x40' is no sample"),
        ("expect:", "expects:", "tests[0].expects: unknown field (did you mean 'expect'?)"),
        ("by: 3m,", "by: 3m, at: 3m,", "exclude each other"),
        ("by: 3m, ", "", "when? write at, by, or from and to"),
        ("by: 3m, ", "from: 5m, to: 3m, ", "3m is before 5m"),
        ("by: 3m", "by: 12:13", "a clock time in quotes"),
        ("by: 3m", "by: 3 parsecs", "no duration"),
        ("by: 3m", "by: 900d", "lasts longer than 20000 steps"),
        ("action: Scale", "action: Scael", "(did you mean 'Scale'?)"),
        ("replicas: 5}", "reason: absent_signals}", "(did you mean 'absent_signal'?)"),
        ("replicas: 5}", "guard: budgets}", "is no guard"),
        ("replicas: 5}", "replicas: '>> 5'}", "no comparison such as"),
        ("replicas: 5}", "replicas: 9..8}", "is empty"),
        ("replicas: 2\n", "policy: serch\n", "there is no policy 'serch' (did you mean 'search'?)"),
        ("search.yaml", "nothing.yaml", "there is no such file"),
        ("    expect: [{by: 3m, action: Scale, replicas: 5}]\n", "", "a test without expect and never cannot fail"),
        ("given: {", "faults: [{fault: signal}]\n    given: {", "signal belongs to"),
        ("given: {", "presence: {demand: '1x3'}\n    given: {", "has no presence query"),
    ],
)
def test_a_mistake_has_its_place_and_a_hint(folder, old, new, said):
    code, _, errors = invoked(str(changed(folder, old, new)))
    assert code == 3
    assert said in errors
    assert "Traceback" not in errors


def test_two_tests_of_one_name_and_no_tests_at_all_are_mistakes(folder):
    whole = (folder / "search.test.yaml").read_text()
    (folder / "search.test.yaml").write_text(whole + whole.split("tests:\n")[1])
    assert "is the name of the test in line 4, too" in invoked(str(folder))[2]
    (folder / "search.test.yaml").write_text("policies: [search.yaml]\ntests: []\n")
    code, _, errors = invoked(str(folder))
    assert (code, "tests: this is empty" in errors) == (3, True)


def test_a_policy_that_is_invalid_says_its_own_problems(folder):
    (folder / "search.yaml").write_text(POLICY.replace("perReplica: 80", "perReplica: none"))
    code, _, errors = invoked(str(folder))
    assert code == 3
    assert "spec.objective.perReplica" in errors


@given(st.data())
def test_no_mutation_of_a_test_file_brings_a_traceback(tmp_path_factory, data):
    place = data.draw(st.integers(0, len(GOOD)))
    length = data.draw(st.integers(0, 12))
    junk = data.draw(st.text(alphabet="{}[]:,'\"\n\t -&*!%@#x_0129ab\x00é", max_size=6))
    where = tmp_path_factory.mktemp("mutated")
    (where / "search.yaml").write_text(POLICY)
    (where / "search.test.yaml").write_text(GOOD[:place] + junk + GOOD[place + length :])
    found = suite([where])
    assert found.problems or all(run_case(case).run.moments for case in found.cases)


# -- the shipped tests, and tests of the tests -----------------------------------------------------


def test_the_shipped_policies_pass_their_tests_and_every_rule_is_exercised():
    found = suite([SHIPPED])
    assert found.problems == ()
    gathered = Gathered()
    for case in found.cases:
        result = run_case(case, whole=True)
        assert result.failures == (), case.spec.name
        gathered.note(result.run)
    coverages = {one.policy: one.missed for one in gathered.coverage(found.policies)}
    shipped = ("checkout", "search", "storefront")
    assert {name: coverages[f"ScalingPolicy/shop/{name}"] for name in shipped} == dict.fromkeys(shipped, ())


@pytest.mark.parametrize(
    ("policy", "old", "new"),
    [
        ("search", "perReplica: 80", "perReplica: 160"),
        ("search", "maxReplicas: 20", "maxReplicas: 19"),
        ("checkout", "minReplicas: 6}", "minReplicas: 5}"),
        ("checkout", "cooldown: {in: 2m}", "cooldown: {in: 0s}"),
        ("checkout", "then: hold-scale-in}      #", "then: hold-scale-out}      #"),
        ("checkout", "replicas: 12}", "replicas: 11}"),
        ("checkout", "changesPerHour: 30", "changesPerHour: 60"),
        ("storefront", "singleStepWindowSeconds: 300", "singleStepWindowSeconds: 0"),
        ("storefront", "stepPercent: 7", "stepPercent: 0"),
        ("storefront", "atMost: 250ms", "atMost: 900ms"),
        ("web-tier", "maxGrowth: 2", "maxGrowth: 3"),
        ("web-tier", "perReplica: 60", "perReplica: 120"),
        ("web-tier", "operator: DoesNotExist", "operator: Exists"),
        ("releases", "newLevel: up", "newLevel: down"),
        ("releases", "newLevel: down", "newLevel: both"),
        ("releases", "settle: 30m", "settle: 90m"),
    ],
)
def test_a_policy_that_is_broken_fails_its_shipped_tests(tmp_path, policy, old, new):
    text = (SHIPPED / f"{policy}.yaml").read_text()
    assert old in text
    (tmp_path / f"{policy}.yaml").write_text(text.replace(old, new))
    (tmp_path / "tests").mkdir()
    tests = f"{policy}.test.yaml"
    (tmp_path / "tests" / tests).write_text((SHIPPED / "tests" / tests).read_text())
    found = suite([tmp_path])
    assert found.problems == ()
    assert any(run_case(case).failures for case in found.cases)


def test_what_is_expected_fails_when_it_is_forbidden(folder):
    (case,) = suite([changed(folder, "expect: [{by: 3m,", "never: [{to: 3m,")]).cases
    (failure,) = run_case(case).failures
    assert failure.expected == "never from 0s to 3m: action Scale, replicas 5"
    assert failure.got.startswith("at 2m15s: verdict allow, action Scale, 2 -> 5")


def test_a_bug_in_deciding_fails_a_test_that_would_not_have_noticed(folder):
    (case,) = suite([folder]).cases
    run = record(case, case.ticks)
    assert failures(run, case.spec.expect, (), case.start) == []
    first = run.moments[0]
    broken = replace(first, decision=replace(first.decision, verdict=None, bug="ZeroDivisionError: x", story="a bug"))
    (found,) = failures(replace(run, moments=[broken, *run.moments[1:]]), case.spec.expect, (), case.start)
    assert (found.expected, found.got) == ("no bug in deciding", "at 0s: a bug: a bug")


# -- the command -------------------------------------------------------------------------------------


def test_a_failure_shows_what_was_expected_beside_what_there_was_and_the_story(folder):
    code, out, _ = invoked(str(changed(folder, "by: 3m", "by: 2m")), "--fail-only")
    assert code == 1
    assert "expected  by 2m: action Scale, replicas 5" in out
    assert "nearest   at 2m15s: verdict allow, action Scale, 2 -> 5" in out
    assert "| need " in out


def test_tests_can_be_required_chosen_and_missing(folder):
    assert invoked(str(folder), "--require-tests")[0] == 0
    assert invoked(str(folder), "--run", "replicas$")[0] == 0
    assert invoked(str(folder), "--run", "nothing")[0] == 1
    assert invoked(str(folder), "--run", "(")[0] == 2
    (folder / "search.test.yaml").unlink()
    code, _, errors = invoked(str(folder), "--require-tests")
    assert (code, "ScalingPolicy/shop/search has no test" in errors) == (1, True)


def test_a_test_that_fails_is_run_to_its_end_and_one_that_passes_no_further_than_it_says(folder):
    (passing,) = suite([folder]).cases
    assert len(run_case(passing).run.moments) == 13
    assert len(run_case(passing, whole=True).run.moments) == passing.ticks == 50
    (failing,) = suite([changed(folder, "by: 3m", "by: 2m")]).cases
    assert len(run_case(failing).run.moments) == 50


def test_junit_counts_cases_and_failures(folder):
    code, out, _ = invoked(str(changed(folder, "by: 3m", "by: 2m")), "-o", "junit")
    root = ElementTree.fromstring(out)
    assert (code, root.attrib["tests"], root.attrib["failures"]) == (1, "1", "1")
    failure = root.find("./testsuite/testcase/failure")
    assert failure is not None
    assert failure.attrib["message"].startswith("expected by 2m")
