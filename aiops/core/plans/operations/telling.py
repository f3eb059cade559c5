"""`Notify` and `CallWebhook`: what is told, and done when it was taken; nobody can take it back."""

from __future__ import annotations

import math
from dataclasses import dataclass

from aiops.core.ids import digest
from aiops.core.model import CallWebhook, Looked, Message, Notify, Operation, Reason, TargetRef, Wanted
from aiops.core.plans.operations.verbs import NOTHING, Origin, Requests


@dataclass(frozen=True, slots=True)
class _Told:
    shown: bool = False
    again_s: float = math.inf

    def wanted(self, operation: Operation) -> Wanted:
        del operation
        return NOTHING

    def requests(self, operation: CallWebhook | Notify, looked: Looked, origin: Origin) -> Requests:
        del looked
        return Requests(
            messages=(Message(operation=operation, key=_key(operation, origin), summary=self.says(operation)),)
        )

    def reached(self, operation: Operation, looked: Looked) -> bool | None:
        del operation, looked
        return None

    def undo(self, operation: Operation, looked: Looked) -> tuple[Operation, ...] | None:
        del operation, looked
        return ()

    def refusal(self, operation: Operation, looked: Looked) -> tuple[Reason, str] | None:
        del operation, looked
        return None

    def touches(self, operation: Operation) -> tuple[TargetRef, ...]:
        del operation
        return ()

    def says(self, operation: CallWebhook | Notify) -> str:
        if isinstance(operation, CallWebhook):
            return f"call webhook {operation.endpoint}"
        return f"tell {operation.channel or 'every channel'}: {operation.title}"


VERBS = _Told()


def _key(operation: CallWebhook | Notify, origin: Origin) -> str:
    """Return the key by which a receiver knows that it was told already: that of the message in its plan (S6)."""
    return f"{origin.plan_id}-{digest(repr(operation))}"
