"""Reading policies from files and folders: the only place of the language that touches the disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from aiops.errors import Problem

SUFFIXES = (".yaml", ".yml")
TEST_SUFFIXES = (".test.yaml", ".test.yml")


def policy_files(paths: Sequence[Path]) -> tuple[list[Path], list[Problem]]:
    """Return the policy files under paths, sorted, and what cannot be found. Tests of policies are no policies."""
    files: list[Path] = []
    problems: list[Problem] = []
    for path in paths:
        if path.is_file():
            files.append(path)
        elif path.is_dir():
            inside = [one for one in sorted(path.rglob("*")) if one.is_file() and _is_policy(one, path)]
            if not inside:
                problems.append(_problem(path, "there is no policy in this folder", "files end in .yaml or .yml"))
            files += inside
        else:
            problems.append(_problem(path, "there is no such file or folder", ""))
    return list(dict.fromkeys(files)), problems


def texts(paths: Sequence[Path], problems: list[Problem]) -> Iterator[tuple[str, str]]:
    """Yield (origin, text) of every file that can be read, and note the others."""
    for path in paths:
        try:
            yield str(path), path.read_text(encoding="utf-8")
        except UnicodeDecodeError as err:
            problems.append(_problem(path, f"this is no UTF-8 text (byte {err.start})", ""))
        except OSError as err:
            problems.append(_problem(path, f"cannot be read: {err.strerror}", ""))


def _is_policy(path: Path, root: Path) -> bool:
    inside = path.relative_to(root).parts
    hidden = any(part.startswith(".") for part in inside)
    return path.suffix in SUFFIXES and not path.name.endswith(TEST_SUFFIXES) and "tests" not in inside and not hidden


def _problem(path: Path, message: str, hint: str) -> Problem:
    return Problem(file=str(path), line=0, column=0, field="", message=message, hint=hint)
