"""What a workload that rests carries: the record of what it was, and the field by which it rests (S9).

The record lies on the object, written by the same request as the rest itself, so that one is never there without the
other. It is JSON under `policy.aiops/asleep`. `policy.aiops/asleep-by` names the plan once more: a record that a person
took away or broke is told from one that was never written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from aiops.core.model import Instant, PolicyKey, RestLever, SeenObject
from aiops.core.objects.bodies import at, number, strings

RECORD = "policy.aiops/asleep"
MARK = "policy.aiops/asleep-by"
WOKEN = "policy.aiops/woken-by"
"""The plan whose rest was ended last: so a wake that landed is told from one that was lost."""

PAUSED_REPLICAS = "autoscaling.keda.sh/paused-replicas"
PAUSED = "autoscaling.keda.sh/paused"

GITOPS_IGNORES = "policy.aiops/gitops-ignores"
"""On an object that is kept by Git: levers, by comma, of which its owner says that the GitOps tool ignores them."""

_LATEST = 2.0**53

LONGEST = 2_048
"""Characters of a record; ours have a few hundred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepRecord:
    """What an object was before it was put to rest. original, to: see `Sleep`."""

    policy: PolicyKey
    plan: str
    uid: str
    lever: RestLever
    original: str
    to: str
    since: Instant

    @property
    def text(self) -> str:
        """Return it as it stands on the object."""
        made = {
            "policy": self.policy,
            "plan": self.plan,
            "uid": self.uid,
            "lever": self.lever.value,
            "original": self.original,
            "to": self.to,
            "since": round(self.since),
        }
        return json.dumps(made, separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """How an object stands to rest. value: of the field now. broken: why its record cannot be read, '' when it can.

    mark: the plan that the second annotation names, '' for none. woken: the plan whose rest was ended last.
    """

    value: str
    record: SleepRecord | None = None
    broken: str = ""
    mark: str = ""
    woken: str = ""

    @property
    def plan(self) -> str:
        """Return the plan by which it rests, '' when nothing says so: the second annotation is seldom edited."""
        return self.mark if self.mark or self.record is None else self.record.plan


def rest(seen: SeenObject, lever: RestLever) -> Rest:
    """Return how an object stands to rest by one lever."""
    notes = strings(at(seen.body, "metadata", "annotations"))
    mark, text = notes.get(MARK, ""), notes.get(RECORD)
    value = value_of(seen, lever)
    found = Rest(value=value, mark=mark, woken=notes.get(WOKEN, ""))
    if text is None:
        return found
    try:
        return replace(found, record=read(text))
    except ValueError as err:
        return replace(found, broken=str(err))


def read(text: str) -> SleepRecord:
    """Return the record that a text holds; raise ValueError, in a sentence."""
    if len(text) > LONGEST:
        raise ValueError(f"{RECORD} is {len(text)} characters long, {LONGEST} at most are ours")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as err:
        raise ValueError(f"{RECORD} is no JSON") from err
    if not isinstance(found, dict):
        raise ValueError(f"{RECORD} is no JSON object")
    parts = {}
    for name in ("policy", "plan", "uid", "lever", "original", "to"):
        if not isinstance(found.get(name), str):
            raise ValueError(f"{RECORD}: {name}: a text is missing")
        parts[name] = found[name]
    since = found.get("since")
    # whole numbers of JSON have no end, and no float holds what is beyond this one
    if isinstance(since, bool) or not isinstance(since, int | float) or not -_LATEST < since < _LATEST:
        raise ValueError(f"{RECORD}: since: a number of seconds is missing")
    if parts["lever"] not in set(RestLever):
        raise ValueError(f"{RECORD}: lever: {parts['lever'][:40]!r} is none of {', '.join(RestLever)}")
    lever = RestLever(parts.pop("lever"))
    for name in ("original", "to"):
        if not fits(lever, parts[name]):
            raise ValueError(f"{RECORD}: {name}: {parts[name][:40]!r} is nothing that {lever.value} can be")
    return SleepRecord(lever=lever, since=float(since), **parts)


def fits(lever: RestLever, value: str) -> bool:
    """Return whether a text is something that the field can hold.

    >>> fits(RestLever.REPLICAS, "3"), fits(RestLever.REPLICAS, "-1"), fits(RestLever.PAUSED_REPLICAS, "")
    (True, False, True)
    """
    match lever:
        case RestLever.REPLICAS:
            return value.isascii() and value.isdecimal() and len(value) <= 9
        case RestLever.PAUSED_REPLICAS:
            return value == "" or len(value) <= 20
        case RestLever.SUSPEND:
            return value in ("true", "false")


def value_of(seen: SeenObject, lever: RestLever) -> str:
    """Return what stands in the field now."""
    match lever:
        case RestLever.REPLICAS:
            return str(number(at(seen.body, "spec", "replicas"), 1))
        case RestLever.PAUSED_REPLICAS:
            return strings(at(seen.body, "metadata", "annotations")).get(PAUSED_REPLICAS, "")
        case RestLever.SUSPEND:
            return "true" if at(seen.body, "spec", "suspend") is True else "false"


def written(lever: RestLever, value: str | None, notes: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the merge patch that writes a value, None to leave it, and annotations, None to take one away."""
    annotations: dict[str, str | None] = dict(notes)
    spec: dict[str, Any] = {}
    if value is not None:
        match lever:
            case RestLever.REPLICAS:
                spec["replicas"] = int(value)
            case RestLever.PAUSED_REPLICAS:
                annotations[PAUSED_REPLICAS] = value or None
            case RestLever.SUSPEND:
                spec["suspend"] = value == "true"
    return {"metadata": {"annotations": annotations}, **({"spec": spec} if spec else {})}


def shown(lever: RestLever, value: str) -> str:
    """Return a value as people read it.

    >>> shown(RestLever.PAUSED_REPLICAS, ""), shown(RestLever.REPLICAS, "3")
    ('none', '3')
    """
    return value or "none"


def ignored_by_gitops(seen: SeenObject, lever: RestLever) -> bool:
    """Return whether the object says that its GitOps tool ignores the lever (ignoreDifferences of Argo CD)."""
    text = strings(at(seen.body, "metadata", "annotations")).get(GITOPS_IGNORES, "")
    return lever.value in {one.strip() for one in text.split(",")}
