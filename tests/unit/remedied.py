"""A workload on nodes that a RemediationPolicy looks after, turn by turn: what is sent changes it as it would."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from aiops.core.model import (
    Alert,
    AlertStatus,
    Answer,
    Answered,
    Approval,
    BlastRadius,
    CallWebhook,
    Coverage,
    Decision,
    Failed,
    Finding,
    Fleet,
    Leadership,
    Looked,
    LoopState,
    NoSeries,
    Notify,
    Plan,
    Reason,
    Scaling,
    Scope,
    SeenObject,
    Selection,
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
from aiops.core.planning.remediation import RemediationPolicy
from aiops.core.record.codec import from_text, to_text
from aiops.policy import parse
from tests.plan_world import merged

START, TICK_S = 1_700_000_000.0, 15.0
TARGET = TargetRef(namespace="shop", name="checkout")
HEADER = """
apiVersion: policy.aiops/v1alpha1
kind: RemediationPolicy
metadata: {name: checkout, namespace: shop}
spec:
"""
CRASHES = """
  mode: enforce
  target: {name: checkout}
  when: [{condition: CrashLoop}]
  forAtLeast: 60s
  ladder:
    - {do: restart, within: 3m}
    - {do: rollback, within: 3m}
    - {do: page}
"""

NODES_SPEC = """
  mode: enforce
  nodes: {minHealthy: 51%, stormExitDelay: 5m, healthyDelay: 5m}
  when: [{condition: NodeNotReady}]
  forAtLeast: 60s
  ladder:
    - {do: drain, within: 3m}
    - {do: page}
"""


def a_policy(spec: str = CRASHES, *changes: tuple[str, str]) -> RemediationPolicy:
    """Return the policy of a spec with some of its text replaced; each of it must be there."""
    for old, new in changes:
        assert old in spec, old
        spec = spec.replace(old, new)
    (policy,) = parse(HEADER + spec, "one.yaml").plans
    assert isinstance(policy, RemediationPolicy)
    return policy


def of_kind(api_version: str, kind: str, name: str, namespace: str = "shop") -> TargetRef:
    """Return an object of the default cluster."""
    return TargetRef(namespace=namespace, api_version=api_version, kind=kind, name=name)


def node(name: str) -> TargetRef:
    """Return a node."""
    return of_kind("v1", "Node", name, "")


@dataclass
class World:
    """A Deployment of two revisions with three pods, on three nodes. values: what signals answer, a text fails.

    A signal whose value is None has no series; coverage: how much of each is there. deaf: messages reach nobody.

    crashing: whether a pod of a revision on a node crashes. Every turn carries its state as text, and is judged again
    from what is stored of it.
    """

    policy: RemediationPolicy = field(default_factory=a_policy)
    now: float = START
    state: LoopState = field(default_factory=LoopState)
    objects: dict[str, tuple[TargetRef, dict[str, Any]]] = field(default_factory=dict)
    crashing: Callable[[str, str], bool] = lambda _revision, _node: False
    values: dict[str, float | str | None] = field(default_factory=dict)
    coverage: dict[str, Coverage] = field(default_factory=dict)
    deaf: bool = False
    alerts: list[Alert] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    scalings: list[Scaling] = field(default_factory=list)
    approvals: list[Approval] = field(default_factory=list)
    errors: dict[str, tuple[Reason, str]] = field(default_factory=dict)
    sent: list[tuple[float, str]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    posted: list[CallWebhook] = field(default_factory=list)
    nodes: tuple[str, ...] = ("n1", "n2", "n3")
    blast: BlastRadius = field(default_factory=BlastRadius)
    fleet: Fleet = field(default_factory=Fleet)
    made: int = 0
    decision: Decision | None = None

    def __post_init__(self) -> None:
        opted = {"metadata": {"labels": {"policy.aiops/managed": "true"}}}
        self.put(of_kind("v1", "Namespace", "shop", ""), opted)
        for name in self.nodes:
            self.put(node(name), {**copy.deepcopy(opted), "spec": {}, "status": ready("True")})
        template = {"metadata": {"labels": {"app": "checkout"}}, "spec": {"containers": [{"name": "c", "image": "1"}]}}
        selector = {"matchLabels": {"app": "checkout"}}
        spec = {"replicas": 3, "selector": selector, "template": template}
        self.put(TARGET, {"metadata": {"generation": 1}, "spec": spec, "status": {}})
        self.roll_out()
        self.patch(TARGET, {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "2"}]}}}})

    # -- the cluster -----------------------------------------------------------------------------------

    def put(self, ref: TargetRef, body: Mapping[str, Any]) -> None:
        self.objects[ref.key] = (ref, copy.deepcopy(dict(body)))

    def body(self, ref: TargetRef) -> dict[str, Any]:
        return self.objects[ref.key][1]

    def patch(self, ref: TargetRef, patch: Mapping[str, Any]) -> None:
        before = self.body(ref)
        after = merged(before, patch)
        self.put(ref, after)
        if ref == TARGET and after["spec"]["template"] != before["spec"]["template"]:
            self.roll_out()

    def roll_out(self) -> None:
        """Make the template's revision the newest, and pods of it in place of those that are there."""
        deployment = self.body(TARGET)
        template = deployment["spec"]["template"]
        sets = [one for _, one in self.objects.values() if one.get("kind") == "ReplicaSet"]
        known = next((one for one in sets if one["template"] == template), None)
        number = str(1 + len(sets)) if known is None else max(self._number(one) for one in sets) + 1
        revision = f"r{len(sets) + 1}" if known is None else known["metadata"]["labels"]["pod-template-hash"]
        for one in sets:
            one["spec"]["replicas"] = 0
        metadata = {
            "labels": {"app": "checkout", "pod-template-hash": revision},
            "annotations": {"deployment.kubernetes.io/revision": str(number)},
            "ownerReferences": [{"kind": "Deployment", "uid": "uid-checkout", "controller": True}],
        }
        labelled = merged(template, {"metadata": {"labels": {"pod-template-hash": revision}}})
        body = {"kind": "ReplicaSet", "template": template, "metadata": metadata}
        body["spec"] = {"replicas": 3, "template": labelled}
        self.put(of_kind("apps/v1", "ReplicaSet", f"checkout-{revision}"), body)
        for key, (ref, _) in list(self.objects.items()):
            if ref.kind == "Pod":
                del self.objects[key]
        for _ in range(3):
            self.pod(revision)
        generation = deployment["metadata"]["generation"] + 1
        deployment["metadata"]["generation"] = generation
        deployment["status"] = {
            "observedGeneration": generation,
            "replicas": 3,
            "updatedReplicas": 3,
            "readyReplicas": 3,
            "availableReplicas": 3,
        }

    def _number(self, replica_set: Mapping[str, Any]) -> int:
        return int(replica_set["metadata"]["annotations"]["deployment.kubernetes.io/revision"])

    def pod(self, revision: str) -> None:
        """Make one pod on the next node that takes pods."""
        free = [name for name in self.nodes if not self.body(node(name))["spec"].get("unschedulable")]
        self.made += 1
        where = free[self.made % len(free)]
        owner = {"kind": "ReplicaSet", "uid": f"uid-checkout-{revision}", "controller": True}
        metadata = {
            "labels": {"app": "checkout", "pod-template-hash": revision},
            "ownerReferences": [owner],
        }
        body = {"metadata": metadata, "spec": {"nodeName": where}, "status": {"phase": "Running", **ready("True")}}
        self.put(of_kind("v1", "Pod", f"checkout-{revision}-{self.made}"), body)

    def pods(self) -> list[dict[str, Any]]:
        return [body for ref, body in self.objects.values() if ref.kind == "Pod"]

    def not_ready(self, *names: str) -> None:
        """Let these nodes be lost, and the others be well."""
        for name in self.nodes:
            self.body(node(name))["status"] = ready("Unknown" if name in names else "True")

    def look(self, asked: Wanted) -> Looked:
        """Return what is asked for, and nothing else."""
        refs = {ref.key for ref in asked.objects}
        every = [self._seen(ref, body) for ref, body in self.objects.values()]
        return Looked(
            objects={one.ref.key: one for one in every if one.ref.key in refs and one.ref.key not in self.errors},
            selections={
                one.key: tuple(each for each in every if chosen(one, each))
                for one in asked.selections
                if one.key not in self.errors
            },
            errors=self.errors,
        )

    def _seen(self, ref: TargetRef, body: Mapping[str, Any]) -> SeenObject:
        version = str(abs(hash(to_text(dict(body)))))
        return SeenObject(
            ref=ref, uid=f"uid-{ref.name}", resource_version=version, as_of=self.now, body=copy.deepcopy(body)
        )

    def _perform(self, step: Step) -> None:
        self.sent.append((self.now - START, step.summary))
        if step.verb is Verb.CREATE and step.subresource == "eviction":
            gone = self.objects.pop(step.target.key)[1]
            self.pod(gone["metadata"]["labels"]["pod-template-hash"])
        elif step.verb is Verb.CREATE:
            self.put(step.target, {**step.body, "status": {"conditions": [{"type": "Complete", "status": "True"}]}})
        else:
            self.patch(step.target, step.body)

    # -- the loop --------------------------------------------------------------------------------------

    def turn(self) -> Decision:
        self.now += TICK_S
        for body in self.pods():
            revision = body["metadata"]["labels"]["pod-template-hash"]
            crashes = self.crashing(revision, body["spec"]["nodeName"])
            body["status"] = {"phase": "Running", **ready("False" if crashes else "True")}
            if crashes:
                waiting = {"name": "c", "restartCount": 4, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
                body["status"]["containerStatuses"] = [waiting]
        lane = self._lane()
        made = plan_turn(self.state, lane)
        results = {}
        for errand in made.errands:
            for step in errand.steps:
                self._perform(step)
            for message in errand.messages:
                if isinstance(message.operation, Notify):
                    self.told.append(message.operation.title)
                    self.texts.append(message.operation.text)
                elif isinstance(message.operation, CallWebhook):
                    self.posted.append(message.operation)
            done = StepResult(action_id=errand.id, status=StepStatus.DONE, at=self.now)
            heard = replace(done, status=StepStatus.REFUSED, code=404, message="no such channel") if self.deaf else done
            results[errand.id] = (*(done for _ in errand.steps), *(heard for _ in errand.messages))
        self.state = from_text(to_text(plans_answered(made.state, made.errands, results)), LoopState)
        (decision,) = made.decisions
        assert not decision.bug, decision.bug
        again = judge_again(self.policy, made.seen[self.policy.key])
        assert again.judgement == decision.judgement
        self.decision = decision
        return decision

    def run(self, seconds: float) -> Decision:
        decision = self.turn()
        for _ in range(int(seconds / TICK_S) - 1):
            decision = self.turn()
        return decision

    def _answer(self, name: str, value: float | str | None) -> Answer:
        if value is None:
            return NoSeries()
        if isinstance(value, str):
            return Failed(error=value)
        return Answered(value=value, newest_at=self.now, coverage=self.coverage.get(name))

    def _lane(self) -> Lane:
        answers = {name: self._answer(name, value) for name, value in self.values.items()}
        snapshot = Snapshot(
            at=self.now,
            answers={self.policy.key: answers},
            workloads={},
            leadership=Leadership(leader=True, epoch=1),
            scope=Scope(blast=self.blast),
            alerts=tuple(self.alerts),
            approvals=tuple(self.approvals),
            looked=self.look(wanted((self.policy,), self.state)),
        )
        return Lane(
            policies=(self.policy,),
            elsewhere=frozenset(),
            snapshot=snapshot,
            tick_id=str(self.now),
            tick_s=TICK_S,
            findings=tuple(self.findings),
            scalings=tuple(self.scalings),
            fleet=self.fleet,
        )

    @property
    def plans(self) -> list[Plan]:
        return [plan for _, plan in sorted(self.state.plans.items())]

    @property
    def said(self) -> tuple[str, Reason | None, str]:
        """Return what was said last: word, reason, sentence."""
        assert self.decision is not None
        judgement = self.decision.judgement
        assert judgement is not None
        return judgement.word.value, judgement.reason, judgement.detail

    def did(self) -> list[str]:
        """Return what was sent, in order."""
        return [summary for _, summary in self.sent]

    def approve(self, by: str = "ann") -> None:
        """Say yes to the proposal that stands."""
        (plan,) = [one for one in self.plans if one.status == "proposed"]
        self.approvals.append(Approval(ask_id=plan.id, approved=True, by=by, at=self.now))


def ready(status: str) -> dict[str, Any]:
    """Return the conditions of a pod or a node."""
    return {"conditions": [{"type": "Ready", "status": status}]}


def chosen(selection: Selection, seen: SeenObject) -> bool:
    """Return whether a selection chooses an object."""
    ref, labels = seen.ref, (seen.body.get("metadata") or {}).get("labels") or {}
    if (ref.kind, ref.api_version) != (selection.kind, selection.api_version):
        return False
    if selection.namespace not in ("", ref.namespace):
        return False
    if selection.field and seen.body["spec"].get("nodeName") != selection.field.removeprefix("spec.nodeName="):
        return False
    return all(labels.get(key) == value for key, value in selection.labels.items())


def firing(name: str = "CheckoutErrors", since: float = START, **labels: str) -> Alert:
    """Return an alert that fires."""
    return Alert(
        fingerprint=f"f-{name}",
        name=name,
        labels={"alertname": name, **labels},
        status=AlertStatus.FIRING,
        starts_at=since,
        ends_at=float("inf"),
        seen_at=since,
    )


def at(instant: float) -> str:
    """Return an instant as the API writes it."""
    return datetime.fromtimestamp(instant, UTC).isoformat().replace("+00:00", "Z")
