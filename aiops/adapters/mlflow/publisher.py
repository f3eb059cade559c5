"""Telling a tracking server of versions, in a thread of its own: a server that hangs or fails delays nothing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from aiops.adapters.mlflow.client import Tracking
from aiops.adapters.mlflow.outbox import Outbox
from aiops.adapters.mlflow.runs import run_of
from aiops.core.lineage.version import Version
from aiops.core.model import Instant, PolicyKey
from aiops.errors import InvalidInput, SourceUnavailable

_LOG = logging.getLogger("aiops.mlflow")

Seen = Callable[[], Mapping[PolicyKey, Sequence[Version]]]


class Publisher:
    """Looks at the versions every so often and tells of what has changed. wall: the clock of scores.

    seen: the versions as they are now; empty while they are nobody's to tell. failing: why the last round failed.
    """

    def __init__(self, server: Tracking, seen: Seen, every_s: float, wall: Callable[[], Instant]) -> None:
        self._server, self._seen, self._every_s, self._wall = server, seen, every_s, wall
        self._outbox = Outbox()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mlflow", daemon=True)
        self.failing = ""

    def start(self) -> None:
        """Tell in the background."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Tell what has changed once more, for half of so long, and end: a server that hangs delays no other's end."""
        self._ends.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s / 2.0)
        self._server.close()

    def round(self) -> int:
        """Look once, tell what has changed, and return how many versions were told; what was not, waits."""
        self._outbox.note(self._seen())
        told = 0
        for name, (policy, version) in self._outbox.due():
            try:
                run_id = self._server.write(run_of(policy, version, self._wall()), self._outbox.run_ids.get(name, ""))
            except InvalidInput as err:
                _LOG.warning("version_refused_by_mlflow", extra={"version": name, "reason": str(err)})
                run_id = ""
            except SourceUnavailable as err:
                if str(err) != self.failing:
                    _LOG.warning("versions_not_told_to_mlflow", extra={"reason": str(err)})
                self.failing = str(err)
                return told
            self._outbox.told(name, run_id)
            told += bool(run_id)
        if self.failing:
            _LOG.info("versions_told_to_mlflow_again", extra={"url": self._server.url})
        self.failing = ""
        return told

    def _run(self) -> None:
        while not self._ends.wait(self._every_s):
            self._guarded()
        self._guarded()

    def _guarded(self) -> None:
        try:
            self.round()
        except Exception:  # a thread that ends would tell nothing ever again
            _LOG.exception("mlflow_round_failed")
