"""How fast one source is asked: so many queries a second over time, a few more at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Pace:
    """A token bucket (RFC 2697's committed rate) that several threads draw from; clock: in seconds, never stepped."""

    per_s: float
    burst: int
    clock: Callable[[], float]
    _left: float = field(init=False)
    _at: float = field(init=False)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._left, self._at = float(self.burst), self.clock()

    def wait_s(self, most_s: float) -> float | None:
        """Take the next place and return how long to wait for its turn; None, and take none, when that is too long."""
        with self._lock:
            now = self.clock()
            left = min(float(self.burst), self._left + (now - self._at) * self.per_s) - 1.0
            wait_s = max(0.0, -left / self.per_s)
            if wait_s > most_s:
                return None
            self._left, self._at = left, now
            return wait_s
