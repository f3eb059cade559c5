"""The manual as its readers take it: its pages, its fenced blocks with what stands before them, and what consoles show.

A block may have marks, comments on the lines before its fence that no reader sees:

    <!-- in: demo -->            where commands are typed; tests/e2e/test_manual.py has all places
    <!-- ends with: 1 -->        codes with which they may end beside 0
    <!-- beside: COMMAND -->     what runs in another terminal from here on, a daemon
    <!-- later: 20m -->          so much later by that daemon's time
    <!-- stopped after: 6s -->   of what runs until Ctrl-C
    <!-- id of: decisions -->    ID in the commands is the first that this lists
    <!-- file: NAME -->          the block is saved under this name for the commands of its page
    <!-- part of: KIND -->       a fragment of a policy, tried on a shipped one of that kind, or on `FILE NAME`
    <!-- with: FILE -->          shipped policies that lie beside it
    <!-- checked as: amtool -->  YAML of another program, and which program checks it
    <!-- answer to: PATH -->     JSON that the API of the demo answers
    <!-- unwise: WHY -->         a policy of which the linter may warn
    <!-- not run: REASON -->     one of REASONS
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

REASONS = {
    "needs a cluster of your own": "it asks or changes a cluster with workloads that no test can bring",
    "needs a service of your own": "it speaks to a chat, a ticket system, a SIEM, an identity provider",
    "needs another program": "of somebody else, which is not installed for the tests",
    "needs a person": "it asks questions on a terminal",
    "takes too long": "hours, or the whole suite",
}
MOST_NOT_RUN = 16
"""So many blocks may be left out, of all pages together."""

LANGUAGES = {"console", "yaml", "python", "json", "text", "sql"}
MARKS = {
    "in",
    "beside",
    "later",
    "with",
    "ends with",
    "stopped after",
    "file",
    "id of",
    "part of",
    "checked as",
    "answer to",
    "not run",
    "unwise",
}
_FENCE = re.compile(r"^```(?P<language>[\w-]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_MARK = re.compile(r"^<!-- ([a-z ]+): (.*?) -->$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block. line: of its fence, counted from 1."""

    page: Path
    line: int
    language: str
    text: str
    marks: Mapping[str, str]

    @property
    def name(self) -> str:
        """Where it is, for people."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def run(self) -> bool:
        """Whether a test runs it."""
        return "not run" not in self.marks


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """A command of a console as it is typed, and the lines that are shown below it."""

    command: str
    shown: tuple[str, ...]


def pages() -> list[Path]:
    """Return every page of the manual, and those beside it that a reader meets first."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SCOPE.md", *sorted(DOCS.rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page=page,
            line=text.count("\n", 0, found.start()) + 1,
            language=found["language"],
            text=found["text"],
            marks=dict(_marks(text[: found.start()])),
        )
        for found in _FENCE.finditer(text)
    ]


def every(language: str) -> list[Block]:
    """Return the blocks of one language, of all pages."""
    return [block for page in pages() for block in blocks(page) if block.language == language]


def _marks(before: str) -> Iterator[tuple[str, str]]:
    for line in reversed(before.splitlines()):
        found = _MARK.match(line)
        if found is None:
            return
        yield found[1], found[2]


def typed(text: str) -> list[Typed]:
    """Return the commands of a console; a line that ends with a backslash goes on."""
    found: list[tuple[list[str], list[str]]] = []
    for line in text.splitlines():
        if found and found[-1][0][-1].endswith("\\") and not found[-1][1]:
            found[-1][0].append(line)
        elif line.startswith("$ "):
            found.append(([line[2:]], []))
        elif line.startswith("# ") and (not found or not found[-1][1]):
            continue
        elif found:
            found[-1][1].append(line)
        elif line.strip():
            raise ValueError(f"a console begins with a command, not with {line!r}")
    return [
        Typed(command="\n".join(command), shown=tuple(line for line in shown if line.strip()))
        for command, shown in found
    ]


_WILD = (
    (re.compile(r"\x1b\[[0-9;]*m"), ""),
    (re.compile(r"\b01[0-9A-HJKMNP-TV-Z]{6,24}\b(\.\.\.)?"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)?"), "TIME"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "TIME"),
    (re.compile(r"\b([0-9a-f]{8}|(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{7,64})\b"), "HASH"),
    (re.compile(r"(?<![\w.])[+-]?\d[\d,]*(\.\d+)?(e[+-]?\d+)?"), "N"),
    (re.compile(r"\s+"), " "),
)


def plain(line: str) -> str:
    """Return a line with what differs from run to run made alike: times, ids, hashes, numbers, widths of columns."""
    for pattern, name in _WILD:
        line = pattern.sub(name, line)
    return line.strip()


def missing(shown: Sequence[str], said: str) -> str | None:
    """Return the first line that is shown and was not said after the ones before it; None when all were.

    A line `...` stands for any lines; `...` in a line for anything.
    """
    left = iter([plain(line) for line in said.splitlines()])
    for line in shown:
        if line.strip() == "...":
            continue
        wanted = re.compile(re.escape(plain(line)).replace(re.escape("..."), ".*"))
        if not any(wanted.fullmatch(one) for one in left):
            return line
    return None


_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


def spans(page: Path) -> list[str]:
    """Return what a page sets as code within its text."""
    return _CODE.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))
