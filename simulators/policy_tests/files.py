"""Finding tests, and the policies that they test, on the disk."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aiops.core.policies import PolicySet, Tested
from aiops.errors import Problem
from aiops.policy import check
from aiops.policy.files import TEST_SUFFIXES, policy_files, texts
from aiops.policy.testing import Case, read

Loaded = tuple[PolicySet | None, tuple[Problem, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Every test under some paths, and every policy there or tested. problems: nothing is run while there are any."""

    files: tuple[Path, ...]
    cases: tuple[Case, ...]
    policies: tuple[Tested, ...]
    problems: tuple[Problem, ...]
    sources: tuple[Path, ...] = ()


@dataclass(slots=True)
class _Loader:
    """Compiles each set of policies once."""

    known: dict[tuple[tuple[Path, ...], float], Loaded] = field(default_factory=dict)

    def load(self, paths: Sequence[Path], step_s: float) -> Loaded:
        key = (tuple(paths), step_s)
        if key not in self.known:
            found = check(key[0], step_s)
            self.known[key] = (found.policies, found.problems)
        return self.known[key]


def suite(paths: Sequence[Path]) -> Suite:
    """Return every test under files and folders; a policy's file stands for the tests that bear its name."""
    loader = _Loader()
    files, problems = test_files(paths)
    cases: list[Case] = []
    policies: dict[str, Tested] = {}
    sources = list(files)
    for origin, text in texts(files, problems):
        folder = Path(origin).parent

        def load(names: tuple[str, ...], step_s: float, folder: Path = folder) -> Loaded:
            named = [Path(os.path.normpath(folder / name)) for name in names]
            sources.extend(named)
            return loader.load(named, step_s)

        found = read(text, origin, load)
        problems += found.problems
        cases += found.cases
        policies |= {one.key: one for one in found.policies}
    own = _own(paths)
    if own:
        loaded, wrong = loader.load(own, 15.0)
        problems += [one for one in wrong if one.severity == "error"]
        policies |= {} if loaded is None else {one.key: one for one in loaded.tested}
    return Suite(
        files=tuple(files),
        cases=tuple(cases),
        policies=tuple(policies[key] for key in sorted(policies)),
        problems=tuple(dict.fromkeys(problems)),
        sources=tuple(dict.fromkeys((*sources, *own))),
    )


def _own(paths: Sequence[Path]) -> list[Path]:
    """Return the policy files among paths, which have to be tested where tests are required."""
    named = [one for one in paths if one.exists() and not one.name.endswith(TEST_SUFFIXES)]
    return list(policy_files(named).files) if named else []


def test_files(paths: Sequence[Path]) -> tuple[list[Path], list[Problem]]:
    """Return the test files under paths, sorted, each once, and what is wrong with the paths."""
    found: list[Path] = []
    problems: list[Problem] = []
    for path in paths:
        if path.is_dir():
            found += _inside(path, problems)
        elif not path.exists():
            problems.append(_problem(path, "there is no such file or folder"))
        elif path.name.endswith(TEST_SUFFIXES):
            found.append(path)
        else:
            names = [f"{path.stem}{suffix}" for suffix in TEST_SUFFIXES]
            beside = [folder / name for folder in (path.parent, path.parent / "tests") for name in names]
            found += [one for one in beside if one.is_file()]
    return list(dict.fromkeys(found)), problems


test_files.__test__ = False  # type: ignore[attr-defined]  # pytest takes its name for a test


def _inside(root: Path, problems: list[Problem]) -> list[Path]:
    def unread(err: OSError) -> None:
        problems.append(_problem(Path(err.filename or root), f"cannot be read: {err.strerror}"))

    found = []
    for folder, folders, names in os.walk(root, onerror=unread):
        folders[:] = [one for one in folders if not one.startswith(".")]
        found += [Path(folder, name) for name in names if name.endswith(TEST_SUFFIXES) and not name.startswith(".")]
    return sorted(found)


def _problem(path: Path, message: str) -> Problem:
    return Problem(file=str(path), line=0, column=0, field="", message=message)
