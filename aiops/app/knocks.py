"""Who came, went, or was not let in, in the audit chain: a burst of refusals is one record, and says how many."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from aiops.core.record.audit import AuditKind, Entry
from aiops.errors import PortError
from aiops.web.locks.doors import Knock
from aiops.web.locks.rates import place_of

_LOG = logging.getLogger("aiops.web")
EVERY_S = 60.0
"""One record of refusals for each caller and address within so long, and MOST of them in all."""

MOST = 60


@dataclass(slots=True)
class Knocks:
    """Writes knocks down. note: into the chain, may raise PortError. now: people's clock."""

    note: Callable[[Entry], None]
    now: Callable[[], float]
    _told: OrderedDict[tuple[str, str], float] = field(default_factory=OrderedDict)
    _missed: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, knock: Knock) -> None:
        """Write one down, unless it is one of a burst that was; the next record says how many were."""
        missed = self._burst(knock) if knock.did == "refused" else 0
        if missed is None:
            return
        more = f", and {missed} more that have no record of their own" if missed else ""
        entry = Entry(
            at=self.now(),
            kind=AuditKind.ACCESS if knock.did == "refused" else AuditKind.LOGIN,
            by=knock.by or "unknown",
            subject=knock.address,
            did=knock.did,
            said=f"{knock.said}{more}",
            detail={"missed": missed} if missed else {},
        )
        try:
            self.note(entry)
        except PortError as err:
            _LOG.warning("knock_not_recorded", extra={"reason": str(err), "did": knock.did, "by": knock.by})

    def _burst(self, knock: Knock) -> int | None:
        """Return how many refusals have gone without a record before this one, None when it is one of them."""
        key, at = (knock.by, place_of(knock.address)), self.now()
        with self._lock:
            while self._told and at - next(iter(self._told.values())) >= EVERY_S:
                self._told.popitem(last=False)
            if key in self._told or len(self._told) >= MOST:
                self._missed += 1
                return None
            self._told[key] = at
            missed, self._missed = self._missed, 0
        return missed
