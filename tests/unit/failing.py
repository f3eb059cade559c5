"""A failover group that is driven tick by tick: what observers count is said, what the policy makes of it is kept."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from aiops.core.decide.failover.judge import judged
from aiops.core.model import (
    GroupState,
    Health,
    Leadership,
    Looked,
    Order,
    OrderKind,
    Plan,
    PlanKind,
    PlanStatus,
    Reason,
    Scope,
    SeenObject,
    Signal,
    SignalState,
    Snapshot,
    Stage,
    Workload,
)
from aiops.core.planning import Judged, Situation
from aiops.core.planning.failover import FailoverPolicy, lag, users, volume
from aiops.policy import load, parse

SHIPPED = Path(__file__).parents[2] / "policies" / "failover.yaml"
POINTS = ("edge", "west", "north")
TICK_S, RATE_RPS = 5.0, 10.0
START = 1_700_000_000.0


def a_group(*changes: tuple[str, str]) -> FailoverPolicy:
    """Return the shipped policy with some of its text replaced; each of it must be there."""
    text = SHIPPED.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    policies = parse(text, "failover.yaml") if changes else load([SHIPPED])
    (policy,) = policies.plans
    assert isinstance(policy, FailoverPolicy)
    return policy


@dataclass(slots=True)
class Driven:
    """A group in time. failing: by `SITE@POINT`, the share that fails from now on; silent: points that do not answer.

    Queries look back over the policy's window, as Prometheus does.
    """

    policy: FailoverPolicy = field(default_factory=a_group)
    now: float = START
    memory: GroupState = field(default_factory=GroupState)
    weights: dict[str, int] = field(default_factory=dict)
    ready: dict[str, int] = field(default_factory=dict)
    failing: dict[str, float] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    lags: dict[str, float] = field(default_factory=dict)
    plans: tuple[Plan, ...] = ()
    orders: tuple[Order, ...] = ()
    cluster_errors: dict[str, str] = field(default_factory=dict)
    target_errors: dict[str, tuple[Reason, str]] = field(default_factory=dict)
    leader: bool = True
    lies_in: str | None = None
    counted: dict[str, list[float]] = field(default_factory=dict)
    last: Judged[GroupState] | None = None

    def __post_init__(self) -> None:
        sites = self.policy.sites
        self.weights = self.weights or {one.backend: 100 if one is sites[0] else 0 for one in sites}
        self.ready = self.ready or {one.name: one.standby_replicas for one in sites}

    @property
    def points(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.policy.watching.vantage_points)

    def fail(self, site: str, share: float, points: Iterable[str] | None = None) -> None:
        """Let a share of a site's requests fail from now on, for some of those who look."""
        for point in self.points if points is None else points:
            self.failing[f"{site}@{point}"] = share

    def tick(self) -> Judged[GroupState]:
        """Count five seconds, and judge."""
        self.now += TICK_S
        for site in self.policy.sites:
            for point in self.points:
                key = f"{site.name}@{point}"
                self.counted.setdefault(key, []).append(self.failing.get(key, 0.0))
        self.last = judged(self.policy, self.situation, self.memory)
        self.memory = self.last.memory
        self.orders = tuple(one for one in self.orders if one.id not in self.last.followed)
        return self.last

    def run(self, seconds: float) -> Judged[GroupState]:
        """Go on for so long, or until a plan is wanted, and return what was said last."""
        for _ in range(math.ceil(seconds / TICK_S)):
            found = self.tick()
            if found.plan is not None:
                return found
        assert self.last is not None
        return self.last

    def settled(self) -> Driven:
        """Go on until every site has been well for a while."""
        self.run(120.0)
        assert {one.health for one in self.memory.sites.values()} == {Health.WELL}
        return self

    @property
    def situation(self) -> Situation:
        return Situation(
            now=self.now,
            tick_s=TICK_S,
            snapshot=self.snapshot,
            signals=self.signals,
            plans=self.plans,
            orders=self.orders,
        )

    @property
    def signals(self) -> Mapping[str, Signal]:
        made: dict[str, Signal] = {}
        ticks = round(self.policy.watching.window_s / TICK_S)
        for site in self.policy.sites:
            for point in self.points:
                window = self.counted[f"{site.name}@{point}"][-ticks:]
                known = SignalState.FAILED if point in self.silent else SignalState.VALUE
                values = (sum(window) / len(window), RATE_RPS)
                for name, value in zip((users(site.name, point), volume(site.name, point)), values, strict=True):
                    made[name] = Signal(name=name, state=known, value=value, age_s=0.0, detail="no answer")
            name = lag(site.name)
            if name in self.policy.signals:
                value = self.lags.get(site.name, math.nan)
                known = SignalState.ABSENT if math.isnan(value) else SignalState.VALUE
                made[name] = Signal(name=name, state=known, value=value, age_s=0.0, detail="the query has no series")
        return made

    @property
    def snapshot(self) -> Snapshot:
        refs = [{"name": name, "port": 80, "weight": weight} for name, weight in self.weights.items()]
        body = {"metadata": {"name": "storefront"}, "spec": {"rules": [{"backendRefs": refs}]}}
        route = SeenObject(ref=self.policy.target, uid="r", resource_version="1", as_of=self.now, body=body)
        pods = {}
        for site in self.policy.sites:
            if site.name in self.ready and site.cluster not in self.cluster_errors:
                count = self.ready[site.name]
                pods[site.target.key] = Workload(
                    ref=site.target, uid="w", resource_version="1", as_of=self.now, replicas=count, ready=count
                )
        return Snapshot(
            at=self.now,
            answers={},
            workloads=pods,
            leadership=Leadership(leader=self.leader, epoch=1, lies_in=self.lies_in),
            scope=Scope(),
            cluster_errors=self.cluster_errors,
            target_errors=self.target_errors,
            looked=Looked(objects={self.policy.target.key: route} if self.weights else {}),
        )

    # -- what others do ----------------------------------------------------------------------------------

    def carried_out(self, plan: Plan) -> Plan:
        """Let a plan have been done just now: the route has its last weights, if it shifts any traffic."""
        steps = tuple(replace(one, stage=Stage.DONE, sent=1, sent_at=self.now) for one in plan.steps)
        done = replace(plan, steps=steps, status=PlanStatus.DONE, ended_at=self.now)
        self.plans = (*self.plans, done)
        shifts = [one.operation for one in plan.steps if hasattr(one.operation, "weights")]
        self.weights = dict(shifts[-1].weights) if shifts else self.weights
        return done

    def order(self, kind: OrderKind, to: str = "", reason: str = "") -> None:
        """Let a person order something."""
        self.orders = (
            Order(
                id=f"o{len(self.orders)}",
                kind=kind,
                subject=self.policy.key,
                by="ada",
                at=self.now,
                reason=reason,
                expires_at=self.now + 600.0,
                to=to,
            ),
        )


def failed_over() -> Driven:
    """Return a group whose users were sent from west to north, since west crashed; west is still down."""
    group = Driven().settled()
    group.fail("west", 1.0, ("edge", "north"))
    plan = group.run(60.0).plan
    assert plan is not None
    assert plan.kind is PlanKind.FAILOVER
    group.carried_out(plan)
    return group
