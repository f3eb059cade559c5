"""Reading what containers used before they were looked at first, in a thread that nobody waits for."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiops.app.wiring import Built

_LOG = logging.getLogger("aiops.daemon")


class PastReader:
    """Begins to read whenever it is asked to and does not read yet; a stop does not wait for it."""

    def __init__(self, built: Built) -> None:
        self._built = built
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Read what is not known yet; nothing of a virtual world."""
        if self._built.world.virtual or (self._thread is not None and self._thread.is_alive()):
            return
        self._thread = threading.Thread(target=self._read, name="read-pasts", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        built, loop = self._built, self._built.loop
        try:
            plans = built.policies.current().plans
            loop.pasts.read(plans, (loop.seen, loop.state), built.world.history, built.world.present())
        except Exception:
            _LOG.exception("pasts_failed")
            loop.ports.telemetry.failure("bug")
