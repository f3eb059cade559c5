"""`aiops replay`: make a stored decision again from its stored inputs, and say how far the two agree.

Same code on the same platform must agree byte for byte; same code on another platform to nine digits, since the last
bits of floating point differ between processors; other code is said to be other code, never silently identical.
"""

from __future__ import annotations

import json
import platform as machine
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

import aiops
from aiops.core.ids import digest
from aiops.core.model import Decision, Inputs
from aiops.core.pipeline import decide_one, judge_again
from aiops.core.policies import CostBudget, PlanPolicy, ScalingPolicy, WatchPolicy
from aiops.core.record.codec import from_text, to_text
from aiops.core.versions import under_key
from aiops.errors import Conflict
from aiops.policy import recompile

DIGITS = 9
_MOST_DIFFERENCES = 20


class Agreement(StrEnum):
    """How far a decision that was made again agrees with the stored one."""

    IDENTICAL = "identical"
    EQUAL = "equal to nine digits, on another platform"
    DIFFERENT = "different"
    OTHER_CODE_SAME = "recomputed by other code: the same decision"
    OTHER_CODE_DIFFERENT = "recomputed by other code: another decision"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a replay found. differences: `path: stored -> made again`, at most 20 of them."""

    decision_id: str
    agreement: Agreement
    stored: str
    again: str
    differences: tuple[str, ...]
    code: str
    platform: str

    @property
    def agrees(self) -> bool:
        """Return whether the same decision was made."""
        return self.agreement in (Agreement.IDENTICAL, Agreement.EQUAL, Agreement.OTHER_CODE_SAME)


@cache
def code_version() -> str:
    """Return the version of the program and a digest of the source that decides."""
    root = Path(aiops.__file__).parent
    state = blake2b(digest_size=6)
    for path in sorted([*root.glob("core/**/*.py"), *root.glob("policy/**/*.py")]):
        state.update(path.relative_to(root).as_posix().encode())
        state.update(path.read_bytes())
    return f"{aiops.__version__}+{state.hexdigest()}"


@cache
def platform_version() -> str:
    """Return what the last bits of floating point depend on: Python, numpy, the processor's kind."""
    python = ".".join(map(str, sys.version_info[:3]))
    return (
        f"python {python}, numpy {np.__version__}, {machine.system()} {machine.machine()} {digest(machine.processor())}"
    )


def _processor() -> str:
    """Return a short name of the processor's abilities, by which numpy chooses its arithmetic."""
    return digest(repr(np.show_config(mode="dicts")["SIMD Extensions"]))


def replay(decision: Decision, inputs_text: str, policy_document: str) -> Replayed:
    """Make the decision again; raise InvalidInput when what is stored cannot be read by this version."""
    try:
        inputs = from_text(inputs_text, Inputs)
    except ValueError as err:
        raise Conflict(f"the inputs of decision {decision.id} cannot be read: {err}") from err
    policy = recompile(policy_document)
    match policy:
        case ScalingPolicy():
            made = decide_one(under_key(policy, decision.policy), inputs).decision
        case PlanPolicy():
            made = judge_again(under_key(policy, decision.policy), inputs)
        case WatchPolicy() | CostBudget():
            raise Conflict(f"decision {decision.id} was made by {policy.key}, which decides nothing")
    stored, again = to_text(decision), to_text(made)
    differences = tuple(_differences(json.loads(stored), json.loads(again), ""))[:_MOST_DIFFERENCES]
    return Replayed(
        decision_id=decision.id,
        agreement=_agreement(inputs, stored == again, not differences),
        stored=stored,
        again=again,
        differences=differences,
        code=inputs.code,
        platform=inputs.platform,
    )


def _agreement(inputs: Inputs, same_bytes: bool, same_values: bool) -> Agreement:
    if inputs.code != code_version():
        return Agreement.OTHER_CODE_SAME if same_values else Agreement.OTHER_CODE_DIFFERENT
    if same_bytes:
        return Agreement.IDENTICAL
    # on the platform of the first time, nothing less than the same bytes is the same
    elsewhere = inputs.platform != platform_version()
    return Agreement.EQUAL if elsewhere and same_values else Agreement.DIFFERENT


def _differences(stored: Any, again: Any, path: str) -> Iterator[str]:
    if isinstance(stored, dict) and isinstance(again, dict):
        for key in sorted({*stored, *again}):
            yield from _differences(stored.get(key), again.get(key), f"{path}.{key}" if path else key)
    elif isinstance(stored, list) and isinstance(again, list) and len(stored) == len(again):
        for place, (one, other) in enumerate(zip(stored, again, strict=True)):
            yield from _differences(one, other, f"{path}[{place}]")
    elif not _same(stored, again):
        yield f"{path}: {json.dumps(stored)} -> {json.dumps(again)}"


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, float) or isinstance(other, float):
        numbers = isinstance(one, int | float) and isinstance(other, int | float)
        return numbers and f"{one:.{DIGITS}g}" == f"{other:.{DIGITS}g}"
    return bool(one == other)
