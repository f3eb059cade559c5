"""What a policy of plans may do and look at: from this its permissions are made (S10)."""

from __future__ import annotations

from aiops.core.model import Operation, ScaleTo, Wanted
from aiops.core.planning.failover import FailoverPolicy
from aiops.core.policies import PlanPolicy


def operations_of(policy: PlanPolicy) -> tuple[Operation, ...]:
    """Return what it may do to clusters, an operation of each sort; what is only told needs no permission there."""
    match policy:
        case FailoverPolicy():
            standbys = (
                ScaleTo(target=site.target, replicas=site.standby_replicas, only_up=True) for site in policy.sites
            )
            return (policy.traffic.shift(()), *standbys)
        case _:
            return ()


def reads_of(policy: PlanPolicy) -> Wanted:
    """Return what it looks at beyond what its operations need; an object without a name is any of its kind."""
    return Wanted(objects=(policy.target, *policy.wanted.objects), selections=policy.wanted.selections)
