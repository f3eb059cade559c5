"""The daemon of a remediation's world: the real ControlLoop, on ports over the world."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aiops.core.bank import Bank
from aiops.core.model import (
    Answer,
    Answered,
    Failed,
    Instant,
    Scope,
    VerdictWord,
)
from aiops.core.planning.remediation import RemediationPolicy
from aiops.core.policies import PolicySet, SignalQuery
from aiops.loop import ControlLoop
from aiops.loop.seams import DryRunCluster, Ports, Setup
from simulators.ports import FixedPolicies, Free, NoTelemetry, SimControls, SimLease, StillClock, Told
from simulators.remediation.objects import EPOCH, WorldCluster
from simulators.remediation.world import BACKGROUND, Kind, World
from simulators.shown import SignalSource
from simulators.unkept import Unkept

TICK_S, WINDOW_S = 15.0, 60
_REVISION = re.compile(r'pod_template_hash="([^"]*)"')
_FAILED = 'code=~"5.."'


class WorldSource(SignalSource):
    """ports.Source: signals by their names `errors`, `requests`, `upstream`, `busy`, `memory`; revisions by query."""

    def __init__(self, world: World) -> None:
        self._world = world

    def _answer(self, query: SignalQuery, at: Instant) -> Answer:
        world = self._world
        if world.in_force(Kind.METRICS_LOST):
            return Failed(error="the metrics do not answer")
        revision = _REVISION.search(query.expr)
        failed, asked = world.measured("" if revision is None else revision[1], WINDOW_S)
        if revision is not None:
            return Answered(value=failed if _FAILED in query.expr else asked, newest_at=at - 1.0)
        upstream = world.in_force(Kind.UPSTREAM)
        known = {
            "errors": failed / asked if asked else 0.0,
            "requests": asked,
            "upstream": BACKGROUND if upstream is None else upstream.share,
            "busy": min(10.0, world.busy),
            "memory": world.memory_mib() * 2.0**20,
        }
        if query.name not in known:
            return Failed(error=f"this world answers {', '.join(known)}, and queries of revisions")
        return Answered(value=known[query.name], newest_at=at - 1.0)


@dataclass
class Daemon:
    """A loop in its world. asked: whether a person was asked, or called."""

    world: World
    loop: ControlLoop
    asked: bool = False

    def second(self) -> None:
        """Turn when it is time."""
        if int(self.world.now) % int(TICK_S):
            return
        self.loop.run_once(EPOCH + self.world.now)
        last = self.loop.last
        for one in () if last is None else last.decisions:
            if one.bug:
                raise RuntimeError(one.bug)
            self.asked = self.asked or (one.judgement is not None and one.judgement.word is VerdictWord.ASK)
        self.asked = self.asked or any(
            step.name == "page" and step.sent for plan in self.loop.state.plans.values() for step in plan.steps
        )


def daemon(world: World, policies: Sequence[RemediationPolicy]) -> Daemon:
    """Return a daemon with nothing learnt."""
    whole = PolicySet(digest="|".join(one.digest for one in policies), plans=tuple(policies), step_s=TICK_S)
    cluster = WorldCluster(world)
    ports = Ports(
        policies=FixedPolicies(whole),
        source=WorldSource(world),
        cluster=cluster,
        dry=DryRunCluster(cluster),
        journal=Unkept(),
        lease=SimLease(),
        controls=SimControls(),
        prices=Free(),
        telemetry=NoTelemetry(),
        clock=StillClock(),
        notifier=Told(),
    )
    loop = ControlLoop(ports, Bank(whole), Setup(scope=Scope(), keep_inputs=False))
    return Daemon(world=world, loop=loop)
