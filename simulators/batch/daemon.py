"""The daemon of a world of batch work: the real ControlLoop, on ports over the world's Jobs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aiops.core.bank import Bank
from aiops.core.decide.cost.defer.work import DEADLINE, DEFERRABLE, SORT, WITHIN
from aiops.core.model import (
    Action,
    Answer,
    Answered,
    Errand,
    Failed,
    Instant,
    Reason,
    Scope,
    SeenObject,
    Selection,
    Stamp,
    Step,
    StepResult,
    StepStatus,
    TargetRef,
)
from aiops.core.planning.cost_defer import DeferPolicy
from aiops.core.policies import PolicySet, SignalQuery
from aiops.errors import ClusterUnavailable
from aiops.loop import ControlLoop
from aiops.loop.seams import DryRunCluster, Ports, Setup
from aiops.ports import Inventory
from simulators.batch.curve import Curve
from simulators.batch.scenario import says
from simulators.batch.world import Work, World
from simulators.ports import FixedPolicies, Free, NoTelemetry, SimControls, SimLease, StillClock
from simulators.shown import Objects, SignalSource
from simulators.unkept import Unkept

MANAGED = {"policy.aiops/managed": "true"}


class WorldSource(SignalSource):
    """ports.Source: every signal of the policy is what running costs now, whatever its query."""

    def __init__(self, curve: Curve) -> None:
        self._curve = curve

    def _answer(self, query: SignalQuery, at: Instant) -> Answer:
        if query.name not in ("price", "carbon"):
            return Failed(error="this world answers the signals price and carbon")
        return Answered(value=self._curve.at(at), newest_at=at - 1.0)


class WorldCluster(Objects):
    """ports.Cluster over the world: a namespace that is opted in, and its Jobs."""

    def __init__(self, world: World, namespace: str) -> None:
        self._world = world
        self._namespace = namespace
        self._versions: dict[str, int] = {}
        self._notes: dict[str, Mapping[str, str]] = {}

    def inventory(self, targets: Sequence[TargetRef], at: Instant) -> Inventory:
        """Return nothing: nothing is scaled here."""
        return Inventory(workloads={})

    def _one(self, ref: TargetRef, at: Instant) -> SeenObject | None:
        if ref.kind == "Namespace":
            body = {"metadata": {"labels": MANAGED}}
            return SeenObject(ref=ref, uid="uid-namespace", resource_version="1", as_of=at, body=body)
        work = self._world.there.get(ref.name)
        if ref.kind != "Job" or ref.namespace != self._namespace or work is None:
            return None
        version = str(self._versions.get(work.name, 1) + (self._world.begun.get(work.name, at + 1.0) <= at))
        body = self._job(work)
        return SeenObject(ref=ref, uid=f"uid-{work.name}", resource_version=version, as_of=at, body=body)

    def _several(self, one: Selection, at: Instant) -> Iterator[SeenObject]:
        if one.kind != "Job" or one.namespace not in ("", self._namespace):
            return
        for name in tuple(self._world.there):
            ref = TargetRef(
                cluster=one.cluster, namespace=self._namespace, api_version=one.api_version, kind="Job", name=name
            )
            seen = self._one(ref, at)
            if seen is not None and all(
                seen.body["metadata"]["labels"].get(label) == value for label, value in one.labels.items()
            ):
                yield seen

    def _job(self, work: Work) -> dict[str, Any]:
        notes = dict(self._notes.get(work.name, {}))
        if work.by is not None:
            notes[DEADLINE] = says(work.by)
        elif work.within_s is not None:
            notes[WITHIN] = f"{work.within_s:.0f}s"
        metadata: dict[str, Any] = {
            "name": work.name,
            "creationTimestamp": says(work.made_at),
            "labels": {DEFERRABLE: "true"},
            "annotations": notes,
        }
        if work.cron_job:
            metadata["ownerReferences"] = [{"kind": "CronJob", "name": work.sort, "controller": True}]
        else:
            metadata["labels"][SORT] = work.sort
        begun = self._world.begun.get(work.name)
        status: dict[str, Any] = {}
        if begun is not None:
            status = {"startTime": says(begun)}
            done_at = begun + work.takes_s
            if done_at <= self._world.now:
                done = [{"type": "Complete", "status": "True"}]
                status = {**status, "completionTime": says(done_at), "conditions": done}
        return {"metadata": metadata, "spec": {"suspend": begun is None}, "status": status}

    # -- what is changed -------------------------------------------------------------------------------

    def perform(self, errand: Errand, step: Step, at: Instant) -> StepResult:
        """Let a Job run, or refuse what cannot be done as the API would."""
        code, message = self._applied(step, at)
        status = StepStatus.DONE if code < 300 else StepStatus.REFUSED
        reason = None if code < 300 else Reason.UNKNOWN_TARGET if code == 404 else Reason.REFUSED
        return StepResult(action_id=errand.id, status=status, at=at, code=code, reason=reason, message=message)

    def _applied(self, step: Step, at: Instant) -> tuple[int, str]:
        seen = self._one(step.target, at)
        if seen is None:
            return 404, f"{step.target.kind} {step.target} not found"
        if step.uid != seen.uid or (step.resource_version and step.resource_version != seen.resource_version):
            return 409, "the object has been modified; read it again"
        if step.target.kind != "Job" or dict(step.body.get("spec", {})) != {"suspend": False}:
            return 405, "a Job can be begun here, and nothing else"
        name = step.target.name
        noted = step.body.get("metadata", {}).get("annotations", {})
        self._notes[name] = {key: value for key, value in noted.items() if value is not None}
        self._versions[name] = self._versions.get(name, 1) + 1
        self._world.start(name)
        return 200, ""

    def send(self, action: Action, step: Step, at: Instant) -> StepResult:
        """Refuse: nothing is scaled here."""
        raise ClusterUnavailable("nothing is scaled here")

    def stamp(self, stamp: Stamp, at: Instant, until: Instant) -> StepResult:
        """Say that it is done: a world has one leader."""
        return StepResult(action_id="", status=StepStatus.DONE, at=at, resource_version=stamp.step.resource_version)

    def announce(self, target: TargetRef, reason: str, message: str, action_id: str, at: Instant) -> None:
        """Tell nobody."""


def live(world: World, curve: Curve, policy: DeferPolicy, until: Instant) -> None:
    """Let the loop live in the world until every Job is begun, or time is up; a bug in it is raised."""
    cluster = WorldCluster(world, namespace_of(policy))
    policies = PolicySet(digest=policy.digest, plans=(policy,), step_s=world.step_s)
    ports = Ports(
        policies=FixedPolicies(policies),
        source=WorldSource(curve),
        cluster=cluster,
        dry=DryRunCluster(cluster),
        journal=Unkept(),
        lease=SimLease(),
        controls=SimControls(),
        prices=Free(),
        telemetry=NoTelemetry(),
        clock=StillClock(),
    )
    loop = ControlLoop(ports, Bank(policies), Setup(scope=Scope(), keep_inputs=False))
    while world.now < until and not world.over:
        world.step()
        sentence = loop.run_once(world.now)
        if loop.last is None or loop.last.at != world.now:
            raise RuntimeError(f"the loop did not turn: {sentence}")
        bug = next((one.bug for one in loop.last.decisions if one.bug), "")
        if bug:
            raise RuntimeError(bug)


def namespace_of(policy: DeferPolicy) -> str:
    """Return where the Jobs of a policy are."""
    return "" if policy.targets is None else policy.targets.namespace
