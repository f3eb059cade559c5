"""Whatever the manual names is there: commands with their options, targets of make, files, metrics, settings."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer.main

from aiops.app.cli import app
from tests import manual
from tests.exposition import everything
from tests.manual import ROOT

ROOTED = typer.main.get_command(app)
PAGES = manual.pages()
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
WRITTEN_BY_READERS = re.compile(r"[A-Z]{2,}|\.\.\.|[<{*$]|^/")
"""Placeholders, patterns, and paths of a reader's own machine."""


def options(at: Any) -> dict[str, bool]:
    """Return the options of a command, and whether each takes a value."""
    named = {name: not one.is_flag for one in at.params if hasattr(one, "is_flag") for name in one.opts}
    bare = {name: False for one in at.params for name in one.secondary_opts}
    return named | bare | {"-h": False, "--help": False}


def wrong(words: list[str]) -> str | None:
    """Return what no command of ours is called or takes; None when all is well."""
    at, path, rest = ROOTED, "aiops", iter(words)
    for word in rest:
        commands = getattr(at, "commands", None)
        if word.startswith("-") and word != "-":
            known, (name, equals, _) = options(at), word.partition("=")
            if name not in known:
                return f"{path} has no option {name}"
            if known[name] and not equals:
                next(rest, None)
        elif commands is not None and re.fullmatch(r"[a-z][a-z-]*", word):
            if word not in commands:
                return f"{path} has no command {word}"
            at, path = commands[word], f"{path} {word}"
    return None


def said(text: str) -> list[list[str]]:
    """Return the words of each command of ours in a line of a shell; `list, show` names several verbs at once."""
    found = []
    for part in re.split(r"\||&&|;", text.replace("\\\n", " ")):
        bare = part.partition(" #")[0].strip()
        if re.match(r"(\w+=\S+ )*aiops( |$)", bare) and not re.match(r"aiops \w+ [\w-]+, ", bare):
            try:
                words = shlex.split(bare)
            except ValueError:
                continue
            found.append(words[words.index("aiops") + 1 :])
    return found


def several(text: str) -> list[list[str]]:
    """Return the commands of `aiops models list, show, promote`."""
    match = re.fullmatch(r"aiops (\w+) ([a-z-]+(?:, [a-z-]+)+)", text)
    return [[match[1], verb] for verb in match[2].split(", ")] if match else []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_and_option_exists(page: Path):
    texts = [*manual.spans(page)]
    for block in manual.blocks(page):
        if block.language == "console":
            texts += [one.command for one in manual.typed(block.text)]
    told = [wrong(words) for text in texts for words in (*said(text), *several(text))]
    assert [one for one in told if one] == []


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ("aiops policy validate policies/ --strict", None),
        ("aiops --config mine.yaml -o json decisions --limit 5", None),
        ("aiops polices", "aiops has no command polices"),
        ("aiops policy validate --strct", "policy validate has no option --strct"),
    ],
)
def test_a_slip_in_a_command_is_found(command, what):
    (words,) = said(command)
    assert (wrong(words) or "").endswith(what or "")
    assert (wrong(words) is None) == (what is None)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_target_of_make_exists(page: Path):
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {one for text in manual.spans(page) for one in re.findall(r"^make ([a-z0-9-]+)", text)}
    assert named <= targets


_PATH = re.compile(r"^(?:aiops|benchmarks|config|docs|policies|scripts|simulators|tests)/[\w./-]+$")


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_file_of_the_repository_that_is_named_is_there(page: Path):
    named = {text for text in manual.spans(page) if _PATH.match(text) and not WRITTEN_BY_READERS.search(text)}
    assert {one for one in named if not (ROOT / one).exists()} == set()


@cache
def exported() -> frozenset[str]:
    """Return the names of all metrics, without `_total`."""
    return frozenset(name.removesuffix("_total") for name in everything()) | NO_METRICS


METRIC = re.compile(r"\baiops_[a-z_]+[a-z]\b")
NO_METRICS = {"aiops_incident", "aiops_batch"}
"""The label of the alert that an incident is, and that by which joined queries are told apart."""


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_metric_that_is_named_is_exported(page: Path):
    named = {name for text in manual.spans(page) for name in METRIC.findall(text.partition("{")[0])}
    assert {one for one in named if one.removesuffix("_total") not in exported()} == set()
