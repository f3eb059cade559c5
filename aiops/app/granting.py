"""The Kubernetes roles that a daemon of these settings needs for its policies: as printed, and as asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, assert_never

from aiops.app.settings import Settings
from aiops.app.surroundings import competes, reads_resources
from aiops.core.model import FLOOR, REPLICAS, Mode
from aiops.core.policies import Lever, PolicySet, ScalingPolicy

if TYPE_CHECKING:
    from aiops.adapters.git import Placement


def roles(policies: PolicySet, settings: Settings, cluster: str | None) -> list[dict[str, Any]]:
    """Return the objects that grant what is needed in one cluster. cluster: None where all lies in one."""
    from aiops.adapters.kubernetes import access_roles, plan_roles, rbac, resource_roles

    lease = settings.lease
    chosen, leads = _of_cluster(policies, cluster, settings)
    leads = leads and competes(settings)
    written, told = _placed(chosen, settings)
    objects = rbac(written, lease.namespace, lease.name, settings.mode, competes=leads)
    objects = [_telling(one) if _namespace(one) in told else one for one in objects]
    objects += plan_roles(chosen, lease.namespace, lease.name, settings.mode, cluster)
    if reads_resources(settings) and _reads_here(cluster, settings):
        objects += resource_roles(lease.namespace, lease.name, settings.custom_resources.namespaces)
    if settings.web.kubernetes.enabled and cluster in (None, settings.web.kubernetes.cluster or _first(settings)):
        objects += access_roles(lease.namespace, lease.name)
    return [one for one in objects if not _beyond(one)] if _namespaced(cluster, settings) else objects


def named_clusters(policies: PolicySet) -> list[str]:
    """Return the clusters in which policies need anything."""
    from aiops.adapters.kubernetes import clusters_of

    scaled = {policy.target.cluster for policy in (*policies.scaling, *policies.templates)}
    waited = {ref.cluster for ref in policies.waited_for}
    return sorted(scaled.union(waited, *map(clusters_of, policies.plans)))


def of_cluster(policies: PolicySet, cluster: str | None) -> PolicySet:
    """Return a set with the scaling policies of one cluster alone; all of them for None."""
    if cluster is None:
        return policies
    mine = tuple(policy for policy in policies.scaling if policy.target.cluster == cluster)
    chosen = tuple(policy for policy in policies.templates if policy.target.cluster == cluster)
    return replace(policies, scaling=mine, templates=chosen)


def _placed(policies: PolicySet, settings: Settings) -> tuple[PolicySet, frozenset[str]]:
    """Return the policies with those lowered that write to a repository, and the namespaces in which these act.

    What stands in Git needs no `patch`; Events of what is done there are told in the cluster all the same.
    """
    from aiops.app.git_settings import placements

    known = placements(settings.git)
    if not known:
        return policies, frozenset()
    lowered, told = [], set()
    for one in policies.scaling:
        git = stands(known, one)
        lowered.append(replace(one, mode=min(one.mode, Mode.DRY_RUN, key=lambda mode: mode.rank)) if git else one)
        if git and min(one.mode.rank, settings.mode.rank) >= Mode.APPROVE.rank:
            told.add(one.target.namespace)
    return replace(policies, scaling=tuple(lowered)), frozenset(told)


def stands(known: Sequence[Placement], policy: ScalingPolicy) -> bool:
    """Return whether what a policy moves stands in a repository."""
    from aiops.adapters.git import placement

    match policy.lever:
        case Lever.REPLICAS:
            return placement(known, policy.target, REPLICAS) is not None
        case Lever.HPA_FLOOR:
            return placement(known, policy.target, FLOOR) is not None
        case Lever.KNATIVE_MIN_SCALE:
            return False
        case unknown:
            assert_never(unknown)


def _namespace(granted: dict[str, Any]) -> str:
    """Return the namespace of the Role of targets, '' of everything else."""
    ours = str(granted["kind"]) == "Role" and not str(granted["metadata"]["name"]).endswith("-lease")
    return str(granted["metadata"]["namespace"]) if ours else ""


def _telling(role: dict[str, Any]) -> dict[str, Any]:
    events = {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]}
    return role if events in role["rules"] else {**role, "rules": [*role["rules"], events]}


def _of_cluster(policies: PolicySet, cluster: str | None, settings: Settings) -> tuple[PolicySet, bool]:
    """Return the policies of one cluster, and whether the Lease lies there."""
    lies_in = settings.lease.cluster or _first(settings)
    return of_cluster(policies, cluster), cluster is None or lies_in == cluster


def _namespaced(wanted: str | None, settings: Settings) -> bool:
    """Return whether nothing of the whole cluster is to be granted: of all of them, where none is named."""
    named = settings.clusters if wanted is None else {wanted: settings.clusters.get(wanted)}
    return bool(named) and all(one is not None and one.namespaced for one in named.values())


def _beyond(granted: dict[str, Any]) -> bool:
    """Return whether an object grants something in the whole cluster."""
    return str(granted["kind"]).startswith("ClusterRole")


def _reads_here(wanted: str | None, settings: Settings) -> bool:
    """Return whether policies are read from the API of the cluster whose roles are wanted."""
    return wanted in (None, settings.custom_resources.cluster or _first(settings))


def _first(settings: Settings) -> str:
    """Return the cluster that is meant where none is named."""
    return min(settings.clusters, default="default")
