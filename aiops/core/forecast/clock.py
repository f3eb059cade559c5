"""A clock that was ahead and is set back: told from news that come late."""

from __future__ import annotations

BACK_MIN = 3
"""A clock that is set back by no more is waited for."""
BACK_SAMPLES = 3


class Backwards:
    """How many samples, one after another, lay long before the minute that is open: one or two are old news."""

    def __init__(self) -> None:
        self._seen = 0

    def says(self, minute: int, opened: int) -> bool:
        """Return whether the clock was set back, after a sample of a minute."""
        self._seen = self._seen + 1 if minute < opened - BACK_MIN else 0
        if self._seen < BACK_SAMPLES:
            return False
        self._seen = 0
        return True
