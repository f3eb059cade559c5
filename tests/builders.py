"""Small values with sensible defaults, so that a test says only what it is about."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

from aiops.core.guard import GuardContext
from aiops.core.model import (
    Action,
    Answer,
    Answered,
    Expectation,
    FieldOwner,
    Forecast,
    Hpa,
    Leadership,
    Mode,
    Need,
    OwnerKind,
    Proposal,
    Scale,
    Scope,
    Signal,
    SignalState,
    Snapshot,
    TargetRef,
    TargetState,
    Workload,
    stricter,
)
from aiops.core.policies import (
    Bounds,
    Lever,
    Limits,
    Objective,
    RatePolicy,
    RateUnit,
    ScalingPolicy,
    ScalingRules,
    Select,
    SignalQuery,
    SignalSpec,
    Slo,
    Verification,
)
from aiops.policy import parse

NOW = 1_772_450_000.0
KEY = "ScalingPolicy/shop/checkout"
TARGET = TargetRef(namespace="shop", name="checkout")


def spec(name: str = "demand", **changes: Any) -> SignalSpec:
    query = SignalQuery(policy=KEY, name=name, expr=f"sum({name})", age_exprs=("a",), coverage_exprs=("c",))
    return replace(SignalSpec(query=query, unit="req/s", max_age_s=90.0), **changes)


def rules(window_s: float = 0.0, tolerance: float = 0.0, **changes: Any) -> ScalingRules:
    wide = (RatePolicy(unit=RateUnit.PERCENT, value=100, period_s=15.0),)
    made = ScalingRules(stabilisation_s=window_s, rates=wide, select=Select.MAX, tolerance_ratio=tolerance)
    return replace(made, **changes)


def policy(**changes: Any) -> ScalingPolicy:
    made = ScalingPolicy(
        key=KEY,
        digest="d",
        document="{}",
        origin="test",
        mode=Mode.ENFORCE,
        target=TARGET,
        lever=Lever.REPLICAS,
        signals={"demand": spec(), "latency": spec("latency")},
        objective=Objective(
            demand="demand", per_replica=50.0, slo=Slo(signal="latency", at_most=0.25, target_ratio=0.995)
        ),
        forecast=None,
        bounds=Bounds(min_replicas=2, max_replicas=40),
        up=rules(),
        down=rules(),
        limits=Limits(cooldown_out_s=0.0, cooldown_in_s=0.0, changes_per_hour=60),
        verify=Verification(within_s=300.0),
    )
    return replace(made, **changes)


def loaded(name: str = "checkout", mode: str = "enforce", **spec: Any) -> ScalingPolicy:
    """Return a policy as the language makes it, with its document and its hashes."""
    written = {
        "mode": mode,
        "target": {"name": name},
        "signals": {"demand": {"query": f"sum(rate(requests_total{{service='{name}'}}[1m]))"}},
        "objective": {"demand": "demand", "perReplica": 50},
        "bounds": {"minReplicas": 2, "maxReplicas": 40},
        **spec,
    }
    document = {
        "apiVersion": "policy.aiops/v1alpha1",
        "kind": "ScalingPolicy",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": written,
    }
    return parse(json.dumps(document), "test").scaling[0]


def hpa(**changes: Any) -> Hpa:
    made = Hpa(name="checkout", uid="h", resource_version="7", min_replicas=4, max_replicas=30, desired_replicas=6)
    return replace(made, **changes)


def workload(**changes: Any) -> Workload:
    made = Workload(
        ref=TARGET,
        uid="u",
        resource_version="1",
        as_of=NOW,
        replicas=8,
        ready=8,
        opted_in=True,
        startup_s=(50.0, 60.0, 70.0),
    )
    return replace(made, **changes)


def owner(kind: OwnerKind, at: float | None = None, field: str = "replicas") -> FieldOwner:
    return FieldOwner(field=field, kind=kind, manager=kind.value, at=at)


def answer(value: float, age_s: float = 5.0, **changes: Any) -> Answered:
    return replace(Answered(value=value, newest_at=NOW - age_s), **changes)


def snapshot(demand: Answer | None = None, latency: Answer | None = None, **changes: Any) -> Snapshot:
    answers = {KEY: {"demand": demand or answer(390.0), "latency": latency or answer(0.1)}}
    made = Snapshot(
        at=NOW,
        answers=answers,
        workloads={TARGET.key: workload()},
        leadership=Leadership(leader=True, epoch=1),
        scope=Scope(),
    )
    return replace(made, **changes)


def with_workload(**changes: Any) -> Snapshot:
    return snapshot(workloads={TARGET.key: workload(**changes)})


def signal(name: str = "demand", value: float = 390.0, state: SignalState = SignalState.VALUE) -> Signal:
    usable = state is SignalState.VALUE
    return Signal(name=name, state=state, value=value if usable else math.nan, age_s=5.0, detail="" if usable else "x")


def need(**changes: Any) -> Need:
    made = Need(
        reactive=8,
        forecast=None,
        demand=390.0,
        demand_ahead=None,
        capacity=50.0,
        lead_s=70.0,
        lead_measured=True,
        usage_ratio=None,
    )
    return replace(made, **changes)


def proposal(before: int = 8, after: int = 10, **changes: Any) -> Proposal:
    made = Proposal(
        policy=KEY,
        target=TARGET,
        change=Scale(before=before, after=after),
        need=need(reactive=after),
        evidence=("demand",),
        reason="because",
        expectation=Expectation(risk_before=None, risk_after=None, cost_usd_per_hour=None),
    )
    return replace(made, **changes)


def context(**changes: Any) -> GuardContext:
    shot = changes.pop("snapshot", None) or snapshot()
    made = GuardContext(
        now=NOW,
        tick_s=15.0,
        policy=policy(),
        mode=Mode.ENFORCE,
        snapshot=shot,
        workload=shot.workloads.get(TARGET.key),
        state=TargetState(uid="u"),
        signals={"demand": signal(), "latency": signal("latency", 0.1)},
        env={},
    )
    made = replace(made, **changes)
    return replace(made, mode=stricter(made.policy.reach, made.snapshot.scope.ceiling))


def forecast(value: float = 500.0, **changes: Any) -> Forecast:
    quantiles = (0.05, 0.5, 0.9, 0.95, 0.99)
    paths = tuple(tuple(value * share for _ in range(30)) for share in (0.7, 0.85, 0.95, 1.0, 1.1))
    made = Forecast(
        policy=KEY,
        signal="demand",
        issued_at=NOW,
        step_s=60.0,
        quantiles=quantiles,
        paths=paths,
        model="test-v1",
        history_s=1e6,
        learned=True,
    )
    return replace(made, **changes)


def action(before: int = 8, after: int = 10, **changes: Any) -> Action:
    made = Action(
        id="A1",
        tick_id="T1",
        decision_id="D1",
        policy=KEY,
        target=TARGET,
        change=Scale(before=before, after=after),
        mode=Mode.ENFORCE,
        dry_run=False,
        issued_at=NOW,
        expires_at=NOW + 30.0,
        verify_by=NOW + 300.0,
        epoch=1,
        steps=(),
        undo=(),
    )
    return replace(made, **changes)
