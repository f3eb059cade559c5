"""The command line as a user meets it: what it prints, and with which code it ends."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from aiops.app.cli import one_thread
from aiops.app.commands.look import Came
from aiops.core.model.decided import VerdictWord
from tests.commands import ROOT, aiops, process


def test_help_names_every_command():
    found = process("--help").stdout
    for command in ("run", "status", "decisions", "explain", "replay", "simulate", "policy", "pause", "release"):
        assert command in found


def test_nothing_heavy_is_imported_for_help():
    heavy = "{'pandas', 'kubernetes', 'sqlalchemy', 'fastapi', 'statsmodels', 'river', 'numpy', 'pydantic'}"
    code = f"import sys, aiops.app.cli; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"


def test_linear_algebra_works_in_one_thread_unless_somebody_said_how_many():
    # numpy reads it when it is imported, and nothing imports it before a command does: the test above
    silent, said = {"HOME": "/root"}, {"OMP_NUM_THREADS": "4"}
    one_thread(silent)
    one_thread(said)
    assert silent == {"HOME": "/root", "OMP_NUM_THREADS": "1"}
    assert said == {"OMP_NUM_THREADS": "4"}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("policy", "validate", "policies"), 0, " 0 errors, "),
        (("policy", "validate", "nowhere"), 1, "there is no such file or folder"),
        (("nonsense",), 2, "No such command"),
        (("--config", "nowhere.yaml", "status"), 3, "cannot be read"),
        (("--server", "http://127.0.0.1:9", "status"), 4, "cannot be reached"),
        (("simulate", "nowhere", "--policies", "policies"), 1, "there is no scenario"),
        (("run",), 3, "prometheus.url is not set"),
        (("pause", "--all"), 2, "--reason is missing"),
        (("--server", "http://127.0.0.1:9", "failover", "start", "shop/storefront"), 2, "--reason is missing"),
        (("decisions", "--verdict", "alow"), 2, "'alow' is not one of"),
        (("--version",), 0, "aiops "),
    ],
)
def test_each_end_has_its_documented_code(words, code, said, tmp_path):
    found = aiops(*words, AIOPS_STORE__URL=f"sqlite:///{tmp_path / 'x.db'}")
    assert (found.returncode, said in found.stdout + found.stderr) == (code, True), found.stderr


def test_a_rehearsal_keeps_a_record_that_can_be_looked_at_explained_and_made_again(tmp_path):
    journal = tmp_path / "journal.db"
    policies = "simulators/demo/policies"
    words = (
        "-o", "json", "simulate", "flash-crowd", "--policies", policies, "--no-baselines",
        "--journal", str(journal), "--report", str(tmp_path / "report.html"),
    )  # fmt: skip
    ran, twice = aiops(*words), aiops(*words)
    assert ran.returncode == 0, ran.stderr
    assert (twice.returncode, f"{journal} holds a record already" in twice.stderr) == (1, True)
    assert json.loads(ran.stdout)["scores"][0]["actions_out"] > 0
    assert "<svg" in (tmp_path / "report.html").read_text()
    store = {"AIOPS_STORE__URL": f"sqlite:///{journal}"}
    listed = json.loads(aiops("-o", "json", "decisions", "shop/checkout", "--verdict", "allow", **store).stdout)
    told = aiops("explain", listed[0]["id"], **store).stdout
    for label in ("saw", "expects", "need", "limits", "bound by", "action", "outcome"):
        assert f"\n{label} " in told
    again = process("replay", listed[0]["id"], **store)
    assert (again.returncode, "identical" in again.stdout) == (0, True)
    paused = aiops("pause", "shop", "--reason", "a test", **store)
    assert "undo with: aiops resume" in paused.stdout
    assert "a test" in aiops("status", **store).stdout
    assert aiops("resume", "--all", **store).stdout == "1 pause ended\n"


def test_a_pause_is_ended_by_its_scope_as_well_as_by_its_id(tmp_path):
    store = {"AIOPS_STORE__URL": f"sqlite:///{tmp_path / 'x.db'}"}
    assert aiops("store", "migrate", **store).returncode == 0
    for scope in ("shop/checkout", "shop/checkout", "shop"):
        assert aiops("pause", scope, "--reason", "a test", **store).returncode == 0
    assert aiops("resume", "shop/checkout", **store).stdout == "2 pauses ended\n"
    unknown = aiops("resume", "shop/checkout", **store)
    assert (unknown.returncode, unknown.stderr) == (
        1,
        "there is no pause shop/checkout in force; aiops status lists them\n",
    )
    assert aiops("resume", "", **store).returncode == 2
    assert [one["scope"] for one in json.loads(aiops("-o", "json", "status", **store).stdout)["pauses"]] == ["shop"]


def test_decisions_can_be_asked_for_by_every_word_that_there_is():
    assert {one.value for one in Came} == {*(word.value for word in VerdictWord), "bug"}
