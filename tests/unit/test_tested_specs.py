"""Tests that passed are evidence of the very spec that they ran on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiops.app.tested_specs import VERSION, checked, evidence_for, read, recorded
from aiops.core.versions import template_key
from aiops.errors import InvalidInput
from simulators.policy_tests.files import suite
from tests.commands import aiops
from tests.unit.chosen import WEB, changed
from tests.unit.test_policy_testing_targets import TESTS
from tests.unit.test_template_daemon import KEY, POLICY, Shop

RUN = {"policy": "p", "spec_hash": "h", "at": "2026-03-02T12:00:00Z", "files": [{"file": "a", "tests": 2, "passed": 2}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "web.yaml").write_text(WEB)
    (tmp_path / "web.test.yaml").write_text(TESTS)
    return tmp_path


def test_a_run_says_which_files_passed_for_which_spec(folder: Path):
    record = folder / "out" / "tests.json"
    done = aiops("policy", "test", str(folder), "--record", str(record))
    assert done.returncode == 0, done.stderr
    (run,) = read(record)
    (case,) = suite([folder]).cases
    assert (run["policy"], run["spec_hash"]) == (template_key(case.policy.key), case.policy.spec_hash)
    assert [(file["file"], file["tests"], file["passed"]) for file in run["files"]] == [
        (str(folder / "web.test.yaml"), 1, 1)
    ]
    assert len(run["files"][0]["digest"]) == 16


def test_a_later_run_of_a_spec_takes_the_place_of_the_earlier_and_another_spec_stands_beside_it(folder: Path):
    record = folder / "tests.json"
    aiops("policy", "test", str(folder), "--record", str(record))
    (folder / "web.test.yaml").write_text(changed(("replicas: 8}", "replicas: 9}"), text=TESTS))
    failed = aiops("policy", "test", str(folder), "--record", str(record))
    assert failed.returncode == 1
    (run,) = read(record)
    assert run["files"][0]["passed"] == 0
    (folder / "web.yaml").write_text(changed(("maxReplicas: 10", "maxReplicas: 20")))
    aiops("policy", "test", str(folder), "--record", str(record))
    assert len(read(record)) == 2


def test_a_part_of_the_tests_is_no_evidence(folder: Path):
    refused = aiops("policy", "test", str(folder), "--record", str(folder / "x.json"), "--run", "label")
    assert (refused.returncode, (folder / "x.json").exists()) == (2, False)
    assert "a part of the tests is no evidence" in refused.stderr.replace("\n", " ")


def test_the_newest_run_of_the_very_spec_counts():
    later = {**RUN, "at": "2026-03-03T12:00:00Z", "files": [{"file": "a", "tests": 2, "passed": 1}]}
    assert evidence_for([later, RUN], "p", "h") == {
        "at": later["at"], "tests": 2, "passed": 1, "files": [{"file": "a", "tests": 2, "passed": 1}],
    }  # fmt: skip
    assert evidence_for([RUN], "p", "other") is None
    assert evidence_for([RUN], "q", "h") is None


WRONG = [
    None,
    {},
    [1],
    [{**RUN, "files": []}],
    [{**RUN, "at": 5}],
    [{**RUN, "files": [{"file": "a", "tests": 1, "passed": 2}]}],
    [{**RUN, "files": [{"file": "a", "tests": True, "passed": 1}]}],
    [{**RUN, "files": [{"tests": 1, "passed": 1}]}],
]


@pytest.mark.parametrize("runs", WRONG)
def test_what_is_no_record_is_refused(runs, tmp_path: Path):
    with pytest.raises(InvalidInput, match="runs with policy, spec_hash, at and files are wanted"):
        checked(runs)
    file = tmp_path / "tests.json"
    file.write_text(json.dumps({"version": VERSION, "runs": runs}))
    with pytest.raises(InvalidInput, match=r"tests\.json: tests: runs with"):
        read(file)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 99, "runs": []}'])
def test_another_file_is_refused_with_its_name(text, tmp_path: Path):
    file = tmp_path / "tests.json"
    file.write_text(text)
    with pytest.raises(InvalidInput, match=r"tests\.json: "):
        read(file)
    with pytest.raises(InvalidInput, match=r"tests\.json: "):
        recorded(file, [RUN])


# -- in a promotion ----------------------------------------------------------------------------------------------------


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path, by="evidence", evidence_for=60.0)
    made.turn(4)
    yield made
    made.built.store.close()


def run_of(shop: Shop, passed: int) -> dict:
    (template,) = shop.built.policies.current().templates
    files = [{"file": "web.test.yaml", "digest": "d", "tests": 3, "passed": passed}]
    return {"policy": KEY, "spec_hash": template.spec_hash, "at": "2026-03-02T12:00:00Z", "files": files}


def test_a_promotion_keeps_the_tests_that_passed_on_its_spec(shop: Shop):
    made = shop.promote(tests=[run_of(shop, 3)])
    assert made["promoted"]
    kept = shop.service.promotions()["promotions"][0]["evidence"]["tests"]
    assert (kept["tests"], kept["passed"], kept["files"][0]["file"]) == (3, 3, "web.test.yaml")


def test_tests_that_failed_refuse_it_unless_forced(shop: Shop):
    refused = shop.promote(tests=[run_of(shop, 2)])
    assert (refused["promoted"], refused["missing"]) == (
        False, ["1 of its 3 tests failed at 2026-03-02T12:00:00Z"],
    )  # fmt: skip
    assert shop.promote(tests=[run_of(shop, 2)], force=True)["promoted"]


def test_tests_of_another_spec_say_nothing_and_none_are_no_reason_to_refuse(shop: Shop):
    made = shop.promote(tests=[{**run_of(shop, 2), "spec_hash": "another"}])
    assert (made["promoted"], made["evidence"]["tests"]) == (True, None)
    with pytest.raises(InvalidInput, match="runs with policy"):
        shop.promote(tests=[{"policy": POLICY["kind"]}])
