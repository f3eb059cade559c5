"""What happens, told to who reads live: after each turn, and when a person says something."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aiops.core.model import Decision, Incident, IncidentState, Pause, Plan, Tick
from aiops.errors import PortError

if TYPE_CHECKING:
    from aiops.web.events import Broker

Pauses = Callable[[float], tuple[Pause, ...]]


class Feed:
    """Publishes what a turn changed. pauses: those in force at a time, whoever began or ended them."""

    def __init__(self, broker: Broker, pauses: Pauses) -> None:
        self.broker = broker
        self._pauses = pauses
        self._known: dict[str, Pause] = {}
        self._open: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def note(self, tick: Tick | None, sentence: str, held: str) -> None:
        """Tell of a turn: what is decided otherwise than before, plans that moved, incidents that began or ended."""
        if tick is not None:
            for decision in tick.decisions:
                if decision.changed:
                    self.broker.publish("decision", _decision(decision))
            for plan in tick.plans:
                self.broker.publish("plan", _plan(plan))
            self._incidents(tick.incidents)
        self.people()
        at = None if tick is None else tick.at
        self.broker.publish("tick", {"at": at, "sentence": sentence, "held": held})

    def people(self) -> None:
        """Tell of pauses that began and ended since this was called last; what cannot be read is told later."""
        with self._lock:
            try:
                standing = {one.id: one for one in self._pauses(time.time())}
            except PortError:
                return
            begun = [one for key, one in standing.items() if key not in self._known]
            ended = [one for key, one in self._known.items() if key not in standing]
            self._known = standing
        for did, pauses in (("begun", begun), ("ended", ended)):
            for one in pauses:
                self.broker.publish("pause", {"did": did, **_pause(one)})

    def _incidents(self, incidents: tuple[Incident, ...]) -> None:
        now_open = frozenset(one.id for one in incidents if one.state is IncidentState.OPEN)
        for one in incidents:
            if (one.id in now_open) is not (one.id in self._open):
                state = one.state.value
                self.broker.publish("incident", {"id": one.id, "state": state, "kind": one.kind, "since": one.since})
        self._open = now_open


def _decision(one: Decision) -> dict[str, Any]:
    return {
        "id": one.id,
        "at": one.at,
        "policy": one.policy,
        "target": str(one.target),
        "verdict": "bug" if one.word is None else one.word.value,
        "story": one.story,
    }


def _plan(one: Plan) -> dict[str, Any]:
    return {"id": one.id, "policy": one.policy, "kind": one.kind.value, "status": one.status.value, "held": one.held}


def _pause(one: Pause) -> dict[str, Any]:
    return {"id": one.id, "scope": one.scope, "direction": one.direction.value, "by": one.by, "reason": one.reason}
