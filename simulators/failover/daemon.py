"""A daemon of the group: the real ControlLoop, on ports through which it sees and moves only what it can reach.

The journal and the Lease lie at the edge, as a PostgreSQL and an API server beside the witness would.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiops.core.bank import Bank
from aiops.core.model import (
    Action,
    Answer,
    Answered,
    Errand,
    Failed,
    Instant,
    Leadership,
    Looked,
    LoopState,
    Outcome,
    Reason,
    Scope,
    SeenObject,
    Stamp,
    Step,
    StepResult,
    StepStatus,
    TargetRef,
    Tick,
    VerdictWord,
    Wanted,
    Workload,
)
from aiops.core.pipeline import hastened
from aiops.core.planning.failover import LAG, LANE_S, FailoverPolicy, Site
from aiops.core.policies import PolicySet, SignalQuery
from aiops.errors import ClusterUnavailable, Fenced, StoreUnavailable
from aiops.loop import ControlLoop
from aiops.loop.seams import DryRunCluster, Ports, Setup
from aiops.ports import Inventory
from simulators.failover.world import EDGE, SitesWorld
from simulators.ports import FixedPolicies, Free, NoTelemetry, SimControls, StillClock, Told
from simulators.shown import SignalSource

LEASE_S, RENEW_S = 15.0, 10.0
"""How long a Lease stands after its last renewal, and for how long its holder acts on one."""

DEFER_S = 30.0
"""For how much longer the daemon in the home site leaves the Lease to the other: it would be gone when home crashes."""

EPOCH = 1_700_000_000.0
"""The world's second 0."""


@dataclass
class Witness:
    """What lies at the edge beside the route: the Lease, free at first, and the journal of whoever holds it."""

    world: SitesWorld
    holder: str = ""
    epoch: int = 0
    renewed_s: float = -LEASE_S - 1.0
    state: LoopState = field(default_factory=LoopState)
    claimed: int = 0


@dataclass
class LeaseAt:
    """ports.Lease of one daemon: it tries every second, and acts for a while on its last renewal."""

    witness: Witness
    place: str
    defer_s: float = 0.0
    own_renewed_s: float = -1e9
    own_epoch: int = 0

    def strive(self) -> None:
        """Renew the Lease, or take it when nobody has renewed it for long enough."""
        world, witness = self.witness.world, self.witness
        if not world.api_answers(self.place, EDGE):
            return
        mine = witness.holder == self.place and witness.epoch == self.own_epoch
        if not mine and world.now - witness.renewed_s <= LEASE_S + self.defer_s:
            return
        if not mine:
            witness.holder, witness.epoch = self.place, witness.epoch + 1
            self.own_epoch = witness.epoch
        witness.renewed_s = self.own_renewed_s = world.now

    def leadership(self, at: Instant) -> Leadership:
        """Return what this daemon believes."""
        until = self.own_renewed_s + RENEW_S
        leads = self.own_epoch > 0 and self.witness.world.now < until
        return Leadership(leader=leads, epoch=self.own_epoch, until=EPOCH + until, holder=self.place, elected=True)


@dataclass
class JournalAt:
    """ports.Journal at the witness: shared, fenced by the epoch, out of reach when the edge is."""

    witness: Witness
    place: str
    own: int = -1

    def _reach(self) -> Witness:
        if not self.witness.world.reaches(self.place, EDGE):
            raise StoreUnavailable("the journal at the edge does not answer")
        return self.witness

    def load(self) -> LoopState:
        """Return nothing: who leads claims first."""
        return LoopState()

    def epoch(self) -> int:
        """Return the highest epoch that was claimed."""
        return self._reach().claimed

    def claim(self, epoch: int, holder: str, at: Instant) -> LoopState:
        """Fence off lower epochs."""
        witness = self._reach()
        if epoch < witness.claimed:
            raise Fenced(f"epoch {witness.claimed} is in force")
        witness.claimed = self.own = epoch
        return witness.state

    def _write(self, state: LoopState) -> None:
        witness = self._reach()
        if witness.claimed != self.own:
            raise Fenced(f"epoch {witness.claimed} is in force")
        witness.state = state

    def begin(self, tick: Tick, state: LoopState) -> None:
        """Write the state that knows what is to be sent."""
        self._write(state)

    def settle(self, results: Sequence[StepResult], outcomes: Sequence[Outcome], state: LoopState) -> None:
        """Write the state that knows the answers."""
        self._write(state)

    def note_inputs(self, tick: Tick, inputs: Mapping[str, str]) -> None:
        """Keep nothing."""

    def unsettled(self) -> Sequence[Action]:
        """Return nothing: plans are looked at, not remembered."""
        return ()


@dataclass
class SourceAt(SignalSource):
    """ports.Source: what the vantage points that this daemon hears have measured.

    Signals are known by their names, `users/SITE@POINT` or `volume/SITE@POINT`.
    """

    world: SitesWorld
    place: str
    window_s: int

    def _answer(self, query: SignalQuery, at: Instant) -> Answer:
        what, _, where = query.name.partition("/")
        site, _, point = where.partition("@")
        if what == LAG:
            return Answered(value=self.world.lag_s(), newest_at=at - 1.0)
        if not point:  # of all users, wherever they are sent
            return Answered(value=self.world.suffering(), newest_at=at - 1.0)
        if not self.world.metrics_answer(self.place, point):
            return Failed(error=f"the metrics of {point} do not answer")
        share, rate = self.world.measured(site, point, self.window_s)
        value = share if what == "users" else rate
        return Answered(value=value, newest_at=at - 1.0)


@dataclass
class ClusterAt:
    """ports.Cluster: the API servers that this daemon reaches. A site's name is the place where it lies."""

    world: SitesWorld
    place: str
    sites: Sequence[Site]

    def _answers(self, cluster: str) -> bool:
        """Return whether the API server of a cluster is reached: of a site, of all sites as its zones, or the edge."""
        within = [site.name for site in self.sites if site.cluster == cluster]
        if len(within) > 1:
            return self.world.common_api_answers(self.place)
        return self.world.api_answers(self.place, within[0] if within else EDGE)

    def _site(self, ref: TargetRef) -> str:
        """Return the site whose workload an object is, '' for none."""
        return next((site.name for site in self.sites if site.target.key == ref.key), "")

    def inventory(self, targets: Sequence[TargetRef], at: Instant) -> Inventory:
        """Return the workloads of the sites that answer."""
        found, errors = {}, {}
        for ref in targets:
            site = self._site(ref)
            if not self._answers(ref.cluster):
                errors[ref.cluster] = "time-out"
                continue
            found[ref.key] = Workload(
                ref=ref,
                uid=f"uid-{site}",
                resource_version=str(self.world.version),
                as_of=at,
                replicas=self.world.replicas[site],
                ready=self.world.said_ready(site),
                opted_in=True,
            )
        return Inventory(workloads=found, errors=errors)

    def look(self, wanted: Wanted, at: Instant) -> Looked:
        """Return the route and the Deployments where they can be reached."""
        objects, errors = {}, {}
        for ref in wanted.objects:
            if not self._answers(ref.cluster):
                errors[ref.key] = ClusterUnavailable("time-out")
                continue
            body: dict[str, Any] = {"metadata": {"name": ref.name}}
            if ref.kind == "HTTPRoute":
                body = self.world.route()
            elif site := self._site(ref):
                body["spec"] = {"replicas": self.world.replicas[site]}
            version = str(self.world.version)
            objects[ref.key] = SeenObject(ref=ref, uid="u", resource_version=version, as_of=at, body=body)
        selections = {one.key: () for one in wanted.selections if self._answers(one.cluster)}
        said = {key: (Reason.CLUSTER_UNAVAILABLE, str(err)) for key, err in errors.items()}
        return Looked(objects=objects, selections=selections, errors=said)

    def perform(self, errand: Errand, step: Step, at: Instant) -> StepResult:
        """Do what a step asks for, if its API server is reached and the object is the one that was seen."""
        if not self._answers(step.target.cluster):
            raise ClusterUnavailable("time-out")
        done = StepResult(action_id=errand.id, status=StepStatus.DONE, at=at)
        if step.subresource == "scale":
            self.world.scale(self._site(step.target), int(step.body["spec"]["replicas"]))
            return done
        if step.resource_version != str(self.world.version):
            return StepResult(action_id=errand.id, status=StepStatus.REFUSED, at=at, code=409, message="conflict")
        refs = step.body["spec"]["rules"][0]["backendRefs"]
        weights = {one["name"].removeprefix("storefront-"): int(one["weight"]) for one in refs}
        self.world.write(weights, errand.epoch, self.place)
        return done

    def send(self, action: Action, step: Step, at: Instant) -> StepResult:
        """Refuse: nothing is scaled here by policies of scaling."""
        raise ClusterUnavailable("nothing is scaled here")

    def stamp(self, stamp: Stamp, at: Instant, until: Instant) -> StepResult:
        """Write an epoch: the object is another version from then on."""
        if not self._answers(stamp.target.cluster):
            raise ClusterUnavailable("time-out")
        self.world.version += 1
        version = str(self.world.version)
        return StepResult(action_id="", status=StepStatus.DONE, at=at, resource_version=version)

    def announce(self, target: TargetRef, reason: str, message: str, action_id: str, at: Instant) -> None:
        """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Turns:
    """When a daemon turns: every lane_s seconds, at phase_s of them, and between them while something presses."""

    phase_s: int
    lane_s: float = LANE_S

    def due(self, second: int, *, pressing: bool) -> bool:
        """Return whether it turns in a second of the world."""
        every = [int(self.lane_s), *([int(hastened(self.lane_s))] if pressing else [])]
        return any(second % one == self.phase_s % one for one in every)


@dataclass
class Daemon:
    """One daemon in one place."""

    place: str
    world: SitesWorld
    lease: LeaseAt
    loop: ControlLoop
    turns: Turns

    def second(self) -> None:
        """Live through one second of the world."""
        if not self.world.daemon_runs(self.place):
            return
        self.lease.strive()
        now = EPOCH + self.world.now
        if self.turns.due(int(self.world.now), pressing=self.loop.pressing(now)):
            self.loop.run_once(now)

    @property
    def asks(self) -> bool:
        """Return whether it asked a person at its last turn."""
        last = self.loop.last
        said = () if last is None else tuple(one.judgement for one in last.decisions)
        return any(one is not None and one.word is VerdictWord.ASK for one in said)

    @property
    def leads(self) -> bool:
        """Return whether it believes that it leads."""
        return self.world.daemon_runs(self.place) and self.lease.leadership(0.0).leader


def daemon(lease: LeaseAt, policy: FailoverPolicy, turns: Turns) -> Daemon:
    """Return a daemon of the place where it strives for the Lease, with nothing learnt."""
    witness, place, world = lease.witness, lease.place, lease.witness.world
    policies = PolicySet(digest=policy.digest, plans=(policy,), step_s=turns.lane_s)
    cluster = ClusterAt(world, place, policy.sites)
    ports = Ports(
        policies=FixedPolicies(policies),
        source=SourceAt(world, place, int(policy.watching.window_s)),
        cluster=cluster,
        dry=DryRunCluster(cluster),
        journal=JournalAt(witness, place),
        lease=lease,
        controls=SimControls(),
        prices=Free(),
        telemetry=NoTelemetry(),
        clock=StillClock(),
        notifier=Told(),
    )
    scope = Scope(namespaces=frozenset({"shop", "edge"}))
    loop = ControlLoop(ports, Bank(policies), Setup(scope=scope, keep_inputs=False))
    return Daemon(place=place, world=world, lease=lease, loop=loop, turns=turns)
