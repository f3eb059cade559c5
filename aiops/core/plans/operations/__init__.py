"""The registry of operations: each has its file beside this one and its line here."""

from __future__ import annotations

from collections.abc import Mapping

from aiops.core.model import Operation
from aiops.core.plans.operations.verbs import Origin, Requests, Verbs

__all__ = ["OPERATIONS", "Origin", "Requests", "Verbs", "verbs"]

OPERATIONS: Mapping[type[Operation], Verbs] = {}


def verbs(operation: Operation) -> Verbs:
    """Return what an operation can say of itself."""
    return OPERATIONS[type(operation)]
