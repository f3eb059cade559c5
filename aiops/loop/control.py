"""One turn after the other: observe, verify, detect, forecast, decide, guard, act, record. The only catch-all."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from aiops.core.bank import Bank
from aiops.core.model import (
    Action,
    Frame,
    Inputs,
    Instant,
    Leadership,
    LoopState,
    Outcome,
    OutcomeKind,
    Percepts,
    PolicyKey,
    Reason,
    Snapshot,
    StepResult,
    StepStatus,
    TargetRef,
    TargetState,
    Tick,
)
from aiops.core.pipeline import Decisions, Settled, Turn, decide, demand_of, settled
from aiops.core.policies import PolicySet
from aiops.core.record.codec import to_text
from aiops.core.record.story import clock
from aiops.errors import FatalError, PortError, StoreUnavailable
from aiops.loop.lookout import Lookout, Seen
from aiops.loop.observing import Observer
from aiops.loop.reign import Reign
from aiops.loop.seams import Ports, Setup
from aiops.loop.sentence import spoken

_LOG = logging.getLogger("aiops.loop")
_FRESH = TargetState()


class ControlLoop:
    """Turns once per call. last: the tick of the last turn, None while another leads. turns: how many so far.

    seen: by policy, what it was last decided from. lookout: holds what other threads may tell of the time to come.
    """

    def __init__(self, ports: Ports, bank: Bank, setup: Setup) -> None:
        self.ports = ports
        self.setup = setup
        self._observer = Observer(ports, setup.scope)
        self._reign = Reign(ports)
        self._store_ok = True
        self._answers: tuple[StepResult, ...] = ()
        self._ends: tuple[Outcome, ...] = ()
        self._began = (0.0, 0.0)
        self.lookout = Lookout()
        self.bank = bank
        self.state: LoopState = ports.journal.load()
        self.last: Tick | None = None
        self.seen: Mapping[PolicyKey, Inputs] = {}
        self.held = ""
        self.turns = 0

    @property
    def unanswered(self) -> tuple[str, ...]:
        """Return what did not answer in the last turn."""
        return self._observer.unanswered

    def run_once(self, now: Instant) -> str:
        """Turn once at `now` and return one sentence of what was decided.

        An expected failure holds and is tried again at the next turn, a bug is logged with its traceback and counted;
        FatalError is the caller's.
        """
        try:
            sentence = self._turn(now)
            self.held = ""
            self.turns += 1
        except FatalError:
            raise
        except PortError as err:
            sentence = self.held = f"{clock(now)} held: {err}"
            self.ports.telemetry.failure("held")
        except Exception:
            _LOG.exception("tick_failed", extra={"at": now})
            sentence = self.held = f"{clock(now)} held: a bug, see the log"
            self.ports.telemetry.failure("bug")
        return sentence

    def _turn(self, now: Instant) -> str:
        ports = self.ports
        started = ports.clock.elapsed_s()
        self._began = (now, started)
        policies = ports.policies.current()
        leadership = self._observer.leadership(now)
        snapshot, frame = self._observer.observe(policies, self._targets(policies), leadership, now)
        observed = ports.clock.elapsed_s()
        percepts = self._perceive(policies, snapshot, frame)
        perceived = ports.clock.elapsed_s()
        telemetry = ports.telemetry
        telemetry.stage("observe", observed - started)
        telemetry.stage("perceive", perceived - observed)
        if leadership.elected and not leadership.leader:
            return self._stand_by(leadership, now)
        snapshot = self._led(policies, replace(snapshot, store_ok=snapshot.store_ok and self._store_ok))
        turn = Turn(
            snapshot=snapshot,
            percepts=percepts,
            policies=policies,
            code=self.setup.code,
            platform=self.setup.platform,
        )
        made = decide(self.state, turn)
        decided = ports.clock.elapsed_s()
        self._record_and_act(made, snapshot)
        self._report(made.tick)
        telemetry.stage("decide", decided - perceived)
        telemetry.stage("act", ports.clock.elapsed_s() - decided)
        telemetry.tick(made.tick, self.state)
        self.last, self.seen = made.tick, made.seen
        return spoken(made.tick)

    def _targets(self, policies: PolicySet) -> tuple[TargetRef, ...]:
        wanted = [policy.target for policy in policies.scaling]
        if self.state.effects:
            wanted += [effect.target for effect in self.state.effects.values()]
        wanted += [action.target for action in self._reign.left]
        return tuple(dict.fromkeys(wanted))

    def _perceive(self, policies: PolicySet, snapshot: Snapshot, frame: Frame) -> Percepts:
        demands = {}
        for policy in policies.scaling:
            try:
                demands[policy.key] = demand_of(policy, self.state.targets.get(policy.key, _FRESH), snapshot)
            except Exception:  # its decision meets the same bug, and says so; the others go on (S10)
                _LOG.exception("demand_failed", extra={"policy": policy.key})
        percepts = self.bank.perceive(frame, demands, policies)
        self.lookout.look(Seen(policies=policies, snapshot=snapshot, frame=frame, demands=demands, percepts=percepts))
        return percepts

    # -- leading ---------------------------------------------------------------------------------------

    def _stand_by(self, leadership: Leadership, now: Instant) -> str:
        """Decide and record nothing while another process leads; the models go on learning (S2)."""
        self._reign.end()
        self._answers, self._ends = (), ()  # whoever leads looks back at them
        self.last, self.seen = None, {}
        return f"{clock(now)} standing by: {leadership.holder} leads"

    def _led(self, policies: PolicySet, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot with which to decide as the leader: claimed, looked back, stamped (S6)."""
        self.state = self._reign.begin(snapshot.leadership, self.state, snapshot.at)
        self.state = self._reign.judge(policies, self.state, snapshot)
        return self._reign.fenced(policies, self.state, snapshot, self._present)

    def _present(self) -> Instant:
        """Return the time of the turn's beginning, and what went by since on a clock that nobody steps."""
        now, started = self._began
        return now + max(0.0, self.ports.clock.elapsed_s() - started)

    # -- act and record --------------------------------------------------------------------------------

    def _record_and_act(self, made: Decisions, snapshot: Snapshot) -> None:
        """Write the intent, send, write the answers. What could not be written ahead is not sent (S6)."""
        journal = self.ports.journal
        try:
            if self.setup.keep_inputs and made.inputs:
                journal.note_inputs(made.tick, {key: to_text(inputs) for key, inputs in made.inputs.items()})
            journal.begin(made.tick, made.state)
        except StoreUnavailable:
            self._store_ok = False
            raise
        self._store_ok = True
        self.state = made.state
        results = {action.id: self._send(action) for action in made.tick.actions}
        after = settled(made.state, made.tick, results, snapshot) if results else Settled(state=made.state, outcomes=())
        self.state = after.state
        self._answers = (*self._answers, *results.values())
        self._ends = (*self._ends, *after.outcomes)
        if self._answers or self._ends:
            # what cannot be written down now is written down by a later turn
            journal.settle(self._answers, self._ends, after.state)
            self._answers, self._ends = (), ()
        if results:
            self._announce(made.tick, after.outcomes)

    def _send(self, action: Action) -> StepResult:
        """Send the steps in order, the lease checked right before each; the first that is not done ends it."""
        port = self.ports.dry if action.dry_run else self.ports.cluster
        at = self._present()
        result = StepResult(action_id=action.id, status=StepStatus.DONE, at=at)
        for step in action.steps:
            due = action
            if not action.dry_run:
                leadership = self._observer.leadership(at)
                if not leadership.leader or leadership.epoch != action.epoch:
                    return replace(
                        result, status=StepStatus.REFUSED, reason=Reason.NOT_LEADER, message="lost the lease"
                    )
                # no request outlives the lease
                due = replace(action, expires_at=min(action.expires_at, leadership.until))
            try:
                result = port.send(due, step, at)
            except PortError as err:
                # what happened to the request is not known: the next Snapshot shows it (S6)
                return StepResult(action_id=action.id, status=StepStatus.UNKNOWN, at=at, message=str(err))
            if result.status not in (StepStatus.DONE, StepStatus.DRY_RUN):
                return result
        return result

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
            self.ports.cluster.announce(action.target, reason, text, action.id, tick.at)

    def _report(self, tick: Tick) -> None:
        for decision in tick.decisions:
            if decision.bug:
                self.ports.telemetry.failure("bug")
                _LOG.error("policy_failed", extra={"policy": decision.policy, "traceback": decision.bug})
