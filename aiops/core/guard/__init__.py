"""Stage guard: what is left of a wish, each no with its reason.

A guard is a function of the wish as it stands and of a `GuardContext`; its place is a line in `CHAIN`.
"""

from aiops.core.guard.chain import CHAIN, may_write, verdict
from aiops.core.guard.context import Guard, GuardContext, Wish
from aiops.core.guard.memory import accepted, in_time, remembered
from aiops.core.guard.people import PAUSE_ANNOTATION

__all__ = [
    "CHAIN",
    "PAUSE_ANNOTATION",
    "Guard",
    "GuardContext",
    "Wish",
    "accepted",
    "in_time",
    "may_write",
    "remembered",
    "verdict",
]
