"""When too many nodes are sick nothing is remedied: what is common to them is not cured one by one (medik8s)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from aiops.core.decide.remediation.sights import Seen
from aiops.core.model import Instant, LadderState
from aiops.core.planning.remediation import Nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """How many nodes are well, how many must be, and since when there is a storm, infinite while there is none."""

    well: int
    total: int
    needed: int
    storm_since: Instant = math.inf
    well_since: Instant = math.inf

    @property
    def storm(self) -> bool:
        """Return whether nothing is remedied."""
        return math.isfinite(self.storm_since)


def weather(nodes: Nodes, seen: Seen, memory: LadderState, now: Instant) -> Weather:
    """Return how it is now: a storm begins at once, and ends after enough nodes were well for a while.

    A node that takes no pods is not well here, whoever cordoned it; nor is one of which nothing is known.
    """
    well = sum(
        1
        for one in seen.subjects
        if one.node is not None and one.node.ready and not one.node.cordoned and one.sight.troubled is False
    )
    total = len(seen.subjects)
    found = Weather(well=well, total=total, needed=nodes.needed(total))
    if well < found.needed:
        return replace(found, storm_since=min(memory.storm_since, now))
    if not math.isfinite(memory.storm_since):
        return found
    well_since = min(memory.well_since, now)
    if now - well_since >= nodes.exit_s:
        return found
    return replace(found, storm_since=memory.storm_since, well_since=well_since)


def said(one: Weather, exit_s: float, now: Instant) -> str:
    """Return what is said of a storm."""
    count = f"{one.well} of {one.total} nodes are well, {one.needed} must be"
    if one.well < one.needed:
        return f"{count}: what hurts so many is not cured one by one; nothing is done"
    return f"{count}: the storm is over once that has held for {exit_s:.0f} s, now {now - one.well_since:.0f} s"
