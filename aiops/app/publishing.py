"""Events of the audit chain to one endpoint, in order, in batches, until they are taken."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from aiops.adapters.events import batch_of, kind_of
from aiops.app.following import EVENTS
from aiops.core.model import Instant
from aiops.core.record.audit import Line

if TYPE_CHECKING:
    from aiops.adapters.store import Store

_LOG = logging.getLogger("aiops.events")
QUIET_S, QUIET_MOST_S = 2.0, 600.0
MOST_BYTES = 60_000
"""Of a batch; the endpoint takes no more than 64 KiB."""

_OF_THE_EVENT = frozenset({400, 413, 422})
"""Answers that are about what was sent, and not about who was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """What became of a batch. code: of HTTP, 0 where there was none."""

    taken: bool
    code: int = 0
    said: str = ""


Post: TypeAlias = Callable[[bytes, str, Instant], Posted]
"""Posts a batch under a key that is the same whenever the same batch is sent."""


@dataclass(slots=True)
class Publisher:
    """Publishes what `kinds` names (all where it is empty), `size` records at once at most.

    The same records go in the same batch until they are taken; an event that is refused for what it is, alone, is
    passed over and counted, so that it does not keep all others waiting.
    """

    store: Store
    post: Post
    source: str
    kinds: frozenset[str] = frozenset()
    size: int = 100
    lost: int = 0
    sent: int = 0
    refused: int = 0
    failing: str = ""
    _failures: int = 0
    _quiet_until: Instant = 0.0
    _narrow: int = 0
    _read: int = 0

    def turn(self, now: Instant) -> None:
        """Publish what there is, until there is nothing more or the endpoint fails."""
        while now >= self._quiet_until and self._step(now):
            pass

    def _step(self, now: Instant) -> bool:
        """Send one batch; return whether to go on."""
        seq, lost = self.store.notices.cursor(EVENTS)
        self.lost = lost
        lines = self.store.audit.after(seq, self._narrow or self.size)
        if not lines:
            return False
        wanted = [line for line in lines if not self.kinds or kind_of(line) in self.kinds]
        if not wanted:
            self.store.notices.move(EVENTS, lines[-1].seq, lost)
            return True
        self._read = len(lines)
        batch, body = self._fitting(wanted)
        end = lines[-1].seq if len(batch) == len(wanted) else batch[-1].seq
        posted = self.post(body, f"events-{batch[0].seq}-{batch[-1].seq}-{batch[-1].digest[:16]}", now)
        if posted.taken:
            self._went(end, lost, len(batch))
            return True
        return self._refused(posted, batch, (end, lost), now)

    def _fitting(self, lines: Sequence[Line]) -> tuple[Sequence[Line], bytes]:
        """Return as many of the records as fit into one message, one at least."""
        body = batch_of(lines, self.source)
        while len(body) > MOST_BYTES and len(lines) > 1:
            lines = lines[: len(lines) // 2]
            body = batch_of(lines, self.source)
        return lines, body

    def _went(self, seq: int, lost: int, count: int) -> None:
        self.store.notices.move(EVENTS, seq, lost)
        self.sent += count
        self._failures, self._quiet_until, self.failing = 0, 0.0, ""
        self._narrow = 0

    def _refused(self, posted: Posted, batch: Sequence[Line], place: tuple[int, int], now: Instant) -> bool:
        if posted.code in _OF_THE_EVENT:
            if len(batch) > 1:
                # one of them is not wanted: smaller batches find it
                self._narrow = max(1, len(batch) // 2)
                return True
            end, lost = place
            _LOG.warning("event_refused", extra={"seq": batch[0].seq, "reason": posted.said})
            self.store.notices.move(EVENTS, end, lost + 1)
            self.refused += 1
            self._narrow = 0
            return True
        self._failures += 1
        self._narrow = self._read
        self._quiet_until = now + min(QUIET_MOST_S, QUIET_S * 2.0 ** min(self._failures - 1, 16))
        if not self.failing:
            _LOG.warning("events_wait", extra={"reason": posted.said})
        self.failing = posted.said
        return False
