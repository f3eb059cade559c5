"""Asking several clusters beside each other: one that hangs costs what a turn gives it, and delays no other (S10)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from aiops.errors import ClusterUnavailable, PortError

Answer = TypeVar("Answer")


@dataclass(slots=True)
class Beside(Generic[Answer]):
    """Remembers who has not answered yet: whoever hangs is not asked again, so that nothing piles up behind it."""

    most: int
    limit_s: float
    _pool: ThreadPoolExecutor = field(init=False)
    _asked: dict[str, Future[Answer]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(self.most, thread_name_prefix="cluster")

    def ask(self, questions: Mapping[str, Callable[[], Answer]]) -> dict[str, Answer | PortError]:
        """Return the answer of each cluster by its name, or why there is none, once all had their time."""
        found: dict[str, Answer | PortError] = {}
        asked: dict[str, Future[Answer]] = {}
        for name, question in questions.items():
            before = self._asked.get(name)
            if before is not None and not before.done():
                found[name] = ClusterUnavailable("it has not answered what it was asked before")
                continue
            asked[name] = self._asked[name] = self._pool.submit(question)
        until = time.monotonic() + self.limit_s
        for name, future in asked.items():
            wait([future], timeout=max(0.0, until - time.monotonic()))
            found[name] = self._settled(future)
        return found

    def stop(self) -> None:
        """Wait for nobody any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _settled(self, future: Future[Answer]) -> Answer | PortError:
        if not future.done():
            return ClusterUnavailable(f"it did not answer within {self.limit_s:g} s")
        err = future.exception()
        if err is None:
            return future.result()
        if isinstance(err, PortError):
            return err
        raise err
