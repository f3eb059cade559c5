"""Where in a season an instant lies by the clocks on people's walls, which change twice a year.

Only the place in the season is local. Steps, gaps and ages are of UTC: an hour that the clocks skip is no gap, and one
that they repeat is no step back.
"""

from __future__ import annotations

import math
from datetime import datetime

from aiops.core.model import Instant
from aiops.core.money.periods import zone

UTC = "UTC"
"""The zone of seasons unless a policy says another."""


class WallClock:
    """The clock of a time zone. It is looked up once an instant, however many rows ask."""

    def __init__(self, name: str = UTC) -> None:
        self.name = name
        self._at, self._ahead_s = math.nan, 0.0

    def ahead_s(self, at: Instant) -> float:
        """Return by how many seconds it is ahead of UTC at an instant; none beyond the years that calendars have.

        >>> berlin = WallClock("Europe/Berlin")  # clocks change at 1_774_746_000
        >>> berlin.ahead_s(1_774_745_999.0), berlin.ahead_s(1_774_746_000.0)
        (3600.0, 7200.0)
        """
        if self.name == UTC:
            return 0.0
        if at != self._at:
            self._at, self._ahead_s = at, _ahead_s(self.name, at)
        return self._ahead_s


def _ahead_s(name: str, at: Instant) -> float:
    try:
        offset = datetime.fromtimestamp(at, zone(name)).utcoffset()
    except (OverflowError, ValueError, OSError):
        return 0.0
    return 0.0 if offset is None else offset.total_seconds()
