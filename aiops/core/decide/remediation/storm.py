"""When too much is sick nothing is remedied: what is common to many is not cured one by one (medik8s).

A policy over nodes counts its own nodes; one for a workload those of all policies, each workload once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from aiops.core.decide.remediation.sights import Seen
from aiops.core.model import BlastRadius, Fleet, Instant, LadderState
from aiops.core.planning.remediation import Nodes

LEAST_SICK = 3
"""Fewer sick workloads are no storm, however few there are in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """How many are well, how many must be, and since when there is a storm, infinite while there is none.

    exit_s: so long enough must be well before it is over. what: is counted.
    """

    well: int
    total: int
    needed: int
    exit_s: float
    what: str = "nodes"
    storm_since: Instant = math.inf
    well_since: Instant = math.inf

    @property
    def storm(self) -> bool:
        """Return whether nothing is remedied."""
        return math.isfinite(self.storm_since)


def weather(nodes: Nodes, seen: Seen, memory: LadderState, now: Instant) -> Weather:
    """Return how the nodes of a policy are now.

    A node that takes no pods is not well here, whoever cordoned it; nor is one of which nothing is known.
    """
    well = sum(
        1
        for one in seen.subjects
        if one.node is not None and one.node.ready and not one.node.cordoned and one.sight.troubled is False
    )
    total = len(seen.subjects)
    return _since(Weather(well=well, total=total, needed=nodes.needed(total), exit_s=nodes.exit_s), memory, now)


def over_workloads(fleet: Fleet, limits: BlastRadius, memory: LadderState, now: Instant) -> Weather:
    """Return how the workloads are now that any policy remedies."""
    total = fleet.workloads
    needed = min(math.ceil(limits.healthy_ratio * total - 1e-9), max(0, total - LEAST_SICK + 1))
    well = total - fleet.sick
    found = Weather(well=well, total=total, needed=needed, exit_s=limits.storm_exit_s, what="workloads")
    return _since(found, memory, now)


def _since(found: Weather, memory: LadderState, now: Instant) -> Weather:
    """Return it with the storm: that begins at once, and ends after enough were well for a while."""
    if found.well < found.needed:
        return replace(found, storm_since=min(memory.storm_since, now))
    if not math.isfinite(memory.storm_since):
        return found
    well_since = min(memory.well_since, now)
    if now - well_since >= found.exit_s:
        return found
    return replace(found, storm_since=memory.storm_since, well_since=well_since)


def said(one: Weather, now: Instant) -> str:
    """Return what is said of a storm."""
    count = f"{one.well} of {one.total} {one.what} are well, {one.needed} must be"
    if one.well < one.needed:
        return f"{count}: what hurts so many is not cured one by one; nothing is done"
    return f"{count}: the storm is over once that has held for {one.exit_s:.0f} s, now {now - one.well_since:.0f} s"
