"""What became of tests, for people, for programs, and for CI systems (JUnit's XML)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from xml.etree import ElementTree

from aiops.policy.testing import Failure
from simulators.policy_tests.coverage import Coverage
from simulators.policy_tests.run import Result

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text(results: Sequence[Result], *, fail_only: bool) -> str:
    """Return a line for each test, and of failing ones what was expected, what there was, and the story."""
    lines = []
    for one in results:
        if one.passed and fail_only:
            continue
        lines.append(f"{'ok  ' if one.passed else 'FAIL'}  {one.case.spec.name}  ({where(one)})")
        for failure in one.failures:
            lines += _failed(one, failure)
    return "\n".join([*lines, summary(results)])


def summary(results: Sequence[Result]) -> str:
    """Return how many failed and passed, and how long it took."""
    failed = sum(not one.passed for one in results)
    ticks = sum(one.decisions for one in results)
    seconds = sum(one.elapsed_s for one in results)
    return f"{failed} failed, {len(results) - failed} passed, {ticks} decisions in {seconds:.2f} s"


def where(one: Result, failure: Failure | None = None) -> str:
    """Return `FILE:LINE:COL` of a test, or of what it expected."""
    line, column = one.case.place(() if failure is None else failure.path)
    return f"{one.case.file}:{line}:{column}"


def _failed(one: Result, failure: Failure) -> list[str]:
    lines = [f"      {where(one, failure)}", f"      expected  {failure.expected}", f"      got       {failure.got}"]
    if failure.nearest:
        lines.append(f"      nearest   {failure.nearest}")
    return [*lines, *(f"        | {line}" for line in failure.story.splitlines())]


def data(results: Sequence[Result], coverages: Sequence[Coverage] | None, untested: Sequence[str]) -> dict[str, Any]:
    """Return everything as plain data."""
    tests = [
        {
            "name": one.case.spec.name,
            "policy": one.case.policy.key,
            "file": one.case.file,
            "line": one.case.place(())[0],
            "passed": one.passed,
            "decisions": one.decisions,
            "seconds": round(one.elapsed_s, 6),
            "failures": [
                {key: value for key, value in asdict(failure).items() if key != "path"}
                | {"line": one.case.place(failure.path)[0]}
                for failure in one.failures
            ],
        }
        for one in results
    ]
    whole: dict[str, Any] = {
        "passed": all(one.passed for one in results),
        "tests": tests,
        "untested": list(untested),
        "problems": [],
    }
    if coverages is not None:
        whole["coverage"] = {
            one.policy: {
                "ratio": round(one.ratio, 4),
                "tests": one.tests,
                "exercised": [item for item in one.items if item in one.hit],
                "missed": list(one.missed),
            }
            for one in coverages
        }
    return whole


def junit(results: Sequence[Result]) -> str:
    """Return JUnit's XML: a suite for each file, a case for each test."""
    root = ElementTree.Element("testsuites", _counts(results))
    for file in dict.fromkeys(one.case.file for one in results):
        mine = [one for one in results if one.case.file == file]
        suite = ElementTree.SubElement(root, "testsuite", {"name": _clean(file), **_counts(mine)})
        for one in mine:
            attributes = {
                "name": _clean(one.case.spec.name),
                "classname": one.case.policy.key,
                "file": _clean(file),
                "line": str(one.case.place(())[0]),
                "time": f"{one.elapsed_s:.6f}",
            }
            case = ElementTree.SubElement(suite, "testcase", attributes)
            for failure in one.failures[:1]:
                said = {"message": _clean(f"expected {failure.expected}; got {failure.got}"), "type": "expectation"}
                shown = "\n".join(line for each in one.failures for line in _failed(one, each))
                ElementTree.SubElement(case, "failure", said).text = _clean(shown)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _counts(results: Sequence[Result]) -> dict[str, str]:
    return {
        "tests": str(len(results)),
        "failures": str(sum(not one.passed for one in results)),
        "errors": "0",
        "skipped": "0",
        "time": f"{sum(one.elapsed_s for one in results):.6f}",
    }


def _clean(words: str) -> str:
    """Leave out what XML cannot hold."""
    return _NOT_XML.sub("?", words)
