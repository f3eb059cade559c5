"""The manual is whole: every block has a language and is run or says why not, every page is in a section."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

from tests import manual
from tests.manual import DOCS, LANGUAGES, MARKS, MOST_NOT_RUN, REASONS, ROOT, Block

PAGES = manual.pages()
BLOCKS = [block for page in PAGES for block in manual.blocks(page)]


def listed(part: object) -> list[str]:
    """Return the files of a navigation."""
    match part:
        case str():
            return [part]
        case dict():
            return [one for inner in part.values() for one in listed(inner)]
        case list():
            return [one for inner in part for one in listed(inner)]
    raise AssertionError(part)


def test_every_page_is_in_the_navigation_once():
    nav = listed(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])
    assert sorted(nav) == sorted({*nav})
    assert {path.name for path in DOCS.glob("*.md")} == {one for one in nav if "/" not in one}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_says_its_language_and_its_marks_are_known(page: Path):
    for block in manual.blocks(page):
        assert block.language in LANGUAGES, block.name
        assert block.marks.keys() <= MARKS, block.name
    fences = [line for line in page.read_text(encoding="utf-8").splitlines() if line.lstrip().startswith("```")]
    assert len(fences) == 2 * len(manual.blocks(page)), "a fence is indented, or not closed"


@pytest.mark.parametrize("block", [one for one in BLOCKS if one.language == "text"], ids=lambda one: one.name)
def test_what_a_reader_could_type_stands_in_a_console(block: Block):
    typed = [line for line in block.text.splitlines() if re.match(r"\$ |(aiops|kubectl|helm|make) ", line)]
    assert [line for line in typed if not re.search(r"[A-Z|]{2,}|\[", line)] == []


def test_what_is_not_run_says_why_and_is_little():
    left = [block for block in BLOCKS if not block.run]
    assert {block.marks["not run"] for block in left} <= REASONS.keys()
    assert len(left) <= MOST_NOT_RUN, "\n".join(f"{one.name}: {one.marks['not run']}" for one in left)


def test_a_mark_that_no_block_follows_is_a_slip():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        kept = sum(len(block.marks) for block in manual.blocks(page))
        assert len(re.findall(r"^<!-- [a-z ]+: .* -->$", text, re.MULTILINE)) == kept, page


def test_python_of_the_manual_is_python():
    for block in manual.every("python"):
        ast.parse(block.text, block.name)


class TestConsoles:
    """How blocks are read."""

    def test_commands_and_what_is_shown_below_them(self):
        first, second = manual.typed("$ aiops one \\\n  --two\nsaid\n\n$ aiops three\n")
        assert (first.command, first.shown) == ("aiops one \\\n  --two", ("said",))
        assert (second.command, second.shown) == ("aiops three", ())

    @pytest.mark.parametrize(
        ("shown", "said", "lacks"),
        [
            ("12:04:30 shop/checkout hold 8", "09:00:00  shop/checkout  hold 11\n", None),
            ("decision 01KJPR0NHRYBJ9427P8A2PYTGM allow", "decision 01KJPPT72RK87NEEHV1XZXVR04 allow", None),
            ("shop/checkout (3c9a0f66) waits", "shop/checkout (14895569ab) waits", None),
            ("3 tests pass", "4 tests fail", "3 tests pass"),
            ("a\n...\nc", "a\nb\nc", None),
            ("c\na", "a\nb\nc", "a"),
            ("held: ... since 9", "held: the store is away since 4", None),
        ],
    )
    def test_words_must_be_said_in_order_and_numbers_may_differ(self, shown, said, lacks):
        assert manual.missing(shown.splitlines(), said) == lacks
