"""A compiled CostBudget."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from aiops.core.model import Allowance, BudgetPeriod, BudgetStanding, Mode, PolicyKey
from aiops.core.selection import LabelSelector

TEAM = "team"
"""The label of a policy's metadata that says whose it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetScope:
    """Whose spend counts: '' and () and None ask for nothing."""

    team: str = ""
    namespaces: tuple[str, ...] = ()
    labels: LabelSelector | None = None

    def covers(self, namespace: str, labels: Mapping[str, str]) -> bool:
        """Return whether what a policy of a namespace and with these labels spends counts."""
        if self.team and labels.get(TEAM) != self.team:
            return False
        if self.namespaces and namespace not in self.namespaces:
            return False
        return self.labels is None or self.labels.matches(labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Priority:
    """Policies by name, or by labels.

    above: the ratio of projected to budget at which the ceiling begins to come down; at `full` it is max_replicas.
    """

    policies: tuple[str, ...]
    labels: LabelSelector | None
    max_replicas: int
    above: float
    full: float

    def names(self, name: str, labels: Mapping[str, str]) -> bool:
        """Return whether a policy is meant."""
        return name in self.policies if self.labels is None else self.labels.matches(labels)

    def ceiling(self, most: int, standing: BudgetStanding) -> int | None:
        """Return the ceiling now for a policy whose own is `most`, None while it has not begun to come down.

        It comes down in a straight line between `above` and `full`; all the way once the whole amount is spent. An
        estimate without an interval moves nothing.
        """
        if self.max_replicas >= most:
            return None
        if standing.exhausted:
            return self.max_replicas
        ratio = standing.ratio
        if ratio is None or standing.chance_over is None or ratio <= self.above:
            return None
        share = min(1.0, (ratio - self.above) / (self.full - self.above))
        return max(self.max_replicas, math.ceil(most - share * (most - self.max_replicas) - 1e-9))


@dataclass(frozen=True, slots=True, kw_only=True)
class CostBudget:
    """A compiled CostBudget. amount: in `currency`, for each `period` of `time_zone`.

    It counts whatever its scope covers; its ceilings bind in its own namespace, and in no other (S3).
    """

    key: PolicyKey
    digest: str
    document: str
    origin: str
    mode: Mode
    amount: float
    currency: str
    period: BudgetPeriod
    time_zone: str
    scope: BudgetScope
    priorities: tuple[Priority, ...] = ()

    @property
    def namespace(self) -> str:
        """Return the namespace in which it stands, and in which its ceilings bind (S3)."""
        return self.key.split("/", 2)[1]

    def allowance(self, whose: Whose, standing: BudgetStanding) -> Allowance:
        """Return what it leaves to a policy of its scope."""
        ceiling = None
        if self.mode is not Mode.OBSERVE and whose.namespace == self.namespace:
            found = (
                one.ceiling(whose.most, standing) for one in self.priorities if one.names(whose.name, whose.labels)
            )
            ceiling = min((one for one in found if one is not None), default=None)
        return Allowance(standing=standing, ceiling=ceiling, binds=self.mode.rank >= Mode.APPROVE.rank)


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """A policy, as budgets know it. most: its own ceiling now."""

    name: str
    namespace: str
    labels: Mapping[str, str]
    most: int
