"""What goes wrong in a test, and when."""

from __future__ import annotations

from aiops.core.model import Instant
from aiops.policy.testing import Case
from aiops.policy.testing.surroundings import FaultKind, FaultSpec
from simulators.policy_tests.spans import Spans


class Faults:
    """The faults of a test by their kind."""

    def __init__(self, case: Case) -> None:
        kinds = {one.fault for one in case.spec.faults}
        self._by_kind = {
            kind: Spans([one for one in case.spec.faults if one.fault is kind], case.start) for kind in kinds
        }

    def any(self, kind: FaultKind, at: Instant) -> bool:
        """Return whether a fault of this kind is in force."""
        spans = self._by_kind.get(kind)
        return spans is not None and spans.any(at)

    def first(self, kind: FaultKind, at: Instant) -> FaultSpec | None:
        """Return the first fault of this kind that is in force."""
        spans = self._by_kind.get(kind)
        active = [] if spans is None else spans.active(at)
        return active[0][2] if active else None

    def of_signal(self, kind: FaultKind, signal: str, at: Instant) -> bool:
        """Return whether a fault of this kind is in force for a signal."""
        spans = self._by_kind.get(kind)
        return spans is not None and any(one.signal == signal for _, _, one in spans.active(at))
