"""What a rule is: a code, why it matters, how to mend it, and a pure function that finds where it is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aiops.core.planning.failover import LANE_S
from aiops.core.policies import AnyPolicy, ScalingPolicy, WatchPolicy
from aiops.policy.document import Path as FieldPath
from aiops.policy.lint.asked import Asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What rules know besides the policies.

    step_s: between two turns of the loop; lane_s: between those that judge failovers alone. scrape_s: between two
    samples of a series. tested: the files of policies that a test names; None when nobody looked.
    """

    step_s: float = 15.0
    scrape_s: float = 15.0
    lane_s: float = LANE_S
    tested: frozenset[Path] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What is legal and unwise in one place. hint: what to write in its stead, where it is known."""

    path: FieldPath
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A compiled policy and its queries."""

    policy: AnyPolicy
    asked: tuple[Asked, ...]


Scaling = Callable[[ScalingPolicy, Terms], Iterator[Remark]]
Watching = Callable[[WatchPolicy, Terms], Iterator[Remark]]
Asking = Callable[[Asked, Terms], Iterator[Remark]]
Together = Callable[[Sequence[Subject]], Iterator[tuple[Subject, Remark]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A code, why it matters, how it is mended."""

    code: str
    why: str
    mend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingRule(Explained):
    """Looks at one ScalingPolicy."""

    find: Scaling = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRule(Explained):
    """Looks at one WatchPolicy."""

    find: Watching = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRule(Explained):
    """Looks at one query of a policy of any kind."""

    find: Asking = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRule(Explained):
    """Looks at all policies at once."""

    find: Together = field(repr=False)


Rule = ScalingRule | WatchRule | QueryRule | SetRule
