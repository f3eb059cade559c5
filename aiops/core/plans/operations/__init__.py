"""The registry of operations: each has its file beside this one and its line here."""

from __future__ import annotations

from collections.abc import Mapping

from aiops.core.model import (
    AwaitRemoval,
    CallWebhook,
    Cordon,
    DeletePod,
    Drain,
    Looked,
    Notify,
    Operation,
    RaiseNodeLimits,
    ResizePods,
    RestartWorkload,
    RollBack,
    RunJob,
    ScaleTo,
    SetResources,
    ShiftTraffic,
    Sleep,
    SplitReplicas,
    StartJob,
    SuspendCronJob,
    Wake,
)
from aiops.core.plans.operations import (
    jobs,
    node_limits,
    nodes,
    resize_pods,
    rest,
    scale_to,
    set_resources,
    shift_traffic,
    split,
    start_job,
    telling,
    workloads,
)
from aiops.core.plans.operations.verbs import Origin, Requests, Verbs

__all__ = ["OPERATIONS", "Origin", "Requests", "Verbs", "mended", "others", "stands", "steers", "verbs"]

OPERATIONS: Mapping[type[Operation], Verbs] = {
    ShiftTraffic: shift_traffic.VERBS,
    ScaleTo: scale_to.VERBS,
    SetResources: set_resources.VERBS,
    ResizePods: resize_pods.VERBS,
    RaiseNodeLimits: node_limits.VERBS,
    Cordon: nodes.CORDON,
    Drain: nodes.DRAIN,
    AwaitRemoval: nodes.AWAIT_REMOVAL,
    RestartWorkload: workloads.RESTART,
    RollBack: workloads.ROLL_BACK,
    DeletePod: nodes.DELETE_POD,
    RunJob: jobs.RUN_JOB,
    SuspendCronJob: jobs.SUSPEND,
    Sleep: rest.SLEEP,
    Wake: rest.WAKE,
    SplitReplicas: split.VERBS,
    StartJob: start_job.VERBS,
    CallWebhook: telling.VERBS,
    Notify: telling.VERBS,
}


def verbs(operation: Operation) -> Verbs:
    """Return what an operation can say of itself."""
    return OPERATIONS[type(operation)]


def mended(operation: Operation, looked: Looked) -> tuple[Operation, ...]:
    """Return what takes an operation back that is done and not seen any more, since its traces were removed by hand."""
    return rest.mended(operation, looked) if isinstance(operation, Sleep) else ()


_STEERS = (ShiftTraffic, SetResources, RollBack, SuspendCronJob)
_ONE_WRITE = (*_STEERS, Cordon, ScaleTo, RaiseNodeLimits)


def steers(operation: Operation) -> bool:
    """Return whether an operation writes one field that nobody but people and itself changes while it is at work."""
    return isinstance(operation, _STEERS)


def others(operation: Operation, undo: tuple[Operation, ...], looked: Looked) -> bool:
    """Return whether a field holds neither what was written nor what was there before: it is somebody else's (S7).

    That can be said of operations that are a single write; of others a part may be done.
    """
    if not isinstance(operation, _ONE_WRITE) or stands(operation, looked) is not False:
        return False
    return bool(undo) and all(stands(one, looked) is False for one in undo)


def stands(operation: Operation, looked: Looked) -> bool | None:
    """Return whether what an operation wrote is still there, None while that is not known.

    It is, whether pods are ready just then or not: who changed nothing is not taken for somebody who did (S7).
    """
    match operation:
        case SetResources():
            return set_resources.stands(operation, looked)
        case ResizePods():
            return resize_pods.stands(operation, looked)
        case RollBack():
            return workloads.stands(operation, looked)
        case ScaleTo():
            return scale_to.stands(operation, looked)
        case RaiseNodeLimits():
            return node_limits.stands(operation, looked)
        case SplitReplicas():
            return split.stands(operation, looked)
        case _:
            return verbs(operation).reached(operation, looked)
