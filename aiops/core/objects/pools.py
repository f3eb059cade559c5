"""Nodes counted by pool, zone, kind and price, as conditions see them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import TypeAlias

from aiops.core.model import Machine, Pool

_Key: TypeAlias = tuple[str, str, str, str, bool]

POOLS = (
    "karpenter.sh/nodepool",
    "eks.amazonaws.com/nodegroup",
    "cloud.google.com/gke-nodepool",
    "kubernetes.azure.com/agentpool",
    "doks.digitalocean.com/node-pool",
    "kops.k8s.io/instancegroup",
)
"""The labels by which providers and node autoscalers say to which pool a node belongs."""


TOGETHER = "*"
"""The name of all pools together, where the nodes are known and not to which pool they belong; no label has it."""


def pooled(machines: Iterable[Machine], usd_per_hour: Mapping[str, float]) -> tuple[Pool, ...]:
    """Return the pools of some nodes, in a fixed order. usd_per_hour: of a node, by `Machine.key`, where it is known.

    >>> nodes = [Machine(cluster="eu", node=name, pool="web", allocatable_cores=3.5) for name in ("a", "b")]
    >>> [(one.name, one.count, one.cores, one.usd_per_hour) for one in pooled(nodes, {"eu/a": 0.2})]
    [('web', 2, 7.0, None)]
    """
    nodes = sorted(machines, key=lambda one: (_key(one), one.node))
    return tuple(_pool(key, tuple(some), usd_per_hour) for key, some in groupby(nodes, _key))


def _key(one: Machine) -> _Key:
    return one.cluster, one.pool, one.zone, one.instance_type, one.spot


def _pool(key: _Key, nodes: tuple[Machine, ...], usd_per_hour: Mapping[str, float]) -> Pool:
    cluster, name, zone, instance_type, spot = key
    ready = [one for one in nodes if one.ready]
    priced = [usd_per_hour[one.key] for one in nodes if one.key in usd_per_hour]
    return Pool(
        cluster=cluster,
        name=name,
        zone=zone,
        instance_type=instance_type,
        spot=spot,
        count=len(nodes),
        ready=len(ready),
        schedulable=sum(1 for one in ready if one.schedulable),
        cores=sum(one.allocatable_cores for one in ready),
        memory_gib=sum(one.allocatable_gib for one in ready),
        gpus=sum(one.allocatable_gpus for one in ready),
        usd_per_hour=sum(priced) if len(priced) == len(nodes) else None,
    )
