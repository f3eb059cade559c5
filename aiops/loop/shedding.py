"""What a turn leaves out when it cannot end within its period: what acts on nothing, the least wanted first.

Never left out is whatever acts or asks people, has something outstanding in a cluster (a change that is verified, an
effect to be handed back), or is what one of those goes by. Plans and the guards are not weighed at all: they are no
candidates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from aiops.core.model import LoopState, Mode, PolicyKey
from aiops.core.planning.remediation import OnCondition, OnFinding, OnIncident, RemediationPolicy
from aiops.core.policies import PlanPolicy, PolicySet, ScalingPolicy

SERIES_S, WATCH_S, QUERY_S, DECISION_S = 1.5e-6, 2e-3, 1e-3, 5e-4
"""What a watched series, a watch, a query of a signal and a decision cost about, in seconds: only ratios count.

docs/scale.md has what was measured.
"""

CALM_TURNS, CALM_TURNS_MOST = 4, 64
"""After so many turns with room something is taken up again; twice as many when that was too much the last time."""

BACK_RATIO = 0.1
"""At most such a share of what is left out is taken up again at once."""


class Rank(StrEnum):
    """What may be left out, in the order in which it is."""

    WATCH = "watch"
    SHADOW = "shadow"
    OBSERVE = "observe"
    DRY_RUN = "dry-run"


_ORDER = {rank: place for place, rank in enumerate(Rank)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How long a turn may take, and below which time something is taken up again that was left out.

    exported: whether autoscalers go by forecasts of policies that do not act themselves; these are kept then.
    """

    turn_s: float
    room_s: float
    exported: bool = False

    @classmethod
    def of(cls, period_s: float, *, exported: bool = False) -> Budget:
        """Return four fifths of the time between two turns, the rest is for those who wait for the loop."""
        return cls(turn_s=0.8 * period_s, room_s=0.5 * period_s, exported=exported)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A policy that may be left out. weight_s: what it costs about."""

    key: PolicyKey
    rank: Rank
    weight_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shed:
    """What is left out of a turn. keys: by rank."""

    keys: Mapping[PolicyKey, Rank] = field(default_factory=dict)

    def kept(self, policies: PolicySet) -> PolicySet:
        """Return the policies of this turn: watches that are left out keep their rows, and are not asked for."""
        if not self.keys:
            return policies
        watches = tuple(
            replace(one, query=replace(one.query, spared=True)) if one.key in self.keys else one
            for one in policies.watches
        )
        scaling = tuple(one for one in policies.scaling if one.key not in self.keys)
        return replace(policies, watches=watches, scaling=scaling)

    def count(self, rank: Rank) -> int:
        """Return how many of a rank are left out."""
        return sum(one is rank for one in self.keys.values())

    def __str__(self) -> str:
        """Return it in words, such as `2 watch, 10 dry-run`."""
        return ", ".join(f"{count} {rank.value}" for rank in Rank if (count := self.count(rank)))


NOTHING = Shed()


def candidates(
    policies: PolicySet, state: LoopState, ceiling: Mode, budget: Budget, rows: Mapping[PolicyKey, int]
) -> tuple[Candidate, ...]:
    """Return what may be left out, in the order in which it is. rows: of each WatchPolicy, as last seen."""
    standing = {effect.policy for effect in state.effects.values()}
    standing |= {key for key, one in state.targets.items() if one.pending is not None}
    everything, named = _gone_by(policies, ceiling)
    found = [
        Candidate(key=one.key, rank=Rank.WATCH, weight_s=WATCH_S + SERIES_S * rows.get(one.key, 0))
        for one in policies.watches
        if not everything and one.key not in named
    ]
    for policy in policies.scaling:
        kept = acts(policy, ceiling) or policy.key in standing or (budget.exported and policy.forecast is not None)
        if not kept:
            weight_s = DECISION_S + 2 * QUERY_S * len(policy.signals)
            found.append(Candidate(key=policy.key, rank=_rank(policy, ceiling), weight_s=weight_s))
    return tuple(sorted(found, key=lambda one: (_ORDER[one.rank], -one.weight_s, one.key)))


def acts(policy: ScalingPolicy | PlanPolicy, ceiling: Mode) -> bool:
    """Return whether a policy changes something, or asks people whether it may."""
    return min(policy.reach.rank, ceiling.rank) >= Mode.APPROVE.rank


def _rank(policy: ScalingPolicy, ceiling: Mode) -> Rank:
    if policy.candidate_for:
        return Rank.SHADOW
    return Rank.OBSERVE if min(policy.reach.rank, ceiling.rank) == Mode.OBSERVE.rank else Rank.DRY_RUN


def _gone_by(policies: PolicySet, ceiling: Mode) -> tuple[bool, frozenset[PolicyKey]]:
    """Return whether something that acts may go by whatever is found, and the watches by name that it goes by."""
    named: set[PolicyKey] = set()
    for one in policies.scaling:
        if acts(one, ceiling) and (one.guardrails or one.verify.expect is not None):
            return True, frozenset()
    for plan in policies.plans:
        if not acts(plan, ceiling):
            continue
        if plan.conditions:
            return True, frozenset()
        for trigger in plan.triggers if isinstance(plan, RemediationPolicy) else ():
            match trigger:
                case OnFinding(watch=watch) if watch:
                    named.add(watch)
                case OnFinding() | OnIncident() | OnCondition():
                    return True, frozenset()
                case _:
                    pass
    return False, frozenset(named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shedding:
    """How much is left out from turn to turn. left_out: of the candidates, from the first on.

    calm: turns with room in a row; patience: how many of them something is taken up after; since_back: turns since.
    """

    left_out: int = 0
    calm: int = 0
    patience: int = CALM_TURNS
    since_back: int = CALM_TURNS_MOST

    def shed(self, every: tuple[Candidate, ...]) -> Shed:
        """Return what is left out of the next turn."""
        return Shed(keys={one.key: one.rank for one in every[: self.left_out]}) if self.left_out else NOTHING

    def after(self, took_s: float, budget: Budget, every: tuple[Candidate, ...], kept_s: float) -> Shedding:
        """Return how it goes on after a turn. kept_s: what that costs about that is never left out."""
        left_out = min(self.left_out, len(every))
        if took_s > budget.turn_s:
            fresh = self.since_back < self.patience
            patience = min(2 * self.patience, CALM_TURNS_MOST) if fresh else self.patience
            more = _enough(every[left_out:], took_s, budget, kept_s)
            return Shedding(left_out=left_out + more, patience=patience, since_back=CALM_TURNS_MOST)
        calm = self.calm + 1 if took_s < budget.room_s else 0
        since = min(self.since_back + 1, CALM_TURNS_MOST)
        if not left_out or calm < self.patience:
            patience = CALM_TURNS if not left_out and since >= CALM_TURNS_MOST else self.patience
            return Shedding(left_out=left_out, calm=calm, patience=patience, since_back=since)
        back = max(1, int(BACK_RATIO * left_out))
        return Shedding(left_out=left_out - back, patience=self.patience, since_back=0)


def _enough(rest: tuple[Candidate, ...], took_s: float, budget: Budget, kept_s: float) -> int:
    """Return how many more are to be left out so that a turn takes its time: at least one, where there is one."""
    total_s = kept_s + sum(one.weight_s for one in rest)
    excess_s, count = (1.0 - budget.turn_s / took_s) * total_s, 0
    for one in rest:
        if count and excess_s <= 0:
            break
        excess_s, count = excess_s - one.weight_s, count + 1
    return count
