"""The end of an installation: everything that stands in the clusters is handed back, without a daemon (S9).

It is the loop itself that hands back, under a release of everything: with the daemon's store, Lease, journal and
guards, and so with its rules of whose a field is. Where a daemon runs that shares the store, that one does it, and is
waited for.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiops.app import plan_desk
from aiops.app.service import Service
from aiops.core.model import OutcomeKind, Plan, PlanKind, PlanStatus
from aiops.core.plans.operations import verbs
from aiops.errors import PortError

if TYPE_CHECKING:
    from aiops.app.wiring import Built

_LOG = logging.getLogger("aiops.handback")
TURN_S = 1.0
PAUSED_S = 3600.0
"""How long everything stays released: a daemon over the same store takes nothing up again meanwhile."""

LED_TURNS = 3
"""How many turns a leader looks at the objects before nothing that it did not know of is there to be adopted."""

_OF_SITES = frozenset({PlanKind.FAILOVER, PlanKind.FAILBACK, PlanKind.DRILL})
_ORDERED = frozenset({PlanStatus.DONE, PlanStatus.RUNNING, PlanStatus.PAUSED, PlanStatus.ASKING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How it is handed back. within_s: how long it may take. leave_failovers: traffic that was moved stays moved."""

    by: str
    reason: str
    within_s: float
    leave_failovers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of it. stood: what there was to hand back. left: what stands. why: what keeps that from being so."""

    stood: tuple[dict[str, Any], ...]
    left: tuple[dict[str, Any], ...]
    why: tuple[str, ...] = ()


class HandingBack:
    """Turns the loop of a daemon that acts no more until nothing stands, or its time is over."""

    def __init__(self, built: Built, wish: Wish, elapsed_s: Callable[[], float] = time.monotonic) -> None:
        self._built = built
        self._wish = wish
        self._elapsed_s = elapsed_s
        self._service = Service(built.store)
        self._led = 0
        self._why: dict[str, str] = {}
        self._stood: dict[str, dict[str, Any]] = {}

    def run(self, wait: Callable[[float], object] = time.sleep) -> Told:
        """Hand back, and return what became of it; raise StoreUnavailable where that cannot even be written down."""
        built, ends_at = self._built, self._elapsed_s() + self._wish.within_s
        self._left()
        self._order()
        built.world.start()
        try:
            while True:
                self._turn()
                left = self._left()
                if not left and self._looked():
                    return Told(stood=tuple(self._stood.values()), left=())
                if self._elapsed_s() >= ends_at or (self._looked() and self._asks_a_person(left)):
                    return Told(stood=tuple(self._stood.values()), left=left, why=self._reasons())
                wait(TURN_S)
        finally:
            built.world.stop(built.settings.stop.adapters)

    def _order(self) -> None:
        """Say it as a person would: take back what plans left, and release everything."""
        said = {"by": self._wish.by, "reason": self._wish.reason}
        for plan in self._built.store.plans.carried():
            if _ordered(plan):
                plan_desk.order(self._built.store, {**said, "kind": "rollback", "subject": plan.id})
        self._service.release({**said, "scope": "*", "for_s": PAUSED_S})

    def _turn(self) -> None:
        built = self._built
        try:
            built.policies.reload()
        except PortError as err:
            _LOG.warning("policies_unknown", extra={"reason": str(err)})
        sentence = built.tick()
        _LOG.info("turn", extra={"sentence": sentence})
        tick = built.loop.last
        if built.loop.held or tick is None:
            return
        self._led += 1
        for one in tick.outcomes:
            if one.kind is OutcomeKind.FAILED:
                self._why[str(one.target)] = f"{one.target}: {one.detail}"

    def _looked(self) -> bool:
        """Return whether what nobody had written down would have been seen on the objects by now."""
        built = self._built
        leadership = built.loop.leadership
        elsewhere = leadership is not None and leadership.elected and not leadership.leader
        if elsewhere:
            return not built.loop.held
        return self._led >= LED_TURNS and not built.world.unready() and not built.policies.unready()

    def _left(self) -> tuple[dict[str, Any], ...]:
        """Return what stands now, and note it."""
        plans = {one.id: one for one in self._built.store.plans.carried()}
        found = [one for one in self._service.effects() if not self._stays(plans.get(str(one["action"])))]
        found += [_row(one) for one in plans.values() if _at_work(one) and not self._stays(one)]
        for one in found:
            self._stood.setdefault(f"{one['object']} {one['attribute']}", one)
        return tuple(found)

    def _asks_a_person(self, left: tuple[dict[str, Any], ...]) -> bool:
        """Return whether all that stands is traffic that was moved, so that waiting brings nothing."""
        moved = {one.id for one in self._built.store.plans.carried() if one.kind in _OF_SITES}
        return all(one["action"] in moved for one in left)

    def _stays(self, plan: Plan | None) -> bool:
        return plan is not None and plan.kind in _OF_SITES and self._wish.leave_failovers

    def _reasons(self) -> tuple[str, ...]:
        built = self._built
        tick = built.loop.last
        waiting = () if tick is None else tick.waiting
        held = (built.loop.held,) if built.loop.held else ()
        plans = tuple(f"plan {one.id}: {one.held}" for one in built.store.plans.carried() if one.held)
        every = (*held, *waiting, *plans, *self._why.values(), *built.world.unready(), *built.loop.unanswered)
        return tuple(dict.fromkeys(every))


def _ordered(plan: Plan) -> bool:
    """Return whether a plan needs an order to be taken back: a saving does so by itself, a failover never blindly."""
    by_itself = plan.kind in (PlanKind.SAVING, PlanKind.RESTORE) or plan.kind in _OF_SITES
    return not by_itself and not plan.dry_run and plan.status in _ORDERED and plan.touches_back


def _at_work(plan: Plan) -> bool:
    """Return whether a plan that has not ended changes something, or still may."""
    begun = not plan.status.ended and plan.status is not PlanStatus.PROPOSED and not plan.dry_run
    return begun and (plan.touches_back or plan.kind is PlanKind.RESTORE)


def _row(plan: Plan) -> dict[str, Any]:
    """Return a plan that is at work as what stands is shown."""
    step = next((one for one in plan.steps if one.sent and one.undo), plan.steps[0])
    ref = next(iter(verbs(step.operation).touches(step.operation)), None)
    return {
        "policy": plan.policy,
        "target": str(ref or ""),
        "object": f"{ref.kind} {ref}" if ref is not None else plan.subject,
        "attribute": step.name,
        "original": "; ".join(verbs(one).says(one) for one in step.undo),
        "written": verbs(step.operation).says(step.operation),
        "since": step.since,
        "action": plan.id,
        "hand_back": f"plan {plan.id} is {plan.status.value}",
    }
