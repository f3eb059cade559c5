"""The pure half of a tick: `decide(state, turn) -> tick, state`, then `settled(...)` with the API's answers.

The stages meet only here. `decide_one` is the literal function that both the tick and the replay of a stored
decision call.
"""

from aiops.core.pipeline.answers import Settled, settled
from aiops.core.pipeline.effects import stamps
from aiops.core.pipeline.one import Decided, decide_one, demand_of
from aiops.core.pipeline.recovery import Recovered, orphans, overdue, recovered, resumed, taken_over
from aiops.core.pipeline.turn import Decisions, Turn, decide

__all__ = [
    "Decided",
    "Decisions",
    "Recovered",
    "Settled",
    "Turn",
    "decide",
    "decide_one",
    "demand_of",
    "orphans",
    "overdue",
    "recovered",
    "resumed",
    "settled",
    "stamps",
    "taken_over",
]
