"""What a file in Git says of a field that Argo CD, Flux or Terraform brings to the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from aiops.core.model.names import FieldOwner, Instant, PolicyKey, Reason

REPLICAS, FLOOR = "replicas", "minReplicas"
"""The fields that a file may say: of a workload, and of the HPA that points at it."""

RESOURCES = "resources"
"""The requests and limits of one container of a workload, as plans set them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inscription:
    """A commit of ours that wrote a field, as its trailers tell. original: what stood there before us."""

    action_id: str
    policy: PolicyKey
    before: int
    after: int
    original: int
    commit: str
    at: Instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What a file says of one field, as the branch showed it at `as_of`.

    commit: the branch's tip. value: None while it is not known; then `held` says why. low, high: the range that the
    file's owners declare. owners: whose commit wrote the value that stands. ours: that commit, where it is ours.
    undone: who took back which commit of ours, '' when nobody did. propose: changes are offered on a branch of their
    own; offered: the one that waits to be merged, offered_on its branch. held: why nothing can be written now, until
    `held_until` where that ends by itself. settle_s: how long whoever follows the branch may take.
    """

    field: str
    repository: str
    branch: str
    file: str
    path: str
    as_of: Instant
    settle_s: float
    commit: str = ""
    value: int | None = None
    low: int | None = None
    high: int | None = None
    owners: tuple[FieldOwner, ...] = ()
    ours: Inscription | None = None
    undone: str = ""
    propose: bool = False
    offered: Inscription | None = None
    offered_on: str = ""
    held: tuple[Reason, str] | None = None
    held_until: Instant | None = None

    def __str__(self) -> str:
        """Return what people call the place: `REPOSITORY BRANCH FILE PATH`."""
        return f"{self.repository} {self.branch} {self.file} {self.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredSizes:
    """What a file says of the requests and limits of one container, as the branch showed it at `as_of`.

    values: quantities by `requests.cpu`, `limits.memory`, ...; what the file does not say is not there. ranges: the
    least and the most that its owners declare, '' for none. propose: changes are offered on a branch of their own;
    offered: what the one that waits to be merged says, offered_on its branch. held: why nothing can be written now.
    settle_s: how long whoever follows the branch may take.
    """

    container: str
    repository: str
    branch: str
    file: str
    path: str
    as_of: Instant
    settle_s: float
    commit: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    ranges: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    propose: bool = False
    offered: Mapping[str, str] = field(default_factory=dict)
    offered_on: str = ""
    held: tuple[Reason, str] | None = None

    def __str__(self) -> str:
        """Return what people call the place: `REPOSITORY BRANCH FILE PATH`."""
        return f"{self.repository} {self.branch} {self.file} {self.path}"
