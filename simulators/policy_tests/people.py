"""Who leads, what people said, what it costs, and a journal that keeps nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from aiops.core.decide.quantities import quantity
from aiops.core.model import (
    Action,
    Alert,
    AlertStatus,
    Approval,
    Direction,
    Freeze,
    Instant,
    Leadership,
    LoopState,
    Machine,
    Outcome,
    Pause,
    PriceBook,
    Priced,
    Question,
    Quote,
    Reason,
    StepResult,
    TargetRef,
    Tick,
    UnitPrices,
)
from aiops.core.model.swift import changed
from aiops.core.money.prices import flat
from aiops.core.money.tariff import split
from aiops.errors import StoreUnavailable
from aiops.policy.testing import Case
from aiops.policy.testing.surroundings import FaultKind
from aiops.ports import ControlsReading, Inventory
from simulators.policy_tests.faults import Faults
from simulators.policy_tests.nodes import GIB, GivenNodes
from simulators.policy_tests.spans import Spans

_LEADS = Leadership(leader=True, epoch=1)


class TestLease:
    """The only process, but for faults."""

    __test__ = False

    def __init__(self, target: str, faults: Faults) -> None:
        self._target, self._faults = target, faults

    def leadership(self, at: Instant) -> Leadership:
        """Return who leads."""
        if self._faults.any(FaultKind.LEASE, at):
            return Leadership(leader=False, epoch=1, holder="another process")
        if self._faults.any(FaultKind.UNFENCED, at):
            why = (Reason.UNFENCED, "the object does not carry our epoch yet (a fault of the test)")
            return Leadership(leader=True, epoch=1, unfenced={self._target: why})
        return _LEADS


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands in the loop. question: the one that waits for an answer; held: why a selector's targets wait."""

    question: Callable[[], Question | None]
    held: Callable[[], str] = lambda: ""


class TestControls:
    """Pauses, freezes, alerts and answers at their times."""

    __test__ = False

    def __init__(self, case: Case, faults: Faults, standing: Standing) -> None:
        self._faults, self._standing = faults, standing
        self._key = case.policy.key
        self._pauses = Spans(case.spec.pauses, case.start)
        self._freezes = Spans(case.spec.freezes, case.start)
        self._alerts = Spans(case.spec.alerts, case.start)
        begun = case.start.timestamp()
        self._answers = [(begun + one.at.after(case.start) - 1e-6, one) for one in case.spec.approvals]
        self._given: list[Approval] = []

    def read(self, at: Instant) -> ControlsReading:
        """Return what is in force; raise StoreUnavailable while the store is down."""
        if self._faults.any(FaultKind.STORE, at):
            raise StoreUnavailable("the store does not answer (a fault of the test)")
        self._answer(at)
        pauses = [
            Pause(
                id=f"pause-{number}",
                scope=self._key,
                direction=one.direction,
                reason=one.reason,
                by=one.by,
                since=since,
                until=until,
                hold_at=one.hold_at,
            )
            for number, (since, until, one) in enumerate(self._pauses.active(at))
        ]
        held = self._standing.held()
        if held:
            pauses.append(Pause(id="held", scope=self._key, direction=Direction.ALL, reason=held, by="aiops", since=at))
        # a freeze says when it ends; one without an end ends with the test
        freezes = [
            Freeze(name=one.name, until=until if math.isfinite(until) else at + 86_400.0)
            for _, until, one in self._freezes.active(at)
        ]
        return ControlsReading(
            pauses=tuple(pauses), approvals=tuple(self._given), freezes=tuple(freezes), alerts=self._firing(at)
        )

    def _firing(self, at: Instant) -> tuple[Alert, ...]:
        return tuple(
            Alert(
                fingerprint=f"given-{number}",
                name=one.name,
                labels={**one.labels, "alertname": one.name},
                status=AlertStatus.FIRING,
                starts_at=since,
                ends_at=math.inf,
                seen_at=at,
            )
            for number, (since, _, one) in enumerate(self._alerts.active(at))
        )

    def _answer(self, at: Instant) -> None:
        """Answer the question that stands; an answer waits until there is one."""
        due = [one for when, one in self._answers if when <= at]
        question = self._standing.question() if due else None
        if question is None:
            return
        self._answers = self._answers[1:] if self._answers else []
        first = due[0]
        self._given.append(
            Approval(ask_id=question.id, approved=first.approved, by=first.by, at=at, reason=first.reason)
        )


class TestPrices:
    """What a replica costs, where the test says it."""

    __test__ = False

    def __init__(self, case: Case, cluster: str) -> None:
        self._case = case
        given = case.spec.prices
        self._usd = given.replica_hour
        self._units = None
        if given.core_hour is not None and given.gib_hour is not None:
            self._units = UnitPrices(core_usd=given.core_hour, gib_usd=given.gib_hour, gpu_usd=given.gpu_hour)
        self._counted = GivenNodes(case, cluster).usd_per_hour
        self._objects = [one for one in case.spec.objects if one.kind == "Node"]

    def book(self, targets: Sequence[TargetRef], inventory: Inventory, at: Instant) -> PriceBook:
        """Return the price of each target, or nothing."""
        given = {} if self._usd is None else dict.fromkeys((one.key for one in targets), self._usd)
        book = flat(given, at, "given")
        nodes: dict[str, Quote] = {f"default/{name}": one for name, one in self._nodes(at)}
        nodes |= {key: Priced(usd_per_hour=usd, source="given", as_of=at) for key, usd in self._counted.items()}
        return changed(book, replicas={key: self._with_units(one) for key, one in book.replicas.items()}, nodes=nodes)

    def _with_units(self, quote: Quote) -> Quote:
        return replace(quote, units=self._units) if isinstance(quote, Priced) and self._units is not None else quote

    def _nodes(self, at: Instant) -> Iterator[tuple[str, Priced]]:
        for name, usd in self._case.spec.prices.nodes.items():
            bodies = (one.body for one in self._objects if one.name == name)
            room: Mapping[str, object] = next(bodies, {}).get("status", {}).get("allocatable", {})
            cores, gib = _amount(room.get("cpu")), _amount(room.get("memory")) / GIB
            machine = Machine(cluster="default", node=name, cores=cores, memory_gib=gib)
            yield name, Priced(usd_per_hour=usd, source="given", as_of=at, units=split(usd, machine))


def _amount(written: object) -> float:
    """Return what an object says of a resource, 0 where it says nothing that can be read."""
    try:
        return quantity(str(written or "0"))
    except ValueError:
        return 0.0


class TestJournal:
    """Keeps how actions ended, until it is asked: a test is over when its process is."""

    __test__ = False

    def __init__(self) -> None:
        self._ended: list[Outcome] = []

    def ended(self) -> tuple[Outcome, ...]:
        """Return the outcomes that were settled since the last question."""
        ended, self._ended = tuple(self._ended), []
        return ended

    def load(self) -> LoopState:
        """Return the state of a loop that begins."""
        return LoopState()

    def begin(self, tick: Tick, state: LoopState) -> None:
        """Write nothing."""

    def settle(self, results: Sequence[StepResult], outcomes: Sequence[Outcome], state: LoopState) -> None:
        """Keep the outcomes."""
        self._ended += outcomes

    def note_inputs(self, tick: Tick, inputs: Mapping[str, str]) -> None:
        """Keep nothing."""

    def unsettled(self) -> Sequence[Action]:
        """Return nothing."""
        return ()

    def epoch(self) -> int:
        """Return that no epoch was claimed."""
        return 0

    def claim(self, epoch: int, holder: str, at: Instant) -> LoopState:
        """Return the state of a loop that begins."""
        return LoopState()
