"""Reading policies from files and folders: the only place of the language that touches the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiops.errors import Problem
from aiops.policy.document import documents

SUFFIXES = (".yaml", ".yml")
TEST_SUFFIXES = (".test.yaml", ".test.yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What lies under some paths. empty: folders that can be read and hold no policy. problems: what cannot be read."""

    files: tuple[Path, ...]
    empty: tuple[Path, ...]
    problems: tuple[Problem, ...]

    def refused(self) -> tuple[Problem, ...]:
        """Return the problems, an empty folder being one: where policies are asked for, it is a mistake."""
        hint = "files end in .yaml or .yml"
        return (
            *self.problems,
            *(_problem(one, "there is no policy in this folder", hint, "no-policies") for one in self.empty),
        )


def policy_files(paths: Sequence[Path]) -> Listing:
    """Return the policy files under paths, sorted. Tests of policies are no policies."""
    files: list[Path] = []
    empty: list[Path] = []
    problems: list[Problem] = []
    for path in paths:
        if path.is_file():
            files.append(path)
        elif path.is_dir():
            inside, unread = _inside(path)
            if not inside and not unread:
                empty.append(path)
            files += inside
            problems += unread
        else:
            problems.append(_problem(path, "there is no such file or folder", "", "no-such-file"))
    return Listing(files=tuple(dict.fromkeys(files)), empty=tuple(empty), problems=tuple(problems))


def _inside(root: Path) -> tuple[list[Path], list[Problem]]:
    """Return the policies in a folder, and what in it cannot be read: policies may lie there, unseen (S10)."""
    problems: list[Problem] = []

    def unread(err: OSError) -> None:
        problems.append(_problem(Path(err.filename or root), f"cannot be read: {err.strerror}", ""))

    found = []
    for folder, folders, names in os.walk(root, onerror=unread):
        folders[:] = [one for one in folders if not one.startswith(".") and one != "tests"]
        found += [Path(folder, name) for name in names if _is_policy(name)]
    return [one for one in sorted(found) if not one.is_dir()], problems


def named_by_tests(files: Sequence[Path]) -> frozenset[Path]:
    """Return the files, resolved, that tests in the usual folders name: those beside policies, and tests/ there."""
    folders = dict.fromkeys(folder for file in files for folder in _of_tests(file.resolve().parent))
    named: set[Path] = set()
    for folder in folders:
        for test in sorted(one for suffix in TEST_SUFFIXES for one in folder.glob(f"*{suffix}")):
            for origin, text in texts([test], []):
                for document in documents(text, origin)[0]:
                    named.update(_named(document.data, folder))
    return frozenset(named)


def _of_tests(folder: Path) -> tuple[Path, ...]:
    return folder, folder / "tests", folder.parent / "tests"


def _named(data: Any, folder: Path) -> Iterator[Path]:
    wanted = data.get("policies") if isinstance(data, dict) else None
    names = [one for one in wanted if isinstance(one, str)] if isinstance(wanted, list) else []
    yield from (file.resolve() for file in policy_files([folder / name for name in names]).files)


def texts(paths: Sequence[Path], problems: list[Problem]) -> Iterator[tuple[str, str]]:
    """Yield (origin, text) of every file that can be read, and note the others."""
    for path in paths:
        try:
            yield str(path), path.read_text(encoding="utf-8")
        except UnicodeDecodeError as err:
            problems.append(_problem(path, f"this is no UTF-8 text (byte {err.start})", ""))
        except OSError as err:
            problems.append(_problem(path, f"cannot be read: {err.strerror}", ""))


def _is_policy(name: str) -> bool:
    return name.endswith(SUFFIXES) and not name.endswith(TEST_SUFFIXES) and not name.startswith(".")


def _problem(path: Path, message: str, hint: str, code: str = "unreadable") -> Problem:
    return Problem(file=str(path), line=0, column=0, field="", message=message, hint=hint, code=code)
