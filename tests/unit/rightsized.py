"""A Deployment that a CostPolicy rightsizes, minute by minute: what is sent changes it as an API server would."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiops.core.model import (
    Answered,
    Approval,
    Decision,
    Leadership,
    LoopState,
    Plan,
    PriceBook,
    Priced,
    RightsizeState,
    Scope,
    Snapshot,
    StepResult,
    StepStatus,
    Table,
    TargetRef,
    UnitPrices,
    UsePast,
)
from aiops.core.pipeline.lane import Lane, wanted
from aiops.core.pipeline.planning import judge_again, plan_turn, plans_answered
from aiops.core.planning.cost_rightsize import RightsizePolicy
from aiops.core.record.codec import from_text, to_text
from aiops.policy import parse
from tests.fake_api import FakeApi

START, TICK_S = 1_700_006_400.0, 300.0
MIB = 2.0**20
TARGET = TargetRef(namespace="shop", name="checkout")
SPEC = """
apiVersion: policy.aiops/v1alpha1
kind: CostPolicy
metadata: {name: fleet, namespace: shop}
spec:
  mode: enforce
  target: {every: true, maxTargets: 5}
  rightsize:
    every: 300s
    history: 2d
    halfLife: 6h
    minHistory: 6h
    lowerAfter: 30m
    excludeContainers: [proxy]
    canary: {share: 25%, watchFor: 10m}
    watch: {watchFor: 20m, throttled: 5%}
    backOff: 2h
"""


def a_policy(*changes: tuple[str, str]) -> RightsizePolicy:
    """Return the policy with some of its text replaced; each of it must be there."""
    spec = SPEC
    for old, new in changes:
        assert old in spec, old
        spec = spec.replace(old, new)
    (policy,) = parse(spec, "fleet.yaml").plans
    assert isinstance(policy, RightsizePolicy)
    return policy


def of_kind(api_version: str, kind: str, name: str) -> TargetRef:
    return TargetRef(namespace="shop", api_version=api_version, kind=kind, name=name)


HPA = of_kind("autoscaling/v2", "HorizontalPodAutoscaler", "checkout")
VPA = of_kind("autoscaling.k8s.io/v1", "VerticalPodAutoscaler", "checkout")


def sizes(cpu: str = "4", memory: str = "4Gi", limit: str = "4Gi") -> dict[str, Any]:
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"memory": limit}}


@dataclass
class World:
    """One Deployment of four pods. cores, bytes: what a pod uses now. throttled: share of its periods."""

    policy: RightsizePolicy = field(default_factory=a_policy)
    cores: Callable[[str, float], float] = lambda _pod, _now: 0.2
    size: Callable[[str, float], float] = lambda _pod, _now: 300.0 * MIB
    throttled: Callable[[str, float], float] = lambda _pod, _now: 0.0
    resources: dict[str, Any] = field(default_factory=sizes)
    replicas: int = 4
    now: float = START
    state: LoopState = field(default_factory=LoopState)
    api: FakeApi = field(default_factory=FakeApi)
    signals: dict[str, float] = field(default_factory=dict)
    approvals: list[Approval] = field(default_factory=list)
    error: str = ""
    priced: bool = True
    sent: list[tuple[float, str]] = field(default_factory=list)
    made: int = 0
    decision: Decision | None = None
    pasts: dict[str, UsePast] = field(default_factory=dict)
    tick_s: float = TICK_S

    def __post_init__(self) -> None:
        self.api.put(TargetRef(namespace="", api_version="v1", kind="Namespace", name="shop"), _opted())
        containers = [{"name": "app", "image": "shop:1", "resources": self.resources}, {"name": "proxy"}]
        template = {"metadata": {"labels": {"app": "checkout"}}, "spec": {"containers": containers}}
        spec = {"replicas": self.replicas, "selector": {"matchLabels": {"app": "checkout"}}, "template": template}
        status = dict.fromkeys(("replicas", "updatedReplicas", "availableReplicas", "readyReplicas"), self.replicas)
        body = {"metadata": {"generation": 1}, "spec": spec, "status": {"observedGeneration": 1, **status}}
        self.api.put(TARGET, body)
        self._roll()

    # -- the cluster -------------------------------------------------------------------------------------

    def _roll(self) -> None:
        for ref in [one for one in self.api.objects if one.kind == "Pod"]:
            del self.api.objects[ref]
        for _ in range(self.replicas):
            self.new_pod()

    def new_pod(self) -> TargetRef:
        """Make a pod from the template."""
        self.made += 1
        spec = copy.deepcopy(self.api.objects[TARGET]["spec"]["template"]["spec"])
        statuses = [{"name": one["name"], "restartCount": 0} for one in spec["containers"]]
        body = {
            "metadata": {"labels": {"app": "checkout"}},
            "spec": spec,
            "status": {"phase": "Running", "containerStatuses": statuses},
        }
        return self.api.put(of_kind("v1", "Pod", f"checkout-{self.made:03d}"), body)

    @property
    def pods(self) -> list[TargetRef]:
        return sorted((one for one in self.api.objects if one.kind == "Pod"), key=lambda one: one.name)

    def kill(self, pod: TargetRef, reason: str = "OOMKilled") -> None:
        """Let a container be killed now."""
        ended = {"terminated": {"reason": reason, "exitCode": 137, "finishedAt": at(self.now)}}
        self.api.objects[pod]["status"]["containerStatuses"][0].update(restartCount=1, lastState=ended)

    def has(self, ref: TargetRef = TARGET) -> dict[str, Any]:
        """Return the sizes of the container, of the template or of a pod."""
        spec = self.api.objects[ref]["spec"]
        return dict((spec["template"]["spec"] if ref == TARGET else spec)["containers"][0]["resources"])

    # -- the loop ----------------------------------------------------------------------------------------

    def turn(self) -> Decision:
        self.now += self.tick_s
        lane = self.lane()
        made = plan_turn(self.state, lane)
        results = {}
        for errand in made.errands:
            if not errand.dry_run:
                self._apply(errand.steps)
            done = StepResult(action_id=errand.id, status=StepStatus.DONE, at=self.now)
            results[errand.id] = (done,) * len((*errand.steps, *errand.messages))
        self.state = from_text(to_text(plans_answered(made.state, made.errands, results)), LoopState)
        (decision,) = made.decisions
        assert not decision.bug, decision.bug
        assert judge_again(self.policy, made.seen[self.policy.key]).judgement == decision.judgement
        self.decision = decision
        return decision

    def _apply(self, steps: Any) -> None:
        for step in steps:
            self.sent.append((self.now - START, step.summary))
            before = copy.deepcopy(self.api.objects[step.target]["spec"])
            self.api.apply(step)
            if step.target == TARGET and self.api.objects[TARGET]["spec"] != before:
                self._roll()

    def run(self, seconds: float) -> Decision:
        decision = self.turn()
        for _ in range(int(seconds / self.tick_s) - 1):
            decision = self.turn()
        return decision

    def until(self, seen: Callable[[World], Any], within_s: float = 86_400.0) -> World:
        """Turn until something is seen."""
        for _ in range(int(within_s / self.tick_s)):
            self.turn()
            if seen(self):
                return self
        raise AssertionError(f"not within {within_s:.0f} s: {self.said}")

    def lane(self) -> Lane:
        asked = self.policy.tables(self.memory.learnt_at, self.now)
        answers = {name: Answered(value=value, newest_at=self.now) for name, value in self.signals.items()}
        units = UnitPrices(core_usd=0.03, gib_usd=0.004)
        quote = Priced(usd_per_hour=0.034, units=units, source="list", as_of=self.now)
        snapshot = Snapshot(
            at=self.now,
            answers={self.policy.key: answers},
            workloads={},
            leadership=Leadership(leader=True, epoch=1),
            scope=Scope(),
            approvals=tuple(self.approvals),
            looked=self.api.look(wanted((self.policy,), self.state), self.now),
            tables={self.policy.key: {name: self._table(name) for name in asked}} if asked else {},
            pasts=self.pasts,
            prices=PriceBook(replicas={TARGET.key: quote} if self.priced else {}),
        )
        return Lane(
            policies=(self.policy,), elsewhere=frozenset(), snapshot=snapshot, tick_id=str(self.now), tick_s=self.tick_s
        )

    def _table(self, name: str) -> Table:
        if self.error:
            return Table(error=self.error)
        read = {"cpu": self.cores, "memory": self.size, "throttled": self.throttled}[name]
        return Table(
            rows=tuple((pod.name, "app") for pod in self.pods),
            values=tuple(read(pod.name, self.now) for pod in self.pods),
        )

    # -- what became of it -------------------------------------------------------------------------------

    @property
    def memory(self) -> RightsizeState:
        found = self.state.savings.get(self.policy.key, RightsizeState())
        assert isinstance(found, RightsizeState)
        return found

    @property
    def plans(self) -> list[Plan]:
        return [plan for _, plan in sorted(self.state.plans.items())]

    @property
    def said(self) -> tuple[str, Any, str]:
        assert self.decision is not None
        judgement = self.decision.judgement
        assert judgement is not None
        return judgement.word.value, judgement.reason, judgement.detail

    def approve(self) -> None:
        (plan,) = [one for one in self.plans if one.status == "proposed"]
        self.approvals.append(Approval(ask_id=plan.id, approved=True, by="ann", at=self.now))


def _opted() -> dict[str, Any]:
    return {"metadata": {"labels": {"policy.aiops/managed": "true"}}}


def at(instant: float) -> str:
    """Return an instant as the API writes it."""
    return datetime.fromtimestamp(instant, UTC).isoformat().replace("+00:00", "Z")
