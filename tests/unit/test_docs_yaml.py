"""Every YAML of the manual is taken by what reads it: policies, parts of them and their tests, settings, prices."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from aiops.adapters.prices import Terms as PriceTerms
from aiops.adapters.prices import read_list
from aiops.app.settings import Settings, load_settings
from aiops.core.model import Instant
from aiops.errors import AiopsError
from aiops.policy import check
from aiops.policy.compile import API_VERSION
from aiops.policy.lint import Terms, linted
from simulators.policy_tests import run_case
from simulators.policy_tests.files import suite
from simulators.scenario import load as load_scenario
from tests import manual
from tests.manual import ROOT, Block

BLOCKS = [block for block in manual.every("yaml") if block.run]
BASES = {
    "ScalingPolicy": "policies/checkout.yaml checkout",
    "WatchPolicy": "policies/watch-shop.yaml latency",
    "RemediationPolicy": "policies/remediation.yaml checkout",
    "FailoverPolicy": "policies/failover.yaml storefront",
    "CostBudget": "policies/budget.yaml",
    "CostPolicy": "policies/nights.yaml nights",
}
"""The shipped example that a part of a policy is tried on, where the block names none."""
OTHERS = {"amtool", "promtool", "kubectl", "ErrorWatch", "wrong"}
"""Programs that check what is theirs, in tests/e2e/test_manual.py; the example of tests/unit/test_docs_extending.py;
and what is wrong on purpose, of which a console of its page shows what is said."""


def documents(block: Block) -> list[Any]:
    return [one for one in yaml.safe_load_all(text_of(block)) if one is not None]


def what(block: Block) -> str:
    """Return what a block is, by its mark or by itself."""
    if "part of" in block.marks:
        return "part"
    if "checked as" in block.marks:
        return block.marks["checked as"]
    found = documents(block)
    keys = set(found[0]) if isinstance(found[0], dict) else set()
    if all(isinstance(one, dict) and one.get("apiVersion") == API_VERSION for one in found):
        return "policies"
    if all(isinstance(one, dict) and {"apiVersion", "kind", "metadata"} <= set(one) for one in found):
        return "kubectl"
    if "tests" in keys:
        return "tests"
    return "settings" if keys and keys <= Settings.model_fields.keys() else "unknown"


def of(*kinds: str) -> list[Block]:
    return [block for block in BLOCKS if what(block) in kinds]


def named(blocks: list[Block]) -> Any:
    return pytest.mark.parametrize("block", blocks, ids=lambda block: block.name)


@named(BLOCKS)
def test_it_is_known_what_it_is(block: Block):
    known = {"policies", "part", "settings", "tests", "prices", "scenario"} | OTHERS
    assert what(block) in known, "say what it is by a mark: see tests/manual.py"


def text_of(block: Block) -> str:
    """Return the YAML without the lines that stand for more."""
    return re.sub(r"^\s*\.\.\.$\n", "", block.text, flags=re.MULTILINE)


@named(of("policies"))
def test_policies_are_right_and_wise(block: Block, tmp_path: Path):
    file = tmp_path / "shown.yaml"
    file.write_text(text_of(block))
    found = check([file, *(ROOT / one for one in block.marks.get("with", "").split())])
    warned = () if "unwise" in block.marks else linted(found.made, Terms())
    said = (*found.errors, *warned)
    assert [str(one) for one in said if one.file == str(file)] == []


def base(words: str) -> dict[str, Any]:
    """Return a shipped document: of a kind, or `FILE NAME`."""
    file, _, name = BASES.get(words, words).partition(" ")
    found = [one for one in yaml.safe_load_all((ROOT / file).read_text()) if one]
    return next(one for one in found if not name or one["metadata"]["name"] == name)


def merged(under: Any, over: Any) -> Any:
    """Return both: mappings key by key, anything else as it is shown."""
    if isinstance(under, dict) and isinstance(over, dict):
        return {key: merged(under.get(key), over.get(key, under.get(key))) for key in {**under, **over}}
    return over


def whole(block: Block) -> dict[str, Any]:
    """Return the shipped policy with the part that is shown in its place."""
    (part,) = documents(block)
    if not part.keys() <= {"apiVersion", "kind", "metadata", "spec"}:
        part = {"spec": part}
    return merged(base(block.marks["part of"]), part)


@named(of("part"))
def test_a_part_of_a_policy_is_right_in_its_place(block: Block, tmp_path: Path):
    found = check_text(yaml.safe_dump(whole(block), sort_keys=False), tmp_path)
    assert found == []


def check_text(text: str, folder: Path) -> list[str]:
    file = folder / "part.yaml"
    file.write_text(text)
    return [str(one) for one in check([file]).errors]


@named(of("settings"))
def test_settings_are_taken_over_the_defaults(block: Block, tmp_path: Path):
    defaults = yaml.safe_load((ROOT / "config/default.yaml").read_text())
    (shown,) = documents(block)
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(merged(defaults, shown)))
    load_settings(file)
    file.write_text(block.text)
    assert load_settings(file).model_fields_set >= shown.keys()


@named(of("tests"))
def test_tests_of_policies_pass(block: Block, tmp_path: Path):
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    file = tmp_path / block.marks.get("file", "policies/tests/shown.test.yaml")
    file.write_text(block.text)
    found = suite([file])
    assert found.problems == ()
    assert len(found.cases) > 0
    assert [failure for case in found.cases for failure in run_case(case).failures] == []


@named(of("prices"))
def test_lists_of_prices_are_read(block: Block, tmp_path: Path):
    file = tmp_path / "prices.yaml"
    file.write_text(block.text)
    prices, problems = read_list(file, PriceTerms(currency="USD", rates={"EUR": 1.08}), Instant(1_770_000_000.0))
    assert (problems, len(prices.entries) > 0) == ([], True)


@named(of("scenario"))
def test_scenarios_are_read(block: Block, tmp_path: Path):
    file = tmp_path / "scenario.yaml"
    file.write_text(block.text)
    assert load_scenario(str(file)).spec.name == documents(block)[0]["name"]


class TestWhatIsFound:
    """The checks see what is wrong."""

    def test_a_part_with_a_mistake(self, tmp_path):
        document = merged(base("ScalingPolicy"), {"spec": {"bounds": {"minReplicas": 99}}})
        (said,) = check_text(yaml.safe_dump(document), tmp_path)
        assert "spec.bounds" in said

    def test_settings_with_a_slip(self, tmp_path):
        (tmp_path / "mine.yaml").write_text("web: {prot: 8080}")
        with pytest.raises(AiopsError, match="prot"):
            load_settings(tmp_path / "mine.yaml")
