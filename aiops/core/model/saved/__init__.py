"""What cost policies remember from tick to tick: one class for each kind of action, and its line in the union."""

from __future__ import annotations

from typing import TypeAlias

from aiops.core.model.saved.base import Remembered
from aiops.core.model.saved.rightsize import RightsizeState
from aiops.core.model.saved.sleep import SleepState

__all__ = ["Remembered", "RightsizeState", "SavingState", "SleepState"]

SavingState: TypeAlias = SleepState | RightsizeState
