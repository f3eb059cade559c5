"""Who the members of a template are: they join within limits, and leave once they are gone for a while (S3).

Pure, and in the order of names, so that the same lists at the same times give the same members.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from aiops.core.model import Instant
from aiops.core.selection import Member, Selection

GROWTH_S = 3600.0
"""In which time not more than `max_growth` may join."""

LEFT_S = 30.0
"""How long a member must be gone before that counts: what is replaced is taken away and put back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """A member. since: when it was first seen. gone_since: since when it is not there any more, None while it is."""

    member: Member
    since: Instant
    gone_since: Instant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """Who belongs to a template. selection: by which this was found, None before anything was.

    members: by name. waiting: who matches and is not a member, since when. grown: when those joined
    lately who were not expected. held: why no member may change, '' if it may.
    """

    selection: Selection | None = None
    members: Mapping[str, Joined] = field(default_factory=dict)
    waiting: Mapping[str, Instant] = field(default_factory=dict)
    grown: tuple[Instant, ...] = ()
    held: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What is no surprise. acts: whether the template changes anything. confirmed_at: when it was last promoted."""

    acts: bool
    confirmed_at: Instant = -float("inf")


def membership(
    before: Membership, found: Mapping[str, Member], selection: Selection, consent: Consent, now: Instant
) -> Membership:
    """Return the members after a look. found: who matches now, by name.

    Those who join a template that is new, or whose selection was edited, are what its author wrote it for. Later more
    than `max_growth` in an hour are unexpected: nobody of them joins, and nothing of the template changes, until it is
    promoted again, or until fewer match.
    """
    kept = _kept(before, found, now)
    newcomers = sorted(found.keys() - kept.keys())
    waiting = {name: before.waiting.get(name, now) for name in newcomers}
    grown = tuple(since for since in before.grown if now - since < GROWTH_S and since > consent.confirmed_at)
    same = replace(before, selection=selection, members=kept, waiting=waiting, grown=grown, held="")
    if len(found) > selection.max_targets:
        count = f"{len(found)} {selection.kind.kind}s match {selection.labels}, maxTargets is {selection.max_targets}"
        return replace(same, held=f"{count}{_named(newcomers)}")
    expected = before.selection != selection or not consent.acts
    strange = () if expected else tuple(since for since in waiting.values() if since > consent.confirmed_at)
    if strange and len(grown) + len(strange) > selection.max_growth:
        count = f"{len(grown) + len(strange)} {selection.kind.kind}s joined {selection.labels} within an hour"
        return replace(same, held=f"{count}, maxGrowth is {selection.max_growth}{_named(newcomers)}")
    joined = {name: Joined(member=found[name], since=waiting[name]) for name in newcomers}
    members = dict(sorted({**kept, **joined}.items()))
    return replace(same, members=members, waiting={}, grown=(*grown, *(now for _ in strange)))


def _kept(before: Membership, found: Mapping[str, Member], now: Instant) -> dict[str, Joined]:
    kept = {}
    for name, joined in before.members.items():
        if name in found:
            kept[name] = replace(joined, member=found[name], gone_since=None)
            continue
        since = now if joined.gone_since is None else joined.gone_since
        if now - since < LEFT_S:
            kept[name] = replace(joined, gone_since=since)
    return kept


def _named(names: list[str], most: int = 5) -> str:
    """Return who waits, a few of them."""
    if not names:
        return ""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f" (not joined: {', '.join(names[:most])}{more})"
