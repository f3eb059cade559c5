"""A template made into the policy of one of its members: by its document, as it will be replayed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from aiops.core.ids import digest
from aiops.core.policies import PolicySet, ScalingPolicy
from aiops.core.selection import Member, is_dns_label
from aiops.core.versions import as_shadow, is_version, member_document
from aiops.errors import InvalidInput, InvalidPolicy
from aiops.policy import recompile
from aiops.policy.placeholders import filled, labels_used

MOST_KEPT = 2048


class NoMember(ValueError):
    """A workload that matches and cannot be a member, and why."""


def labels_named(template: ScalingPolicy) -> tuple[str, ...]:
    """Return the keys of the labels that a template's queries name, sorted."""
    texts = [text for one in template.signals.values() for text in (one.query.expr, one.query.presence_expr or "")]
    return tuple(sorted({key for text in texts for key in labels_used(text)}))


def check(template: ScalingPolicy, member: Member) -> None:
    """Raise NoMember when a name or a label would have to become part of a query, and cannot (S10)."""
    if not is_dns_label(member.name):
        raise NoMember(f"its name {member.name[:80]!r} is no DNS label, and becomes part of no query")
    for one in template.signals.values():
        try:
            filled(one.query.expr, template.target.namespace, member)
            filled(one.query.presence_expr or "", template.target.namespace, member)
        except ValueError as err:
            raise NoMember(str(err)) from err


def member_policy(template: ScalingPolicy, member: Member) -> ScalingPolicy:
    """Return the policy of a member, from a version that runs beside another its shadow; raise NoMember.

    member: with all the labels that the queries name; a name or a label that is no DNS label is refused (S10).
    """
    check(template, member)
    made = _compiled(template.document, member.name, tuple(sorted(member.labels.items())))
    made = replace(made, origin=template.origin)
    return as_shadow(made) if is_version(template.key) else made


def meant(text: str) -> Member:
    """Return the member of a text, a name and the labels that queries name; raise InvalidInput.

    >>> meant("checkout"), meant("checkout:app=shop,team=payments").labels
    (Member(name='checkout', labels={}), {'app': 'shop', 'team': 'payments'})
    """
    name, colon, rest = text.partition(":")
    pairs = [one.partition("=") for one in rest.split(",")] if colon else []
    if not name or any(not key or not equals for key, equals, _ in pairs):
        raise InvalidInput(f"--target {text}: NAME or NAME:LABEL=VALUE,... is wanted")
    return Member(name=name, labels={key: value for key, _, value in pairs})


def of_targets(policies: PolicySet, targets: Sequence[str]) -> PolicySet:
    """Return the set with each template made for targets, for where there is no cluster to ask; raise InvalidInput."""
    if not policies.templates:
        if targets:
            raise InvalidInput(f"--target {targets[0]}: no policy here selects its targets")
        return policies
    if not targets:
        names = ", ".join(one.key.partition("/")[2] for one in policies.templates)
        raise InvalidInput(f"{names}: it selects its targets; name them, such as --target checkout")
    try:
        made = [member_policy(template, meant(text)) for template in policies.templates for text in targets]
    except NoMember as err:
        raise InvalidInput(f"--target {', '.join(targets)}: {err}") from err
    named = {one.target.key: one.key for one in policies.scaling}
    for one in made:
        if one.target.key in named:
            raise InvalidInput(f"--target {one.target.name}: {named[one.target.key]} scales it by its name")
    scaling = tuple(sorted((*policies.scaling, *made), key=lambda one: one.key))
    return replace(policies, digest=digest("".join(one.digest for one in scaling)), scaling=scaling, templates=())


@lru_cache(maxsize=MOST_KEPT)
def _compiled(document: str, name: str, labels: tuple[tuple[str, str], ...]) -> ScalingPolicy:
    try:
        made = recompile(member_document(document, Member(name=name, labels=dict(labels))))
    except InvalidPolicy as err:
        raise NoMember("; ".join(one.message for one in err.problems)) from err
    if not isinstance(made, ScalingPolicy):
        raise NoMember(f"{made.key} is no ScalingPolicy")
    return made
