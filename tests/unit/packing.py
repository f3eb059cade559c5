"""A cluster that a CostPolicy packs, turn by turn: evicted pods are made again and placed by a scheduler of its own."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiops.core.model import (
    Answered,
    Approval,
    BlastRadius,
    Decision,
    Failed,
    Leadership,
    Looked,
    LoopState,
    Notify,
    Order,
    Plan,
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
    Verb,
    Wanted,
)
from aiops.core.pipeline.lane import Lane, wanted
from aiops.core.pipeline.planning import judge_again, plan_turn, plans_answered
from aiops.core.planning.cost_pack import PackPolicy
from aiops.core.record.codec import from_text, to_text
from aiops.policy import parse
from tests.plan_world import merged
from tests.unit.judged import Judged
from tests.unit.packed import a_node, a_pod, ref
from tests.unit.remedied import chosen

START, TICK_S = 1_700_000_000.0, 15.0
HEADER = """
apiVersion: policy.aiops/v1alpha1
kind: CostPolicy
metadata: {name: pack, namespace: platform}
spec:
"""
SPEC = """
  mode: enforce
  pack:
    calmFor: 60s
    deletedBy: ClusterAutoscaler
    watchFor: 60s
"""
SIGNAL = """
  signals: {errors: {query: "sum(rate(errors_total[1m]))", unit: "1"}}
"""


def a_policy(spec: str = SPEC, *changes: tuple[str, str]) -> PackPolicy:
    """Return the policy of a spec with some of its text replaced; each of it must be there."""
    for old, new in changes:
        assert old in spec, old
        spec = spec.replace(old, new)
    (policy,) = parse(HEADER + spec, "one.yaml").plans
    assert isinstance(policy, PackPolicy)
    return policy


@dataclass
class World(Judged):
    """Four nodes of 4 cores; ReplicaSets by name with how many pods they want and what each asks for.

    usd: what a node costs, by its name. stuck: whether new pods never become ready; removes: whether empty nodes are
    deleted by their autoscaler. Every turn carries its state as text, and is judged again from what is stored of it.
    """

    policy: PackPolicy = field(default_factory=a_policy)
    sets: dict[str, tuple[int, str]] = field(default_factory=lambda: {"web": (4, "1"), "api": (2, "500m")})
    usd: dict[str, float] = field(default_factory=dict)
    now: float = START
    state: LoopState = field(default_factory=LoopState)
    objects: dict[str, SeenObject] = field(default_factory=dict)
    values: dict[str, float | str] = field(default_factory=dict)
    errors: dict[str, tuple[Reason, str]] = field(default_factory=dict)
    approvals: list[Approval] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    blast: BlastRadius = field(default_factory=lambda: BlastRadius(nodes_ratio=0.5))
    protects: dict[str, frozenset[str]] = field(default_factory=dict)
    stuck: bool = False
    removes: bool = False
    made: int = 0
    decision: Decision | None = None

    def __post_init__(self) -> None:
        for name in ("n1", "n2", "n3", "n4"):
            self.put(a_node(name))
        self.place(("web", "n1"), ("web", "n1"), ("web", "n2"), ("web", "n3"), ("api", "n2"), ("api", "n4"))

    # -- the cluster -----------------------------------------------------------------------------------

    def put(self, one: SeenObject) -> None:
        """Write an object, as somebody else would."""
        before = self.objects.get(one.ref.key)
        version = "1" if before is None else str(int(before.resource_version) + 1)
        self.objects[one.ref.key] = SeenObject(
            ref=one.ref, uid=one.uid, resource_version=version, as_of=self.now, body=copy.deepcopy(dict(one.body))
        )

    def change(self, of: TargetRef, patch: Mapping[str, Any]) -> None:
        """Change an object by a merge patch."""
        one = self.objects[of.key]
        self.put(SeenObject(ref=of, uid=one.uid, resource_version="", as_of=0.0, body=merged(one.body, patch)))

    def node(self, name: str, **more: Any) -> None:
        """Change a node: anything that `a_node` takes."""
        self.put(a_node(name, **more))

    def place(self, *pods: tuple[str, str]) -> None:
        """Make pods of ReplicaSets on nodes, '' for one that waits."""
        for of, node in pods:
            self.made += 1
            at = datetime.fromtimestamp(self.now, UTC).isoformat()
            cpu = self.sets[of][1]
            name = f"{of}-{self.made}"
            self.put(a_pod(name, node, cpu, by=of, labels={"app": of}, metadata={"creationTimestamp": at}))

    def pods(self, node: str = "") -> list[str]:
        """Return the names of the pods on a node, of all where none is named."""
        every = [one for one in self.objects.values() if one.ref.kind == "Pod"]
        return sorted(one.ref.name for one in every if node in ("", one.body["spec"].get("nodeName")))

    def cordoned(self) -> list[str]:
        """Return the names of the nodes that take no pods."""
        every = [one for one in self.objects.values() if one.ref.kind == "Node"]
        return sorted(one.ref.name for one in every if one.body["spec"].get("unschedulable"))

    def _controllers(self) -> None:
        """Let ReplicaSets make their pods, a scheduler place them, kubelets start them, an autoscaler delete nodes."""
        for name, (replicas, _) in self.sets.items():
            of = ref("ReplicaSet", name, "shop", "apps/v1")
            self.objects[of.key] = SeenObject(
                ref=of, uid=f"uid-{name}", resource_version="1", as_of=self.now, body={"spec": {"replicas": replicas}}
            )
            mine = [one for one in self.pods() if one.startswith(f"{name}-")]
            for _ in range(replicas - len(mine)):
                self.place((name, ""))
            for one in mine[replicas:]:
                del self.objects[ref("Pod", one, "shop").key]
        self._kubelets()
        if self.removes:
            for name in self.cordoned():
                if not self.pods(name):
                    del self.objects[ref("Node", name).key]

    def _kubelets(self) -> None:
        for one in [each for each in self.objects.values() if each.ref.kind == "Pod"]:
            node = one.body["spec"].get("nodeName")
            if not node:
                node = self._scheduled(one)
                if node:
                    self.change(one.ref, {"spec": {"nodeName": node}})
            elif not self.stuck and one.body["status"]["conditions"][0]["status"] != "True":
                ready = [{"type": "Ready", "status": "True"}]
                self.change(one.ref, {"status": {"phase": "Running", "conditions": ready}})

    def _scheduled(self, pod: SeenObject) -> str:
        """Return the first node by name with enough cores, '' where none has."""
        wanted = _cores(pod)
        for one in sorted(self.objects.values(), key=lambda each: each.ref.name):
            if one.ref.kind != "Node" or one.body["spec"].get("unschedulable"):
                continue
            used = sum(_cores(self.objects[ref("Pod", name, "shop").key]) for name in self.pods(one.ref.name))
            if used + wanted <= float(one.body["status"]["allocatable"]["cpu"]):
                return one.ref.name
        return ""

    def look(self, asked: Wanted) -> Looked:
        """Return what is asked for, and nothing else."""
        refs = {one.key for one in asked.objects}
        every = [
            SeenObject(ref=o.ref, uid=o.uid, resource_version=o.resource_version, as_of=self.now, body=o.body)
            for o in copy.deepcopy(list(self.objects.values()))
        ]
        return Looked(
            objects={one.ref.key: one for one in every if one.ref.key in refs and one.ref.key not in self.errors},
            selections={
                one.key: tuple(each for each in every if _chosen(one, each))
                for one in asked.selections
                if one.key not in self.errors
            },
            errors=self.errors,
        )

    def _perform(self, step: Step) -> None:
        self.sent.append(step.summary)
        if step.verb is Verb.CREATE and step.subresource == "eviction":
            del self.objects[step.target.key]
        else:
            self.change(step.target, step.body)

    # -- the loop --------------------------------------------------------------------------------------

    def turn(self) -> Decision:
        """Let one tick go by."""
        self.now += TICK_S
        self._controllers()
        made = plan_turn(self.state, self._lane())
        results = {}
        for errand in made.errands:
            for step in errand.steps:
                self._perform(step)
            self.told += [one.operation.title for one in errand.messages if isinstance(one.operation, Notify)]
            done = StepResult(action_id=errand.id, status=StepStatus.DONE, at=self.now)
            results[errand.id] = (done,) * len((*errand.steps, *errand.messages))
        self.state = from_text(to_text(plans_answered(made.state, made.errands, results)), LoopState)
        (decision,) = made.decisions
        assert not decision.bug, decision.bug
        again = judge_again(self.policy, made.seen[self.policy.key])
        assert again.judgement == decision.judgement
        self.decision = decision
        return decision

    def run(self, seconds: float) -> Decision:
        """Let some time go by."""
        decision = self.turn()
        for _ in range(int(seconds / TICK_S) - 1):
            decision = self.turn()
        return decision

    def until(self, status: str, within_s: float = 3600.0) -> Plan:
        """Let time go by until the newest plan has this status."""
        for _ in range(int(within_s / TICK_S)):
            self.turn()
            if self.plans and self.plans[-1].status == status:
                return self.plans[-1]
        raise AssertionError(f"no plan became {status}: {self.said}, {[plan.status.value for plan in self.plans]}")

    def _lane(self) -> Lane:
        answers = {
            name: Answered(value=value, newest_at=self.now) if isinstance(value, float) else Failed(error=value)
            for name, value in self.values.items()
        }
        nodes = {
            f"default/{name}": Priced(usd_per_hour=usd, source="list", as_of=self.now) for name, usd in self.usd.items()
        }
        snapshot = Snapshot(
            at=self.now,
            answers={self.policy.key: answers},
            workloads={},
            leadership=Leadership(leader=True, epoch=1),
            scope=Scope(blast=self.blast, **self.protects),
            approvals=tuple(self.approvals),
            orders=tuple(self.orders),
            prices=PriceBook(nodes=nodes),
            looked=self.look(wanted((self.policy,), self.state)),
        )
        return Lane(
            policies=(self.policy,), elsewhere=frozenset(), snapshot=snapshot, tick_id=str(self.now), tick_s=TICK_S
        )


def _cores(pod: SeenObject) -> float:
    text = pod.body["spec"]["containers"][0]["resources"]["requests"]["cpu"]
    return float(text[:-1]) / 1000.0 if text.endswith("m") else float(text)


def _chosen(selection: Any, one: SeenObject) -> bool:
    if selection.field.startswith("spec.nodeName="):
        on = one.body.get("spec", {}).get("nodeName")
        return one.ref.kind == "Pod" and selection.field == f"spec.nodeName={on}"
    return chosen(selection, one)
