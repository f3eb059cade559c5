"""What a policy that lets workloads sleep remembers."""

from __future__ import annotations

from dataclasses import dataclass

from aiops.core.model.saved.base import Remembered


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepState(Remembered):
    """Which workloads sleep stands in their plans; this is the rest."""
