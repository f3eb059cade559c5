"""Whether we may do all that the policies need: each right that `aiops rbac` would print is asked about."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from aiops.app.doctor.findings import Finding, Trouble, fail, ok, warn
from aiops.app.doctor.scene import ENOUGH_RATIO, MOST_SAID, Scene
from aiops.app.granting import of_cluster, roles

if TYPE_CHECKING:
    from aiops.adapters.kubernetes.probe import ClusterProbe, Grant, Right


def permissions(label: str, scene: Scene, cluster: tuple[str, ClusterProbe]) -> Iterator[Finding]:
    """Ask the API server about every right in one cluster; of what is missing, name the rule to add."""
    from aiops.adapters.kubernetes import guesses
    from aiops.adapters.kubernetes.probe import grants

    name, probe = cluster
    chosen = of_cluster(scene.policies, name)
    wanted = grants(roles(scene.policies, scene.settings, name))
    rights = [right for grant in wanted for right in grant.rights()]
    ends_at = time.monotonic() + ENOUGH_RATIO * scene.timeout_s
    reviewed = probe.reviewed(rights, lambda: time.monotonic() < ends_at)
    missing = {right for right, allowed in reviewed.items() if not allowed}
    lacking = [(grant, gone) for grant in wanted if (gone := [one for one in grant.rights() if one in missing])]
    who = probe.whoami() or "we"
    for grant, gone in lacking[:MOST_SAID]:
        yield fail(f"{label}: permissions", _said(who, gone), _fix(grant, gone), Trouble.PERMISSION)
    if len(lacking) > MOST_SAID:
        what = f"{len(lacking) - MOST_SAID} more rules are missing"
        yield fail(f"{label}: permissions", what, _command(scene), Trouble.PERMISSION)
    for note in guesses(chosen):
        yield warn(f"{label}: permissions", note, "look at it before the role is applied")
    asked, every = len(reviewed), len(set(rights))
    if asked < every:
        what = f"{asked} of {every} rights were asked about in the time there was"
        yield warn(f"{label}: permissions", what, "--timeout gives more time")
    elif not lacking:
        yield ok(f"{label}: permissions", f"{who} may do all that is needed: {every} rights were asked about")


def _command(scene: Scene) -> str:
    paths = " ".join(map(str, scene.settings.policies))
    return f"aiops rbac {paths} | kubectl apply -f - grants all of them"


def _said(who: str, gone: Iterable[Right]) -> str:
    one = next(iter(gone))
    verbs = ", ".join(dict.fromkeys(right.verb for right in gone))
    what = f"{one.resource}{f'.{one.group}' if one.group else ''}{f' {one.name}' if one.name else ''}"
    where = f"in namespace {one.namespace}" if one.namespace else "in the whole cluster"
    return f"{who} may not {verbs} {what} {where}"


def _fix(grant: Grant, gone: list[Right]) -> str:
    kind = f"Role {grant.role} of namespace {grant.namespace}" if grant.namespace else f"ClusterRole {grant.role}"
    return f"add to {kind}: {json.dumps(rule_of(grant, gone))}"


def rule_of(grant: Grant, gone: Iterable[Right]) -> Mapping[str, Any]:
    """Return the part of a rule that is missing, as a role has it."""
    verbs = {right.verb for right in gone}
    resources = {right.resource for right in gone}
    names = {right.name for right in gone}
    made: dict[str, Any] = {
        "apiGroups": list(grant.rule["apiGroups"]),
        "resources": [one for one in grant.rule["resources"] if one in resources],
        "verbs": [one for one in grant.rule["verbs"] if one in verbs],
    }
    if "resourceNames" in grant.rule:
        made["resourceNames"] = [one for one in grant.rule["resourceNames"] if one in names]
    return made
