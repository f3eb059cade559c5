"""Stage forecast, the other half: how much a number of pods carries within the SLO, learnt from load and latency."""

from aiops.core.capacity.apart import CapacitiesApart
from aiops.core.capacity.demand import NOTHING, Demand, load_of, told
from aiops.core.capacity.kept import about_of
from aiops.core.capacity.learner import Capacities, Load
from aiops.core.capacity.queue import PODS, SLOTS
from aiops.core.capacity.startups import Startups

__all__ = [
    "NOTHING",
    "PODS",
    "SLOTS",
    "Capacities",
    "CapacitiesApart",
    "Demand",
    "Load",
    "Startups",
    "about_of",
    "load_of",
    "told",
]
