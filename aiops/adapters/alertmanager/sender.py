"""Sending incidents to one Alertmanager in a thread of its own, so that a tick never waits for it."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence

from aiops.adapters.alertmanager.client import Alertmanager
from aiops.adapters.alertmanager.outbox import Form, Outbox, written
from aiops.core.model import Incident
from aiops.errors import SourceUnavailable

_LOG = logging.getLogger("aiops.alertmanager")


class IncidentSender:
    """Keeps one Alertmanager told. wall: the clock of the alerts; what is due goes by the monotonic one.

    failures: counted since the start; failing: why the last try failed, '' when it did not.
    """

    def __init__(
        self,
        client: Alertmanager,
        form: Form,
        wall: Callable[[], float],
        elapsed_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client = client
        self._elapsed_s = elapsed_s
        self._outbox = Outbox(form)
        self._wall = wall
        self._dice = random.Random()  # noqa: S311  # spreads load; nothing is secret about it
        self._turn = threading.Condition()
        self._ends = False
        self.failures = 0
        self.failing = ""
        self._thread = threading.Thread(target=self._run, name="alertmanager-sender", daemon=True)

    @property
    def sent(self) -> int:
        """Return how many alerts were taken since the start."""
        return self._outbox.sent

    def note(self, incidents: Sequence[Incident]) -> None:
        """Take the incidents of a tick; returns at once."""
        with self._turn:
            self._outbox.note(incidents, self._elapsed_s())
            self._turn.notify()

    def start(self) -> None:
        """Send in the background."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Send what has not been told yet, once, and end."""
        with self._turn:
            self._ends = True
            self._turn.notify()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        self.client.close()

    def _run(self) -> None:
        while True:
            with self._turn:
                wait_s = self._outbox.wait_s(self._elapsed_s())
                if self._ends and wait_s != 0.0:
                    return
                if wait_s is None or wait_s > 0.0:
                    self._turn.wait(wait_s)
                    continue
                batch, number = self._outbox.batch(self._wall())
            self._send(batch, number)

    def _send(self, batch: list[dict[str, object]], number: int) -> None:
        try:
            self.client.send(written(batch))
        except SourceUnavailable as err:
            if str(err) != self.failing:
                _LOG.warning("incidents_not_sent", extra={"reason": str(err)})
            with self._turn:
                self.failures, self.failing = self.failures + 1, str(err)
                self._outbox.failed(self._elapsed_s(), self._dice.uniform(0.5, 1.5))
            return
        with self._turn:
            self.failing = ""
            self._outbox.done(batch, number, self._elapsed_s())
