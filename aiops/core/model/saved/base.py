"""What every cost policy remembers, whatever it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiops.core.model.looked import Wanted
from aiops.core.model.names import Instant
from aiops.core.model.observed import SignalMemory


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """signals: by name. wanted: objects to look at next time. paged: when people were last told what.

    settled: by subject, whether what its plan wants to see in the world is seen (the check `Settled`); absent: unknown.
    """

    signals: Mapping[str, SignalMemory] = field(default_factory=dict)
    wanted: Wanted = field(default_factory=Wanted)
    paged: Mapping[str, Instant] = field(default_factory=dict)
    settled: Mapping[str, bool] = field(default_factory=dict)
    fingerprint: str = ""
    decision_id: str = ""
