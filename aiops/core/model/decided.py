"""Stages decide, guard and act: wishes, rulings, and requests as data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from aiops.core.model.names import Instant, Mode, PolicyKey, Reason, TargetRef
from aiops.core.model.perceived import Nowcast
from aiops.core.model.swift import changed, swift

# -- decide -----------------------------------------------------------------------------------------


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Set `spec.replicas` through the scale subresource."""

    before: int
    after: int


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class SetFloor:
    """Set `spec.minReplicas` of the HPA that owns the target."""

    hpa: str
    before: int
    after: int


Change: TypeAlias = Scale | SetFloor


def with_after(change: Change, after: int) -> Change:
    """Return the same change with another aim."""
    return change if after == change.after else changed(change, after=after)


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What a replica costs against what a late request costs, in `currency`, and how safe that makes one be.

    replica_hour: None while it is not known; then `gap` says why, and money sways nothing. source: who says it.
    carried, steepness: see `Stakes` (aiops/core/money/newsvendor.py). short_ratio: the share of the time in which it
    pays to have one replica too few; served_ratio: the quantile of demand that is served, after limits, of which
    `limit` names the one that bound.
    """

    violated_request: float
    currency: str
    replica_hour: float | None = None
    source: str = ""
    gap: str = ""
    carried: float = 0.0
    steepness: float = 1.0
    short_ratio: float | None = None
    served_ratio: float | None = None
    limit: str = ""


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """How many replicas each argument asks for, before any guard. None means that this argument had nothing to say.

    `capacity` is demand units that one replica carries (0 while it is not known), `capacity_learned` whether that was
    learnt; `lead_s` the start-up lead time, `lead_measured` whether it was measured; `usage_ratio` is the wanted demand
    over what `before` replicas carry, for the tolerance. `foreseen`: the nowcast that was followed; `kept`: for demand
    that is gone and may come back, a part of `forecast`. `backlog`: for what arrives and what waits, a part of
    `reactive`; `drain_by`: when what waits must be gone, infinite while nothing does.
    `price`: why so much of the demand ahead is served, where the objective has prices. `refused`: what is refused, in
    units of `demand`, which counts it, too; 0 where it is not asked for or not known. `saturated`: the ready replicas
    are in full use, and no latency says that the SLO is kept.
    """

    reactive: int | None
    forecast: int | None
    demand: float | None
    demand_ahead: float | None
    capacity: float
    lead_s: float
    lead_measured: bool
    usage_ratio: float | None
    slo_broken: bool = False
    capacity_learned: bool = False
    foreseen: Nowcast | None = None
    kept: int | None = None
    backlog: int | None = None
    drain_by: Instant = math.inf
    price: Weighed | None = None
    refused: float = 0.0
    saturated: bool = False

    @property
    def overloaded(self) -> bool:
        """Return whether more is known to be asked for than what is served well."""
        return self.slo_broken or self.refused > 0.0

    @property
    def censored(self) -> bool:
        """Return whether more may be asked for than what is served (S1)."""
        return self.overloaded or self.saturated


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What a change should do. Risk is P(demand > capacity) within the lead time; None where nothing is known."""

    risk_before: float | None
    risk_after: float | None
    cost_usd_per_hour: float | None


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a policy wants. A change whose `after` equals its `before` is the wish to stay."""

    policy: PolicyKey
    target: TargetRef
    change: Change
    need: Need
    evidence: tuple[str, ...]
    reason: str
    expectation: Expectation

    @property
    def delta(self) -> int:
        """Return how many replicas more (or, negative, fewer) this wants."""
        return self.change.after - self.change.before


# -- guard ------------------------------------------------------------------------------------------


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """Nothing against it. `detail` says what was looked at, for the explanation."""

    detail: str = ""


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Clamp:
    """Allowed, but only to `after`."""

    after: int
    reason: Reason
    detail: str


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Not now: until a time, or (None) until a condition changes. Nobody is asked. People read `hold`."""

    reason: Reason
    detail: str
    until: Instant | None = None


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A person must say yes before `expires_at`."""

    reason: Reason
    detail: str
    expires_at: Instant


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Deny:
    """No, and waiting will not help: somebody has to change something."""

    reason: Reason
    detail: str


Ruling: TypeAlias = Pass | Clamp | Wait | Ask | Deny


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Ruled:
    """One guard's ruling, with the level that the proposal aimed at after it."""

    guard: str
    ruling: Ruling
    after: int


class VerdictWord(StrEnum):
    """What came out of the guard chain, derived from the rulings."""

    STEADY = "steady"
    ALLOW = "allow"
    WAIT = "wait"
    ASK = "ask"
    DENY = "deny"


_STEADY, _ALLOW = VerdictWord.STEADY, VerdictWord.ALLOW  # a member by its class costs ten times a name
_STOPS: Mapping[type, VerdictWord] = {Deny: VerdictWord.DENY, Wait: VerdictWord.WAIT, Ask: VerdictWord.ASK}


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The proposal as the policy made it, the rulings in order, and the change that is left of it.

    What stops a wish is the last ruling: the chain ends with it.
    """

    proposal: Proposal
    rulings: tuple[Ruled, ...]
    change: Change
    dry_run: bool

    @property
    def word(self) -> VerdictWord:
        """Return the verdict: a `Deny`, `Wait` or `Ask` decides; else whether a change is left."""
        stopped = _STOPS.get(type(self.rulings[-1].ruling)) if self.rulings else None
        if stopped is not None:
            return stopped
        return _STEADY if self.change.after == self.change.before else _ALLOW

    @property
    def binding(self) -> Ruled | None:
        """Return the ruling that bound: what stopped it, or else the last clamp; None when nothing did."""
        for ruled in reversed(self.rulings):
            if type(ruled.ruling) is not Pass:
                return ruled
        return None


# -- act --------------------------------------------------------------------------------------------


class Verb(StrEnum):
    """Which request it is. `create` posts the body to the collection, or to the subresource of the object.

    `commit` writes a value in a file of a Git repository, and is the one that goes to no API server.
    """

    PATCH = "patch"
    CREATE = "create"
    DELETE = "delete"
    COMMIT = "commit"


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One Kubernetes API request as data: a patch of an object or of its subresource, a creation or a deletion.

    `uid` and `resource_version` are preconditions: the object must still be that one; '' where the request cannot carry
    them. `summary` is for people. apply_as: the field manager of a server-side apply; '' for a merge patch. force: the
    fields that are applied are ours, whichever manager wrote them before.
    """

    target: TargetRef
    subresource: str
    body: Mapping[str, Any]
    uid: str
    resource_version: str
    summary: str
    apply_as: str = ""
    verb: Verb = Verb.PATCH
    force: bool = False


STAMP_MANAGER = "aiops-epoch-"
"""The field managers under which epochs are applied; they own nothing that people would meet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A request that writes a new leader's epoch on an object of `target`, so that no older request fits it (S6)."""

    target: TargetRef
    epoch: int
    step: Step

    @property
    def mark(self) -> tuple[str, str]:
        """Return which object is meant: one that was deleted and made again is another."""
        return (self.step.target.key, self.step.uid)


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """An accepted change: written ahead, sent until `expires_at`, verified by `verify_by`, undone by `undo`.

    `dry_run` actions go to the dry port and settle at once. `expected_ready` is the level that verification looks for.
    """

    id: str
    tick_id: str
    decision_id: str
    policy: PolicyKey
    target: TargetRef
    change: Change
    mode: Mode
    dry_run: bool
    issued_at: Instant
    expires_at: Instant
    verify_by: Instant
    epoch: int
    steps: tuple[Step, ...]
    undo: tuple[Step, ...]

    @property
    def by_commit(self) -> bool:
        """Return whether it is written in Git, and whoever follows the branch brings it to the cluster."""
        return any(step.verb is Verb.COMMIT for step in self.steps)


class StepStatus(StrEnum):
    """What the API said to a step. `unknown`: no answer; look at the world before sending again (S6)."""

    DONE = "done"
    DRY_RUN = "dry-run"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """The API's answer to one action's step."""

    action_id: str
    status: StepStatus
    at: Instant
    code: int = 0
    reason: Reason | None = None
    message: str = ""
    resource_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Something of ours that stands in the cluster until it is handed back (S9): the restore record.

    `original` is what the object's `attribute` (such as `minReplicas`) held before us, `written` what we wrote last,
    at `written_at`.
    """

    policy: PolicyKey
    target: TargetRef
    object: TargetRef
    attribute: str
    original: int
    written: int
    action_id: str
    since: Instant
    written_at: Instant = 0.0
