"""The reference is made of the models, and what is committed is what they say now."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aiops.core.model import Reason
from aiops.policy.kinds import kinds
from aiops.policy.reference import MEANINGS, reference

DOCS = Path(__file__).parents[2] / "docs"


def test_what_is_committed_is_what_the_models_say():
    """`aiops policy reference > docs/policy-reference.md` writes it anew."""
    assert (DOCS / "policy-reference.md").read_text(encoding="utf-8") == reference()


def test_every_reason_has_its_meaning():
    assert set(MEANINGS) == set(Reason)


@pytest.mark.parametrize("kind", kinds())
def test_every_field_says_what_it_means(kind):
    section = reference().partition(f"## {kind}\n")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert len(rows) > 5
    assert [row for row in rows if row.rstrip(" |").count("|") < 4] == []


def test_every_link_inside_leads_somewhere():
    text = reference()
    anchors = {line.lstrip("# ").lower().replace(" ", "-") for line in text.splitlines() if line.startswith("#")}
    assert set(re.findall(r"\(#([^)]+)\)", text)) <= anchors
