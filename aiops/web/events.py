"""Live data as server-sent events: one ring of what happened lately, which every reader reads at its own pace.

A reader that is slow holds nobody up and takes no room of its own: what it has not read when the ring comes round is
lost to it, and it is told so (`reset`), for what it shows must be read anew.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson

KEPT = 4096
RETRY_MS = 2000
MEDIA_TYPE = "text/event-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened. number: counts from 1 within one process. data: JSON."""

    number: int
    kind: str
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """A sign of life each heartbeat_s. A stream ends after longest_s: who comes again shows anew who they are."""

    heartbeat_s: float = 15.0
    longest_s: float = 300.0


class Full(Exception):
    """There are as many readers as there may be."""


class Broker:
    """Takes events from any thread, and gives them to readers on event loops.

    seats: readers at once, a quarter of them of one principal. boot: of this process, so that ids of another are known
    as such.
    """

    def __init__(self, kept: int = KEPT, seats: int = 64, boot: str = "") -> None:
        self.boot = boot or secrets.token_hex(4)
        self._ring: deque[Event] = deque(maxlen=kept)
        self._lock = threading.Lock()
        self._number = 0
        self._seats = seats
        self._seated: Counter[str] = Counter()
        self._woken: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def publish(self, kind: str, data: dict[str, Any]) -> None:
        """Tell all readers of something that happened."""
        body = orjson.dumps(data)
        with self._lock:
            self._number += 1
            self._ring.append(Event(number=self._number, kind=kind, data=body))
            woken = [*self._woken]
        for loop, bell in woken:
            if not loop.is_closed():
                loop.call_soon_threadsafe(bell.set)

    def newest(self) -> int:
        """Return the number of the last event."""
        return self._number

    def since(self, number: int) -> tuple[list[Event], bool]:
        """Return the events after a number, and whether some between are not kept any more."""
        with self._lock:
            found = [one for one in self._ring if one.number > number]
            lost = self._number > number and (not found or found[0].number != number + 1)
        return found, lost

    def place(self, last_id: str) -> int | None:
        """Return the number of an id of this process, None for any other."""
        boot, _, number = last_id.partition("-")
        known = boot == self.boot and number.isascii() and number.isdecimal() and len(number) < 16
        return int(number) if known and int(number) <= self._number else None

    def name(self, number: int) -> str:
        """Return the id of an event."""
        return f"{self.boot}-{number}"

    @contextmanager
    def seat(self, whose: str) -> Iterator[asyncio.Event]:
        """Yield a bell that rings when something happened; raise Full when there is no seat."""
        entry = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            if self._seated.total() >= self._seats or self._seated[whose] >= max(1, self._seats // 4):
                raise Full
            self._seated[whose] += 1
            self._woken.add(entry)
        try:
            yield entry[1]
        finally:
            with self._lock:
                self._woken.discard(entry)
                self._seated[whose] -= 1


async def stream(broker: Broker, bell: asyncio.Event, last_id: str, pace: Pace | None = None) -> AsyncIterator[bytes]:
    """Yield what happens from now on, or since an id; a sign of life in between."""
    pace = pace or Pace()
    ends_at = asyncio.get_running_loop().time() + pace.longest_s
    place = broker.place(last_id) if last_id else broker.newest()
    number = broker.newest() if place is None else place
    yield f"retry: {RETRY_MS}\n\n".encode()
    if place is None:
        yield _told(broker, number, "reset", b"{}")
    while asyncio.get_running_loop().time() < ends_at:
        bell.clear()
        found, lost = broker.since(number)
        if lost:
            number = broker.newest()
            yield _told(broker, number, "reset", b"{}")
            continue
        for one in found:
            number = one.number
            yield _told(broker, number, one.kind, one.data)
        try:
            await asyncio.wait_for(bell.wait(), pace.heartbeat_s)
        except TimeoutError:
            yield b": still here\n\n"


def _told(broker: Broker, number: int, kind: str, data: bytes) -> bytes:
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (broker.name(number).encode(), kind.encode(), data)
