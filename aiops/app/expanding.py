"""ports.PolicySource of what runs: what is promoted, its templates made into policies for the workloads there are."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from aiops.app.promoted import PromotedPolicySource
from aiops.app.promotion import Standing
from aiops.core.membership import Joined, Membership
from aiops.core.model import Instant, PolicyKey
from aiops.core.policies import PolicySet, ScalingPolicy
from aiops.core.versions import base_key, is_member, is_version, member_of, template_document, template_key
from aiops.errors import AiopsError, PortError, Problem
from aiops.policy import recompile
from aiops.policy.expansion import Expanded, Listed, Seen, expanded
from aiops.ports import Roster

if TYPE_CHECKING:
    from aiops.adapters.store import Store

_LOG = logging.getLogger("aiops.policies")
STALE_TICKS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Expanding:
    """How members are told. adopted: told of every set before it is in force. remembered: who was a member before.

    remembered: by templates' keys, for a process that follows another.
    """

    adopted: Callable[[PolicySet], None] = lambda _: None
    remembered: Callable[[], Mapping[PolicyKey, Membership]] = dict


class ExpandedPolicySource:
    """Looks at the workloads when it is told to; what is in force between two looks does not change by itself."""

    def __init__(self, promoted: PromotedPolicySource, roster: Roster, expanding: Expanding) -> None:
        self.promoted = promoted
        self.roster = roster
        self._expanding = expanding
        self._lock = threading.Lock()
        self._remembered = dict(expanding.remembered())
        self._unread: Mapping[PolicyKey, str] = {}
        self._at: Instant | None = None
        self._confirmed: dict[PolicyKey, tuple[Instant, Instant]] = {}
        self._made = Expanded(policies=promoted.current())

    @property
    def loaded(self) -> Any:
        """Return what is loaded, before promotions."""
        return self.promoted.loaded

    @property
    def standings(self) -> Mapping[PolicyKey, Standing]:
        """Return where each loaded policy stands; a member stands where its template does."""
        return self.promoted.standings

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Return what is not in force, and why."""
        made = self._made
        origins = {one.key: one.origin for one in made.policies.templates}
        said = {key: one.held for key, one in made.memberships.items() if one.held and not is_version(key)}
        said |= {key: why for key, why in self._unread.items() if not is_version(key)}
        mine = [
            Problem(file=origins.get(key, key), line=0, column=0, field="spec.target", message=f"{key}: {why}")
            for key, why in sorted(said.items())
        ]
        return (*self.promoted.problems, *mine)

    @property
    def held(self) -> Mapping[PolicyKey, str]:
        """Return the policies that may change nothing now, and why."""
        whole = self.promoted.held
        keys = [(one.key, template_key(one.key)) for one in self._made.policies.scaling if not is_version(one.key)]
        members = {key: whole[of] for key, of in keys if of in whole}
        return {**whole, **members, **self._made.held}

    @property
    def made(self) -> Expanded:
        """Return what is in force, who the members of each template are, and who of them is held."""
        return self._made

    def current(self) -> PolicySet:
        """Return the set in force."""
        return self._made.policies

    def unready(self) -> list[str]:
        """Return why what is required has not been read yet."""
        return self.promoted.unready()

    def reload(self, *, force: bool = False) -> bool:
        """Take what is loaded and promoted now; return whether another set is in force."""
        before = self._made.policies.digest
        self.promoted.reload(force=force)
        self._look(self._at)
        return self._made.policies.digest != before

    def expand(self, at: Instant) -> tuple[ScalingPolicy, ...]:
        """Look at the workloads, and return the policies that are new; what cannot be read stays as it was."""
        self._at = at
        return self._look(at)

    def _look(self, at: Instant | None) -> tuple[ScalingPolicy, ...]:
        """Make the set anew. at: None before the first turn, when nothing was read yet and all of it is remembered."""
        with self._lock:
            policies = self.promoted.current()
            lists, unread = ({}, {}) if at is None else self._lists(policies.templates, at)
            before = {**self._remembered, **self._made.memberships}
            now = 0.0 if at is None else at
            seen = Seen(lists=lists, now=now, confirmed_at=self._confirmed_at(now))
            made = expanded(policies, before, seen)
            known = {one.key for one in self._made.policies.scaling}
            if made.policies.digest != self._made.policies.digest:
                # a store that cannot keep it raises here: then all is looked at again
                self._expanding.adopted(made.policies)
            self._tell(made)
            self._made, self._unread = made, unread
            return tuple(one for one in made.policies.scaling if one.key not in known)

    def _lists(
        self, templates: Sequence[ScalingPolicy], at: Instant
    ) -> tuple[dict[PolicyKey, Listed], dict[PolicyKey, str]]:
        lists, unread = {}, {}
        for template in templates:
            try:
                lists[template.key] = self.roster.listed(template.target, at)
            except PortError as err:
                unread[template.key] = f"its targets cannot be listed: {err}"
        return lists, unread

    def _confirmed_at(self, now: Instant) -> dict[PolicyKey, Instant]:
        """Return when templates were promoted last, by the loop's clock.

        That of people may be another, as in a simulation: a word counts from when it was given, or was first seen.
        """
        for key, said_at in self.promoted.confirmed_at.items():
            if key not in self._confirmed or self._confirmed[key][0] != said_at:
                self._confirmed[key] = (said_at, min(said_at, now))
        return {key: known_at for key, (_, known_at) in self._confirmed.items() if key in self.promoted.confirmed_at}

    def _tell(self, made: Expanded) -> None:
        for key, now in made.memberships.items():
            before = self._made.memberships.get(key, Membership())
            joined, left = now.members.keys() - before.members.keys(), before.members.keys() - now.members.keys()
            if joined or left:
                _LOG.info("members_changed", extra={"policy": key, "joined": sorted(joined), "left": sorted(left)})
            if now.held and now.held != before.held:
                _LOG.error("template_held", extra={"policy": key, "reason": now.held})
        for key, left_out in made.left_out.items():
            if left_out != self._made.left_out.get(key):
                _LOG.warning("targets_left_out", extra={"policy": key, "targets": dict(left_out)})


def remembered(store: Store, step_s: float) -> dict[PolicyKey, Membership]:
    """Return who the members of templates were when the record ends: those who decided then, or whose work stands."""
    latest = [one for one in store.versions.latest() if not is_version(one.policy)]
    last = max((one.until for one in latest), default=0.0)
    standing = {effect.policy for effect in store.journal.load().effects.values()}
    found: dict[PolicyKey, Membership] = {}
    since = store.versions.since([one.policy for one in latest if is_member(one.policy)])
    for one in latest:
        if not is_member(one.policy) or (one.until < last - STALE_TICKS * step_s and one.policy not in standing):
            continue
        key = template_key(base_key(one.policy))
        try:
            document = store.reader.policy_document(one.digest)
            template = recompile(template_document(document))
        except AiopsError as err:
            _LOG.warning("member_forgotten", extra={"policy": one.policy, "reason": str(err)})
            continue
        member, before = member_of(document), found.get(key, Membership())
        if member is None or not isinstance(template, ScalingPolicy):
            continue
        joined = Joined(member=member, since=since.get(one.policy, one.at))
        members = dict(sorted({**before.members, member.name: joined}.items()))
        found[key] = Membership(selection=template.selection, members=members)
    return {key: replace(one, grown=_grown(one)) for key, one in found.items()}


def _grown(one: Membership) -> tuple[Instant, ...]:
    """Return when members joined who were not there from the beginning; the next look forgets what is long ago."""
    since = sorted(joined.since for joined in one.members.values())
    return tuple(at for at in since if at > since[0])
