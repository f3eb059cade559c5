"""What became of a message, and leaving alone for a while who could not be told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import TypeAlias

from aiops.core.model import StepStatus

QUIET_S, QUIET_MOST_S = 10.0, 600.0
NOT_ALLOWED = 404
"""The code of what the settings do not name: waiting will not help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of a message. code: of HTTP, 0 where there was none."""

    status: StepStatus
    code: int = 0
    message: str = ""

    @property
    def taken(self) -> bool:
        """Return whether somebody took it."""
        return self.status is StepStatus.DONE


Telling: TypeAlias = Callable[[], Told]


def refused(message: str, code: int = 0) -> Told:
    """Return that nothing was told."""
    return Told(status=StepStatus.REFUSED, code=code, message=message)


def unknown(message: str, code: int = 0) -> Told:
    """Return that nobody knows whether it was told."""
    return Told(status=StepStatus.UNKNOWN, code=code, message=message)


@dataclass(slots=True)
class Patience:
    """Tells one receiver at a time and waits `limit_s` for it at most.

    After a failure it is left alone, longer each time: one that hangs or fails for hours costs one wait now and then,
    and delays nothing else.
    """

    name: str
    limit_s: float
    clock: Callable[[], float] = time.monotonic
    _pool: ThreadPoolExecutor = field(init=False)
    _lock: threading.Lock = field(init=False, default_factory=threading.Lock)
    _last: Future[Told] | None = field(init=False, default=None)
    _failures: int = field(init=False, default=0)
    _quiet_until: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=f"notify-{self.name}")

    def tell(self, telling: Telling) -> Told:
        """Return what became of it; refused, without trying, while the last one hangs or is too short ago."""
        with self._lock:
            left_s = self._quiet_until - self.clock()
            if self._last is not None and not self._last.done():
                return refused(f"{self.name} has not answered the message before this one")
            if left_s > 0:
                return refused(f"{self.name} failed {self._failures} times; tried again in {left_s:.0f} s")
            future = self._last = self._pool.submit(telling)
        wait([future], timeout=self.limit_s)
        told = future.result() if future.done() else unknown(f"{self.name} did not answer within {self.limit_s:g} s")
        self._note(told)
        return told

    def _note(self, told: Told) -> None:
        if told.taken:
            self._failures, self._quiet_until = 0, 0.0
            return
        self._failures += 1
        quiet_s = min(QUIET_MOST_S, QUIET_S * 2.0 ** min(self._failures - 1, 16))
        self._quiet_until = self.clock() + quiet_s

    def stop(self) -> None:
        """Take no more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
