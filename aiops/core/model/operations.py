"""What one step of a plan does: to one object, or by telling somebody. A closed union."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from aiops.core.model.names import TargetRef
from aiops.core.model.swift import swift


class TrafficLever(StrEnum):
    """Which object steers traffic between sites, and how (S8: it lies outside of the failed domain)."""

    HTTP_ROUTE = "http-route"
    SERVICE_SELECTOR = "service-selector"
    INGRESS_CANARY = "ingress-canary"
    WEIGHT_ANNOTATION = "weight-annotation"


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class ShiftTraffic:
    """Give each backend its share of traffic. weights: percent by backend, in the object's order; they add up to 100.

    rule: which rule of an HTTPRoute. The object is that of the lever: HTTPRoute, Service or Ingress.
    """

    lever: TrafficLever
    object: TargetRef
    weights: tuple[tuple[str, int], ...]
    rule: int = 0


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleTo:
    """Set replicas through the scale subresource; only_up: never to fewer than there are (raising a standby, S8).

    Where an HPA steers them, only_up raises its floor instead (S4). floor: set the floor of that HPA and nothing else,
    which is how such a raise is taken back. lent: such a raise is taken back while nobody changed it. idle: fewer are
    set only while the object of this shift sends nobody to the backends to which the shift does not.
    """

    target: TargetRef
    replicas: int
    only_up: bool = False
    floor: bool = False
    lent: bool = False
    idle: ShiftTraffic | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetResources:
    """Set requests and limits of one container of a workload's pod template, as Kubernetes quantities."""

    target: TargetRef
    container: str
    requests: Mapping[str, str]
    limits: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizePods:
    """Set requests and limits of one container of running pods in place; no pod is made anew, the template stays.

    target: the workload that they belong to. pods: their names; one that is gone meanwhile is passed over.
    """

    target: TargetRef
    pods: tuple[str, ...]
    container: str
    requests: Mapping[str, str]
    limits: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RaiseNodeLimits:
    """Let a NodePool of Karpenter hold at least so much, as Kubernetes quantities; what is higher or open stays.

    back: set the limits to these, lower ones too, which is how a raise is taken back; no node goes by it. over: what
    the raise wrote, and a limit that is another by now stays. bare: which limits stood as numbers and not as texts.
    """

    pool: TargetRef
    limits: Mapping[str, str]
    back: bool = False
    over: Mapping[str, str] = field(default_factory=dict)
    bare: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cordon:
    """Make a node unschedulable (undo: schedulable), unless it is so already by somebody else."""

    node: TargetRef
    unschedulable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """Evict every pod of a cordoned node through the Eviction API, within budgets; mirror and daemon pods stay."""

    node: TargetRef
    grace_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitRemoval:
    """Wait until an emptied node is gone; nothing is sent: `by` deletes it. uid: that node and no successor."""

    node: TargetRef
    uid: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartWorkload:
    """Roll a workload's pods as `kubectl rollout restart` does. mark: the restart's own id, written on the template."""

    target: TargetRef
    mark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RollBack:
    """Bring back the pod template of a Deployment's revision, as `kubectl rollout undo` does.

    template_hash: the label of that revision's ReplicaSet; its number changes when it is brought back.
    """

    target: TargetRef
    template_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletePod:
    """Delete one pod: through the Eviction API, so that budgets hold. uid: that pod and no successor."""

    pod: TargetRef
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunJob:
    """Create a Job named `name` from the job template of a CronJob that an admin allows (S3), and wait for its end.

    arguments: values of environment variables, typed fields only.
    """

    template: TargetRef
    name: str
    arguments: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspendCronJob:
    """Suspend a CronJob, or let it run again."""

    target: TargetRef
    suspend: bool = True


class RestLever(StrEnum):
    """Which field lets a workload rest: its replicas, the annotation that pauses its ScaledObject, or `suspend`."""

    REPLICAS = "replicas"
    PAUSED_REPLICAS = "paused-replicas"
    SUSPEND = "suspend"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sleep:
    """Let a workload rest: write `to` where `seen` stands, and in the same request what it was on the object itself.

    object: what is written: the workload, or its ScaledObject. uid: that object and no successor. Values are texts: a
    number of replicas, '' for no annotation, `true` or `false` for suspend. original: what comes back one day, which
    is not `seen` where somebody woke it meanwhile for a while. mark: the plan's id, which the record names. after: the
    plan that the record names until then, '' where there is none.
    """

    target: TargetRef
    object: TargetRef
    uid: str
    lever: RestLever
    seen: str
    original: str
    to: str
    mark: str
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """Give a workload that rests back what it was, and take our record away; what somebody wrote meanwhile stays.

    mark: the plan that its record names. bare: no record does, since every trace was taken away by hand.
    """

    target: TargetRef
    object: TargetRef
    uid: str
    lever: RestLever
    original: str
    to: str
    mark: str
    bare: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitReplicas:
    """Let so many of a workload's replicas run in its companion on spot nodes, and as many fewer in the base.

    base, spot: the workload on demand and its companion, these by their uids and no successors. replicas: of the
    companion; seen: what it had when this was planned; home: what it had before anything of ours. steered: an HPA has
    the replicas of the base, which is not written then. least: what the base must keep, whatever it gives up. mark: the
    plan that takes over a share of which no plan is known; it writes its name there and changes nothing.
    """

    base: TargetRef
    spot: TargetRef
    base_uid: str
    spot_uid: str
    seen: int
    replicas: int
    home: int = 0
    steered: bool = False
    least: int = 0
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartJob:
    """Let a Job that was made suspended run: that one, by its uid."""

    job: TargetRef
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CallWebhook:
    """Post fields as signed JSON to an endpoint that the settings allow by name."""

    endpoint: str
    fields: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Tell people through a channel of the settings; '' is every channel."""

    title: str
    text: str
    channel: str = ""


Operation: TypeAlias = (
    ShiftTraffic
    | ScaleTo
    | SetResources
    | RaiseNodeLimits
    | ResizePods
    | Cordon
    | Drain
    | AwaitRemoval
    | RestartWorkload
    | RollBack
    | DeletePod
    | RunJob
    | SuspendCronJob
    | Sleep
    | Wake
    | SplitReplicas
    | StartJob
    | CallWebhook
    | Notify
)
