"""The pure half of a tick: `decide(state, turn) -> tick, state`, then `settled(...)` with the API's answers.

The stages meet only here. `decide_one` is the literal function that both the tick and the replay of a stored
decision call.
"""

from aiops.core.pipeline.answers import Settled, settled
from aiops.core.pipeline.effects import plan_stamps, stamps
from aiops.core.pipeline.lane import hastened, pressing, wanted
from aiops.core.pipeline.one import Decided, Read, decide_one, demand_of, read_of
from aiops.core.pipeline.planning import judge_again, plans_answered
from aiops.core.pipeline.recovery import Recovered, orphans, overdue, recovered, resumed, taken_over, with_followed
from aiops.core.pipeline.turn import Decisions, Turn, decide, decide_plans, plans_followed
from aiops.core.plans.guards import touched

__all__ = [
    "Decided",
    "Decisions",
    "Read",
    "Recovered",
    "Settled",
    "Turn",
    "decide",
    "decide_one",
    "decide_plans",
    "demand_of",
    "hastened",
    "judge_again",
    "orphans",
    "overdue",
    "plan_stamps",
    "plans_answered",
    "plans_followed",
    "pressing",
    "read_of",
    "recovered",
    "resumed",
    "settled",
    "stamps",
    "taken_over",
    "touched",
    "wanted",
    "with_followed",
]
