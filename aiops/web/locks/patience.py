"""How long a connection may take to say what it wants, and how many of them one address may have."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """head_s: from the first byte that is waited for to the end of a request's head. per_address: connections."""

    head_s: float = 10.0
    per_address: int = 128


def protocol(patience: Patience) -> type[H11Protocol]:
    """Return uvicorn's protocol with an end to its patience: left alone it waits for a head for ever (slowloris)."""

    class Patient(_Patient):
        bounds = patience

    return Patient


class _Patient(H11Protocol):
    bounds = Patience()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._waiting: asyncio.TimerHandle | None = None
        here = self.client[0] if self.client else ""
        others: Iterable[Any] = self.connections
        if sum(1 for one in others if one.client and one.client[0] == here) > self.bounds.per_address:
            transport.abort()
            return
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._wait()
        else:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # what was sent meanwhile is the beginning of the next head
        if self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(self.bounds.head_s, self._too_long)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _too_long(self) -> None:
        self._waiting = None
        self.transport.abort()
