"""A compiled RemediationPolicy: what trouble is, and the ladder of what is done about it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import chain
from typing import TypeAlias

from aiops.core.model import Instant, LadderState, PolicyKey, RolloutState, Selection, TargetRef
from aiops.core.policies import PlanPolicy, SignalQuery
from aiops.core.protocols import Condition
from aiops.core.selection import LabelSelector, is_dns_label

# -- what trouble is ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class OnAlert:
    """An alert fires that has this name and these labels; node_label: which of them names the node, for nodes."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    node_label: str = "node"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnFinding:
    """A finding is open, of any kind and any watch where none is named."""

    kind: str = ""
    watch: PolicyKey = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    node_label: str = "node"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnIncident:
    """An incident is open, of any kind where none is named."""

    kind: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    node_label: str = "node"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnCrashLoop:
    """At least `pods` pods of the target crash again and again: a container restarted `restarts` times or more."""

    pods: int = 1
    restarts: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class OnStuckRollout:
    """The Deployment says that its rollout makes no progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnNode:
    """A node's condition `type` has one of these statuses; of the target's nodes, where the policy is for a target."""

    type: str = "Ready"
    statuses: tuple[str, ...] = ("False", "Unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class OnRegression:
    """The new revision is worse than the old one by a sequential test.

    new_bad, new_total, old_bad, old_total: names of signals, per second. worse_by: more than so many times as bad.
    alpha: the probability of calling any rollout worse that is not. within_s: so long after a rollout began. window_s:
    how far the queries look back, 0 where they do not say so.
    """

    new_bad: str
    new_total: str
    old_bad: str
    old_total: str
    worse_by: float = 1.0
    alpha: float = 0.01
    within_s: float = 3600.0
    window_s: float = 0.0


class Foreseen(StrEnum):
    """What is used up one day."""

    MEMORY = "MemoryLeak"
    DISK = "DiskFull"
    CERTIFICATE = "CertificateExpiry"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnExhaustion:
    """A signal reaches its limit within a time, by its trend; a certificate's signal is the time that is left."""

    what: Foreseen
    signal: str
    within_s: float
    limit: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OnCondition:
    """A condition holds."""

    condition: Condition


Trigger: TypeAlias = (
    OnAlert | OnFinding | OnIncident | OnCrashLoop | OnStuckRollout | OnNode | OnRegression | OnExhaustion | OnCondition
)

# -- what is done about it ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Template:
    """A text with fields in it: texts and names of fields in turn, beginning with a text."""

    parts: tuple[str, ...] = ("",)

    def filled(self, fields: Mapping[str, str]) -> str:
        """Return the text with its fields; each was known when the policy was loaded."""
        return "".join(fields[one] if number % 2 else one for number, one in enumerate(self.parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class DoRestart:
    """Roll all pods of the target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoMove:
    """Cordon and drain: the node itself, or the one on which most of the target's sick pods are."""

    grace_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DoCordon:
    """Make the node unschedulable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoRollBack:
    """Bring back the revision before the present one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoDeletePods:
    """Evict sick pods of the target, at most so many."""

    most: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DoSetResources:
    """Set requests and limits of a container."""

    container: str
    requests: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DoRaiseNodeLimits:
    """Let a NodePool of Karpenter hold at least so much."""

    pool: TargetRef
    limits: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoJob:
    """Run a Job from a CronJob's template. arguments: environment variables."""

    template: TargetRef
    arguments: tuple[tuple[str, Template], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DoSuspend:
    """Suspend a CronJob."""

    target: TargetRef


@dataclass(frozen=True, slots=True, kw_only=True)
class DoWebhook:
    """Post fields to an endpoint that the settings allow."""

    endpoint: str
    fields: tuple[tuple[str, Template], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DoPage:
    """Tell people."""

    channel: str = ""
    text: Template = Template()


Remedy: TypeAlias = (
    DoRestart
    | DoMove
    | DoCordon
    | DoRollBack
    | DoDeletePods
    | DoSetResources
    | DoRaiseNodeLimits
    | DoJob
    | DoSuspend
    | DoWebhook
    | DoPage
)

LASTING = (DoJob, DoWebhook)
"""What nobody knows how to take back; evicted and restarted pods are made again by their owners."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One remedy and how long it may take until the trouble is gone. asks: a person must say yes in every mode."""

    name: str
    remedy: Remedy
    within_s: float
    asks: bool = False


# -- the policy --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Nodes:
    """Which nodes a policy is for: all of a cluster where `labels` is None.

    least, least_ratio: so many, or such a share of them, must be well. exit_s: how long that must hold again before
    anything is done after a storm. healthy_s: how long a node must be well before it takes pods again, infinite where a
    person says so.
    """

    cluster: str
    labels: LabelSelector | None = None
    least: int = 0
    least_ratio: float = 0.0
    exit_s: float = 300.0
    healthy_s: float = 300.0

    @property
    def selection(self) -> Selection:
        """Return what is looked at; more is asked of the labels where they are seen."""
        labels = {} if self.labels is None else dict(self.labels.match_labels)
        return Selection(cluster=self.cluster, namespace="", api_version="v1", kind="Node", labels=labels)

    def needed(self, total: int) -> int:
        """Return how many of `total` must be well, as medik8s rounds: up.

        >>> Nodes(cluster="default", least_ratio=0.51).needed(3)
        2
        """
        return max(self.least, math.ceil(self.least_ratio * total - 1e-9))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verify:
    """What a remedy must better: `signal` in [at_least, at_most]. load: more of it excuses a worse signal."""

    signal: str
    within_s: float
    at_least: float = -math.inf
    at_most: float = math.inf
    load: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackOff:
    """How long the ladder is not begun anew after its first plan, when trouble comes back, and how that grows."""

    first_s: float = 300.0
    factor: float = 2.0
    most_s: float = 3600.0

    def after_s(self, tries: int) -> float:
        """Return the pause after so many tries.

        >>> [BackOff().after_s(n) for n in (0, 1, 2, 6)]
        [0.0, 300.0, 600.0, 3600.0]
        """
        if tries < 1:
            return 0.0
        return min(self.most_s, self.first_s * self.factor ** min(tries - 1, 64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """When the ladder was begun so often within `for_s`, nothing is tried for `for_s`, and people are told."""

    after: int = 3
    for_s: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RemediationPolicy(PlanPolicy):
    """A compiled RemediationPolicy: for its target, or for each of `nodes`.

    for_s: how long trouble must have been seen without a break.
    """

    nodes: Nodes | None
    triggers: tuple[Trigger, ...]
    ladder: tuple[Rung, ...]
    for_s: float = 60.0
    verify: Verify | None = None
    back_off: BackOff = BackOff()
    breaker: Breaker = Breaker()

    @property
    def remembered(self) -> tuple[str, ...]:
        """Return the signals whose history is kept."""
        names = [one.signal for one in self.triggers if isinstance(one, OnExhaustion)]
        if self.verify is not None:
            names += [self.verify.signal, self.verify.load]
        return tuple(dict.fromkeys(name for name in names if name))

    @property
    def regression(self) -> OnRegression | None:
        """Return the trigger that compares revisions, if there is one."""
        return next((one for one in self.triggers if isinstance(one, OnRegression)), None)

    @property
    def seen(self) -> frozenset[str]:
        """Return the variables that its conditions name, those of its triggers among them."""
        asked = (one.condition.used for one in self.triggers if isinstance(one, OnCondition))
        return frozenset((*(name for one in self.conditions.values() for name in one.used), *chain(*asked)))

    def asked(self, ladder: LadderState | None) -> tuple[SignalQuery, ...]:
        """Return what is asked of the metrics now: queries of revisions only while two of them are compared."""
        rollout = RolloutState() if ladder is None else ladder.rollout
        return tuple(made for one in self.signals.values() if (made := _of_revision(one.query, rollout)) is not None)


NEW, OLD = "$(revision.new)", "$(revision.old)"
"""What stands in a query for the hash of the new and of the old revision's pod template."""


def _of_revision(query: SignalQuery, rollout: RolloutState) -> SignalQuery | None:
    """Return the query of the revisions that are compared now, None while there are none."""
    hashes = {NEW: rollout.new, OLD: rollout.old}
    used = [mark for mark in hashes if mark in query.expr]
    if not used:
        return query
    if not all(is_dns_label(hashes[mark]) for mark in used):
        return None

    def filled(text: str) -> str:
        for mark in used:
            text = text.replace(mark, hashes[mark])
        return text

    return replace(
        query,
        expr=filled(query.expr),
        age_exprs=tuple(map(filled, query.age_exprs)),
        coverage_exprs=tuple(map(filled, query.coverage_exprs)),
        up_exprs=tuple(map(filled, query.up_exprs)),
    )


def episode(fingerprint: str, starts_at: Instant) -> str:
    """Return what one firing of an alert is known by: told again, it is the same (idempotent)."""
    return f"{fingerprint}@{starts_at:.3f}"
