"""The control loop: `ControlLoop.run_once(now)` turns once and says one sentence.

Expected failures of one port are taken into the Snapshot, where the guards can see them: a source that does not answer
is a failed signal, a cluster that does not answer an error of that cluster, an unsure lease is no leadership (S2).
"""

from aiops.loop.control import ControlLoop
from aiops.loop.learning import backfill
from aiops.loop.seams import DryRunCluster, Ports, Setup

__all__ = ["ControlLoop", "DryRunCluster", "Ports", "Setup", "backfill"]
