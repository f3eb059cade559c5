"""Alerts about the daemon: of metrics that it exports, tried by promtool, each with a chapter in the runbook."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import typer.main
import yaml

from aiops.app.cli import app
from aiops.policy.promql import parsed
from tests.expressions import misnamed

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "config" / "alerts"
RULES = [
    rule
    for group in yaml.safe_load((ALERTS / "aiops.rules.yaml").read_text())["groups"]
    for rule in group["rules"]
]  # fmt: skip
TRIALS = sorted((ALERTS / "tests").glob("*.yaml"))
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
HEADINGS = re.findall(r"^## (.+)$", RUNBOOK, re.M)
promtool = shutil.which("promtool")


# -- the rules ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_reads_what_is_exported_and_says_what_to_do(rule):
    assert misnamed(rule["expr"]) == []
    parsed(rule["expr"])
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    notes = rule["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    assert notes["description"].endswith(".")
    assert not notes["summary"].endswith(".")
    page, _, anchor = notes["runbook_url"].partition("#")
    assert page.endswith("/docs/runbook/")
    assert anchor in {heading.lower() for heading in HEADINGS}
    assert anchor == rule["alert"].lower()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_label_in_a_text_is_one_that_the_alert_has(rule):
    """An aggregation keeps its own labels alone; what is not aggregated has those of the target, too."""
    by = re.search(r"by \(([^)]+)\)", rule["expr"])
    texts = " ".join(rule["annotations"].values())
    named = set(re.findall(r"\$labels\.(\w+)", texts))
    assert named <= (set(by[1].split(", ")) if by else {"instance"})


def test_names_are_said_once():
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names)) > 20


@pytest.mark.parametrize(
    ("expr", "wrong"),
    [
        ("aiops_gone > 0", ["aiops_gone is not exported"]),
        ("aiops_ticks > 0", ["aiops_ticks is not exported"]),
        ('aiops_plans{state="asking"} > 0', ["aiops_plans has no label state"]),
        ("sum by (target) (aiops_questions)", ["by (target): none of aiops_questions has it"]),
        ('aiops_plans{status="askin"}', ["aiops_plans: status is never 'askin'"]),
        ('aiops_plans{status=~"asking|gone"}', ["aiops_plans: status is never 'gone'"]),
        ("histogram_quantile(0.9, sum by (le) (rate(aiops_stage_duration_seconds_bucket[5m])))", []),
        ("rate(aiops_ticks_total{namespace='a', job='b'}[5m])", []),
    ],
)
def test_a_name_a_label_or_a_word_that_is_not_exported_is_found(expr, wrong):
    assert misnamed(expr) == wrong


# -- promtool ----------------------------------------------------------------------------------------------


def tool(*words: str) -> str:
    assert promtool is not None, "Debian's package prometheus has promtool"
    ran = subprocess.run([promtool, *words], cwd=ALERTS, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_promtool_takes_the_rules():
    assert f"{len(RULES)} rules found" in tool("check", "rules", "--lint-fatal", "aiops.rules.yaml")


@pytest.mark.parametrize("trial", TRIALS, ids=lambda file: file.stem)
def test_promtool_finds_each_alert_firing_when_it_should(trial):
    assert "SUCCESS" in tool("test", "rules", str(trial))


def test_each_alert_is_seen_to_fire_and_not_to_fire():
    seen: dict[str, set[bool]] = {}
    for file in TRIALS:
        for case in yaml.safe_load(file.read_text())["tests"]:
            for one in case["alert_rule_test"]:
                seen.setdefault(one["alertname"], set()).add(bool(one.get("exp_alerts")))
    assert seen == {rule["alert"]: {True, False} for rule in RULES}


def test_series_of_the_trials_are_those_that_are_exported():
    for file in TRIALS:
        for case in yaml.safe_load(file.read_text())["tests"]:
            for one in case["input_series"]:
                assert misnamed(one["series"]) == [], file.name


# -- the runbook -------------------------------------------------------------------------------------------


def test_the_runbook_has_a_chapter_for_each_alert_and_no_other():
    assert ["Stop the loop", *(rule["alert"] for rule in RULES)] == HEADINGS
    for chapter in re.split(r"^## ", RUNBOOK, flags=re.M)[2:]:
        for part in ("**Means.**", "**Look.**", "**Do.**"):
            assert chapter.count(part) == 1, chapter.splitlines()[0]


def shown() -> list[str]:
    """Return every command of the program that the runbook shows."""
    found = re.findall(r"`(aiops [a-z][^`]*)`", RUNBOOK) + re.findall(r"-- (aiops .+)$", RUNBOOK, re.M)
    return sorted(set(found))


@pytest.mark.parametrize("line", shown())
def test_a_command_of_the_runbook_is_one_that_there_is(line):
    command, words = typer.main.get_command(app), shlex.split(line)[1:]
    while True:
        # an option that there is not raises
        given, words, _ = command.make_parser(typer.Context(command)).parse_args(args=list(words))
        inner = getattr(command, "commands", None)
        if not inner or (not words and command.invoke_without_command):
            break
        command, words = inner[words[0]], words[1:]
    assert not words, "more than it takes"
    needed = [one.name for one in command.params if one.param_type_name == "argument" and one.required]
    assert all(given.get(name) for name in needed)


def test_files_that_the_runbook_leads_to_are_there():
    for target in re.findall(r"\]\(([^)#]+)\)", RUNBOOK):
        assert (ROOT / "docs" / target).exists(), target
