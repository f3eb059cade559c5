"""What is being changed on purpose: rollouts that go on, and what the loop itself has just done."""

from __future__ import annotations

from collections.abc import Mapping

from aiops.core.detect.settling import Thing
from aiops.core.model import Snapshot, Tick
from aiops.core.policies import PolicySet


def changed(policies: PolicySet, snapshot: Snapshot, last: Tick | None) -> Mapping[Thing, str]:
    """Return the workloads that are being changed, by namespace and name, and how; last: the tick of the turn before.

    Nothing where no WatchPolicy waits for changes.
    """
    if not any(one.rollouts is not None for one in policies.watches):
        return {}
    found = {
        (one.ref.namespace, one.ref.name): f"a rollout of {one.ref} goes on, or has just ended"
        for one in snapshot.workloads.values()
        if one.rollout
    }
    if last is None:
        return found
    for action in last.actions:
        if not action.dry_run:
            found[action.target.namespace, action.target.name] = f"{action.policy} has changed {action.target}"
    for errand in last.errands:
        for step in () if errand.dry_run else errand.steps:
            found[step.target.namespace, step.target.name] = f"{errand.policy}: {step.summary}"
    return found
