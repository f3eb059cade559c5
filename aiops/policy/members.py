"""A template made into the policy of one of its members: by its document, as it will be replayed."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from aiops.core.policies import ScalingPolicy
from aiops.core.selection import Member, is_dns_label
from aiops.core.versions import as_shadow, is_version, member_document
from aiops.errors import InvalidPolicy
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


@lru_cache(maxsize=MOST_KEPT)
def _compiled(document: str, name: str, labels: tuple[tuple[str, str], ...]) -> ScalingPolicy:
    try:
        made = recompile(member_document(document, Member(name=name, labels=dict(labels))))
    except InvalidPolicy as err:
        raise NoMember("; ".join(one.message for one in err.problems)) from err
    if not isinstance(made, ScalingPolicy):
        raise NoMember(f"{made.key} is no ScalingPolicy")
    return made
