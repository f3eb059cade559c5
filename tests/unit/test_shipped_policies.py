"""Every shipped policy is linked from the documentation, and every link there leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aiops.policy import load

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))


def test_every_shipped_policy_is_linked_and_has_tests():
    text = (ROOT / "docs/policies.md").read_text(encoding="utf-8")
    shipped = {path.name for path in (ROOT / "policies").glob("*.yaml")}
    assert set(re.findall(r"\(\.\./policies/([^)]+)\)", text)) == shipped
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "policies/tests").glob("*.test.yaml"))
    testable = {name for name in shipped if load([ROOT / "policies" / name]).tested}
    assert {name for name in testable if f"../{name}" not in tests} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_to_a_file(page):
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", prose)
    missing = [one for one in targets if "://" not in one and not (page.parent / one).exists()]
    assert missing == []
