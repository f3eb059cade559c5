"""What policies ask of the metrics source: signals, and selectors whose series are watched."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from aiops.core.model import PolicyKey, SignalState


class Reaction(StrEnum):
    """What a policy does about a signal that is not a value (S1)."""

    HOLD = "hold"
    ZERO = "zero"
    IGNORE = "ignore"


class NoTraffic(StrEnum):
    """What a latency quantile without traffic (NaN or nothing) means."""

    HOLD = "hold"
    MEETS_SLO = "meets-slo"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalQuery:
    """One signal's PromQL with its companions, ready to be asked.

    age_exprs: the newest `timestamp()` per selector. coverage_exprs: `count()` per selector. up_exprs: `up` of each
    selector's targets, where its labels name them. presence_expr: answers something while what is measured is there.
    source: which of the named metrics sources is asked, '' for the one that all policies ask.
    """

    policy: PolicyKey
    name: str
    expr: str
    age_exprs: tuple[str, ...]
    coverage_exprs: tuple[str, ...]
    up_exprs: tuple[str, ...] = ()
    presence_expr: str | None = None
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalSpec:
    """A named signal of a policy: its query, its unit, how old it may be, and what its absence means."""

    query: SignalQuery
    unit: str
    max_age_s: float
    on_absent: Reaction = Reaction.HOLD
    on_nan: Reaction = Reaction.HOLD
    on_stale: Reaction = Reaction.HOLD
    on_partial: Reaction = Reaction.HOLD
    when_no_traffic: NoTraffic = NoTraffic.HOLD

    def ignores(self, state: SignalState) -> bool:
        """Return whether the signal may be in this state and hold nothing."""
        match state:
            case SignalState.ABSENT | SignalState.EMPTY:
                return self.on_absent is Reaction.IGNORE
            case SignalState.NAN:
                return self.on_nan is Reaction.IGNORE
            case SignalState.STALE:
                return self.on_stale is Reaction.IGNORE
            case SignalState.PARTIAL:
                return self.on_partial is Reaction.IGNORE
            case SignalState.FAILED | SignalState.VALUE:
                return False


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchQuery:
    """A selector whose series are all watched. identity: the labels that name a series across restarts; () is all.

    spared: it is not asked this time; the rows of its series are there, without values, and teach nothing. source: see
    `SignalQuery`.
    """

    policy: PolicyKey
    expr: str
    identity: tuple[str, ...]
    max_series: int
    spared: bool = False
    source: str = ""
