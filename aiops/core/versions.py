"""Versions of one policy: which spec it is, how far it may go, and a version that runs beside another as its shadow.

A shadow runs through the whole core and never acts (S4, S6). What it sees is the world as the acting policy made it. So
it carries no level of its own: every tick it says what it would do from what really runs, and the changes that its
rates, cooldowns and budget count are those that really happened, the acting policy's. Its own are its wishes in
their windows, its signals' memories and its models.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TypeVar

from aiops.core.ids import digest
from aiops.core.model import Instant, Mode, PolicyKey, TargetState
from aiops.core.policies import PlanPolicy, ScalingPolicy
from aiops.core.selection import Member

P = TypeVar("P", ScalingPolicy, PlanPolicy)

MARK = "@"
"""Between a policy's key and the hash of a version that runs beside it; no name of a policy can have it."""

JOINT = "_"
"""Between a template's name and a member's: no name can have it, and a label may, so that an HPA can select it."""

MEMBER = "member"
"""Where the metadata of a document say for which member of a template it is; no author can write it."""

HASH_CHARS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """Somebody's word that a spec may act up to a mode; one of dry-run or observe takes back every earlier word (S6).

    document: of the spec, from which it can be compiled again. evidence: what was known then, as JSON. forced: whether
    it was promoted in spite of that.
    """

    policy: PolicyKey
    spec_hash: str
    mode: Mode
    by: str
    at: Instant
    reason: str
    forced: bool
    evidence: str
    document: str


def spec_hash(document: str) -> str:
    """Return the digest of a canonical document without mode, labels, annotations and member (S6)."""
    whole = json.loads(document)
    whole["spec"].pop("mode", None)
    for name in ("labels", "annotations", MEMBER):
        whole["metadata"].pop(name, None)
    return digest(_canonical(whole))


def rules_hash(document: str) -> str:
    """Return a digest that a candidate shares with a policy of another name that says the same."""
    whole = json.loads(document)
    for name in ("mode", "candidateFor"):
        whole["spec"].pop(name, None)
    return digest(_canonical([whole["kind"], whole["metadata"]["namespace"], whole["spec"]]))


def in_mode(policy: P, mode: Mode) -> P:
    """Return the policy in another mode, with the document and the digest of that: what is replayed says it, too."""
    if policy.mode is mode:
        return policy
    whole = json.loads(policy.document)
    whole["spec"]["mode"] = mode.value
    document = _canonical(whole)
    return replace(policy, mode=mode, document=document, digest=digest(document))


def as_shadow(policy: P) -> P:
    """Return the version as it runs beside the one that acts: in dry-run at most, under a key of its own."""
    key = shadow_key(policy.key, policy.spec_hash)
    return under_key(in_mode(policy, min(policy.mode, Mode.DRY_RUN, key=lambda one: one.rank)), key)


def under_key(policy: P, key: PolicyKey) -> P:
    """Return the policy as it decided under a key: itself, or as a shadow of the policy of its name.

    A stored document knows its name and not whether it ran beside another; the decision's key says that.
    """
    if key == policy.key:
        return policy
    signals = {name: replace(one, query=replace(one.query, policy=key)) for name, one in policy.signals.items()}
    if isinstance(policy, ScalingPolicy):
        return replace(policy, key=key, candidate_for=base_key(key), signals=signals)
    return replace(policy, key=key, signals=signals)


def shadow_key(key: PolicyKey, hashed: str) -> PolicyKey:
    """Return the key under which a version runs beside its policy.

    >>> shadow_key("ScalingPolicy/shop/checkout", "0123456789abcdef")
    'ScalingPolicy/shop/checkout@01234567'
    """
    return f"{key}{MARK}{hashed[:HASH_CHARS]}"


def base_key(key: PolicyKey) -> PolicyKey:
    """Return the key of the policy of which this is a version.

    >>> base_key("ScalingPolicy/shop/checkout@01234567"), base_key("ScalingPolicy/shop/checkout")
    ('ScalingPolicy/shop/checkout', 'ScalingPolicy/shop/checkout')
    """
    return key.partition(MARK)[0]


def is_version(key: PolicyKey) -> bool:
    """Return whether a key is that of a version that runs beside its policy."""
    return MARK in key


def member_key(key: PolicyKey, name: str) -> PolicyKey:
    """Return the key of what a template, or a version of it, is for one member.

    >>> member_key("ScalingPolicy/shop/web", "checkout"), member_key("ScalingPolicy/shop/web@01234567", "checkout")
    ('ScalingPolicy/shop/web_checkout', 'ScalingPolicy/shop/web_checkout@01234567')
    """
    base, mark, version = key.partition(MARK)
    return f"{base}{JOINT}{name}{mark}{version}"


def template_key(key: PolicyKey) -> PolicyKey:
    """Return the key under which a policy is promoted: its own, or that of the template of which it is a member.

    >>> template_key("ScalingPolicy/shop/web_checkout@01234567"), template_key("ScalingPolicy/shop/checkout")
    ('ScalingPolicy/shop/web', 'ScalingPolicy/shop/checkout')
    """
    return base_key(key).partition(JOINT)[0]


def is_member(key: PolicyKey) -> bool:
    """Return whether a key is that of a template's member."""
    return JOINT in key


def template_document(document: str) -> str:
    """Return the document of a member's template; every other document is its own."""
    whole = json.loads(document)
    return document if whole["metadata"].pop(MEMBER, None) is None else _canonical(whole)


def member_document(document: str, member: Member) -> str:
    """Return the document of a template for one member."""
    whole = json.loads(document)
    whole["metadata"][MEMBER] = {"name": member.name, "labels": dict(member.labels)}
    return _canonical(whole)


def member_of(document: str) -> Member | None:
    """Return for which member a document is, None for one that is for no member."""
    said = json.loads(document)["metadata"].get(MEMBER)
    return None if said is None else Member(name=said["name"], labels=said["labels"])


def label(key: PolicyKey) -> str:
    """Return a key as metrics say it: one of all versions, so that edits make no new series.

    >>> label("ScalingPolicy/shop/checkout@01234567")
    'ScalingPolicy/shop/checkout@shadow'
    """
    return f"{base_key(key)}{MARK}shadow" if is_version(key) else key


def kin(policy: ScalingPolicy) -> str:
    """Return what versions have in common that may take over what one of them has learnt: policy and target."""
    return f"{policy.candidate_for or policy.key} {policy.target.key}"


def beside(own: TargetState, acting: TargetState) -> TargetState:
    """Return a shadow's memory: of the world what the acting policy remembers, of wishes its own.

    Its own dry runs move nothing, so they start no cooldown, fill no budget, and leave nothing pending.
    """
    return replace(
        own,
        events=acting.events,
        last_out_at=acting.last_out_at,
        last_in_at=acting.last_in_at,
        override_until=acting.override_until,
        owned=acting.owned,
        yielded=acting.yielded,
        pending=None,
        question=None,
    )


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
