"""Templates made into the policies of their members, by what workloads there are. Pure, and in the order of names.

A workload with an acting policy of its own name is no member: what was written for it alone counts. Two acting
templates that select one workload quarrel: it joins neither, and where it was a member it is held (S4).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from aiops.core.ids import digest
from aiops.core.membership import Consent, Membership, membership
from aiops.core.model import Instant, Mode, PolicyKey
from aiops.core.policies import PolicySet, ScalingPolicy
from aiops.core.selection import Member, Selection
from aiops.core.versions import is_version
from aiops.policy.members import NoMember, check, labels_named, member_policy

Listed = Mapping[str, Mapping[str, str]]
"""The labels of the objects of a kind in a namespace, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What is known at one instant. lists: by the template's key; of one that is not there nothing is known now.

    confirmed_at: when templates were promoted last, by their keys.
    """

    lists: Mapping[PolicyKey, Listed]
    now: Instant
    confirmed_at: Mapping[PolicyKey, Instant] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expanded:
    """What is in force. memberships, left_out: by the template's key.

    left_out: who matches and cannot be a member, by name, and why. held: policies that may change nothing, and why.
    """

    policies: PolicySet
    memberships: Mapping[PolicyKey, Membership] = field(default_factory=dict)
    left_out: Mapping[PolicyKey, Mapping[str, str]] = field(default_factory=dict)
    held: Mapping[PolicyKey, str] = field(default_factory=dict)


def expanded(policies: PolicySet, before: Mapping[PolicyKey, Membership], seen: Seen) -> Expanded:
    """Return the set with a policy for each member of each template. before: who the members were until now.

    While the objects of a template's kind cannot be read, its members stay: what is not known is not gone (S9).
    """
    claims = {one.target.key: one.key for one in policies.scaling if _claims(one)}
    looks = {one.key: _look(one, claims, before.get(one.key, Membership()), seen) for one in policies.templates}
    quarrels = _quarrels(policies, looks)
    made: list[ScalingPolicy] = []
    memberships, held, labels = {}, {}, dict(policies.labels)
    for template in sorted(policies.templates, key=lambda one: one.key):
        look = looks[template.key].without_quarrels(template, quarrels)
        looks[template.key] = look
        found = look.members(template, seen)
        memberships[template.key] = found
        for joined in found.members.values():
            policy = _policy(template, joined.member)
            if policy is None:
                continue
            made.append(policy)
            labels[policy.key] = policies.labels.get(template.key, {})
            why = found.held or quarrels.get(policy.target.key, "")
            if why and _claims(template):
                held[policy.key] = why
    return Expanded(
        policies=_set(replace(policies, labels=labels), made),
        memberships=memberships,
        left_out={key: look.left_out for key, look in looks.items() if look.left_out},
        held=held,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """Who matches one template. found: None while that is not known. before: without who has a policy of his own."""

    before: Membership
    found: Mapping[str, Member] | None
    left_out: Mapping[str, str] = field(default_factory=dict)

    def without_quarrels(self, template: ScalingPolicy, quarrels: Mapping[str, str]) -> _Look:
        """Return the look without newcomers that another template selects, too."""
        if self.found is None or not _claims(template):
            return self
        why = {name: quarrels.get(_target(template, name), "") for name in self.found.keys() - self.before.members}
        gone = {name: text for name, text in why.items() if text}
        left = {name: member for name, member in self.found.items() if name not in gone}
        return replace(self, found=left, left_out=dict(sorted({**self.left_out, **gone}.items())))

    def members(self, template: ScalingPolicy, seen: Seen) -> Membership:
        """Return who belongs to the template now."""
        if self.found is None:
            return self.before
        acts = template.reach.rank >= Mode.APPROVE.rank
        consent = Consent(acts=acts, confirmed_at=seen.confirmed_at.get(template.key, -math.inf))
        return membership(self.before, self.found, _selection(template), consent, seen.now)


def _look(template: ScalingPolicy, claims: Mapping[str, PolicyKey], before: Membership, seen: Seen) -> _Look:
    selection = _selection(template)
    named = claims if _claims(template) else {}
    kept = {name: one for name, one in before.members.items() if _target(template, name) not in named}
    before = replace(before, members=kept)
    listed = seen.lists.get(template.key)
    if listed is None:
        return _Look(before=before, found=None)
    keys = labels_named(template)
    found, left_out = {}, {}
    for name in sorted(name for name, labels in listed.items() if selection.labels.matches(labels)):
        member = Member(name=name, labels={key: listed[name][key] for key in keys if key in listed[name]})
        other = named.get(_target(template, name))
        try:
            check(template, member)
        except NoMember as err:
            left_out[name] = str(err)
            continue
        if other is not None:
            left_out[name] = f"{other} scales it by its name"
        else:
            found[name] = member
    return _Look(before=before, found=found, left_out=left_out)


def _selection(template: ScalingPolicy) -> Selection:
    if template.selection is None:
        raise TypeError(f"{template.key} is no template")
    return template.selection


def _quarrels(policies: PolicySet, looks: Mapping[PolicyKey, _Look]) -> dict[str, str]:
    """Return the targets that several acting templates select, each with a sentence that names them."""
    claimed = defaultdict(list)
    for template in policies.templates:
        look = looks[template.key]
        names = look.before.members.keys() | (look.found or {}).keys() if _claims(template) else ()
        for name in names:
            claimed[_target(template, name)].append(template.key)
    return {
        target: f"{' and '.join(sorted(keys))} both select it: change one of the selectors"
        for target, keys in claimed.items()
        if len(keys) > 1
    }


def _claims(policy: ScalingPolicy) -> bool:
    """Return whether a policy wants its targets for itself: one that observes, or runs beside another, does not."""
    return policy.mode is not Mode.OBSERVE and not policy.candidate_for and not is_version(policy.key)


def _target(template: ScalingPolicy, name: str) -> str:
    return replace(template.target, name=name).key


def _policy(template: ScalingPolicy, member: Member) -> ScalingPolicy | None:
    """Return the policy of a member; None of one whose labels no longer fit the queries, until it leaves."""
    try:
        return member_policy(template, member)
    except NoMember:
        return None


def _set(base: PolicySet, made: list[ScalingPolicy]) -> PolicySet:
    if not made:
        return base
    parts = [base.digest, *(f"{one.key} {one.digest}" for one in sorted(made, key=lambda one: one.key))]
    return replace(
        base,
        digest=digest("\n".join(parts)),
        scaling=tuple(sorted((*base.scaling, *made), key=lambda one: one.key)),
    )
