"""The control loop: `run_once(now)` turns once and says one sentence. The only catch-all of the program.

Expected failures of one port are taken into the Snapshot, where the guards can see them: a source that does not answer
is a failed signal, a cluster that does not answer an error of that cluster, an unsure lease is no leadership (S2).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from aiops.core.bank import Bank, Demand
from aiops.core.model import (
    Action,
    Decision,
    Failed,
    Frame,
    Instant,
    Leadership,
    LoopState,
    Outcome,
    OutcomeKind,
    Reason,
    Scope,
    SeriesIndex,
    Snapshot,
    Step,
    StepResult,
    StepStatus,
    TargetRef,
    TargetState,
    Tick,
    VerdictWord,
)
from aiops.core.pipeline import Decisions, Settled, Turn, decide, demand_of, settled
from aiops.core.policies import PolicySet
from aiops.core.record.codec import to_text
from aiops.core.record.story import clock
from aiops.errors import FatalError, PortError, StoreUnavailable
from aiops.ports import (
    Clock,
    Cluster,
    Controls,
    ControlsReading,
    History,
    Inventory,
    Journal,
    Lease,
    Observation,
    PolicySource,
    Prices,
    Source,
    Telemetry,
)

Lock: TypeAlias = AbstractContextManager[Any]

_LOG = logging.getLogger("aiops.loop")
_NO_SERIES = SeriesIndex(keys=(), labels=())
_FRESH = TargetState()
_SPOKEN = 3
"""How many targets a sentence names before it counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The world outside, as the loop sees it. `dry` answers writes without sending them."""

    policies: PolicySource
    source: Source
    cluster: Cluster
    dry: Cluster
    journal: Journal
    lease: Lease
    controls: Controls
    prices: Prices
    telemetry: Telemetry
    clock: Clock


@dataclass(frozen=True, slots=True)
class DryRunCluster:
    """Answers writes without sending them; everything else is the cluster's. Dry-run is this adapter, and no `if`."""

    inner: Cluster

    def inventory(self, targets: Sequence[TargetRef], at: Instant) -> Inventory:
        """Return what the cluster shows."""
        return self.inner.inventory(targets, at)

    def send(self, action: Action, step: Step, at: Instant) -> StepResult:
        """Say that nothing was sent."""
        return StepResult(action_id=action.id, status=StepStatus.DRY_RUN, at=at, message=step.summary)

    def announce(self, target: TargetRef, reason: str, message: str, action_id: str, at: Instant) -> None:
        """Announce nothing: nothing has happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What does not change while the loop runs. code, platform: see `Inputs`. keep_inputs: for replay."""

    scope: Scope = field(default_factory=Scope)
    code: str = ""
    platform: str = ""
    keep_inputs: bool = True


class ControlLoop:
    """Turns observe, verify, detect, forecast, decide, guard, act and record once per call."""

    def __init__(self, ports: Ports, bank: Bank, setup: Setup) -> None:
        self._ports = ports
        self._setup = setup
        self._index = _NO_SERIES
        self._store_ok = True
        self._started = 0.0
        self.bank = bank
        self.state: LoopState = ports.journal.load()
        self.last: Tick | None = None
        self.held = ""
        self.unanswered: tuple[str, ...] = ()

    def run_once(self, now: Instant) -> str:
        """Turn once at `now` and return one sentence of what was decided.

        An expected failure holds and is tried again at the next turn, a bug is logged with its traceback and counted;
        FatalError is the caller's.
        """
        try:
            sentence = self._turn(now)
            self.held = ""
        except FatalError:
            raise
        except PortError as err:
            sentence = self.held = f"{clock(now)} held: {err}"
            self._ports.telemetry.failure("held")
        except Exception:
            _LOG.exception("tick_failed", extra={"at": now})
            sentence = self.held = f"{clock(now)} held: a bug, see the log"
            self._ports.telemetry.failure("bug")
        return sentence

    def _turn(self, now: Instant) -> str:
        ports = self._ports
        self._started = started = ports.clock.elapsed_s()
        policies = ports.policies.current()
        snapshot, frame = self._observe(policies, now)
        observed = ports.clock.elapsed_s()
        demands = {}
        for policy in policies.scaling:
            demands[policy.key] = Demand(*demand_of(policy, self.state.targets.get(policy.key, _FRESH), snapshot))
        percepts = self.bank.perceive(frame, demands, policies)
        perceived = ports.clock.elapsed_s()
        turn = Turn(
            snapshot=snapshot,
            percepts=percepts,
            policies=policies,
            code=self._setup.code,
            platform=self._setup.platform,
        )
        made = decide(self.state, turn)
        decided = ports.clock.elapsed_s()
        self._record_and_act(made, snapshot)
        self._report(made.tick)
        telemetry = ports.telemetry
        telemetry.stage("observe", observed - started)
        telemetry.stage("perceive", perceived - observed)
        telemetry.stage("decide", decided - perceived)
        telemetry.stage("act", ports.clock.elapsed_s() - decided)
        telemetry.tick(made.tick, self.state)
        self.last = made.tick
        return spoken(made.tick)

    # -- observe -----------------------------------------------------------------------------------

    def _observe(self, policies: PolicySet, now: Instant) -> tuple[Snapshot, Frame]:
        self.unanswered = ()
        targets = self._targets(policies)
        observation = self._read(policies, now)
        inventory = self._inventory(targets, now)
        self.unanswered += tuple(f"cluster {name}: {why}" for name, why in inventory.errors.items())
        controls, store_ok = self._controls(now)
        self._index = observation.frame.index
        snapshot = Snapshot(
            at=now,
            answers=observation.answers,
            workloads=inventory.workloads,
            leadership=self._leadership(now),
            scope=self._setup.scope,
            store_ok=store_ok and self._store_ok,
            cluster_errors=inventory.errors,
            pauses=controls.pauses,
            freezes=controls.freezes,
            approvals=controls.approvals,
            replica_usd_per_hour=self._prices(targets, now),
        )
        return snapshot, observation.frame

    def _targets(self, policies: PolicySet) -> tuple[TargetRef, ...]:
        wanted = [policy.target for policy in policies.scaling]
        if self.state.effects:
            wanted += [effect.target for effect in self.state.effects.values()]
        return tuple(dict.fromkeys(wanted))

    def _read(self, policies: PolicySet, now: Instant) -> Observation:
        signals = tuple(spec.query for policy in policies.scaling for spec in policy.signals.values())
        watches = tuple(policy.query for policy in policies.watches)
        try:
            return self._ports.source.read(signals, watches, now)
        except PortError as err:
            self.unanswered = (*self.unanswered, str(err))
            return self._blind(policies, str(err), now)

    def _blind(self, policies: PolicySet, why: str, now: Instant) -> Observation:
        """Return an observation in which everything failed and nothing is to be learnt (S1, S2)."""
        rows = len(self._index)
        frame = Frame(at=now, index=self._index, values=np.full(rows, np.nan), learn=np.zeros(rows, np.bool_))
        failed = Failed(error=why)
        return Observation(
            answers={policy.key: dict.fromkeys(policy.signals, failed) for policy in policies.scaling},
            frame=frame,
            watch_errors={policy.key: why for policy in policies.watches},
        )

    def _inventory(self, targets: tuple[TargetRef, ...], now: Instant) -> Inventory:
        try:
            return self._ports.cluster.inventory(targets, now)
        except PortError as err:
            return Inventory(workloads={}, errors={target.cluster: str(err) for target in targets})

    def _leadership(self, now: Instant) -> Leadership:
        try:
            return self._ports.lease.leadership(now)
        except PortError as err:
            return Leadership(leader=False, epoch=0, holder=f"unknown: {err}")

    def _controls(self, now: Instant) -> tuple[ControlsReading, bool]:
        """Return people's wishes; while they cannot be read the store counts as gone, and nothing acts (S2, S9)."""
        try:
            return self._ports.controls.read(now), True
        except PortError as err:
            _LOG.warning("controls_unavailable", extra={"error": str(err)})
            return ControlsReading(), False

    def _prices(self, targets: tuple[TargetRef, ...], now: Instant) -> Mapping[str, float]:
        try:
            return self._ports.prices.replica_usd_per_hour(targets, now)
        except PortError as err:
            _LOG.warning("prices_unavailable", extra={"error": str(err)})
            return {}

    # -- act and record ----------------------------------------------------------------------------

    def _record_and_act(self, made: Decisions, snapshot: Snapshot) -> None:
        """Write the intent, send, write the answers. What could not be written ahead is not sent (S6)."""
        journal = self._ports.journal
        try:
            if self._setup.keep_inputs and made.inputs:
                journal.note_inputs(made.tick, {key: to_text(inputs) for key, inputs in made.inputs.items()})
            journal.begin(made.tick, made.state)
        except StoreUnavailable:
            self._store_ok = False
            raise
        self._store_ok = True
        self.state = made.state
        results = {action.id: self._send(action, snapshot) for action in made.tick.actions}
        after = settled(made.state, made.tick, results, snapshot) if results else Settled(state=made.state, outcomes=())
        self.state = after.state
        outcomes = (*made.tick.outcomes, *after.outcomes)
        if results or outcomes:
            journal.settle(tuple(results.values()), outcomes, after.state)
            self._announce(made.tick, outcomes)

    def _send(self, action: Action, snapshot: Snapshot) -> StepResult:
        """Send the steps in order, the lease checked right before each; the first that is not done ends it."""
        port = self._ports.dry if action.dry_run else self._ports.cluster
        at = snapshot.at + max(0.0, self._ports.clock.elapsed_s() - self._started)
        result = StepResult(action_id=action.id, status=StepStatus.DONE, at=at)
        for step in action.steps:
            if not action.dry_run and not self._still_leads(action, at):
                reason = Reason.NOT_LEADER
                return StepResult(
                    action_id=action.id, status=StepStatus.REFUSED, at=at, reason=reason, message="lost the lease"
                )
            try:
                result = port.send(action, step, at)
            except PortError as err:
                # what happened to the request is not known: the next Snapshot shows it (S6)
                return StepResult(action_id=action.id, status=StepStatus.UNKNOWN, at=at, message=str(err))
            if result.status not in (StepStatus.DONE, StepStatus.DRY_RUN):
                return result
        return result

    def _still_leads(self, action: Action, at: Instant) -> bool:
        leadership = self._leadership(at)
        return leadership.leader and leadership.epoch == action.epoch

    def _announce(self, tick: Tick, outcomes: tuple[Outcome, ...]) -> None:
        """Emit an Event for each action that was accepted and for each that ended badly."""
        stories = {decision.action_id: decision.story for decision in tick.decisions if decision.action_id}
        failed = {o.action_id: o for o in outcomes if o.kind is OutcomeKind.FAILED}
        for action in tick.actions:
            if action.dry_run:
                continue
            outcome = failed.get(action.id)
            reason = "ScalingFailed" if outcome else "Scaled"
            text = outcome.detail if outcome else stories.get(action.id, "handed back")
            self._ports.cluster.announce(action.target, reason, text, action.id, tick.at)

    def _report(self, tick: Tick) -> None:
        for decision in tick.decisions:
            if decision.bug:
                self._ports.telemetry.failure("bug")
                _LOG.error("policy_failed", extra={"policy": decision.policy, "traceback": decision.bug})


# -- learning from history ----------------------------------------------------------------------------

BACKFILL_STEP_S = 60.0


def backfill(bank: Bank, policies: PolicySet, history: History, span: tuple[Instant, Instant], lock: Lock) -> list[str]:
    """Let the models learn what was between two instants, and return what could not be learnt, with the reason.

    The lock is held while the bank learns, and not while the history is asked.
    """
    start, now = span
    missed = []
    for policy in policies.scaling:
        if policy.forecast is None:
            continue
        query = policy.signals[policy.objective.demand].query
        since = now - policy.forecast.history_s
        try:
            past = history.range(query, since, now, BACKFILL_STEP_S)
        except PortError as err:
            missed.append(f"{policy.key}: {err}")
            continue
        with lock:
            bank.backfill_demand(policy.key, past.times, past.values[0] if len(past.values) else past.times * np.nan)
    for watch in policies.watches:
        try:
            past = history.range(watch.query, max(start, now - watch.history_s), now, BACKFILL_STEP_S)
        except PortError as err:
            missed.append(f"{watch.key}: {err}")
            continue
        with lock:
            bank.backfill_watch(past.times, past.values, past.index)
    return missed


# -- one sentence --------------------------------------------------------------------------------------


def spoken(tick: Tick) -> str:
    """Return one sentence of a tick: every target when they are few, else those that move and a count of the rest."""
    parts = [f"{decision.target} {decision.story}" for decision in _worth_saying(tick)]
    rest = len(tick.decisions) - len(parts)
    if rest:
        parts.append(f"{rest} others as before")
    if not tick.decisions:
        parts.append("no policies to decide")
    if tick.findings:
        worst = max(tick.findings, key=lambda finding: finding.score)
        more = f" and {len(tick.findings) - 1} more" if len(tick.findings) > 1 else ""
        parts.append(f"anomaly: {worst.reason}{more}")
    return f"{clock(tick.at)} {'; '.join(parts)}"


def _worth_saying(tick: Tick) -> list[Decision]:
    if len(tick.decisions) <= _SPOKEN:
        return list(tick.decisions)
    moving = [d for d in tick.decisions if d.verdict is None or d.verdict.word is VerdictWord.ALLOW]
    changed = [d for d in tick.decisions if d.changed and d not in moving]
    return (moving + changed)[:_SPOKEN]
