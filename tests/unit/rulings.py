"""What a verdict comes to, and a condition with a fixed answer."""

from __future__ import annotations

from dataclasses import dataclass

from aiops.core.model import (
    Reason,
    VerdictWord,
)
from aiops.core.protocols import ConditionError, Env


def bound(found) -> tuple[VerdictWord, Reason | None, int]:
    ruled = found.binding
    reason = None if ruled is None else ruled.ruling.reason
    return found.word, reason, found.change.after


@dataclass(frozen=True)
class Says:
    """A condition with a fixed answer, or none."""

    answer: bool | None = True
    text: str = "a condition"
    used: tuple[str, ...] = ()

    def holds(self, env: Env) -> bool:
        if self.answer is None:
            raise ConditionError("signals.x is not known")
        return self.answer
