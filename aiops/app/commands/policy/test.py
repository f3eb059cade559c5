"""`aiops policy test`."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from aiops.app.output import SESSION, Format

if TYPE_CHECKING:
    from simulators.policy_tests.coverage import Gathered
    from simulators.policy_tests.files import Suite
    from simulators.policy_tests.run import Result

POLL_S, DEBOUNCE_S = 0.3, 0.2
_INVALID = 3


class Written(StrEnum):
    """How the result is written."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"
    JUNIT = "junit"


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("test")(policy_tests)


def policy_tests(
    paths: Annotated[list[Path], typer.Argument(help="Test files, policy files and folders.")],
    require_tests: Annotated[bool, typer.Option(help="Exit 1 when a policy has no test.")] = False,
    run: Annotated[str, typer.Option(help="Only tests whose name matches this regular expression.")] = "",
    fail_only: Annotated[bool, typer.Option(help="Show only tests that fail.")] = False,
    coverage: Annotated[bool, typer.Option(help="Show which rules and guards no test exercised.")] = False,
    watch: Annotated[bool, typer.Option(help="Run again when a file changes, until interrupted.")] = False,
    record: Annotated[
        Path | None, typer.Option(help="Note in this file what passed for which spec: evidence for `policy promote`.")
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes at most; as many as cores without it.")] = None,
    output: Annotated[Written | None, typer.Option("-o", "--output", help="How the result is written.")] = None,
) -> None:
    """Run the unit tests of policies (*.test.yaml) on virtual time, against the very decision core."""
    # a fault of a test is no news: what the loop logs of it would drown the result
    logging.getLogger("aiops.loop").setLevel(logging.ERROR)
    try:
        wanted = re.compile(run)
    except re.error as err:
        raise typer.BadParameter(f"{run!r} is no regular expression: {err}", param_hint="--run") from err
    if output is not None and output is not Written.JUNIT:
        SESSION.format = Format(output.value)
    if record is not None and run:
        raise typer.BadParameter("a part of the tests is no evidence: leave --run out", param_hint="--record")
    how = _How(paths, wanted, require_tests, fail_only, coverage, output is Written.JUNIT)
    how.jobs = jobs
    if not watch:
        code = how.once()
        _noted(record, how.results)
        sys.exit(code)
    _watched(how)


class _How:
    """What was asked for."""

    def __init__(
        self, paths: list[Path], wanted: re.Pattern[str], require: bool, fail_only: bool, coverage: bool, junit: bool
    ) -> None:
        self.paths, self.wanted = paths, wanted
        self.jobs: int | None = None
        self.require, self.fail_only, self.coverage, self.junit = require, fail_only, coverage, junit
        self.sources: tuple[Path, ...] = ()
        self.results: Sequence[Result] = ()

    def once(self) -> int:
        """Run everything once, show it, and return the exit code."""
        from simulators.policy_tests.coverage import Gathered
        from simulators.policy_tests.files import suite

        found = suite(self.paths)
        self.sources = found.sources
        if found.problems:
            for problem in found.problems:
                sys.stderr.write(f"{problem}\n")
            told = {"passed": False, "tests": [], "problems": [asdict(one) for one in found.problems]}
            SESSION.show(told, f"{len(found.problems)} problem{'s' * (len(found.problems) != 1)}, nothing was run")
            return _INVALID
        gathered = Gathered()
        results = self.results = self._run(found, gathered)
        self._show(found, results, gathered)
        return self._verdict(found, results)

    def _run(self, found: Suite, gathered: Gathered) -> list[Result]:
        from simulators.policy_tests.jobs import run_cases

        cases = [case for case in found.cases if self.wanted.search(case.spec.name) is not None]
        results = run_cases(cases, time.perf_counter, whole=self.coverage, jobs=self.jobs)
        for one in results:
            if self.coverage and one.run is not None:
                gathered.note(one.run)
        return results

    def _show(self, found: Suite, results: Sequence[Result], gathered: Gathered) -> None:
        from simulators.policy_tests import report
        from simulators.policy_tests.coverage import shown

        untested = _untested(found)
        coverages = gathered.coverage(found.policies) if self.coverage else None
        if self.junit:
            sys.stdout.write(report.junit(results))
        else:
            words = report.text(results, fail_only=self.fail_only)
            words += "" if coverages is None else f"\n\n{shown(coverages)}"
            SESSION.show(report.data(results, coverages, untested), words)
        if self.require:
            for key in untested:
                sys.stderr.write(f"{key} has no test\n")

    def _verdict(self, found: Suite, results: Sequence[Result]) -> int:
        if not results:
            what = f"no test matches {self.wanted.pattern!r}" if found.cases else "there are no tests (*.test.yaml)"
            sys.stderr.write(f"{what}\n")
            return 1
        failed = any(not one.passed for one in results)
        return int(failed or (self.require and bool(_untested(found))))


def _noted(record: Path | None, results: Sequence[Result]) -> None:
    from aiops.app.tested_specs import recorded, tested

    if record is not None and results:
        recorded(record, tested(results, time.time()))


def _untested(found: Suite) -> list[str]:
    from aiops.core.versions import template_key

    tested = {template_key(case.policy.key) for case in found.cases}
    return [policy.key for policy in found.policies if policy.key not in tested]


def _watched(how: _How) -> None:
    """Run again after each change, once the files have been quiet for a moment; an interrupt ends it."""
    try:
        while True:
            how.once()
            before = _stamps(how)
            while _stamps(how) == before:
                time.sleep(POLL_S)
            changed = _stamps(how)
            time.sleep(DEBOUNCE_S)
            while changed != (changed := _stamps(how)):
                time.sleep(DEBOUNCE_S)
            sys.stdout.write("\n")
    except KeyboardInterrupt:
        sys.exit(0)


def _stamps(how: _How) -> dict[Path, tuple[int, int]]:
    """Return when each file was last written, and how long it is; new tests in the folders are seen, too."""
    from simulators.policy_tests.files import test_files

    found = {}
    for path in (*how.sources, *how.paths, *test_files(how.paths)[0]):
        try:
            told = path.stat()
        except OSError:
            continue
        found[path] = (told.st_mtime_ns, told.st_size)
    return found
