"""The cluster of a test: replicas follow accepted changes after the lead time, an HPA follows its floor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from aiops.core.act.set_floor import MIN_SCALE
from aiops.core.model import (
    Action,
    Autoscaler,
    FieldOwner,
    Hpa,
    Instant,
    OwnerKind,
    Reason,
    Stamp,
    Step,
    StepResult,
    StepStatus,
    TargetRef,
    Workload,
)
from aiops.core.model.swift import changed
from aiops.core.policies import Lever, ScalingPolicy, WatchPolicy
from aiops.errors import ClusterUnavailable
from aiops.policy.testing import Case
from aiops.policy.testing.surroundings import FaultKind, HpaSpec, WriteSpec
from aiops.ports import Inventory
from simulators.policy_tests.faults import Faults
from simulators.policy_tests.nodes import GivenNodes
from simulators.policy_tests.spans import Spans
from simulators.ports import NoObjects

DEFAULT_LEAD_S = 60.0


class Pods:
    """So many pods, in groups by the instant from which they are ready, so that a million cost as little as one."""

    def __init__(self, count: int, at: Instant) -> None:
        self._groups = [(at, count)]

    def __len__(self) -> int:
        return sum(count for _, count in self._groups)

    def resize(self, wanted: int, at: Instant, lead_s: float) -> None:
        """Start pods that are ready after the lead time, or stop those that would be ready last."""
        more = wanted - len(self)
        if more > 0:
            self._groups = sorted([*self._groups, (at + lead_s, more)])
        while more < 0 and self._groups:
            since, count = self._groups.pop()
            if count > -more:
                self._groups.append((since, count + more))
            more += count

    def ready(self, at: Instant) -> int:
        """Return how many are ready."""
        return sum(count for since, count in self._groups if since <= at + 1e-6)


class TestCluster(NoObjects):
    """One target, with an HPA or without. Writes have the preconditions that the API server's have."""

    __test__ = False

    def __init__(self, case: Case, policy: ScalingPolicy, faults: Faults) -> None:
        self._case, self._policy, self._faults = case, policy, faults
        self._nodes = GivenNodes(case, policy.target.cluster)
        self._begun = case.start.timestamp()
        spec = case.spec.inventory
        self._of_floor = policy.lever.is_floor
        self._lead_s = _lead_s(case, policy)
        self._pods = Pods(case.spec.replicas, self._begun)
        self._rollout = Spans(spec.rollout, case.start)
        self._gone = Spans(spec.gone, case.start)
        self._deleting = Spans(spec.deleting, case.start)
        self._hpa = self._first_hpa()
        self._version = 1
        self._owner = _owner("replicas", spec.owner, self._begun)
        self._writes = sorted(spec.writes, key=lambda one: one.at.after(case.start))
        self._shown: tuple[tuple[object, ...], Workload] | None = None

    def _first_hpa(self) -> Hpa | None:
        told = self._case.spec.inventory.hpa
        if isinstance(told, str) or (told is None and not self._of_floor):
            return None
        told = told or HpaSpec()
        ceilings = [one.max_replicas for one in self._policy.bounds.windows if one.max_replicas is not None]
        most = max([self._policy.bounds.max_replicas, *ceilings])
        return Hpa(
            name=self._policy.target.name,
            uid="uid-hpa",
            resource_version="1",
            min_replicas=self._case.spec.replicas if told.min_replicas is None else told.min_replicas,
            max_replicas=most if told.max_replicas is None else told.max_replicas,
            desired_replicas=self._case.spec.replicas,
            scaling_active=told.scaling_active,
            owners=(_owner("minReplicas", told.owner, self._begun),),
            reads_our_metric=told.reads_our_metric,
            kind=Autoscaler.KNATIVE if self._policy.lever is Lever.KNATIVE_MIN_SCALE else Autoscaler.HPA,
        )

    # -- reading -------------------------------------------------------------------------------------

    def inventory(self, targets: Sequence[TargetRef], at: Instant) -> Inventory:
        """Return the target as it is now, or why it is not known."""
        self._advance(at)
        ref = self._policy.target
        if self._faults.any(FaultKind.CLUSTER, at):
            return Inventory(workloads={}, errors={ref.cluster: "the API does not answer (a fault of the test)"})
        if self._faults.any(FaultKind.FORBIDDEN, at):
            why = (Reason.NO_PERMISSION, "may not get the target (a fault of the test)")
            return Inventory(workloads={}, refused={ref.key: why})
        nodes = self._nodes.at(at)
        if self._gone.any(at):
            return Inventory(workloads={}, machines=nodes)
        return Inventory(workloads={ref.key: self._workload(at)}, machines=nodes)

    def _advance(self, at: Instant) -> None:
        """Let others write, and the HPA follow its floor and its own wish."""
        while self._writes and self._writes[0].at.after(self._case.start) <= at - self._begun + 1e-6:
            self._written(self._writes.pop(0), at)
        if self._hpa is None or self._hpa.scaling_active is False:
            return
        place = min(self._place(at), len(self._case.desired) - 1)
        entry = self._case.desired[place]
        wish = int(entry) if isinstance(entry, float) and 0 <= entry < 1e9 else 0
        wanted = min(max(self._hpa.min_replicas, wish), self._hpa.max_replicas)
        # what is at zero was switched off, but for Knative, which starts it again
        if wanted != len(self._pods) and (len(self._pods) or self._hpa.kind is Autoscaler.KNATIVE):
            self._resize(wanted, at)
        if wanted != self._hpa.desired_replicas:
            self._hpa = replace(self._hpa, desired_replicas=wanted)

    def _written(self, write: WriteSpec, at: Instant) -> None:
        if self._of_floor and self._hpa is not None:
            owner = FieldOwner(field="minReplicas", kind=OwnerKind.OTHER, manager=write.by, at=at)
            self._write_floor(write.replicas, owner)
        else:
            self._owner = FieldOwner(field="replicas", kind=OwnerKind.OTHER, manager=write.by, at=at)
            self._resize(write.replicas, at)
            self._version += 1

    def _place(self, at: Instant) -> int:
        return round((at - self._begun) / self._case.step_s)

    def _ready(self, at: Instant) -> int:
        entries = self._case.ready
        if entries:
            entry = entries[min(self._place(at), len(entries) - 1)]
            return int(entry) if isinstance(entry, float) and 0 <= entry < 1e9 else 0
        return self._pods.ready(at)

    def _workload(self, at: Instant) -> Workload:
        deleting, rollout = self._deleting.any(at), self._rollout.any(at)
        key = (self._version, len(self._pods), self._ready(at), self._hpa, deleting, rollout)
        if self._shown is not None and self._shown[0] == key:
            return changed(self._shown[1], as_of=at)
        spec = self._case.spec.inventory
        lead_s = self._case.spec.given.lead_time
        made = Workload(
            ref=self._policy.target,
            uid="uid",
            resource_version=str(self._version),
            as_of=at,
            replicas=len(self._pods),
            ready=self._ready(at),
            created_at=self._begun - 86_400.0,
            opted_in=spec.opted_in,
            scalable=spec.scalable,
            rollout=rollout,
            deleting=deleting,
            annotations=spec.annotations,
            owners=(self._owner,),
            hpas=() if self._hpa is None else (self._hpa,),
            pdb_min_available=spec.pdb,
            startup_s=() if lead_s is None else (lead_s,),
        )
        self._shown = (key, made)
        return made

    # -- writing -------------------------------------------------------------------------------------

    def send(self, action: Action, step: Step, at: Instant) -> StepResult:
        """Apply one patch, refuse it as the API would, or lose it."""
        if self._faults.any(FaultKind.WRITE_LOST, at) or self._faults.any(FaultKind.CLUSTER, at):
            raise ClusterUnavailable("no answer to the request (a fault of the test)")
        refused = self._faults.first(FaultKind.WRITE_REFUSED, at)
        if refused is not None:
            return _refused(action, at, refused.code, f"refused with {refused.code} (a fault of the test)")
        if step.target.kind in ("HorizontalPodAutoscaler", "PodAutoscaler"):
            hpa = self._hpa
            if hpa is None or step.resource_version != hpa.resource_version:
                return _refused(action, at, 409, "the object has been modified; read it again")
            owner = FieldOwner(field="minReplicas", kind=OwnerKind.AIOPS, manager="aiops", at=at)
            self._write_floor(_floor(step), owner, step)
        else:
            if step.resource_version != str(self._version):
                return _refused(action, at, 409, "the object has been modified; read it again")
            self._owner = FieldOwner(field="replicas", kind=OwnerKind.AIOPS, manager="aiops")
            self._resize(int(step.body["spec"]["replicas"]), at)
            self._version += 1
        return StepResult(action_id=action.id, status=StepStatus.DONE, at=at, code=200)

    def _write_floor(self, floor: int, owner: FieldOwner, step: Step | None = None) -> None:
        if self._hpa is None:
            return
        notes = dict(self._hpa.annotations)
        if step is not None:
            for name, value in step.body.get("metadata", {}).get("annotations", {}).items():
                notes.pop(name, None) if value is None else notes.update({name: value})
        version = str(int(self._hpa.resource_version) + 1)
        self._hpa = replace(self._hpa, min_replicas=floor, owners=(owner,), resource_version=version, annotations=notes)

    def _resize(self, wanted: int, at: Instant) -> None:
        slow = self._faults.first(FaultKind.SLOW_START, at)
        lead_s = self._lead_s if slow is None or slow.lead_time is None else slow.lead_time
        self._pods.resize(wanted, at, lead_s)

    def stamp(self, stamp: Stamp, at: Instant, until: Instant) -> StepResult:
        """Say that it is done: a test has one leader."""
        return StepResult(action_id="", status=StepStatus.DONE, at=at, resource_version=stamp.step.resource_version)

    def announce(self, target: TargetRef, reason: str, message: str, action_id: str, at: Instant) -> None:
        """Keep no Events."""


class Watched(NoObjects):
    """What a WatchPolicy needs of a cluster: whether a rollout goes on of the workloads it names, all alike."""

    def __init__(self, case: Case, policy: WatchPolicy, faults: Faults) -> None:
        self._of = () if policy.rollouts is None else policy.rollouts.of
        self._rollout, self._faults = Spans(case.spec.inventory.rollout, case.start), faults

    def inventory(self, targets: Sequence[TargetRef], at: Instant) -> Inventory:
        """Return those workloads, or why they are not known."""
        if self._faults.any(FaultKind.CLUSTER, at):
            down = "the API does not answer (a fault of the test)"
            return Inventory(workloads={}, errors={ref.cluster: down for ref in self._of})
        going_on = self._rollout.any(at)
        seen = (
            Workload(ref=ref, uid="uid", resource_version="1", as_of=at, replicas=1, ready=1, rollout=going_on)
            for ref in self._of
        )
        return Inventory(workloads={one.ref.key: one for one in seen})

    def send(self, action: Action, step: Step, at: Instant) -> StepResult:
        """Refuse what nobody sends."""
        return _refused(action, at, 404, "a WatchPolicy writes nothing")

    def stamp(self, stamp: Stamp, at: Instant, until: Instant) -> StepResult:
        """Say that there is nothing to do."""
        return StepResult(action_id="", status=StepStatus.DONE, at=at)

    def announce(self, target: TargetRef, reason: str, message: str, action_id: str, at: Instant) -> None:
        """Keep no Events."""


def _lead_s(case: Case, policy: ScalingPolicy) -> float:
    if case.spec.given.lead_time is not None:
        return case.spec.given.lead_time
    return DEFAULT_LEAD_S if policy.forecast is None else policy.forecast.lead_s


def _owner(field: str, kind: OwnerKind, at: Instant) -> FieldOwner:
    return FieldOwner(field=field, kind=kind, manager=kind.value, at=at)


def _floor(step: Step) -> int:
    """Return the floor that a patch writes: of an HPA, or of a Knative revision, where nothing written is 0."""
    if "spec" in step.body:
        return int(step.body["spec"]["minReplicas"])
    return int(step.body["metadata"]["annotations"].get(MIN_SCALE) or 0)


def _refused(action: Action, at: Instant, code: int, message: str) -> StepResult:
    return StepResult(
        action_id=action.id, status=StepStatus.REFUSED, at=at, code=code, reason=Reason.REFUSED, message=message
    )
