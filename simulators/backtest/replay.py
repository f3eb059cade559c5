"""One contender in the recorded load: the policy by the very ControlLoop, an autoscaler, or what was recorded.

A step is served with the load that was recorded for it; what is decided at its end has seen it and nothing later, and
changes replicas from then on. Load is taken as independent of replicas; latency and utilisation are the model's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace

import numpy as np

from aiops.core.bank import Bank
from aiops.core.model import (
    F64,
    Answer,
    Answered,
    Frame,
    Instant,
    Mode,
    NoSeries,
    PolicyKey,
    SeriesIndex,
    Tick,
)
from aiops.core.policies import Lever, NoTraffic, PolicySet, ScalingPolicy, SignalQuery, WatchPolicy, WatchQuery
from aiops.core.queueing import STEADY_RATIO, wait_probability
from aiops.loop import ControlLoop, DryRunCluster, Ports, Setup, backfill
from aiops.ports import Matrix, Observation
from simulators.autoscalers import Autoscaler, Sample
from simulators.autoscalers.hpa import HpaController
from simulators.autoscalers.protocol import SYNC_S
from simulators.backtest.calibration import Calibration, Measured
from simulators.backtest.forgetful import Forgetful, Price, Unheard
from simulators.backtest.node_metrics import AmongNodes, RecordedNodes
from simulators.backtest.recording import Recording
from simulators.backtest.work_queue import WorkQueue
from simulators.baselines import HPA_TARGET, sync
from simulators.chance import Chance
from simulators.ports import FixedPolicies, NoTelemetry, SimCluster, SimControls, SimLease, StillClock
from simulators.service import Queue, Served, ServiceSpec, Startup
from simulators.world import Service, World

TIMEOUT_S = 10.0
_NEVER_SLOW_S = 1e6
_FIRST_MARGIN = 1.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What a backtest stands on. first: the step from which on is scored; what lies before is only learnt from.

    usd_per_hour: float64[t], what a replica cost at each step, NaN where that is not known; None where it never is.
    """

    recording: Recording
    policy: ScalingPolicy
    watches: tuple[WatchPolicy, ...]
    measured: Measured
    calibration: Calibration
    first: int
    usd_per_hour: F64 | None = None

    @property
    def at_most(self) -> float | None:
        """Return how long an answer, or the wait of work in a queue, may take; None where nothing is promised."""
        objective = self.policy.objective
        if objective.backlog is not None:
            return objective.backlog.drain_s
        return None if objective.slo is None else objective.slo.at_most

    def nodes(self) -> RecordedNodes:
        """Return the nodes of the target's cluster, as they were."""
        return RecordedNodes(self.recording.columns, self.policy.target.cluster)

    def queue(self) -> Queue:
        """Return the line in front of the target's pods, at the first scored step."""
        backlog = self.policy.objective.backlog
        if backlog is None:
            return Queue(self.spec())
        seen = self.measured.backlog
        waiting = 0.0 if seen is None else float(np.nan_to_num(seen[self.first - 1]))
        made = WorkQueue(self.spec(), max(0.0, waiting), backlog.rebalance_s)
        made.partitions = self.partitions(self.first)
        return made

    def partitions(self, step: int) -> int | None:
        """Return among how many partitions the work is shared at a step, None where there is no such limit."""
        backlog = self.policy.objective.backlog
        said = None if backlog is None else backlog.partitions
        if not isinstance(said, str):
            return said
        seen = self.recording.signal(self.policy, said)
        value = math.nan if seen is None else float(seen[step])
        return max(1, int(value)) if math.isfinite(value) else None

    @property
    def steps(self) -> range:
        """Return the scored steps."""
        return range(self.first, len(self.recording.times))

    def spec(self) -> ServiceSpec:
        """Return the target as a service of the simulator."""
        policy, model, at_most = self.policy, self.calibration, self.at_most
        return ServiceSpec(
            name=policy.target.name,
            namespace=policy.target.namespace,
            capacity_rps=model.per_replica,
            service_s=model.service_s,
            timeout_s=TIMEOUT_S,
            slo_s=_NEVER_SLOW_S if at_most is None else max(at_most - model.on_top_s, 1e-6),
            error_ratio=0.0,
            replicas=self.begins_with(),
            startup=Startup(median_s=model.startup_s, p95_s=model.startup_s),
            usd_per_hour=0.0,  # reckoned from the replicas that ran, at the prices of then
        )

    def begins_with(self) -> int:
        """Return the replicas of the first scored step: those recorded, or what its load needs."""
        ready = self.measured.ready
        if ready is not None and math.isfinite(ready[self.first]) and ready[self.first] >= 1.0:
            return int(ready[self.first])
        load = self.measured.load[self.first]
        needed = math.ceil(load / self.calibration.per_replica * _FIRST_MARGIN) if math.isfinite(load) else 1
        low, high, _ = self.policy.bounds.at(float(self.recording.times[self.first]))
        return min(max(needed, low, 1), high)


@dataclass(slots=True)
class Run:
    """One contender's course: a value for each scored step. replicas: after the decision at the step's end."""

    name: str
    offered: list[float] = field(default_factory=list)
    violating: list[float] = field(default_factory=list)
    latency_s: list[float] = field(default_factory=list)
    ready: list[int] = field(default_factory=list)
    replicas: list[int] = field(default_factory=list)
    pod_s: list[float] = field(default_factory=list)
    ahead: list[float] = field(default_factory=list)
    stories: list[tuple[float, str]] = field(default_factory=list)
    decided: list[int] = field(default_factory=list)

    def note(self, served: Served, on_top_s: float, replicas: int) -> None:
        """Keep a step."""
        self.offered.append(served.offered)
        self.violating.append(served.violating)
        self.latency_s.append(served.p95_s + on_top_s)
        self.ready.append(served.ready)
        self.replicas.append(replicas)
        self.pod_s.append(served.pod_s)


def by_recorded(past: Past, progress: Callable[[], None]) -> Run | None:
    """Return what happened: the recorded replicas under the recorded load, by the model. None: they are not known."""
    ready = past.measured.ready
    if ready is None:
        return None
    run, queue, step_s = Run("recorded"), past.queue(), past.recording.step_s
    wanted = past.measured.wanted if past.measured.wanted is not None else ready
    have, asked = past.begins_with(), past.begins_with()
    for step in past.steps:
        have = int(ready[step]) if math.isfinite(ready[step]) else have
        asked = int(wanted[step]) if math.isfinite(wanted[step]) else asked
        _share(past, queue, step)
        queue.serve(step_s, _load(past, step), have)
        run.note(queue.drain(have, asked, max(have, asked) * step_s), past.calibration.on_top_s, asked)
        progress()
    return run


def by_autoscaler(past: Past, name: str, autoscaler: Autoscaler, progress: Callable[[], None]) -> Run:
    """Return how a baseline fares, within the policy's bounds; it is asked every 15 s of the recorded time."""
    run, step_s = Run(name), past.recording.step_s
    service = _service(past)
    at_most, model = past.at_most, past.calibration
    history = past.measured.load[: past.first]
    autoscaler.fit(history, step_s, model.startup_s, _NEVER_SLOW_S if at_most is None else at_most)
    asks, every = max(1, round(step_s / SYNC_S)), max(1, round(SYNC_S / step_s))
    for step in past.steps:
        at = float(past.recording.times[step])
        _share(past, service.sim.queue, step)
        service.advance(at - step_s, step_s, _load(past, step))
        served = service.last
        if served is None:
            raise RuntimeError("a step was not served")
        pods = service.sim.pods
        if (step - past.first) % every == 0:
            sample = _sample(past, step, served)
            for _ in range(asks):
                low, high, _ = past.policy.bounds.at(at)
                wanted = min(max(autoscaler.decide(sample, pods.ready, pods.count), low), high)
                if wanted != pods.count:
                    pods.resize(wanted, at)
        run.note(served, model.on_top_s, pods.count)
        progress()
    return run


def _sample(past: Past, step: int, served: Served) -> Sample:
    model, load, ready = past.calibration, float(past.measured.load[step]), served.ready
    used = served.utilisation_ratio
    busy = 0.0 if math.isnan(used) else used * ready * model.per_replica * model.service_s
    rho = min(used, STEADY_RATIO) if used > 0.0 else 0.0
    waits = wait_probability(ready * model.per_replica * model.service_s, rho) * rho / (1.0 - rho)
    return Sample(
        t=float(past.recording.times[step]),
        rps=load,
        util=used * model.use_scale if math.isfinite(load) else math.nan,
        p95=served.p95_s + model.on_top_s,
        inflight=busy + max(waits, served.queue),
        dropped=served.failed,
        backlog=served.queue,
        ready=ready,
    )


def _share(past: Past, queue: Queue, step: int) -> None:
    """Let the partitions of a queue be those that were recorded."""
    if isinstance(queue, WorkQueue):
        queue.partitions = past.partitions(step)


def _load(past: Past, step: int) -> float:
    load = float(past.measured.load[step])
    return load if load > 0.0 else 0.0


# -- the policy ------------------------------------------------------------------------------------------


def by_policy(past: Past, progress: Callable[[], None]) -> Run:
    """Return how the policy fares: decided by the ControlLoop, whose models learnt what lies before, and go on."""
    run = Run("policy")
    policy = _acting(past.policy)
    policies = PolicySet(digest=policy.digest, scaling=(policy,), watches=past.watches, step_s=past.recording.step_s)
    service, step_s = _service(past), past.recording.step_s
    world = World([service], float(past.recording.times[past.first]) - step_s, step_s)
    hpas: dict[str, HpaController] = {}
    if policy.lever.is_floor:
        hpas[service.key] = HpaController(service.key, (service.spec.replicas, policy.bounds.max_replicas), HPA_TARGET)
    source = _Source(past, world, service)
    bank = Bank(policies)
    backfill(bank, policies, source, (float(past.recording.times[0]), world.now), nullcontext())
    loop = _loop(policies, source, AmongNodes(world, hpas, past.nodes(), lambda: source.step), bank, past)
    for step in past.steps:
        _share(past, service.sim.queue, step)
        world.advance(world.now + step_s)
        if hpas:
            sync(world, hpas)
        source.step = step
        loop.run_once(world.now)
        tick = loop.last
        if tick is None or loop.held or service.last is None:
            raise RuntimeError(f"the loop did not turn at {world.now}: {loop.held}")
        run.note(service.last, past.calibration.on_top_s, service.sim.pods.count)
        _told(run, tick)
        progress()
    return run


def _told(run: Run, tick: Tick) -> None:
    for decision in tick.decisions:
        verdict = decision.verdict
        ahead = None if verdict is None else verdict.proposal.need.demand_ahead
        run.ahead.append(math.nan if ahead is None else float(ahead))
        run.decided.append(-1 if verdict is None else verdict.change.after)
        if decision.bug:
            raise RuntimeError(decision.bug)
        if decision.changed:
            run.stories.append((tick.at, decision.story))


def _acting(policy: ScalingPolicy) -> ScalingPolicy:
    """Return the policy as it would act. Knative's floor is taken as replicas: the past has no Knative beneath."""
    lever = Lever.REPLICAS if policy.lever is Lever.KNATIVE_MIN_SCALE else policy.lever
    return replace(policy, mode=Mode.ENFORCE, candidate_for="", lever=lever)


def _loop(policies: PolicySet, source: _Source, cluster: SimCluster, bank: Bank, past: Past) -> ControlLoop:
    ports = Ports(
        policies=FixedPolicies(policies),
        source=source,
        cluster=cluster,
        dry=DryRunCluster(cluster),
        journal=Forgetful(),
        lease=SimLease(),
        controls=SimControls(),
        prices=Price(past.policy.target.key, past.recording.times, past.usd_per_hour, past.nodes()),
        telemetry=NoTelemetry(),
        clock=StillClock(),
    )
    loop = ControlLoop(ports, bank, Setup(keep_inputs=False))
    loop.lookout = Unheard()
    return loop


def _service(past: Past) -> Service:
    made = Service(past.spec(), _Trace(past), (), Chance(0))
    made.sim.queue = past.queue()
    return made


class _Trace:
    """The recorded load."""

    def __init__(self, past: Past) -> None:
        self._load = np.maximum(np.nan_to_num(past.measured.load, nan=0.0), 0.0)
        self._begun, self._step_s = float(past.recording.times[0]) - past.recording.step_s, past.recording.step_s

    def rates(self, times: F64) -> F64:
        """Return requests per second at times within steps."""
        places = np.floor((times - self._begun) / self._step_s + 1e-9).astype(np.int64)
        return np.asarray(self._load[np.clip(places, 0, len(self._load) - 1)])


class _Source:
    """Source and History over a recording, up to `step` and no further."""

    def __init__(self, past: Past, world: World, service: Service) -> None:
        self._past, self._world, self._service = past, world, service
        self.step = past.first
        recording, policy = past.recording, past.policy
        objective = policy.objective
        self._waits = None if objective.backlog is None else objective.backlog.signal
        # what takes a worker long says nothing of how long work waits: then it is told as it was recorded
        self._modelled = {objective.slo.signal} if objective.slo is not None and self._waits is None else set()
        self._used = objective.utilisation
        self._values = {name: _listed(recording.signal(policy, name)) for name in policy.signals}
        self._presence = {name: _listed(recording.presence(policy, name)) for name in policy.signals}
        self._rows = {watch.key: _watch_rows(recording, watch.query) for watch in past.watches}
        keys = [key for rows in self._rows.values() for key, _ in rows]
        arrays = [values for rows in self._rows.values() for _, values in rows]
        self._index = SeriesIndex(keys=tuple(keys), labels=tuple({} for _ in keys))
        self._frames = np.stack(arrays, axis=1) if arrays else np.empty((len(recording.times), 0))
        self._learn = np.ones(len(keys), np.bool_)

    def read(self, signals: Sequence[SignalQuery], watches: Sequence[WatchQuery], at: Instant) -> Observation:
        """Return what was recorded at this step; latency and utilisation are the model's."""
        answers: dict[PolicyKey, dict[str, Answer]] = {}
        for query in signals:
            answers.setdefault(query.policy, {})[query.name] = self._answer(query.name, at)
        frame = Frame(at=at, index=self._index, values=self._frames[self.step], learn=self._learn)
        return Observation(answers=answers, frame=frame)

    def _answer(self, name: str, at: Instant) -> Answer:
        last, model = self._service.last, self._past.calibration
        values, presences = self._values[name], self._presence[name]
        presence = None if presences is None else presences[self.step] == presences[self.step]
        if name in self._modelled and last is not None:
            return Answered(value=last.p95_s + model.on_top_s, newest_at=at, presence=presence)
        if name == self._waits and last is not None:
            return Answered(value=last.queue, newest_at=at, presence=presence)
        if name == self._used and last is not None:
            return Answered(value=last.utilisation_ratio * model.use_scale, newest_at=at, presence=presence)
        value = math.nan if values is None else values[self.step]
        if math.isnan(value) and self._past.policy.signals[name].when_no_traffic is not NoTraffic.MEETS_SLO:
            return NoSeries(presence=presence)
        return Answered(value=value, newest_at=at, presence=presence)

    def range(self, query: SignalQuery | WatchQuery, start: Instant, end: Instant, step_s: float) -> Matrix:
        """Return what was recorded before the scored part, of each step of the grid the newest sample in it."""
        times = self._past.recording.times[: self._past.first]
        grid = np.arange(max(start, float(times[0])), min(end, float(times[-1])) + 1e-9, step_s)
        places = np.searchsorted(times, grid + 1e-6) - 1
        if isinstance(query, WatchQuery):
            rows = self._rows[query.policy]
            keys = tuple(key for key, _ in rows)
            values = np.stack([row[places] for _, row in rows]) if rows else np.empty((0, len(grid)))
            return Matrix(times=grid, values=values, index=SeriesIndex(keys=keys, labels=tuple({} for _ in keys)))
        known = self._past.recording.signal(self._past.policy, query.name)
        row = np.full(len(grid), np.nan) if known is None else known[places]
        return Matrix(times=grid, values=row[None, :], index=SeriesIndex(keys=(query.policy,), labels=({},)))


def _listed(values: F64 | None) -> list[float] | None:
    return None if values is None else values.tolist()


def _watch_rows(recording: Recording, query: WatchQuery) -> list[tuple[str, F64]]:
    start = f"watch:{query.policy}#"
    return [(name[len("watch:") :], values) for name, values in recording.columns.items() if name.startswith(start)]
