"""Who is told what, and when: routes by kind, severity, policy and labels; groups, quiet hours, repeats.

A group is told together: the first of it after `group_wait`, what joins it later not before `group_interval` has
passed, and what still stands again after `repeat`, as Alertmanager does it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TypeAlias

from aiops.adapters.notify.notices import Notice, NoticeKind, Severity, State
from aiops.core.model import Instant

Quiet: TypeAlias = Callable[[Instant], Instant | None]
"""Returns until when quiet hours last that are in force at an instant, None when none are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Which notices one channel is told, and how they are put together. kinds, policies, labels: empty means any.

    policies: patterns of what it is about, such as `ScalingPolicy/shop/*`. by: what notices of one group share: kind,
    severity, subject, namespace, or a label's name. passes: from which severity on quiet hours do not count.
    """

    name: str
    channel: str
    kinds: frozenset[NoticeKind] = frozenset()
    severity: Severity = Severity.WARNING
    policies: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    by: tuple[str, ...] = ("kind",)
    group_wait_s: float = 30.0
    group_interval_s: float = 300.0
    repeat_s: float = 14_400.0
    ends: bool = True
    quiet: tuple[Quiet, ...] = ()
    passes: Severity = Severity.CRITICAL
    zone: str = "UTC"
    title: str = ""
    text: str = ""

    @property
    def lane(self) -> str:
        """Return the name under which what waits for this route and this channel is kept."""
        return f"{self.name}/{self.channel}"

    def wants(self, notice: Notice) -> bool:
        """Return whether a notice goes this way; of its end only who was told the beginning hears."""
        if self.kinds and notice.kind not in self.kinds:
            return False
        if notice.state is not State.ENDED and notice.severity < self.severity:
            return False
        if self.policies and not any(fnmatchcase(notice.subject, pattern) for pattern in self.policies):
            return False
        return all(notice.labels.get(name) == value for name, value in self.labels.items())

    def group(self, notice: Notice) -> str:
        """Return the name of the group that a notice belongs to."""
        return " ".join(f"{name}={_shared(notice, name)}" for name in self.by)

    def quiet_until(self, at: Instant) -> Instant | None:
        """Return until when this route is quiet, None when it is not."""
        ends = [end for quiet in self.quiet if (end := quiet(at)) is not None]
        return max(ends, default=None)


def _shared(notice: Notice, name: str) -> str:
    match name:
        case "kind":
            return notice.kind.value
        case "severity":
            return notice.severity.name.lower()
        case "subject":
            return notice.subject
        case "namespace":
            parts = notice.subject.split("/")
            return parts[1] if len(parts) == 3 else ""
        case label:
            return notice.labels.get(label, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A notice on its way, as it is kept. told_at: when its beginning was told, None while it was not."""

    notice: Notice
    group: str
    told_at: Instant | None = None

    @property
    def pending(self) -> bool:
        """Return whether there is something of it that was not told."""
        return self.told_at is None or self.notice.state is State.ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """What is told with one message. again: of it, what was told before and still stands."""

    group: str
    notices: tuple[Notice, ...]
    again: frozenset[str] = frozenset()


def due(route: Route, waiting: Iterable[Waiting], told: Mapping[str, Instant], now: Instant) -> list[Parcel]:
    """Return what a route tells now, the most severe first. told: when each group was told last."""
    groups: dict[str, list[Waiting]] = {}
    for one in waiting:
        groups.setdefault(one.group, []).append(one)
    quiet = route.quiet_until(now) is not None
    parcels = [
        parcel
        for group, some in groups.items()
        if (parcel := _parcel(route, some, told.get(group, -math.inf), now)) is not None
        and not (quiet and _worst(parcel.notices) < route.passes)
    ]
    return sorted(parcels, key=lambda one: (-_worst(one.notices), one.notices[0].at, one.group))


def _parcel(route: Route, some: Sequence[Waiting], told_at: Instant, now: Instant) -> Parcel | None:
    pending = [one for one in some if one.pending]
    again = [one for one in some if not one.pending and _repeats(route, one, now)]
    first = min((one.notice.at for one in pending), default=math.inf)
    ready_at = max(first + route.group_wait_s, told_at + route.group_interval_s)
    if now < ready_at and not (again and now >= told_at + route.group_interval_s):
        return None
    chosen = sorted((*pending, *again), key=lambda one: (-one.notice.severity, one.notice.seq))
    return Parcel(
        group=chosen[0].group,
        notices=tuple(one.notice for one in chosen),
        again=frozenset(one.notice.key for one in again),
    )


def _repeats(route: Route, one: Waiting, now: Instant) -> bool:
    return one.told_at is not None and now >= one.told_at + route.repeat_s


def _worst(notices: Sequence[Notice]) -> Severity:
    return max(one.severity for one in notices)


def taken(waiting: Mapping[str, Waiting], notice: Notice, group: str) -> Waiting | None:
    """Return how a notice waits beside what waits already, None when it is to be forgotten.

    The end of what nobody was told of takes the beginning away with it.
    """
    known = waiting.get(notice.key)
    if notice.state is not State.ENDED:
        # a beginning again, while it stands, is not told again before it is time to repeat it
        told_at = known.told_at if known is not None and known.notice.state is State.BEGUN else None
        return Waiting(notice=notice, group=group, told_at=told_at)
    if known is None or known.told_at is None:
        return None
    return Waiting(notice=notice, group=known.group, told_at=known.told_at)


def after_telling(parcel: Parcel, waiting: Mapping[str, Waiting], now: Instant) -> dict[str, Waiting | None]:
    """Return what becomes of the notices of a parcel that was taken, by key: None for those that are done."""
    out: dict[str, Waiting | None] = {}
    for notice in parcel.notices:
        stands = notice.state is State.BEGUN
        out[notice.key] = Waiting(notice=notice, group=waiting[notice.key].group, told_at=now) if stands else None
    return out
