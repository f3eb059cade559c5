"""What every compiled policy of plans carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiops.core.model import Instant, LadderState, Mode, PolicyKey, TargetRef, Wanted
from aiops.core.policies.asked import SignalQuery, SignalSpec, WatchQuery
from aiops.core.policies.scaling import CalendarFreeze
from aiops.core.protocols import Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPolicy:
    """What every policy whose decisions are plans carries (FailoverPolicy, RemediationPolicy); the rest is its kind's.

    target: what decisions are told of: the object that steers traffic, or what is remedied. approvers: how many people
    must say yes. ask_for_s: how long a proposal waits for them. wanted: the objects that it looks at, whatever happens.
    workloads: those whose replicas it reads. conditions: by their text, for checks that name them.
    """

    key: PolicyKey
    digest: str
    document: str
    origin: str
    mode: Mode
    target: TargetRef
    signals: Mapping[str, SignalSpec]
    freezes: tuple[CalendarFreeze, ...] = ()
    approvers: int = 1
    ask_for_s: float = 3600.0
    wanted: Wanted = field(default_factory=Wanted)
    workloads: tuple[TargetRef, ...] = ()
    conditions: Mapping[str, Condition] = field(default_factory=dict)
    spec_hash: str = ""

    @property
    def reach(self) -> Mode:
        """Return how far it may go."""
        return self.mode

    @property
    def seen(self) -> frozenset[str]:
        """Return the variables that its conditions name."""
        return frozenset(name for one in self.conditions.values() for name in one.used)

    def tables(self, learnt_at: Instant, now: Instant) -> Mapping[str, WatchQuery]:
        """Return the queries with many series that are due, by name. learnt_at: when they were last taken in."""
        del learnt_at, now
        return {}

    def asked(self, ladder: LadderState | None) -> tuple[SignalQuery, ...]:
        """Return what is asked of the metrics sources now. ladder: what a remediation remembers."""
        del ladder
        return tuple(spec.query for spec in self.signals.values())
