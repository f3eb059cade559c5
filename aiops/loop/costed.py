"""The workloads that cost policies are for and no other policy scales: they are priced and counted, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from aiops.core.model import Looked, PodShare, PolicyKey, Reason, SeenObject, TargetRef
from aiops.core.money.templates import RUNNING, replicas, share
from aiops.core.planning.saving import SavingPolicy
from aiops.core.policies import PolicySet
from aiops.ports import Inventory


@dataclass(frozen=True, slots=True, kw_only=True)
class Costed:
    """A workload on the account of a cost policy. share: what one of its pods takes by its template."""

    policy: PolicyKey
    ref: TargetRef
    replicas: int
    share: PodShare


def costed(policies: PolicySet, looked: Looked) -> Mapping[str, Costed]:
    """Return what cost policies see that runs all the time, by `TargetRef.key`, on the account of the first of them."""
    found: dict[str, Costed] = {}
    for policy in policies.plans:
        if not isinstance(policy, SavingPolicy) or policy.targets is None:
            continue
        if not set(policy.targets.kinds) & set(RUNNING):
            continue
        seen = policy.runs(looked)
        if seen and isinstance(seen[0], Reason):
            continue  # which workloads there are is not known: what they cost is not, either
        for one in seen:
            if isinstance(one, SeenObject) and one.ref.kind in RUNNING:
                made = Costed(policy=policy.key, ref=one.ref, replicas=replicas(one), share=share(one))
                found.setdefault(one.ref.key, made)
    return found


def with_templates(
    targets: Sequence[TargetRef], inventory: Inventory, also: Mapping[str, Costed]
) -> tuple[tuple[TargetRef, ...], Inventory]:
    """Return what is to be priced, and the inventory with a pod by its template for what has none in it."""
    known = {ref.key for ref in targets}
    more = [one for key, one in also.items() if key not in known]
    if not more:
        return tuple(targets), inventory
    pods = {one.ref.key: (one.share,) for one in more}
    return (*targets, *(one.ref for one in more)), replace(inventory, pods={**pods, **inventory.pods})
