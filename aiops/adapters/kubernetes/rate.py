"""How often one API server is asked: a bucket of tokens for each cluster, as client-go has one for each client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

RESERVE_RATIO = 0.2
"""The part of a full bucket that reads leave to writes: looking at the world never keeps us from mending it."""


@dataclass(slots=True, kw_only=True)
class Bucket:
    """Holds at most `burst` tokens and gains `per_s` of them in a second; whoever asks takes one, or waits for it.

    per_s: 0 for no limit. clock: seconds that only go on. pause: waits so many seconds, or less.
    """

    per_s: float
    burst: int
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep
    waited_s: float = 0.0
    refused: int = 0
    _tokens: float = field(init=False)
    _at: float = field(init=False)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._tokens, self._at = float(self.burst), self.clock()

    def take(self, most_s: float, *, write: bool) -> bool:
        """Return whether a token was had within `most_s`; one that cannot come in time is not waited for."""
        if not self.per_s:
            return True
        began = self.clock()
        while True:
            left_s = self._lack_s(write)
            if left_s <= 0.0:
                return True
            if self.clock() - began + left_s > most_s:
                with self._lock:
                    self.refused += 1
                return False
            self.pause(left_s)
            with self._lock:
                self.waited_s += left_s

    def _lack_s(self, write: bool) -> float:
        """Take a token where there is one, and return 0; else return in how many seconds there is one at best."""
        least = 1.0 if write else 1.0 + int(self.burst * RESERVE_RATIO)
        with self._lock:
            now = self.clock()
            self._tokens = min(float(self.burst), self._tokens + (now - self._at) * self.per_s)
            self._at = now
            if self._tokens >= least - 1e-9:
                self._tokens -= 1.0
                return 0.0
            return (least - self._tokens) / self.per_s
