"""What cost policies remember from tick to tick: one class for each kind of action, and its line in the union."""

from __future__ import annotations

from typing import TypeAlias

from aiops.core.model.saved.base import Remembered
from aiops.core.model.saved.defer import DeferState
from aiops.core.model.saved.pack import Moved, PackState
from aiops.core.model.saved.rightsize import RightsizeState
from aiops.core.model.saved.sleep import IdleState, Sleeper, SleepState
from aiops.core.model.saved.spot import SpotState

__all__ = [
    "DeferState",
    "IdleState",
    "Moved",
    "PackState",
    "Remembered",
    "RightsizeState",
    "SavingState",
    "SleepState",
    "Sleeper",
    "SpotState",
]

SavingState: TypeAlias = SleepState | IdleState | DeferState | RightsizeState | PackState | SpotState
