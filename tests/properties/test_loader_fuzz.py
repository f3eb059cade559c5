"""S10, bad input: whatever a policy file holds, it is read or refused with its place, soon and in little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from aiops.policy import check
from aiops.policy.checking import checked
from aiops.policy.document import documents
from aiops.policy.kinds import kinds
from aiops.policy.lint import Terms, linted
from aiops.policy.testing.reading import read as read_tests
from tests.properties.hostile import DEADLINE_S, EXTRA_BYTES, HOSTILE, SHIPPED

ROOT = Path(__file__).parents[2]
TESTS = {path.name: path.read_text() for path in sorted((SHIPPED / "tests").glob("*.yaml"))}
FILES = {path.name: path.read_text() for path in sorted(SHIPPED.glob("*.yaml"))}


def read_or_refused(text: str) -> None:
    """Read a text; every problem has a message for one line, a code and a place that is in the text."""
    found = checked([("p.yaml", text)], 15.0)
    lines = len(text.splitlines()) + 1
    for one in (*found.problems, *linted(found.made, Terms(tested=frozenset()))):
        assert one.message
        assert one.code
        assert str(one).isprintable()
        assert (1 <= one.line <= lines, one.column >= 1) == (True, True)
    assert (found.policies is None) == bool(found.errors)


ACCEPTED = {
    "a line of a megabyte", "a byte order mark", "two byte order marks", "lines that end as on Windows",
    "lines that end as on old Macs", "an unknown directive", "1,000 documents", "PromQL: a regex of quantifiers",
    "PromQL: 300 queries of 40 terms", "CEL: 9,900 nots", "CEL: 1,200 ands", "CEL: nested quantifiers",
    "CEL: a regex of quantifiers", "a cron of 100,000 parts",
    "a cron of every minute", "a cron of every minute on some holidays",
    "a window of a hundred years",
}  # fmt: skip


@pytest.mark.timeout(200)
def test_a_text_that_was_made_to_hurt_is_read_or_refused_soon_and_in_little_memory_s10():
    """All of them in one test, since they share the start of one process: what is wrong is listed by name."""
    command = [sys.executable, "-m", "tests.properties.hostile"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=True)
    outcomes = {one["name"]: one for one in map(json.loads, ran.stdout.splitlines())}
    assert set(outcomes) == set(HOSTILE)
    assert {name: one for name, one in outcomes.items() if {"traceback", "signal"} & set(one)} == {}
    assert {name: one["s"] for name, one in outcomes.items() if one["s"] >= DEADLINE_S} == {}
    assert {name: one["mb"] for name, one in outcomes.items() if one["mb"] >= EXTRA_BYTES / 1e6} == {}
    assert {name for name, one in outcomes.items() if not one["errors"]} == ACCEPTED


# -- mutations of real files ---------------------------------------------------------------------------


def lines_deleted(text: str, draw: Callable[[int, int], int]) -> str:
    lines = text.splitlines(keepends=True)
    start = draw(0, len(lines) - 1)
    return "".join(lines[:start] + lines[start + draw(1, 6) :])


def block_doubled(text: str, draw: Callable[[int, int], int]) -> str:
    lines = text.splitlines(keepends=True)
    start = draw(0, len(lines) - 1)
    end = start + draw(1, 12)
    return "".join(lines[:end] + lines[start:])


def indents_changed(text: str, draw: Callable[[int, int], int]) -> str:
    lines = text.splitlines(keepends=True)
    at = draw(0, len(lines) - 1)
    end, by = at + draw(1, 8), draw(0, 4)
    moved = [" " * by + line if by else line.removeprefix("  ") for line in lines[at:end]]
    return "".join(lines[:at] + moved + lines[end:])


def bits_flipped(text: str, draw: Callable[[int, int], int]) -> str:
    data = bytearray(text.encode())
    for _ in range(draw(1, 8)):
        data[draw(0, len(data) - 1)] ^= 1 << draw(0, 7)
    return data.decode("utf-8", errors="replace")


WORDS = (
    "&a ",
    "*a",
    "!!str ",
    "<<: ",
    "|",
    ">-",
    "- ",
    "? ",
    "{",
    "]",
    "'",
    '"',
    "%",
    "~",
    "\t",
    "\ufeff",
    "\0",
    "---\n",
)


def word_inserted(text: str, draw: Callable[[int, int], int]) -> str:
    at = draw(0, len(text))
    return text[:at] + WORDS[draw(0, len(WORDS) - 1)] + text[at:]


def value_replaced(text: str, draw: Callable[[int, int], int]) -> str:
    """Put another scalar behind one of the colons."""
    values = (
        "[]",
        "{}",
        "null",
        "1e999",
        "-1",
        "0",
        "''",
        "true",
        "2026-01-01",
        "!!binary aGk=",
        "0x1f",
        "1:30",
        "[[]]",
    )
    parts = text.split(": ")
    at = draw(1, len(parts) - 1)
    head, mark, tail = parts[at].partition("," if "," in parts[at].partition("\n")[0] else "\n")
    parts[at] = values[draw(0, len(values) - 1)] + mark + tail if mark else head
    return ": ".join(parts)


MUTATIONS = (lines_deleted, block_doubled, indents_changed, bits_flipped, word_inserted, value_replaced)


@settings(max_examples=300, deadline=5000)
@given(st.data(), st.sampled_from(sorted(FILES)), st.lists(st.sampled_from(MUTATIONS), min_size=1, max_size=3))
def test_a_real_file_that_was_mutated_is_read_or_refused_s10(data, name, mutations):
    text = FILES[name]
    for mutate in mutations:
        text = mutate(text, lambda low, high: data.draw(st.integers(low, max(low, high))))
    read_or_refused(text)


@settings(max_examples=60, deadline=5000)
@given(st.data(), st.sampled_from(sorted(TESTS)), st.lists(st.sampled_from(MUTATIONS), min_size=1, max_size=3))
def test_a_real_test_file_that_was_mutated_is_read_or_refused_s10(data, name, mutations):
    text = TESTS[name]
    for mutate in mutations:
        text = mutate(text, lambda low, high: data.draw(st.integers(low, max(low, high))))
    found = read_tests(text, "p.test.yaml", loaded)
    lines = len(text.splitlines()) + 1
    for one in found.problems:
        assert str(one).isprintable()
        assert (one.line <= lines or one.file != "p.test.yaml", one.message != "") == (True, True)
    assert not (found.cases and found.problems)


@cache
def loaded(paths: tuple[str, ...], step_s: float):
    """Return the shipped policies that a test file names; of others, that there are none."""
    known = [(one, FILES[Path(one).name]) for one in paths if Path(one).name in FILES]
    found = checked(known, step_s) if 0.0 < step_s < 1e6 else checked([], 15.0)
    return found.policies, found.problems


# -- structures ----------------------------------------------------------------------------------------

KEYS = st.sampled_from(
    sorted(
        {"apiVersion", "kind", "metadata", "spec", "name", "namespace", "labels", "annotations", "mode", "in", "onNaN"}
        | {info.alias or key for one in kinds().values() for key, info in one.model.model_fields.items()}
        | {"query", "unit", "maxAge", "perReplica", "slo", "atMost", "schedule", "duration", "when", "then", "replicas"}
    )
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.dates(), st.binary(max_size=8),
    st.sampled_from(["ScalingPolicy", "policy.aiops/v1alpha1", "up", "5m", "99%", "learn", "true", "1e999"]),
)  # fmt: skip
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=6), inner, max_size=6),
    max_leaves=25,
)


@settings(max_examples=200, deadline=5000)
@given(st.sampled_from([*sorted(kinds()), "PolicyDefaults"]), TREES, st.dictionaries(KEYS, TREES, max_size=8))
def test_any_structure_is_read_or_refused_s10(kind, metadata, spec):
    envelope = {"apiVersion": "policy.aiops/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
    read_or_refused(yaml.safe_dump(envelope))
    read_or_refused(yaml.safe_dump({**envelope, "metadata": {"name": "a"}}))


@settings(max_examples=100, deadline=5000)
@given(st.data(), st.sampled_from(sorted(FILES)), TREES)
def test_any_structure_in_the_place_of_any_field_is_read_or_refused_s10(data, name, tree):
    document = next(iter(yaml.safe_load_all(FILES[name])))
    inside, at = document, "spec"
    for _ in range(data.draw(st.integers(0, 4))):
        below = inside[at]
        keys = list(below) if isinstance(below, dict) else list(range(len(below))) if isinstance(below, list) else []
        if not keys:
            break
        inside, at = below, data.draw(st.sampled_from(keys))
    inside[at] = tree
    read_or_refused(yaml.safe_dump(document))


@settings(max_examples=100, deadline=5000)
@given(st.binary(max_size=200))
@example(b"\xff\xfe" + "kind: x".encode("utf-16-le"))
@example(b"\xef\xbb\xbfkind: x")
@example(b"name: caf\xe9")
def test_any_bytes_in_a_file_are_read_or_refused_s10(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("bytes") / "p.yaml"
    path.write_bytes(content)
    found = check([path])
    assert (found.policies is None) == bool(found.errors)


@settings(max_examples=150, deadline=5000)
@given(st.data(), st.sampled_from(sorted(FILES)), st.sampled_from(MUTATIONS))
def test_libyaml_and_the_loader_in_python_read_the_same(data, name, mutate):
    text = mutate(FILES[name], lambda low, high: data.draw(st.integers(low, max(low, high))))
    (fast, wrong), (slow, also_wrong) = documents(text, "p", fast=True), documents(text, "p", fast=False)
    if not also_wrong:  # libyaml takes a tab in some places where the loader in Python does not, as YAML has it
        assert wrong == []
        assert [(one.data, one.places) for one in fast] == [(one.data, one.places) for one in slow]
