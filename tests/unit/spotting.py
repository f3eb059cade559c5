"""A Deployment with a companion on spot nodes, turn by turn: nodes come and go, pods start, an HPA acts."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiops.core.model import (
    Answered,
    Approval,
    Decision,
    Failed,
    Leadership,
    Looked,
    LoopState,
    Order,
    Pause,
    PriceBook,
    Priced,
    Reason,
    Scope,
    SeenObject,
    Snapshot,
    Step,
    StepResult,
    StepStatus,
    TargetRef,
    UnitPrices,
    Wanted,
)
from aiops.core.pipeline.lane import Lane, wanted
from aiops.core.pipeline.planning import judge_again, plan_turn, plans_answered
from aiops.core.planning.cost_spot import SpotPolicy
from aiops.core.record.codec import from_text, to_text
from aiops.policy import parse
from tests.plan_world import merged
from tests.unit.judged import Judged
from tests.unit.packed import a_node, a_pod, ref, seen
from tests.unit.remedied import chosen

START, TICK_S = 1_700_000_000.0, 15.0
STARTS_S = 30.0
BASE, SPOT = ref("Deployment", "web", "shop", "apps/v1"), ref("Deployment", "web-spot", "shop", "apps/v1")
HPA = ref("HorizontalPodAutoscaler", "web", "shop", "autoscaling/v2")
CAPACITY = "karpenter.sh/capacity-type"
HEADER = """
apiVersion: policy.aiops/v1alpha1
kind: CostPolicy
metadata: {name: spot, namespace: shop}
spec:
"""
SPEC = """
  mode: enforce
  target: {name: web}
  spot:
    lostReplicaHour: 2
    floorShare: 50%
    every: 5m
    watchFor: 60s
    fallback: {comeBack: 10m}
"""


def a_policy(spec: str = SPEC, *changes: tuple[str, str]) -> SpotPolicy:
    """Return the policy of a spec with some of its text replaced; each of it must be there."""
    for old, new in changes:
        assert old in spec, old
        spec = spec.replace(old, new)
    (policy,) = parse(HEADER + spec, "one.yaml").plans
    assert isinstance(policy, SpotPolicy)
    return policy


def a_deployment(of: TargetRef, replicas: int, **more: Any) -> SeenObject:
    """Return a Deployment. more: labels of its pods, node selector, annotations, metadata labels."""
    labels = more.get("labels", {"app": of.name})
    container = {"name": "main", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}
    spec = {"containers": [container], "nodeSelector": more.get("selector", {})}
    body = {
        "metadata": {"labels": more.get("marks", {}), "annotations": more.get("annotations", {})},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
        "status": {"readyReplicas": 0},
    }
    return seen(of, body)


@dataclass
class World(Judged):
    """Twelve replicas on demand, none on spot nodes; one node of each kind and zone has room for what asks for it.

    dry: no spot node is to be had; slow: nothing new becomes ready. needed: replicas that the load asks for, which an
    HPA follows (`hpa`: its least and most). Every turn carries its state as text, and is judged again from it.
    """

    policy: SpotPolicy = field(default_factory=a_policy)
    replicas: int = 12
    hpa: tuple[int, int] | None = None
    needed: int = 12
    zones: tuple[str, ...] = ("a", "b", "c")
    usd: Mapping[bool, float] = field(default_factory=lambda: {False: 0.04, True: 0.012})
    now: float = START
    state: LoopState = field(default_factory=LoopState)
    objects: dict[str, SeenObject] = field(default_factory=dict)
    values: dict[str, float | str] = field(default_factory=dict)
    errors: dict[str, tuple[Reason, str]] = field(default_factory=dict)
    approvals: list[Approval] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    pauses: tuple[Pause, ...] = ()
    sent: list[str] = field(default_factory=list)
    dry: bool = False
    slow: bool = False
    in_force: bool = True
    store_ok: bool = True
    rolling: int = 0
    made: int = 0
    ready_at: dict[str, float] = field(default_factory=dict)
    decision: Decision | None = None

    def __post_init__(self) -> None:
        self.put(seen(ref("Namespace", "shop"), {"metadata": {"labels": {"policy.aiops/managed": "true"}}}))
        self.put(a_deployment(BASE, self.replicas, selector={CAPACITY: "on-demand"}))
        self.put(a_deployment(SPOT, 0, selector={CAPACITY: "spot"}))
        for zone in self.zones:
            self.node(f"od-{zone}", zone)
            self.node(f"sp-{zone}", zone, spot=True)
        if self.hpa is not None:
            aim = {"kind": "Deployment", "name": "web"}
            spec = {"scaleTargetRef": aim, "minReplicas": self.hpa[0], "maxReplicas": self.hpa[1]}
            self.put(seen(HPA, {"spec": spec}))
        for _ in range(4):
            self._controllers()
            self.now += TICK_S

    # -- the cluster -----------------------------------------------------------------------------------

    def put(self, one: SeenObject) -> None:
        """Write an object, as somebody else would."""
        before = self.objects.get(one.ref.key)
        version = "1" if before is None else str(int(before.resource_version) + 1)
        self.objects[one.ref.key] = SeenObject(
            ref=one.ref, uid=one.uid, resource_version=version, as_of=self.now, body=copy.deepcopy(dict(one.body))
        )

    def node(self, name: str, zone: str, *, spot: bool = False, **more: Any) -> None:
        """Add a node, or change one."""
        kind = "spot" if spot else "on-demand"
        labels = {CAPACITY: kind, "node.kubernetes.io/instance-type": "m6i.large"}
        one = a_node(name, zone, cpu="64", labels=labels, **more)
        self.put(SeenObject(ref=one.ref, uid=f"{one.uid}-{self.made}", resource_version="", as_of=0.0, body=one.body))

    def change(self, of: TargetRef, patch: Mapping[str, Any]) -> None:
        """Change an object by a merge patch."""
        one = self.objects[of.key]
        self.put(SeenObject(ref=of, uid=one.uid, resource_version="", as_of=0.0, body=merged(one.body, patch)))

    def take(self, *zones: str) -> None:
        """Let the provider take the spot nodes of zones away, with all that runs on them."""
        for zone in zones:
            for name in [one.ref.name for one in self._of("Node") if one.ref.name.startswith(f"sp-{zone}")]:
                for pod in self._of("Pod"):
                    if pod.body["spec"]["nodeName"] == name:
                        del self.objects[pod.ref.key]
                del self.objects[ref("Node", name).key]

    def replicas_of(self, of: TargetRef) -> int:
        """Return what a Deployment asks for."""
        return int(self.objects[of.key].body["spec"]["replicas"])

    def ready(self, of: TargetRef) -> int:
        """Return how many pods of a Deployment are ready."""
        return sum(_ready(one) for one in self._pods(of))

    @property
    def split(self) -> tuple[int, int]:
        """Return the replicas on demand and on spot nodes."""
        return self.replicas_of(BASE), self.replicas_of(SPOT)

    @property
    def serving(self) -> int:
        """Return how many pods are ready, wherever they run."""
        return self.ready(BASE) + self.ready(SPOT)

    def notes(self, of: TargetRef) -> dict[str, str]:
        """Return the annotations of an object that are about shares."""
        found = self.objects[of.key].body["metadata"].get("annotations", {})
        return {name: text for name, text in found.items() if "spot" in name}

    def _of(self, kind: str) -> list[SeenObject]:
        return [one for one in self.objects.values() if one.ref.kind == kind]

    def _pods(self, of: TargetRef) -> list[SeenObject]:
        return [one for one in self._of("Pod") if one.body["metadata"]["labels"]["app"] == of.name]

    def _controllers(self) -> None:
        """Let the HPA scale, Deployments make their pods, nodes be made for those that wait, and pods start."""
        if self.hpa is not None:
            spec = self.objects[HPA.key].body["spec"]
            wished = min(max(self.needed - self.ready(SPOT), spec["minReplicas"]), spec["maxReplicas"])
            if wished != self.replicas_of(BASE):
                self.change(BASE, {"spec": {"replicas": wished}})
        for of in (BASE, SPOT):
            mine = self._pods(of)
            for _ in range(self.replicas_of(of) - len(mine)):
                self.made += 1
                self.put(a_pod(f"{of.name}-{self.made}", "", labels={"app": of.name}, metadata={}))
            for one in mine[self.replicas_of(of) :]:
                del self.objects[one.ref.key]
            self._start(of)
            updated = self.rolling if of == SPOT and self.rolling else self.replicas_of(of)
            self.change(of, {"status": {"readyReplicas": self.ready(of), "updatedReplicas": updated}})

    def _start(self, of: TargetRef) -> None:
        prefix = "sp-" if of == SPOT else "od-"
        for number, pod in enumerate(self._pods(of)):
            if not pod.body["spec"]["nodeName"]:
                zone = self.zones[number % len(self.zones)]
                if of == SPOT and not self.dry and ref("Node", f"sp-{zone}").key not in self.objects:
                    self.made += 1
                    self.node(f"sp-{zone}", zone, spot=True)
                nodes = sorted(one.ref.name for one in self._of("Node") if one.ref.name.startswith(prefix))
                if not nodes:
                    continue
                self.change(pod.ref, {"spec": {"nodeName": nodes[number % len(nodes)]}})
                self.ready_at[pod.ref.name] = self.now + STARTS_S
            elif not self.slow and self.now >= self.ready_at[pod.ref.name] and not _ready(pod):
                conditions = [{"type": "Ready", "status": "True"}]
                self.change(pod.ref, {"status": {"phase": "Running", "conditions": conditions}})

    def look(self, asked: Wanted) -> Looked:
        """Return what is asked for, and nothing else."""
        refs = {one.key for one in asked.objects}
        every = [
            SeenObject(ref=o.ref, uid=o.uid, resource_version=o.resource_version, as_of=self.now, body=o.body)
            for o in self.objects.values()
        ]
        return Looked(
            objects={one.ref.key: one for one in every if one.ref.key in refs and one.ref.key not in self.errors},
            selections={
                one.key: tuple(each for each in every if chosen(one, each))
                for one in asked.selections
                if one.key not in self.errors
            },
            errors=self.errors,
        )

    # -- the loop --------------------------------------------------------------------------------------

    def turn(self) -> Decision | None:
        """Let one tick go by."""
        self.now += TICK_S
        self._controllers()
        made = plan_turn(self.state, self.lane())
        results = {}
        for errand in made.errands:
            done = [self._perform(step, errand.id) for step in errand.steps]
            results[errand.id] = tuple(done)
        self.state = from_text(to_text(plans_answered(made.state, made.errands, results)), LoopState)
        if made.decisions:
            (decision,) = made.decisions
            assert not decision.bug, decision.bug
            again = judge_again(self.policy, made.seen[self.policy.key])
            assert again.judgement == decision.judgement
            self.decision = decision
        return self.decision

    def _perform(self, step: Step, errand: str) -> StepResult:
        one = self.objects[step.target.key]
        if (step.uid, step.resource_version) != (one.uid, one.resource_version):
            return StepResult(action_id=errand, status=StepStatus.REFUSED, at=self.now, code=409, message="modified")
        self.sent.append(step.summary)
        self.change(step.target, step.body)
        return StepResult(action_id=errand, status=StepStatus.DONE, at=self.now)

    def run(self, seconds: float) -> None:
        """Let some time go by."""
        for _ in range(int(seconds / TICK_S)):
            self.turn()

    def until(self, spot: int, within_s: float = 7200.0) -> None:
        """Let time go by until so many replicas are on spot nodes, and nothing is at work."""
        for _ in range(int(within_s / TICK_S)):
            self.turn()
            if self.replicas_of(SPOT) == spot and all(one.status.ended for one in self.plans):
                return
        raise AssertionError(f"not {spot} on spot nodes but {self.split}: {self.said}")

    def lane(self) -> Lane:
        """Return what is seen and judged at this instant."""
        policies = (self.policy,) if self.in_force else ()
        answers = {
            name: Answered(value=value, newest_at=self.now) if isinstance(value, float) else Failed(error=value)
            for name, value in self.values.items()
        }
        snapshot = Snapshot(
            at=self.now,
            answers={self.policy.key: answers},
            workloads={},
            leadership=Leadership(leader=True, epoch=1),
            scope=Scope(),
            store_ok=self.store_ok,
            approvals=tuple(self.approvals),
            orders=tuple(self.orders),
            pauses=self.pauses,
            prices=self.book(),
            looked=self.look(wanted((self.policy,), self.state)),
        )
        return Lane(policies=policies, elsewhere=frozenset(), snapshot=snapshot, tick_id=str(self.now), tick_s=TICK_S)

    def book(self) -> PriceBook:
        """Return what nodes and replicas cost: a core, and memory for nothing."""

        def priced(usd: float) -> Priced:
            units = UnitPrices(core_usd=usd, gib_usd=0.0)
            return Priced(usd_per_hour=usd, source="list", as_of=self.now, units=units)

        kinds = {one.ref.name: one.body["metadata"]["labels"].get(CAPACITY) == "spot" for one in self._of("Node")}
        nodes = {f"default/{name}": priced(self.usd[kind]) for name, kind in kinds.items() if kind in self.usd}
        replicas = {of.key: priced(self.usd[kind]) for of, kind in ((BASE, False), (SPOT, True)) if kind in self.usd}
        return PriceBook(nodes=nodes, replicas=replicas)


def _ready(pod: SeenObject) -> bool:
    return bool(pod.body["status"]["conditions"][0]["status"] == "True" and pod.body["spec"]["nodeName"])
