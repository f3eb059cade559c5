"""Which tests of policies ran, for which spec: written by `aiops policy test --record`, read by `aiops policy promote`.

The record is a file, so that what ran in a pipeline is evidence where the daemon's store is. It says of each policy the
hash of its spec, so that it counts for that spec and for no other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiops import __version__
from aiops.core.model import Instant
from aiops.core.policies import ScalingPolicy
from aiops.core.record.story import stamp
from aiops.core.versions import template_key
from aiops.errors import InvalidContent, InvalidInput

if TYPE_CHECKING:
    from simulators.policy_tests.run import Result

VERSION = 1
MOST_RUNS = 10_000
MOST_FILES = 1_000


def tested(results: Sequence[Result], now: Instant) -> list[dict[str, Any]]:
    """Return what of each policy's tests ran, by the hash of its spec."""
    found: dict[tuple[str, str], dict[str, dict[str, int]]] = {}
    for one in results:
        policy = one.case.policy
        if not isinstance(policy, ScalingPolicy):
            continue  # a WatchPolicy is not promoted
        files = found.setdefault((template_key(policy.key), policy.spec_hash), {})
        counts = files.setdefault(one.case.file, {"tests": 0, "passed": 0})
        counts["tests"] += 1
        counts["passed"] += one.passed
    return [
        {
            "policy": key,
            "spec_hash": spec_hash,
            "at": stamp(now),
            "aiops": __version__,
            "files": [{"file": file, "digest": _digest(file), **counts} for file, counts in sorted(files.items())],
        }
        for (key, spec_hash), files in sorted(found.items())
    ]


def recorded(path: Path, runs: Sequence[Mapping[str, Any]]) -> None:
    """Add runs to a record, in place of older ones of the same spec; raise InvalidInput when it cannot be written."""
    kept = {(run["policy"], run["spec_hash"]): run for run in (read(path) if path.exists() else ())}
    kept |= {(run["policy"], run["spec_hash"]): dict(run) for run in runs}
    text = json.dumps({"version": VERSION, "runs": [kept[key] for key in sorted(kept)]}, indent=2) + "\n"
    half = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        half.write_text(text, encoding="utf-8")
        half.replace(path)
    except OSError as err:
        half.unlink(missing_ok=True)
        raise InvalidInput(f"{path}: cannot be written: {err.strerror or err}") from err


def read(path: Path) -> list[dict[str, Any]]:
    """Return the runs of a record; raise InvalidInput, with the file, for what is none."""
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        why = err.strerror if isinstance(err, OSError) else "is no JSON"
        raise InvalidContent(f"{path}: cannot be read: {why}") from err
    if not isinstance(whole, dict) or whole.get("version") != VERSION:
        raise InvalidContent(
            f"{path}: is no record of tests of version {VERSION}; `aiops policy test --record` makes one"
        )
    try:
        return [dict(run) for run in checked(whole.get("runs"))]
    except InvalidInput as err:
        raise InvalidContent(f"{path}: {err}") from err


def checked(runs: Any) -> Sequence[Mapping[str, Any]]:
    """Return the runs that somebody gave; raise InvalidInput for what is none."""
    if not isinstance(runs, list) or len(runs) > MOST_RUNS or not all(map(_is_run, runs)):
        raise InvalidContent(
            "tests: runs with policy, spec_hash, at and files are wanted, as `policy test --record` writes"
        )
    return runs


def evidence_for(runs: Sequence[Mapping[str, Any]], policy: str, spec_hash: str) -> dict[str, Any] | None:
    """Return the newest run of a spec, with its counts; None when none is of that spec."""
    mine = [run for run in runs if (run["policy"], run["spec_hash"]) == (policy, spec_hash)]
    if not mine:
        return None
    run = max(mine, key=lambda one: str(one["at"]))
    tests, passed = (sum(file[name] for file in run["files"]) for name in ("tests", "passed"))
    return {"at": run["at"], "tests": tests, "passed": passed, "files": [dict(file) for file in run["files"]]}


def _is_run(run: Any) -> bool:
    if not isinstance(run, dict) or not all(isinstance(run.get(name), str) for name in ("policy", "spec_hash", "at")):
        return False
    files = run.get("files")
    return isinstance(files, list) and 0 < len(files) <= MOST_FILES and all(map(_is_file, files))


def _is_file(file: Any) -> bool:
    if not isinstance(file, dict) or not isinstance(file.get("file"), str):
        return False
    counts = [file.get("tests"), file.get("passed")]
    return all(type(one) is int for one in counts) and 0 <= file["passed"] <= file["tests"]


def _digest(file: str) -> str:
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()[:16]
    except OSError:
        return ""
