"""One policy, one decision: from its inputs and nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from aiops.core import act, guard
from aiops.core.capacity import Demand
from aiops.core.decide.scaling.backlog import stands
from aiops.core.decide.scaling.censored import Censored, censored
from aiops.core.decide.scaling.pricing import terms_of
from aiops.core.decide.scaling.propose import Situation, lead_time, nothing, proposal
from aiops.core.ids import ulid
from aiops.core.model import (
    Action,
    Answer,
    Decision,
    Declared,
    Forecast,
    Inputs,
    Instant,
    Outcome,
    OutcomeKind,
    Pass,
    Sample,
    Signal,
    SignalMemory,
    SignalState,
    Snapshot,
    TargetState,
    Verdict,
    VerdictWord,
    Workload,
    stricter,
)
from aiops.core.model.swift import changed, making, swift
from aiops.core.nowcast import STEP_S
from aiops.core.observe import environment
from aiops.core.observe.signals import reading
from aiops.core.policies import ScalingPolicy
from aiops.core.record import story
from aiops.core.verify import Sight, gone, judgement, lost, superseded, unseen

FRESH = TargetState()
_NEVER_SEEN = SignalMemory()
_ALLOW = VerdictWord.ALLOW


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What came of one policy: its decision, the state to carry on, an action to send, outcomes of older ones."""

    inputs: Inputs
    decision: Decision
    state: TargetState
    action: Action | None = None
    outcomes: tuple[Outcome, ...] = ()


class Read(NamedTuple):
    """The signals of a policy with what is to be remembered of them, and what they were read from.

    Whoever reads the same signals again in the same turn takes them from here; see `read_of`.
    """

    at: Instant
    replicas: int
    answers: Mapping[str, Answer] | None
    before: Mapping[str, SignalMemory]
    signals: dict[str, Signal]
    after: dict[str, SignalMemory]

    def holds(self, at: Instant, replicas: int, answers: object, before: object) -> bool:
        """Return whether nothing else would be read from these."""
        same = self.answers is answers and answers is not None and self.before is before
        return same and self.at == at and self.replicas == replicas


def decide_one(policy: ScalingPolicy, inputs: Inputs, known: Read | None = None) -> Decided:
    """Return the decision for one policy from its inputs and nothing else. known: its signals, if they were read."""
    snapshot, now, target = inputs.snapshot, inputs.snapshot.at, policy.target.key
    workload = snapshot.workloads.get(target)
    carried, former = _of_this_object(inputs.state, workload, now)
    carried = guard.in_time(carried, now)
    read = read_of(policy, carried, snapshot, known)
    signals, memories = read.signals, read.after
    env = _environment(policy, inputs, signals, workload)
    silent = policy.target.cluster in snapshot.cluster_errors or target in snapshot.target_errors
    carried, pending = changed(carried, signals=memories), carried.pending
    outcomes: tuple[Outcome, ...] = ()
    if pending is not None:
        carried, outcomes = _verified(policy, pending, carried, workload, _now(now, env, silent))
    price = snapshot.replica_usd_per_hour.get(target)
    if workload is None:
        wish = nothing(policy, "what runs is not known" if silent else f"{policy.target.kind} is not there")
    else:
        situation = _situation(
            now=now,
            tick_s=inputs.tick_s,
            workload=workload,
            signals=signals,
            forecast=inputs.forecast,
            nowcast=inputs.nowcast,
            capacity=inputs.capacity,
            state=carried,
            replica_usd_per_hour=price,
            prices=snapshot.prices,
        )
        wish = proposal(policy, situation)
    context = _context(
        now=now,
        tick_s=inputs.tick_s,
        policy=policy,
        mode=stricter(policy.reach, snapshot.scope.ceiling),
        snapshot=snapshot,
        workload=workload,
        state=carried,
        signals=signals,
        env=env,
        effects=inputs.effects,
        allowances=inputs.allowances,
        plans=inputs.plans,
    )
    verdict = guard.verdict(wish, context)
    carried = guard.remembered(carried, verdict, context)
    return _concluded(policy, inputs, _made(carried, verdict, tuple(signals.values()), (*former, *outcomes), workload))


@swift
@dataclass(frozen=True, slots=True)
class _Now:
    """silent: whether what runs could not be read, so that what is not seen may be there all the same."""

    at: Instant
    env: Mapping[str, object]
    silent: bool


@swift
@dataclass(frozen=True, slots=True)
class _Made:
    state: TargetState
    verdict: Verdict
    signals: tuple[Signal, ...]
    outcomes: tuple[Outcome, ...]
    workload: Workload | None


_now, _made, _situation, _context = making(_Now), making(_Made), making(Situation), making(guard.GuardContext)
_decision, _decided, _sampled, _issue = making(Decision), making(Decided), making(Sample), making(act.Issue)


def _of_this_object(
    state: TargetState, workload: Workload | None, now: Instant
) -> tuple[TargetState, tuple[Outcome, ...]]:
    """Return the state, or a fresh one when the object was deleted and made again under the same name.

    What was still to be seen of the former object ends with it.
    """
    if workload is None or workload.uid == state.uid:
        return state, ()
    if not state.uid:
        return changed(state, uid=workload.uid), ()
    ended = () if state.pending is None else (unseen(state.pending, now),)
    return changed(FRESH, uid=workload.uid), ended


def read_of(policy: ScalingPolicy, state: TargetState, snapshot: Snapshot, known: Read | None = None) -> Read:
    """Return the signals of a policy; what is known already is returned where it was read from the very same."""
    answers = snapshot.answers.get(policy.key)
    workload = snapshot.workloads.get(policy.target.key)
    replicas = 0 if workload is None else workload.replicas
    before, now = state.signals, snapshot.at
    if known is not None and known.holds(now, replicas, answers, before):
        return known
    signals: dict[str, Signal] = {}
    after: dict[str, SignalMemory] = {}
    for name, spec in policy.signals.items():
        answer = None if answers is None else answers.get(name)
        read = reading(spec, answer, before.get(name, _NEVER_SEEN), replicas, now)
        signals[name], after[name] = read.signal, read.memory
    return Read(now, replicas, answers, before, signals, after)


def _environment(
    policy: ScalingPolicy, inputs: Inputs, signals: Mapping[str, Signal], workload: Workload | None
) -> dict[str, object]:
    """Return what conditions see; nothing is made where no condition asks."""
    if not policy.guardrails and policy.verify.expect is None:
        return {}
    snapshot = inputs.snapshot
    env = environment.of_policy(policy, signals, snapshot.at)
    env.update(environment.of_workload(workload, snapshot.replica_usd_per_hour.get(policy.target.key)))
    if not inputs.unseen:  # what is not known is left out, and what asks for it says so
        env.update(environment.of_percepts(inputs.findings, inputs.incidents))
    env.update(environment.of_alerts(snapshot.alerts))
    env.update(environment.of_budgets(inputs.allowances))
    env.update(environment.of_prices(snapshot.prices, policy.target.key))
    env.update(environment.of_nodes(snapshot.pools, policy.target.cluster))
    if workload is not None:
        lead_s, _ = lead_time(policy, workload)
        env.update(environment.of_forecast(inputs.forecast, snapshot.at + lead_s + inputs.tick_s))
    return env


def _verified(
    policy: ScalingPolicy, action: Action, state: TargetState, workload: Workload | None, now: _Now
) -> tuple[TargetState, tuple[Outcome, ...]]:
    """Return the state after a look at what became of the pending action."""
    if workload is None:
        end = None if now.silent else gone(action, policy.target.kind, now.at)
        return (state, ()) if end is None else (changed(state, pending=None), (end,))
    level = act.level(action.change, workload)
    if level is None:
        end = lost(action, workload.as_of, now.at)
        return (state, ()) if end is None else (changed(state, pending=None), (end,))
    git = workload.declaration(act.declared_field(action.change)) if action.by_commit else None
    if level == action.change.after or _committed(action, git):
        # seen to hold, so it was accepted, even if the answer to the request was lost (S6)
        state = guard.accepted(state, action, action.issued_at)
    sight = Sight(now=now.at, as_of=workload.as_of, level=level, ready=workload.ready, env=now.env, declared=git)
    outcome = judgement(action, policy.verify, sight)
    if outcome is None:
        return state, ()
    # what was ours for less than a look is a person's now: yield to that, too (S4)
    taken = outcome.kind is OutcomeKind.FAILED and level not in (action.change.before, action.change.after)
    return changed(state, pending=None, owned=state.owned or taken), (outcome,)


def _committed(action: Action, git: Declared | None) -> bool:
    """Return whether a branch shows the very commit of an action."""
    return git is not None and any(one is not None and one.action_id == action.id for one in (git.ours, git.offered))


def _concluded(policy: ScalingPolicy, inputs: Inputs, made: _Made) -> Decided:
    """Return the decision as it is recorded, with its action if there is one to send."""
    now, state, verdict = inputs.snapshot.at, made.state, made.verdict
    fingerprint = _fingerprint(policy, verdict, made.signals)
    acts = verdict.word is _ALLOW
    differs = acts or fingerprint != state.fingerprint or bool(made.outcomes)
    decision_id = ulid(now, policy.key, inputs.tick_id) if differs or not state.decision_id else state.decision_id
    outcomes, action = made.outcomes, None
    if acts and made.workload is not None:
        mode = stricter(policy.reach, inputs.snapshot.scope.ceiling)
        issue = _issue(
            tick_id=inputs.tick_id,
            decision_id=decision_id,
            at=now,
            tick_s=inputs.tick_s,
            epoch=inputs.snapshot.leadership.epoch,
            mode=mode,
        )
        action = act.action(policy, verdict, made.workload, issue)
        state, outcomes = _begun(made, action, made.workload, fingerprint)
    elif fingerprint != state.fingerprint or decision_id != state.decision_id:
        state = changed(state, fingerprint=fingerprint, decision_id=decision_id)
    decision = _decision(
        id=decision_id,
        tick_id=inputs.tick_id,
        at=now,
        policy=policy.key,
        policy_digest=policy.digest,
        target=policy.target,
        verdict=verdict,
        signals=made.signals,
        action_id=None if action is None else action.id,
        changed=differs,
        story=_story(policy, verdict),
        sample=_sample(policy, inputs, made),
        candidate_for=policy.candidate_for,
    )
    return _decided(inputs=inputs, decision=decision, state=state, action=action, outcomes=outcomes)


def _story(policy: ScalingPolicy, verdict: Verdict) -> str:
    said = story.sentence(verdict)
    return f"shadow {policy.key.rpartition('/')[2]}: {said}" if policy.candidate_for else said


def _begun(
    made: _Made, action: Action, workload: Workload, fingerprint: str
) -> tuple[TargetState, tuple[Outcome, ...]]:
    """Return the state that knows of the intent. A dry run counts at the decision, a write when it is accepted (S5)."""
    state, outcomes, decision_id = made.state, made.outcomes, action.decision_id
    if action.dry_run:
        state = guard.accepted(state, action, action.issued_at)
        settled = action.change.after
        return changed(state, settled=settled, fingerprint=fingerprint, decision_id=decision_id), outcomes
    if state.pending is not None:
        level = act.level(state.pending.change, workload)
        replaced = superseded(state.pending, level, action.id, action.issued_at)
        outcomes = (*outcomes, replaced)
    return changed(state, pending=action, fingerprint=fingerprint, decision_id=decision_id), outcomes


def _fingerprint(policy: ScalingPolicy, verdict: Verdict, signals: Sequence[Signal]) -> str:
    """Return a text that differs when a ruling, a reason, a wish or a signal's state does."""
    wish, change = verdict.proposal.change, verdict.change
    limits = [
        f"{ruled.guard}:{ruled.ruling.reason.value}:{ruled.after}"
        for ruled in verdict.rulings
        if not isinstance(ruled.ruling, Pass)
    ]
    states = [signal.state for signal in signals]
    leading = verdict.proposal.need.forecast is None
    return f"{policy.digest}|{wish.before}>{wish.after}>{change.after}|{leading}|{' '.join(limits)}|{' '.join(states)}"


def _sample(policy: ScalingPolicy, inputs: Inputs, made: _Made) -> Sample:
    workload, forecast, prices = made.workload, inputs.forecast, inputs.snapshot.replica_usd_per_hour
    if workload is None:
        return Sample()
    price = prices.get(policy.target.key) if prices else None
    need = made.verdict.proposal.need
    ahead = None if forecast is None else inputs.snapshot.at + need.lead_s + inputs.tick_s
    soon = need.foreseen
    return _sampled(
        ready=workload.ready,
        ahead_p50=_ahead(forecast, 0.5, ahead) if soon is None else max(soon.demand),
        ahead_p95=_ahead(forecast, 0.95, ahead) if soon is None else max(soon.upper),
        usd_per_hour=None if price is None else price * workload.replicas,
    )


def _ahead(forecast: Forecast | None, quantile: float, until: Instant | None) -> float | None:
    if forecast is None or until is None or not forecast.learned or quantile not in forecast.quantiles:
        return None
    value = forecast.quantile_max(quantile, until)
    return value if math.isfinite(value) else None


def demand_of(policy: ScalingPolicy, state: TargetState, snapshot: Snapshot, known: Read | None = None) -> Demand:
    """Return what was seen of a policy's demand; what is partial or censored is not to be learnt from (S1)."""
    signals = read_of(policy, state, snapshot, known).signals
    objective, workload = policy.objective, snapshot.workloads.get(policy.target.key)
    demand, hidden = signals[objective.demand], censored(policy, signals)
    latency = None if objective.slo is None else signals[objective.slo.signal]
    use = None if objective.utilisation is None else signals[objective.utilisation]
    # a stale value is not what is asked for now; a partial one is a lower bound, and no measure of a replica (S1)
    shown = demand.usable or demand.state is SignalState.PARTIAL
    return Demand(
        value=demand.value + hidden.beside if shown else math.nan,
        whole=demand.usable and hidden.whole,
        latency=latency.value if latency is not None and latency.usable else math.nan,
        use_ratio=use.value if use is not None and use.usable else math.nan,
        ready=0 if workload is None else workload.ready,
        lead_s=math.nan if workload is None else lead_time(policy, workload)[0],
        calm=_calm(workload, demand, hidden) and not _waits(policy, signals),
        worth_requests=_worth_requests(policy, snapshot),
    )


def _calm(workload: Workload | None, demand: Signal, hidden: Censored) -> bool:
    """Return whether what is served tells what replicas carry: no rollout, and as much as is asked of them (S1)."""
    return workload is not None and not workload.rollout and demand.usable and hidden.measures


def _waits(policy: ScalingPolicy, signals: Mapping[str, Signal]) -> bool:
    """Return whether a backlog stands, or may: then what arrives is not what is served, and measures no replica."""
    backlog, demand = policy.objective.backlog, signals[policy.objective.demand]
    if backlog is None:
        return False
    waiting = signals[backlog.signal]
    return not waiting.usable or stands(waiting.value, demand.value, STEP_S)


def _worth_requests(policy: ScalingPolicy, snapshot: Snapshot) -> float:
    """Return how many late requests cost as much as a replica-hour; NaN where nobody says what either costs."""
    priced = terms_of(policy, snapshot.prices)
    return math.nan if priced is None else priced.worth_requests
