"""A namespace whose workloads a CostPolicy lets rest: an API server of plain values, and a daemon that can die."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from aiops.core.model import (
    Answered,
    Approval,
    Decision,
    Errand,
    Failed,
    Freeze,
    Judgement,
    Leadership,
    Looked,
    LoopState,
    Mode,
    Order,
    Pause,
    Plan,
    PlanStatus,
    Scope,
    SeenObject,
    Snapshot,
    Step,
    StepResult,
    StepStatus,
    TargetRef,
)
from aiops.core.objects.resting import MARK, PAUSED_REPLICAS, RECORD
from aiops.core.pipeline.lane import Lane, wanted
from aiops.core.pipeline.planning import judge_again, plan_turn, plans_answered
from aiops.core.planning.saving import SavingPolicy
from aiops.core.record.codec import from_text, to_text
from aiops.policy import parse
from tests.fake_api import FakeApi, Refused

TICK_S = 15.0
HEADER = """
apiVersion: policy.aiops/v1alpha1
kind: CostPolicy
metadata: {name: nights, namespace: dev}
spec:
"""
NIGHTS = """
  mode: enforce
  target: {kinds: [Deployment, CronJob], every: true, maxTargets: 20}
  sleep:
    awake: [{schedule: "0 8 * * 1-5", duration: 12h, timeZone: UTC}]
    wakeAhead: 5m
"""


def at(text: str) -> float:
    """Return an instant of UTC, such as `2026-03-03 20:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


TUESDAY = at("2026-03-03 19:00")


def a_policy(spec: str = NIGHTS, *changes: tuple[str, str]) -> SavingPolicy:
    """Return the policy of a spec with some of its text replaced; each of it must be there."""
    for old, new in changes:
        assert old in spec, old
        spec = spec.replace(old, new)
    (policy,) = parse(HEADER + spec, "one.yaml").plans
    assert isinstance(policy, SavingPolicy)
    return policy


def ref(kind: str, name: str, api_version: str = "apps/v1") -> TargetRef:
    return TargetRef(namespace="dev", api_version=api_version, kind=kind, name=name)


WEB, API, DB = ref("Deployment", "web"), ref("Deployment", "api"), ref("StatefulSet", "db")
CRON = ref("CronJob", "report", "batch/v1")
HPA = ref("HorizontalPodAutoscaler", "api", "autoscaling/v2")
SCALED = ref("ScaledObject", "web", "keda.sh/v1alpha1")
PDB = ref("PodDisruptionBudget", "web", "policy/v1")
NAMESPACE = TargetRef(namespace="", api_version="v1", kind="Namespace", name="dev")

OLD = "2026-01-01T00:00:00Z"


def workload(replicas: int = 3, **metadata: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "main"}]}}
    return {
        "metadata": {"creationTimestamp": OLD, "generation": 1, **metadata},
        "spec": {"replicas": replicas, "template": template},
        "status": ready(replicas),
    }


def ready(replicas: int) -> dict[str, Any]:
    counts = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas", "readyReplicas"), replicas)
    return {"observedGeneration": 10**6, **counts}


def cron(suspend: bool = False) -> dict[str, Any]:
    return {"metadata": {"creationTimestamp": OLD}, "spec": {"schedule": "*/5 * * * *", "suspend": suspend}}


def hpa(least: int = 2, kind: str = "Deployment", name: str = "api") -> dict[str, Any]:
    aim = {"apiVersion": "apps/v1", "kind": kind, "name": name}
    return {"spec": {"minReplicas": least, "maxReplicas": 10, "scaleTargetRef": aim}}


def scaled(name: str = "web", **annotations: str) -> dict[str, Any]:
    return {"metadata": {"annotations": annotations}, "spec": {"scaleTargetRef": {"name": name}, "minReplicaCount": 1}}


@dataclass(slots=True)
class Cluster(FakeApi):
    """The API server with its controllers. slow: seconds until pods of a workload that was scaled up are ready."""

    now: float = TUESDAY
    slow: float = 0.0
    uids: int = 0
    _since: dict[str, float] = field(default_factory=dict)
    _shown: dict[TargetRef, tuple[dict[str, Any], SeenObject]] = field(default_factory=dict)

    def make(self, where: TargetRef, body: dict[str, Any]) -> TargetRef:
        """Make an object that was not there: it has an uid of its own."""
        self.uids += 1
        body.setdefault("metadata", {})["uid"] = f"uid-{where.name}-{self.uids}"
        return self.put(where, body)

    def delete(self, where: TargetRef) -> None:
        self.objects.pop(where, None)

    def value(self, where: TargetRef) -> Any:
        """Return what the object's own field holds."""
        body = self.objects[where]
        if where.kind == "CronJob":
            return body["spec"].get("suspend", False)
        if where.kind == "ScaledObject":
            return self.notes(where).get(PAUSED_REPLICAS, "")
        return body["spec"].get("replicas", 1)

    def notes(self, where: TargetRef) -> dict[str, str]:
        return dict(self.objects[where]["metadata"].get("annotations") or {})

    def record(self, where: TargetRef) -> dict[str, Any] | None:
        text = self.notes(where).get(RECORD)
        found: dict[str, Any] | None = None if text is None else json.loads(text)
        return found

    def edit(self, where: TargetRef, change: Callable[[dict[str, Any]], None]) -> None:
        """Change an object as a person would."""
        body = copy.deepcopy(self.objects[where])
        change(body)
        self.put(where, body)
        self.control()

    def scale(self, where: TargetRef, replicas: int) -> None:
        self.edit(where, lambda body: body["spec"].update(replicas=replicas))

    def annotate(self, where: TargetRef, **notes: str | None) -> None:
        def change(body: dict[str, Any]) -> None:
            kept = body["metadata"].setdefault("annotations", {})
            for name, text in notes.items():
                key = {"record": RECORD, "mark": MARK}.get(name, f"policy.aiops/{name.replace('_', '-')}")
                if text is None:
                    kept.pop(key, None)
                else:
                    kept[key] = text

        self.edit(where, change)

    def control(self) -> None:
        """Let autoscalers and the controllers of workloads do what they do."""
        for where, body in list(self.objects.items()):
            if where.kind == "HorizontalPodAutoscaler":
                self._autoscale(where, body)
            if where.kind == "ScaledObject":
                self._keda(where, body)
        for where, body in list(self.objects.items()):
            if where.kind in ("Deployment", "StatefulSet"):
                wanted_ = body["spec"].get("replicas", 1)
                have = (body.get("status") or {}).get("readyReplicas", 0)
                if have < wanted_ and self.slow:
                    since = self._since.setdefault(where.key, self.now)
                    if self.now - since < self.slow:
                        continue
                self._since.pop(where.key, None)
                if have != wanted_:
                    self.objects[where] = {**body, "status": ready(wanted_)}

    def _autoscale(self, where: TargetRef, body: dict[str, Any]) -> None:
        """Keep the bounds; a target without replicas is left alone (ScalingDisabled), but for a floor of 0."""
        aim = body["spec"]["scaleTargetRef"]
        target = ref(aim["kind"], aim["name"])
        known = self.objects.get(target)
        if known is None:
            return
        now, least = known["spec"].get("replicas", 1), body["spec"].get("minReplicas", 1)
        if now != 0 and now < least:
            self.put(target, {**known, "spec": {**known["spec"], "replicas": least}})

    def _keda(self, where: TargetRef, body: dict[str, Any]) -> None:
        target = ref("Deployment", body["spec"]["scaleTargetRef"]["name"])
        known = self.objects.get(target)
        if known is None:
            return
        paused = self.notes(where).get(PAUSED_REPLICAS)
        wish = int(paused) if paused else max(known["spec"]["replicas"], body["spec"].get("minReplicaCount", 0))
        if known["spec"]["replicas"] != wish:
            self.put(target, {**known, "spec": {**known["spec"], "replicas": wish}})

    def _settle(self, where: TargetRef, before: dict[str, Any]) -> None:
        del where
        del before
        self.control()

    def _seen(self, where: TargetRef, at_: float) -> SeenObject:
        """Return the object as of an instant; what was not written since is not copied again."""
        body = self.objects[where]
        known = self._shown.get(where)
        if known is None or known[0] is not body:
            known = self._shown[where] = (body, FakeApi._seen(self, where, at_))
        return replace(known[1], as_of=at_)


@dataclass
class Daemon:
    """A process that judges and acts. `state` is what it holds in memory, `journal` what is written down.

    lags: it is shown what it was shown the last time, as of then. beside: policies that are judged after the one.
    """

    cluster: Cluster
    policy: SavingPolicy | None = field(default_factory=a_policy)
    journal: LoopState = field(default_factory=LoopState)
    state: LoopState = field(default_factory=LoopState)
    values: dict[str, float | str] = field(default_factory=dict)
    pauses: list[Pause] = field(default_factory=list)
    freezes: list[Freeze] = field(default_factory=list)
    approvals: list[Approval] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    store_ok: bool = True
    ceiling: str = "enforce"
    namespaces: frozenset[str] = frozenset({"dev"})
    sent: list[tuple[float, str]] = field(default_factory=list)
    decision: Decision | None = None
    ahead: float = 0.0
    replayed: bool = True
    lags: bool = False
    beside: tuple[SavingPolicy, ...] = ()
    _looked: Looked | None = None

    @property
    def now(self) -> float:
        """Return the time by this process's clock."""
        return self.cluster.now + self.ahead

    def restart(self, *, without_store: bool = False) -> None:
        """Begin again from what was written down."""
        self.state = LoopState() if without_store else from_text(to_text(self.journal), LoopState)
        self.journal = self.state

    @property
    def policies(self) -> tuple[SavingPolicy, ...]:
        return (*(() if self.policy is None else (self.policy,)), *self.beside)

    def lane(self) -> Lane:
        answers = {
            name: Answered(value=value, newest_at=self.now) if isinstance(value, float) else Failed(error=value)
            for name, value in self.values.items()
        }
        policies = self.policies
        snapshot = Snapshot(
            at=self.now,
            answers={} if self.policy is None else {self.policy.key: answers},
            workloads={},
            leadership=Leadership(leader=True, epoch=1),
            scope=Scope(namespaces=self.namespaces, ceiling=Mode(self.ceiling)),
            store_ok=self.store_ok,
            pauses=tuple(self.pauses),
            freezes=tuple(self.freezes),
            approvals=tuple(self.approvals),
            orders=tuple(self.orders),
            looked=self._look(policies),
        )
        return Lane(policies=policies, elsewhere=frozenset(), snapshot=snapshot, tick_id=str(self.now), tick_s=TICK_S)

    def _look(self, policies: tuple[SavingPolicy, ...]) -> Looked:
        if not self.lags or self._looked is None:
            self._looked = self.cluster.look(wanted(policies, self.state), self.now)
        return self._looked

    def turn(self, dies: Callable[[str], bool] = lambda _: False) -> None:
        """Judge once and send what comes of it. dies: whether the process ends at a point, by the point's name."""
        lane = self.lane()
        made = plan_turn(self.state, lane)
        for decision in made.decisions:
            assert not decision.bug, decision.bug
            self.decision = decision
            if self.replayed:
                policy = next(one for one in self.policies if one.key == decision.policy)
                again = judge_again(policy, made.seen[policy.key])
                assert again.judgement == decision.judgement
        if dies("decided"):
            return self.restart()
        self.state = made.state
        self.journal = self.state
        results = {}
        for errand in made.errands:
            if dies("written"):
                return self.restart()
            results[errand.id] = tuple(self._perform(errand, step) for step in errand.steps)
            if dies("sent"):
                return self.restart()
        self.state = plans_answered(made.state, made.errands, results)
        self.journal = self.state
        return None

    def _perform(self, errand: Errand, step: Step) -> StepResult:
        try:
            self.cluster.apply(step)
        except Refused as err:
            return StepResult(action_id=errand.id, status=StepStatus.REFUSED, at=self.now, code=409, message=str(err))
        self.sent.append((self.now, step.summary))
        return StepResult(action_id=errand.id, status=StepStatus.DONE, at=self.now)

    def run(self, until: float, step_s: float = 900.0) -> None:
        """Let time pass, turn by turn."""
        while self.cluster.now < until:
            self.cluster.now = min(until, self.cluster.now + step_s)
            self.cluster.control()
            self.turn()
            for _ in range(3):
                self.cluster.now += TICK_S
                self.cluster.control()
                self.turn()

    @property
    def plans(self) -> list[Plan]:
        return [plan for _, plan in sorted(self.state.plans.items())]

    def standing(self) -> dict[str, Plan]:
        """Return the plans by which workloads rest, by the workload's name."""
        done = [one for one in self.plans if one.status is PlanStatus.DONE and one.touches_back]
        return {one.subject.rpartition("/")[2]: one for one in done}

    @property
    def said(self) -> Judgement:
        assert self.decision is not None
        assert self.decision.judgement is not None
        return self.decision.judgement

    def did(self) -> list[str]:
        return [summary for _, summary in self.sent]


def nights(
    spec: str = NIGHTS, *changes: tuple[str, str], objects: Mapping[TargetRef, dict[str, Any]] | None = None
) -> Daemon:
    """Return a daemon with the policy, over a namespace with a web, an api with an HPA, and a report."""
    cluster = Cluster()
    made = {WEB: workload(3), API: workload(4), HPA: hpa(), CRON: cron()} if objects is None else objects
    for where, body in made.items():
        cluster.make(where, copy.deepcopy(body))
    cluster.control()
    return Daemon(cluster=cluster, policy=a_policy(spec, *changes))
