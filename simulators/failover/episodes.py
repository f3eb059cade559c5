"""Episodes of a failover group, the rules that live through them, and what is counted."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from aiops.core.model import Mode
from aiops.core.planning.failover import LANE_S, FailoverPolicy
from aiops.errors import InvalidContent
from aiops.policy import load
from simulators.failover.daemon import DEFER_S, Daemon, LeaseAt, Turns, Witness, daemon
from simulators.failover.world import (
    EDGE,
    FAILING,
    LENGTH_S,
    NORTH,
    PLACES,
    PROBES,
    SITES,
    WEST,
    Fault,
    Kind,
    SitesWorld,
)

Faults = Callable[[np.random.Generator], Sequence[Fault]]
CARRIER = 4
"""How many replicas carry all users."""

AT = (120.0, 180.0)
"""When in an episode what goes wrong begins."""


def group(path: Path = Path(__file__).parents[2] / "policies" / "failover.yaml") -> FailoverPolicy:
    """Return the group of a file, the shipped example unless another is named, as it acts when it is enforced."""
    found = [one for one in load([path]).plans if isinstance(one, FailoverPolicy)]
    if len(found) != 1 or {site.name for site in found[0].sites} != set(SITES):
        raise InvalidContent(f"{path}: a rehearsal of sites needs one FailoverPolicy of the sites {', '.join(SITES)}")
    return replace(found[0], mode=Mode.ENFORCE)


def _at(dice: np.random.Generator) -> float:
    return float(dice.uniform(*AT))


def _grey(dice: np.random.Generator) -> Sequence[Fault]:
    return [Fault(kind=Kind.GREY, place=WEST, at_s=_at(dice), share=0.5)]


def _some_grey(dice: np.random.Generator) -> Sequence[Fault]:
    return [Fault(kind=Kind.GREY, place=WEST, at_s=_at(dice), share=float(dice.uniform(0.2, 0.8)))]


def _blips(low: float, high: float) -> Faults:
    def made(dice: np.random.Generator) -> Sequence[Fault]:
        at = _at(dice)
        return [Fault(kind=Kind.BLIP, place=WEST, at_s=at, until_s=at + float(dice.uniform(low, high)))]

    return made


def _cut(one: str, other: str) -> Faults:
    def made(dice: np.random.Generator) -> Sequence[Fault]:
        at = _at(dice)
        return [Fault(kind=Kind.CUT, place=one, other=other, at_s=at, until_s=at + float(dice.uniform(30.0, 300.0)))]

    return made


def _crash_and_die(dice: np.random.Generator) -> Sequence[Fault]:
    at = _at(dice)
    die = at + float(dice.uniform(0.0, 60.0))
    dies = Fault(kind=Kind.DAEMON_DIES, place=NORTH, at_s=die, until_s=die + 20.0)
    return [Fault(kind=Kind.GREY, place=WEST, at_s=at, share=0.5), dies]


def _one(kind: Kind, place: str, share: float = 1.0, for_s: float = math.inf) -> Faults:
    def made(dice: np.random.Generator) -> Sequence[Fault]:
        at = _at(dice)
        return [Fault(kind=kind, place=place, at_s=at, until_s=at + for_s, share=share)]

    return made


def _everywhere(kind: Kind) -> Faults:
    def made(dice: np.random.Generator) -> Sequence[Fault]:
        at = _at(dice)
        return [Fault(kind=kind, place=place, at_s=at, until_s=at + 300.0) for place in PLACES]

    return made


def _loss(*points: str) -> Faults:
    def made(dice: np.random.Generator) -> Sequence[Fault]:
        at, share = _at(dice), float(dice.uniform(0.2, 0.5))
        return [Fault(kind=Kind.PROBE_LOSS, place=one, at_s=at, until_s=at + 300.0, share=share) for one in points]

    return made


def _both(dice: np.random.Generator) -> Sequence[Fault]:
    at = _at(dice)
    return [Fault(kind=Kind.GREY, place=site, at_s=at, share=0.6) for site in (WEST, NORTH)]


RIGHT: Mapping[str, Faults] = {
    "crash": _one(Kind.CRASH, WEST),
    "grey 50 %": _grey,
    "grey 20 to 80 %": _some_grey,
    "isolation": _one(Kind.ISOLATION, WEST),
    "grey, and the daemon that leads dies meanwhile": _crash_and_die,
}
"""Traffic must go to north."""

CALM: Mapping[str, Faults] = {
    "blip of 5 to 15 s": _blips(5.0, 15.0),
    "edge does not hear west": _cut(EDGE, WEST),
    "north does not hear west": _cut(NORTH, WEST),
    "edge does not hear north": _cut(EDGE, NORTH),
    "one observer loses 20 to 50 % of its probes": _loss(EDGE),
    "every observer loses 20 to 50 %": _loss(*PLACES),
    "all metrics lost": _everywhere(Kind.METRICS_LOST),
    "the API of west is down, its users are served": _one(Kind.API_DOWN, WEST),
    "the edge is cut off from both": lambda dice: (*_cut(EDGE, WEST)(dice), *_cut(EDGE, NORTH)(dice)),
    "both sites fail alike": _both,
    "the standby fails": _one(Kind.GREY, NORTH, 0.6),
    "a daemon dies": _one(Kind.DAEMON_DIES, WEST, 1.0, 60.0),
}
"""The right thing is to move nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """What became of one episode. Times are seconds after its beginning, infinite for never.

    detected: the first write away from west; mitigated: users suffer no more. split_s: seconds in which two daemons
    believed to lead, or a write of an older epoch was taken; under a rule without a Lease those in which users were
    sent to north and west, which lives, could not be told. lost_s: all users' failing share, summed over seconds.
    failbacks: how often users were sent home whole. asked: whether a person was.
    """

    detected_s: float
    mitigated_s: float
    moves: int
    failovers: int
    split_s: float
    lost_s: float
    failbacks: int = 0
    asked: bool = False


HURT = (Kind.CRASH, Kind.GREY, Kind.ISOLATION, Kind.BLIP, Kind.PODS_LOST, Kind.LOAD)
"""What users feel; times count from the first of these."""

Rule = Callable[[SitesWorld], Callable[[], None]]
"""Makes of a world what is done in each of its seconds."""


@dataclass(frozen=True, slots=True)
class Setting:
    """standby: how many replicas north has at first. lane_s: how often daemons turn, as `lane` of the settings.

    defer_s: for how much longer than the other the home site's daemon leaves a free Lease. probes: requests a second of
    each observer to each site.
    """

    standby: int = CARRIER
    lane_s: float = LANE_S
    defer_s: float = DEFER_S
    probes: int = PROBES


_USUAL = Setting()


def lived(
    faults: Sequence[Fault], rule: Rule | FailoverPolicy | None, seed: Sequence[int], setting: Setting = _USUAL
) -> Lived:
    """Return what became of an episode under a rule, under two daemons with a policy, or when nothing is done."""
    dice = np.random.default_rng(seed)
    world = SitesWorld(faults=faults, dice=dice, probes=setting.probes)
    world.ready[NORTH] = world.replicas[NORTH] = setting.standby
    daemons: list[Daemon] = []
    act: Callable[[], None] = lambda: None  # noqa: E731
    if isinstance(rule, FailoverPolicy):
        witness = Witness(world)
        turns = [Turns(int(dice.integers(5)), setting.lane_s) for _ in (WEST, NORTH)]
        defers = {rule.primary: setting.defer_s}
        leases = [LeaseAt(witness, place, defers.get(place, 0.0)) for place in (WEST, NORTH)]
        daemons = [daemon(lease, rule, one) for lease, one in zip(leases, turns, strict=True)]
    elif rule is not None:
        act = rule(world)
    split_s, asked = 0.0, False
    while world.now < LENGTH_S:
        for one in daemons:
            one.second()
            asked = asked or one.asks
        act()
        untold = rule in LEASELESS and _untold(world)
        split_s += float(untold or sum(one.leads for one in daemons) > 1)
        world.step()
    hurts = [one.at_s for one in faults if one.kind in HURT] or [one.at_s for one in faults]
    return replace(_counted(world, min(hurts, default=0.0), split_s), asked=asked)


def _untold(world: SitesWorld) -> bool:
    """Return whether north serves, and west, which lives, could not be told that it does not any more."""
    return world.weights[NORTH] == 100 and world.alive(WEST) and not world.reaches(WEST, EDGE)


def _counted(world: SitesWorld, begun_s: float, split_s: float) -> Lived:
    away = [at for at, _, _, weights in world.writes if weights[NORTH] > 0]
    epochs = [epoch for _, epoch, _, _ in world.writes]
    older = sum(1 for one, other in itertools.pairwise(epochs) if other < one)
    suffers = world.suffering() > FAILING
    mitigated = math.inf if suffers else max(0.0, world.last_bad_s + 1.0 - begun_s)
    turns = [weights[NORTH] > weights[WEST] for _, _, _, weights in world.writes]
    failovers = sum(1 for now, before in zip(turns, [False, *turns], strict=False) if now and not before)
    return Lived(
        detected_s=away[0] - begun_s if away else math.inf,
        mitigated_s=mitigated,
        moves=len(world.writes),
        failovers=failovers,
        split_s=split_s + older,
        lost_s=world.lost_s,
        failbacks=sum(1 for one, other in itertools.pairwise(world.writes) if one[3][WEST] < other[3][WEST] == 100),
    )


# -- other rules -----------------------------------------------------------------------------------------


def one_observer(world: SitesWorld) -> Callable[[], None]:
    """Three looks of ten seconds in a row by one observer at north: then everything goes there. Nobody is asked."""
    bad = 0

    def second() -> None:
        nonlocal bad
        if int(world.now) % 10 or not world.alive(NORTH):
            return
        share, _ = world.measured(WEST, NORTH, 10)
        bad = bad + 1 if share > 0.5 else 0
        if bad >= 3 and world.reaches(NORTH, EDGE):
            _send_all(world, 1, NORTH)

    return second


def lease_without_users(world: SitesWorld) -> Callable[[], None]:
    """Move everything when the daemon of the site that serves lets go of the Lease, as Patroni does."""
    witness = Witness(world, holder=WEST, epoch=1, renewed_s=0.0)

    def second() -> None:
        renews = int(world.now) % 10 == 0 and world.daemon_runs(WEST) and world.api_answers(WEST, EDGE)
        if renews and witness.holder == WEST:
            witness.renewed_s = world.now
        expired = world.now - witness.renewed_s > 30.0
        if witness.holder == WEST and expired and world.daemon_runs(NORTH) and world.api_answers(NORTH, EDGE):
            witness.holder = NORTH
            _send_all(world, 2, NORTH)

    return second


def quorum(world: SitesWorld) -> Callable[[], None]:
    """Move when two of three observers see more than 5 % fail over 30 s, at four looks in a row, five seconds apart."""
    bad = dict.fromkeys(PLACES, 0)

    def second() -> None:
        if int(world.now) % 5:
            return
        for point in PLACES:
            share, _ = world.measured(WEST, point, 30)
            heard = world.metrics_answer(NORTH, point)
            bad[point] = bad[point] + 1 if heard and share > FAILING else 0
        sure = sum(1 for one in bad.values() if one >= 4)
        if sure >= 2 and world.alive(NORTH) and world.reaches(NORTH, EDGE):
            _send_all(world, 1, NORTH)

    return second


def oracle(world: SitesWorld) -> Callable[[], None]:
    """Knows what fails when it begins, and how long that will last."""

    def second() -> None:
        lasting = any(one.at(world.now) and one.until_s - one.at_s > 60.0 for one in world.faults)
        better = world.fails(NORTH) < world.fails(WEST) and world.fails(WEST) > FAILING
        behind = any(one.kind is Kind.LAG for one in world.faults)
        if not lasting or not better or behind:
            return
        if world.ready[NORTH] < CARRIER and world.replicas[NORTH] < CARRIER:
            world.scale(NORTH, CARRIER)
        elif world.ready[NORTH] >= CARRIER:
            _send_all(world, 1, "oracle")

    return second


def control_plane(world: SitesWorld) -> Callable[[], None]:
    """Move what a cluster runs when a control plane at the edge has not found it ready for 30 s, as Karmada does."""
    ready_s = 0.0

    def second() -> None:
        nonlocal ready_s
        if int(world.now) % 10 or not world.alive(EDGE):
            return
        share, _ = world.measured(WEST, EDGE, 10)
        if world.api_answers(EDGE, WEST) and share <= 0.5:
            ready_s = world.now
        if world.now - ready_s > 30.0 and world.alive(NORTH):
            _send_all(world, 1, EDGE)

    return second


def node_default(world: SitesWorld) -> Callable[[], None]:
    """Move 300 s after no sign of life was heard for 50 s, as Kubernetes does with the pods of a node."""
    heard_s = 0.0

    def second() -> None:
        nonlocal heard_s
        if int(world.now) % 10 == 0 and world.api_answers(WEST, EDGE):
            heard_s = world.now
        if world.now - heard_s > 350.0 and world.api_answers(EDGE, NORTH):
            _send_all(world, 1, EDGE)

    return second


def _send_all(world: SitesWorld, epoch: int, by: str) -> None:
    """Send everybody to north, which is made as large as west at the same time; once."""
    if world.weights[NORTH] == 100:
        return
    if world.replicas[NORTH] < CARRIER:
        world.scale(NORTH, CARRIER)
    world.write({WEST: 0, NORTH: 100}, epoch, by)


LEASELESS: tuple[Rule, ...] = (one_observer, control_plane, node_default)

RULES: Mapping[str, Rule] = {
    "one observer, 3 x 10 s, no lease": one_observer,
    "a control plane, 30 s (Karmada-like)": control_plane,
    "Kubernetes node default": node_default,
    "lease without users": lease_without_users,
    "quorum 2 of 3, 4 x 5 s, users over 30 s": quorum,
    "oracle": oracle,
}
