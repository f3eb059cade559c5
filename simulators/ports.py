"""The world behind the loop's ports: the same ControlLoop, other adapters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from aiops.core.model import (
    Action,
    Answer,
    Answered,
    Coverage,
    Errand,
    Failed,
    Frame,
    Instant,
    Leadership,
    Looked,
    LoopState,
    Message,
    NoSeries,
    Outcome,
    PolicyKey,
    PoolQuote,
    PriceBook,
    Priced,
    Quote,
    Reason,
    SeriesIndex,
    Stamp,
    Step,
    StepResult,
    StepStatus,
    TargetRef,
    Tick,
    UnitPrices,
    Wanted,
    Workload,
)
from aiops.core.money.prices import flat, judged
from aiops.core.policies import PolicySet, SignalQuery, WatchQuery
from aiops.errors import SourceUnavailable
from aiops.ports import ControlsReading, Inventory, Matrix, Observation
from simulators.autoscalers.hpa import HpaController
from simulators.exports import NotOnTheMenu, Plan, plan
from simulators.faults import GapAnswer
from simulators.nodes import NodePool
from simulators.objects import SimObjects, Stored, noted
from simulators.world import Service, World

_NO_SERIES = SeriesIndex(keys=(), labels=())


class SimSource:
    """Source and History over the world's scrapes."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rows: tuple[tuple[WatchQuery, ...], SeriesIndex, list[tuple[Plan, str]]] = ((), _NO_SERIES, [])
        self._matched: dict[str, tuple[str, ...]] = {}

    def read(self, signals: Sequence[SignalQuery], watches: Sequence[WatchQuery], at: Instant) -> Observation:
        """Ask everything once; a query that is not on the menu fails alone."""
        answers: dict[PolicyKey, dict[str, Answer]] = {}
        for query in signals:
            answers.setdefault(query.policy, {})[query.name] = self._answer(query)
        frame, errors = self._frame(tuple(watches), at)
        return Observation(answers=answers, frame=frame, watch_errors=errors)

    def range(self, query: SignalQuery | WatchQuery, start: Instant, end: Instant, step_s: float) -> Matrix:
        """Return the past, from before the run began."""
        times = np.arange(start, min(end, self._world.start) + 1e-9, step_s)
        try:
            how = plan(query.expr)
        except NotOnTheMenu as err:
            raise SourceUnavailable(str(err)) from err
        chosen = [self._world.services[key] for key in self._services(query.expr, how)]
        per_service = [np.asarray(service.past(times)[how.kind], np.float64) for service in chosen]
        if isinstance(query, WatchQuery) and how.by_service:
            values = np.stack(per_service) if per_service else np.empty((0, len(times)))
            return Matrix(times=times, values=values, index=_index(query, how, chosen))
        total = np.sum(per_service, axis=0) if per_service else np.full(len(times), np.nan)
        return Matrix(times=times, values=total[None, :], index=SeriesIndex(keys=(query.policy,), labels=({},)))

    def _answer(self, query: SignalQuery) -> Answer:
        try:
            how = plan(query.expr)
        except NotOnTheMenu as err:
            return Failed(error=str(err))
        keys = self._services(query.expr, how)
        present = True if query.presence_expr is not None else None
        values, newest, up = [], math.inf, 0
        for key in keys:
            seen, gap = self._world.scrapes(key)
            if gap is GapAnswer.FAILED:
                return Failed(error="the metrics source does not answer for this service")
            if not seen or gap is GapAnswer.ABSENT:
                continue
            values.append(how.value(seen))
            newest = min(newest, seen[-1].at)
            up += gap is None
        if not values:
            return NoSeries(presence=present, coverage=Coverage(series=0, targets=len(keys), up=0))
        coverage = Coverage(series=len(values), targets=len(keys), up=len(values))
        value = sum(values) if len(values) > 1 else values[0]
        return Answered(value=value, newest_at=newest, coverage=coverage, presence=present)

    def _frame(self, watches: tuple[WatchQuery, ...], at: Instant) -> tuple[Frame, dict[PolicyKey, str]]:
        errors: dict[PolicyKey, str] = {}
        if watches != self._rows[0]:
            self._rows = self._watch_rows(watches, errors)
        _, index, rows = self._rows
        values = np.empty(len(rows))
        learn = np.ones(len(rows), np.bool_)
        for number, (how, key) in enumerate(rows):
            seen, gap = self._world.scrapes(key)
            fresh = bool(seen) and gap is None
            values[number] = how.value(seen) if fresh else math.nan
            learn[number] = gap is not GapAnswer.FAILED
        return Frame(at=at, index=index, values=values, learn=learn), errors

    def _watch_rows(
        self, watches: tuple[WatchQuery, ...], errors: dict[PolicyKey, str]
    ) -> tuple[tuple[WatchQuery, ...], SeriesIndex, list[tuple[Plan, str]]]:
        keys: list[str] = []
        labels: list[Mapping[str, str]] = []
        rows: list[tuple[Plan, str]] = []
        for query in watches:
            try:
                how = plan(query.expr)
            except NotOnTheMenu as err:
                errors[query.policy] = str(err)
                continue
            chosen = self._services(query.expr, how)
            index = _index(query, how, [self._world.services[key] for key in chosen])
            keys += index.keys
            labels += index.labels
            rows += [(how, key) for key in chosen]
        return watches, SeriesIndex(keys=tuple(keys), labels=tuple(labels)), rows

    def _services(self, expr: str, how: Plan) -> tuple[str, ...]:
        found = self._matched.get(expr)
        if found is None:
            every = self._world.services.values()
            found = tuple(s.key for s in every if how.matches(s.spec.namespace, s.spec.name))
            self._matched[expr] = found
        return found


def _index(query: WatchQuery, how: Plan, services: Sequence[Service]) -> SeriesIndex:
    labels = tuple({"service": service.spec.name} for service in services)
    keys = tuple(f"{query.policy}#service={service.spec.name}" for service in services)
    names = {"__name__": how.kind}
    return SeriesIndex(keys=keys, labels=tuple({**names, **one} for one in labels))


class NoObjects:
    """The part of ports.Cluster that plans use, where there is nothing that a plan could change."""

    def look(self, wanted: Wanted, at: Instant) -> Looked:
        """Return that none of it is there: there are workloads, and no objects of an API."""
        return Looked(selections={one.key: () for one in wanted.selections})

    def perform(self, errand: Errand, step: Step, at: Instant) -> StepResult:
        """Refuse what has no object here."""
        return StepResult(
            action_id=errand.id,
            status=StepStatus.REFUSED,
            at=at,
            code=404,
            reason=Reason.UNKNOWN_TARGET,
            message=f"{step.target.kind} {step.target} not found",
        )


class SimCluster:
    """The world's API server: reads, and merge patches with the preconditions that the real one has."""

    def __init__(self, world: World, hpas: Mapping[str, HpaController] | None = None) -> None:
        self._world = world
        self._hpas = dict(hpas or {})
        self._deployments = {key: Stored(uid=f"uid-{key}") for key in world.services}
        self._floors = {key: Stored(uid=f"uid-hpa-{key}") for key in self._hpas}
        self._seen: dict[str, tuple[tuple[int, int, int], Workload]] = {}
        self._objects = SimObjects(world, self._deployments, self._hpas, self._floors)

    def look(self, wanted: Wanted, at: Instant) -> Looked:
        """Return the objects that plans look at."""
        return self._objects.look(wanted, at)

    def perform(self, errand: Errand, step: Step, at: Instant) -> StepResult:
        """Apply one request of a plan, or refuse it as the API would."""
        return self._objects.perform(errand, step, at)

    def inventory(self, targets: Sequence[TargetRef], at: Instant) -> Inventory:
        """Return the targets that exist in the world."""
        found, startups = {}, {}
        for ref in targets:
            key = f"{ref.namespace}/{ref.name}"
            if key in self._world.services and ref.kind == "Deployment":
                found[ref.key] = self._workload(ref, key, at)
                startups[ref.key] = tuple(self._world.services[key].sim.pods.startups)
        machines = {one.key: one for pool in self._world.pools.values() for one in pool.machines(at)}
        return Inventory(workloads=found, machines=machines, startups=startups)

    def listed(self, kind: TargetRef, at: Instant) -> Mapping[str, Mapping[str, str]]:
        """Return the labels of the services in a namespace: those of the scenario, and app, their name."""
        services = [one.spec for one in self._world.services.values() if one.spec.namespace == kind.namespace]
        if kind.kind != "Deployment":
            return {}
        return {one.name: {"app": one.name, **one.labels} for one in services}

    def _workload(self, ref: TargetRef, key: str, at: Instant) -> Workload:
        pods = self._world.services[key].sim.pods
        deployment, floor = self._deployments[key], self._floors.get(key)
        version = (pods.version, deployment.version, floor.version if floor is not None else 0)
        known = self._seen.get(ref.key)
        if known is not None and known[0] == version:
            return replace(known[1], as_of=at)
        hpa = self._hpas.get(key)
        hpas = (hpa.shown(str(floor.version), floor.uid, floor.annotations),) if hpa is not None and floor else ()
        workload = Workload(
            ref=ref,
            uid=deployment.uid,
            resource_version=str(deployment.version),
            as_of=at,
            replicas=pods.count,
            ready=pods.ready,
            opted_in=True,
            hpas=hpas,
        )
        self._seen[ref.key] = (version, workload)
        return workload

    def send(self, action: Action, step: Step, at: Instant) -> StepResult:
        """Apply one merge patch, or refuse it as the API would."""
        is_hpa = step.target.kind == "HorizontalPodAutoscaler"
        key = self._key(step, is_hpa=is_hpa)
        objects = self._floors if is_hpa else self._deployments
        if key is None or key not in objects:
            return _refused(action, at, 404, f"{step.target.kind} {step.target} not found")
        one = objects[key]
        if step.uid != one.uid or step.resource_version != str(one.version):
            return _refused(action, at, 409, "the object has been modified; read it again")
        spec = step.body.get("spec", {})
        if is_hpa:
            self._hpas[key].floor = int(spec["minReplicas"])
            noted(one.annotations, step.body.get("metadata", {}).get("annotations", {}))
        else:
            self._world.services[key].sim.pods.resize(int(spec["replicas"]), at)
        one.version += 1
        return StepResult(
            action_id=action.id, status=StepStatus.DONE, at=at, code=200, resource_version=str(one.version)
        )

    def _key(self, step: Step, *, is_hpa: bool) -> str | None:
        if not is_hpa:
            return f"{step.target.namespace}/{step.target.name}"
        return next((key for key, hpa in self._hpas.items() if hpa.name == step.target.name), None)

    def stamp(self, stamp: Stamp, at: Instant, until: Instant) -> StepResult:
        """Say that it is done: a world has one leader."""
        return StepResult(action_id="", status=StepStatus.DONE, at=at, resource_version=stamp.step.resource_version)

    def announce(self, target: TargetRef, reason: str, message: str, action_id: str, at: Instant) -> None:
        """Keep no Events."""


def _refused(action: Action, at: Instant, code: int, message: str) -> StepResult:
    return StepResult(
        action_id=action.id, status=StepStatus.REFUSED, at=at, code=code, reason=Reason.REFUSED, message=message
    )


class SimLease:
    """The only process of its world."""

    def leadership(self, at: Instant) -> Leadership:
        """Return leadership for ever."""
        return Leadership(leader=True, epoch=1)


class SimControls:
    """Nobody says anything."""

    def read(self, at: Instant) -> ControlsReading:
        """Return no wishes."""
        return ControlsReading()


class SimPrices:
    """What the scenario says that a pod costs."""

    def __init__(self, world: World) -> None:
        self._world = world

    def book(self, targets: Sequence[TargetRef], inventory: Inventory, at: Instant) -> PriceBook:
        """Return the price of a pod of each target that the world knows."""
        services = self._world.services
        priced = {ref.key: services.get(f"{ref.namespace}/{ref.name}") for ref in targets}
        known = {key: _pod_usd(service, at) for key, service in priced.items() if service is not None}
        nodes = {
            f"default/{pool.spec.name}-{name}": _with_units(pool, at)
            for pool in self._world.pools.values()
            for name in pool.nodes
        }
        pools = tuple(
            PoolQuote(instance_type="", zone="", spot=pool.spec.spot is not None, quote=_with_units(pool, at))
            for pool in self._world.pools.values()
        )
        return replace(flat(known, at, "scenario"), nodes=nodes, pools=pools)


def _pod_usd(service: Service, at: Instant) -> float:
    """Return what a pod costs: its part of a node at the price of the moment, where it lives in a pool."""
    if service.pool is None:
        return service.spec.usd_per_hour
    return service.pool.spec.usd_at(at) / service.pool.spec.pods_per_node


def _with_units(pool: NodePool, at: Instant) -> Quote:
    """Return what a node costs; a pod asks for one core, and memory costs nothing apart."""
    quote = judged(pool.spec.usd_at(at), "scenario", at)
    units = UnitPrices(core_usd=pool.spec.usd_at(at) / pool.spec.pods_per_node, gib_usd=0.0)
    return replace(quote, units=units) if isinstance(quote, Priced) else quote


@dataclass(frozen=True, slots=True)
class FixedPolicies:
    """A set that does not change."""

    policies: PolicySet

    def current(self) -> PolicySet:
        """Return the set."""
        return self.policies


class StillClock:
    """Virtual time has no durations."""

    def elapsed_s(self) -> float:
        """Return nothing."""
        return 0.0


class NoTelemetry:
    """Counts nothing."""

    def stage(self, name: str, seconds: float) -> None:
        """Note nothing."""

    def tick(self, tick: Tick, state: LoopState) -> None:
        """Note nothing."""

    def ended(self, outcomes: Sequence[Outcome]) -> None:
        """Note nothing."""

    def failure(self, kind: str) -> None:
        """Note nothing."""


class Told:
    """Notifier of a rehearsal: whoever is told has heard it."""

    def tell(self, errand: Errand, message: Message, at: Instant) -> StepResult:
        """Take the message."""
        return StepResult(action_id=errand.id, status=StepStatus.DONE, at=at)


class Free:
    """Prices of a world in which nothing costs anything."""

    def book(self, targets: Sequence[TargetRef], inventory: Inventory, at: Instant) -> PriceBook:
        """Return nothing."""
        return PriceBook()
