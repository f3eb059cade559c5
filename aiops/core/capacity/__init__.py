"""Stage forecast, the other half: how much a number of pods carries within the SLO, learnt from load and latency."""

from aiops.core.capacity.learner import Capacities, Load
from aiops.core.capacity.queue import PODS, SLOTS

__all__ = ["PODS", "SLOTS", "Capacities", "Load"]
