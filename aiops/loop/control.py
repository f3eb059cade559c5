"""One turn after the other: observe, verify, detect, forecast, decide, guard, act, record. The only catch-all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

from aiops.core.bank import Bank
from aiops.core.detect.elsewhere import NOTHING_CHANGED, Announced, Elsewhere
from aiops.core.model import (
    Frame,
    Inputs,
    Instant,
    Leadership,
    LoopState,
    Outcome,
    Percepts,
    PolicyKey,
    Snapshot,
    StepResult,
    TargetState,
    Tick,
)
from aiops.core.money.metering import Turned
from aiops.core.pipeline import (
    Decisions,
    Read,
    Settled,
    Turn,
    decide,
    decide_plans,
    demand_of,
    plans_answered,
    plans_followed,
    pressing,
    read_of,
    settled,
    wanted,
)
from aiops.core.planning.failover import FailoverPolicy
from aiops.core.plans.lifecycle import wakes
from aiops.core.policies import PolicySet
from aiops.core.record.codec import to_text
from aiops.core.record.story import clock
from aiops.errors import FatalError, Fenced, PortError, StoreUnavailable
from aiops.loop.announcing import announce
from aiops.loop.changed import changed
from aiops.loop.contained import contained
from aiops.loop.costed import costed
from aiops.loop.learning import train
from aiops.loop.lookout import Lookout, Seen
from aiops.loop.observing import Asked, Observer
from aiops.loop.pasts import UsePasts
from aiops.loop.reign import Reign
from aiops.loop.seams import Ports, Setup
from aiops.loop.sending import Sender
from aiops.loop.sentence import spoken
from aiops.loop.timekeeping import Timekeeper
from aiops.loop.unswept import unswept

_LOG = logging.getLogger("aiops.loop")
_FRESH = TargetState()
_NO_PERCEPTS = Percepts()
_NO_READS: Mapping[PolicyKey, Read] = {}
_SHARDS_UNKNOWN = "what shards have found is not known: a bug, see the log"
_CHANGES_UNKNOWN = "what is changed on purpose is not known: a bug, see the log"


class ControlLoop:
    """Turns once per call. last: the tick of the last turn, None while another leads. turns: how many so far.

    seen: by policy, what it was last decided from. lookout: holds what other threads may tell of the time to come.
    leadership: as the last turn knew it, None before the first. timekeeper: knows what is left out of turns.
    """

    def __init__(self, ports: Ports, bank: Bank, setup: Setup) -> None:
        self.ports = ports
        self.setup = setup
        self._observer = Observer(ports, setup.scope, bank.startups)
        self._sender = Sender(ports=ports, leadership=self._observer.leadership, present=self._present)
        self._reign = Reign(ports, self._sender)
        self._store_ok = True
        self._fast: tuple[PolicySet, PolicySet] | None = None
        self._reads: dict[PolicyKey, Read] = {}
        self._answers: tuple[StepResult, ...] = ()
        self._ends: tuple[Outcome, ...] = ()
        self._began = (0.0, 0.0)
        self.timekeeper = Timekeeper(setup.budget, setup.scope.ceiling)
        self.lookout = Lookout()
        self.bank = bank
        self.state: LoopState = ports.journal.load()
        self.last: Tick | None = None
        self._changed = NOTHING_CHANGED
        self.seen: Mapping[PolicyKey, Inputs] = {}
        self.held = ""
        self.turns = 0
        self.leadership: Leadership | None = None

    @property
    def unanswered(self) -> tuple[str, ...]:
        """Return what did not answer in the last turn."""
        return self._observer.unanswered

    @property
    def pasts(self) -> UsePasts:
        """Return what holds the pasts that are read beside the loop."""
        return self._observer.pasts

    @property
    def watches_held(self) -> tuple[Mapping[PolicyKey, str], Mapping[PolicyKey, str]]:
        """Return the watches whose query failed in the last turn, and those of which not all series are followed."""
        return self._observer.troubles, self._observer.notes

    def pressing(self, now: Instant) -> bool:
        """Return whether users of a failover group may be failing, or are being moved: looks are worth more then.

        Whoever stands by goes by what it sees itself: it takes over with that (S8).
        """
        leads = self.leadership is None or self.leadership.leader or not self.leadership.elected
        state = self.state if leads else self._reign.followed
        return pressing(self.ports.policies.current().plans, state, now)

    def run_once(self, now: Instant) -> str:
        """Turn once at `now` and return one sentence of what was decided.

        An expected failure holds and is tried again at the next turn, a bug is logged with its traceback and counted;
        FatalError is the caller's.
        """
        sentence = self._held_or(now, self._turn)
        contained(self.ports.telemetry, "timekeeping_failed", self._ended)
        return sentence

    def run_plans(self, now: Instant) -> str:
        """Turn once at `now` for the policies of plans alone that are judged between ordinary turns, too (S8).

        It says and holds as `run_once` does, and says nothing when there are none.
        """
        return self._held_or(now, self._turn_of_plans) if self._hurried().plans else ""

    def _held_or(self, now: Instant, turn: Callable[[Instant], str]) -> str:
        try:
            with unswept():
                sentence = turn(now)
            if turn == self._turn:  # one of plans alone says nothing of the others
                self.held = ""
                self.turns += 1
        except FatalError:
            raise
        except PortError as err:
            sentence = self.held = f"{clock(now)} held: {err}"
            self.ports.telemetry.failure("store" if isinstance(err, StoreUnavailable) else "held")
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
        leadership = self.leadership = self._observer.leadership(now)
        in_time = self.timekeeper.begin(policies, self.state)
        ports.engine.begin(policies, leadership, now, self._changed)
        snapshot, frame = self._observer.observe(self._asked(ports.engine.own(in_time)), leadership, now)
        observed = ports.clock.elapsed_s()
        percepts = self._perceive(in_time, snapshot, frame)
        perceived = ports.clock.elapsed_s()
        telemetry = ports.telemetry
        telemetry.stage("observe", observed - started)
        telemetry.stage("perceive", perceived - observed)
        if leadership.elected and not leadership.leader:
            return self._stand_by(self._turn_with(policies, snapshot, percepts))
        snapshot = self._led(policies, self._journalled(snapshot))
        in_time = self.timekeeper.decided(policies, self.state, ports.clock.elapsed_s() - started)
        turn = self._turn_with(in_time, snapshot, percepts, self._reads)
        made = decide(self.state, turn)
        if self.timekeeper.news:
            made = replace(made, tick=self.timekeeper.telling(made.tick))
        decided = ports.clock.elapsed_s()
        self._record_and_act(made, snapshot)
        self._report(made.tick)
        self._count(turn, made.tick)
        telemetry.stage("decide", decided - perceived)
        telemetry.stage("act", ports.clock.elapsed_s() - decided)
        telemetry.tick(made.tick, self.state)
        self.last, self.seen = made.tick, made.seen
        return spoken(made.tick)

    def _ended(self) -> None:
        self.timekeeper.end(self.ports.clock.elapsed_s() - self._began[1], self._observer.index)

    def _turn_of_plans(self, now: Instant) -> str:
        started = self.ports.clock.elapsed_s()
        self._began = (now, started)
        policies = self._hurried()
        leadership = self.leadership = self._observer.leadership(now)
        unanswered = self._observer.unanswered
        snapshot, _ = self._observer.observe(self._asked(policies), leadership, now)
        self._observer.unanswered = tuple(dict.fromkeys((*unanswered, *self._observer.unanswered)))
        if leadership.elected and not leadership.leader:
            return self._stand_by(self._turn_with(policies, snapshot, _NO_PERCEPTS))
        snapshot = self._begun(policies, snapshot)
        snapshot = self._journalled(snapshot)
        snapshot = self._reign.fenced(policies, self.state, snapshot)
        turn = self._turn_with(policies, snapshot, _NO_PERCEPTS)
        others = {one.policy for one in self.state.plans.values()} - {one.key for one in policies.plans}
        made = decide_plans(self.state, replace(turn, elsewhere=frozenset(others)))
        self._record_and_act(made, snapshot)
        self._report(made.tick)
        self.ports.telemetry.stage("plans", self.ports.clock.elapsed_s() - started)
        return spoken(made.tick)

    def _journalled(self, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot that knows whether the last turn could be written down."""
        return snapshot if self._store_ok or not snapshot.store_ok else replace(snapshot, store_ok=False)

    def _hurried(self) -> PolicySet:
        """Return the policies that a turn between ordinary ones judges: those whose users cannot wait for a tick."""
        policies = self.ports.policies.current()
        if self._fast is None or self._fast[0] is not policies:
            plans = tuple(one for one in policies.plans if self.setup.lane_s and isinstance(one, FailoverPolicy))
            step_s = self.setup.lane_s or policies.step_s
            self._fast = policies, replace(policies, scaling=(), watches=(), plans=plans, step_s=step_s)
        return self._fast[1]

    def _turn_with(
        self,
        policies: PolicySet,
        snapshot: Snapshot,
        percepts: Percepts,
        reads: Mapping[PolicyKey, Read] = _NO_READS,
    ) -> Turn:
        return Turn(
            snapshot=snapshot,
            percepts=percepts,
            policies=policies,
            code=self.setup.code,
            platform=self.setup.platform,
            reads=reads,
        )

    def _asked(self, policies: PolicySet) -> Asked:
        targets = [policy.target for policy in policies.scaling]
        targets += [ref for policy in policies.plans for ref in policy.workloads]
        targets += [ref for policy in policies.watches if policy.rollouts for ref in policy.rollouts.of]
        if policies.scaling or not policies.plans:
            targets += [effect.target for effect in self.state.effects.values()]
            targets += [action.target for action in self._reign.left]
        return Asked(
            policies=policies,
            targets=tuple(dict.fromkeys(targets)),
            wanted=wanted(policies.plans, self.state),
            ladders=self.state.ladders,
            savings=self.state.savings,
        )

    def _perceive(self, policies: PolicySet, snapshot: Snapshot, frame: Frame) -> Percepts:
        demands = {}
        self._reads = {}
        for policy in policies.scaling:
            try:
                state = self.state.targets.get(policy.key, _FRESH)
                read = self._reads[policy.key] = read_of(policy, state, snapshot)
                demands[policy.key] = demand_of(policy, state, snapshot, read)
            except Exception:  # its decision meets the same bug, and says so; the others go on (S10)
                _LOG.exception("demand_failed", extra={"policy": policy.key})
        found = self._beside(policies, snapshot)
        percepts = self.bank.perceive(frame, demands, policies, found)
        telemetry = self.ports.telemetry
        for watch in policies.watches:
            self._tell_bug(watch.key, percepts.bugs.get(watch.key, ""))  # they have no decision to be told with
        contained(telemetry, "learning_failed", lambda: train(self.bank, self.ports.trainer, snapshot.at))
        seen = Seen(
            policies=policies,
            snapshot=snapshot,
            frame=frame,
            demands=demands,
            percepts=percepts,
            live=found.live,
        )
        contained(telemetry, "outlook_failed", lambda: self.lookout.look(seen))
        return percepts

    def _beside(self, policies: PolicySet, snapshot: Snapshot) -> Elsewhere:
        """Return what is found elsewhere than in the frame; while a part has a bug, what it hides is not seen (S1)."""
        ports, watches, at = self.ports, policies.watches, snapshot.at
        overruns = partial(ports.books.overruns, policies, snapshot.budgets)
        purposely = contained(ports.telemetry, "changes_failed", partial(changed, policies, snapshot, self.last))
        found = contained(ports.telemetry, "engine_failed", partial(ports.engine.gather, at))
        if found is None:
            found = Elsewhere(unseen=dict.fromkeys((one.key for one in watches), _SHARDS_UNKNOWN))
        self._changed = Announced(at=at, why=purposely or {})
        unsure = (one.key for one in watches if purposely is None and one.rollouts is not None)
        return replace(
            found,
            findings=(*(contained(ports.telemetry, "overruns_failed", overruns) or ()), *found.findings),
            unseen={**found.unseen, **self.timekeeper.unseen(), **dict.fromkeys(unsure, _CHANGES_UNKNOWN)},
            changed=purposely or {},
        )

    # -- leading ---------------------------------------------------------------------------------------

    def _stand_by(self, turn: Turn) -> str:
        """Decide and record nothing while another process leads; the models and what plans need go on learning (S2)."""
        leadership, now = turn.snapshot.leadership, turn.snapshot.at
        self._reign.end(plans_followed(self._reign.followed, turn))
        self.ports.books.stand_by()
        self._answers, self._ends = (), ()  # whoever leads looks back at them
        self.last, self.seen = None, {}
        return f"{clock(now)} standing by: {leadership.holder} leads"

    def _led(self, policies: PolicySet, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot with which to decide as the leader: claimed, looked back, stamped (S6)."""
        snapshot = self._begun(policies, snapshot)
        self.state = self._reign.judge(policies, self.state, snapshot)
        return self._reign.fenced(policies, self.state, snapshot)

    def _begun(self, policies: PolicySet, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot with the objects of plans that were taken over: what was not looked at is not gone."""
        known = self.state
        self.state = self._reign.begin(snapshot.leadership, known, snapshot.at)
        if self.state is known:
            return snapshot
        return replace(snapshot, looked=self._observer.look(wanted(policies.plans, self.state), snapshot.at))

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
        except StoreUnavailable as err:
            self._store_ok = False
            # a stop that cannot be read may be in force (S9)
            if self._observer.heard and not isinstance(err, Fenced):
                self._wake(made)
            raise
        self._store_ok = True
        self.state = made.state
        results, errands = self._sender.send(made.tick.actions, made.tick.errands)
        after = settled(made.state, made.tick, results, snapshot) if results else Settled(state=made.state, outcomes=())
        self.state = plans_answered(after.state, made.tick.errands, errands) if errands else after.state
        self._answers = (*self._answers, *results.values(), *(one for some in errands.values() for one in some))
        self._ends = (*self._ends, *after.outcomes)
        self.ports.telemetry.ended(after.outcomes)
        if self._answers or self._ends:
            # what cannot be written down now is written down by a later turn
            journal.settle(self._answers, self._ends, self.state)
            self._answers, self._ends = (), ()
        tell = partial(announce, self.ports.cluster, made.tick, after.outcomes)
        contained(self.ports.telemetry, "announcing_failed", tell)

    def _wake(self, made: Decisions) -> None:
        """Wake what is to be woken though that cannot be written down: the object itself says what is done (S2)."""
        plans = made.state.plans
        waking = [one for one in made.tick.errands if one.plan_id in plans and wakes(plans[one.plan_id], one)]
        for errand, results in zip(waking, self._sender.send((), waking)[1].values(), strict=True):
            said = {"plan": errand.plan_id, "answers": [one.status.value for one in results]}
            _LOG.warning("woken_without_a_store", extra=said)

    def _count(self, turn: Turn, tick: Tick) -> None:
        """Let the books count what the turn saw and did; what goes wrong there holds nothing up (S10)."""

        def note() -> None:
            costs = costed(turn.policies, turn.snapshot.looked)
            self.ports.books.note(
                Turned(
                    snapshot=turn.snapshot,
                    tick=tick,
                    policies=turn.policies,
                    state=self.state,
                    capacities=turn.percepts.capacities,
                    costed={key: (one.policy, one.replicas) for key, one in costs.items()},
                )
            )

        contained(self.ports.telemetry, "books_failed", note)

    def _report(self, tick: Tick) -> None:
        for decision in tick.decisions:
            self._tell_bug(decision.policy, decision.bug)

    def _tell_bug(self, policy: PolicyKey, traceback: str) -> None:
        if traceback:
            self.ports.telemetry.failure("bug")
            _LOG.error("policy_failed", extra={"policy": policy, "traceback": traceback})
