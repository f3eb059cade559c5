"""Kubernetes' API through the official client: reads by informers, writes one step at a time."""

from aiops.adapters.kubernetes.auth import Attributes, Reviewed, Reviews, access_roles
from aiops.adapters.kubernetes.cluster import KubernetesCluster
from aiops.adapters.kubernetes.clusters import Clusters
from aiops.adapters.kubernetes.connection import KubernetesOptions
from aiops.adapters.kubernetes.lease import KubernetesLease, LeaseOptions
from aiops.adapters.kubernetes.plan_rights import clusters_of, plan_roles
from aiops.adapters.kubernetes.policies import KubernetesPolicies
from aiops.adapters.kubernetes.rbac import guesses, instance_of, rbac, resource_roles

__all__ = [
    "Attributes",
    "Clusters",
    "KubernetesCluster",
    "KubernetesLease",
    "KubernetesOptions",
    "KubernetesPolicies",
    "LeaseOptions",
    "Reviewed",
    "Reviews",
    "access_roles",
    "clusters_of",
    "guesses",
    "instance_of",
    "plan_roles",
    "rbac",
    "resource_roles",
]
