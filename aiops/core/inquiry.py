"""What the pure function would decide: by other signals, at another time; what would have to change for it to act.

Nothing here is carried on, and nothing acts. Forecasts, nowcasts and learnt capacities stay as they are: what is asked
is what this decision would have been, not what the models would make of another world.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from aiops.core.guard import PAUSE_ANNOTATION
from aiops.core.model import (
    Answered,
    Ask,
    Clamp,
    Decision,
    Deny,
    Inputs,
    Instant,
    Mode,
    NoSeries,
    Reason,
    Ruled,
    Scope,
    Snapshot,
    VerdictWord,
    Wait,
    Workload,
)
from aiops.core.pipeline import decide_one
from aiops.core.policies import ScalingPolicy

MOST_DOUBLINGS = 40
HALVINGS = 40
MOST_STEPS = 8
HORIZON_S = 86_400.0
"""How far ahead a wait is looked for."""

PEOPLE = frozenset({Reason.PAUSED, Reason.FROZEN, Reason.APPROVAL_NEEDED, Reason.APPROVAL_REJECTED})
MODES = frozenset({Reason.MODE_OBSERVE, Reason.DRY_RUN_SETTLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Supposed:
    """What is supposed to be otherwise. signals: by name. replicas: that run, all ready. after_s: so much later."""

    signals: Mapping[str, float] = field(default_factory=dict)
    replicas: int | None = None
    after_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A value from which, or below which, it would scale. at: None when at none it would; `why` says what binds."""

    at: float | None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """One thing in the way of acting. until: when it ends by itself, None when somebody must do something."""

    guard: str
    reason: str
    detail: str
    until: Instant | None = None


def supposed(policy: ScalingPolicy, inputs: Inputs, what: Supposed) -> Inputs:
    """Return the inputs as they would be; raise ValueError for a signal that the policy does not have."""
    unknown = sorted(set(what.signals) - set(policy.signals))
    if unknown:
        raise ValueError(f"there is no signal {unknown[0]!r}; {policy.key} reads {', '.join(policy.signals)}")
    made = later(policy, inputs, what.after_s) if what.after_s else inputs
    snapshot = made.snapshot
    answers = dict(snapshot.answers.get(policy.key, {}))
    for name, value in what.signals.items():
        old = answers.get(name)
        coverage = old.coverage if isinstance(old, Answered | NoSeries) else None
        answers[name] = Answered(value=value, newest_at=snapshot.at, coverage=coverage, presence=True)
    workloads = dict(snapshot.workloads)
    running = workloads.get(policy.target.key)
    if what.replicas is not None and running is not None:
        workloads[policy.target.key] = _running(running, what.replicas)
    shot = replace(snapshot, answers={**snapshot.answers, policy.key: answers}, workloads=workloads)
    return replace(made, snapshot=shot)


def _running(workload: Workload, replicas: int) -> Workload:
    hpas = tuple(replace(hpa, min_replicas=replicas, desired_replicas=replicas) for hpa in workload.hpas)
    return replace(workload, replicas=replicas, ready=replicas, hpas=hpas)


def later(policy: ScalingPolicy, inputs: Inputs, by_s: float) -> Inputs:
    """Return the inputs as they would be after a time in which the world looked the same and the wish stayed."""
    snapshot, at = inputs.snapshot, inputs.snapshot.at + by_s
    now = decide_one(policy, inputs)
    wishes = now.state.recommendations
    if wishes and wishes[-1][0] == snapshot.at:
        window_s = max(policy.up.longest_s, policy.down.longest_s) + inputs.tick_s
        first = max(1, math.ceil((by_s - window_s) / inputs.tick_s))
        ticks = range(first, math.ceil(by_s / inputs.tick_s))
        wishes = (*wishes, *((snapshot.at + tick * inputs.tick_s, wishes[-1][1]) for tick in ticks))
    forecast = inputs.forecast
    return replace(
        inputs,
        snapshot=_moved(policy, snapshot, by_s),
        state=replace(inputs.state, recommendations=tuple(one for one in wishes if one[0] < at)),
        forecast=None if forecast is None else replace(forecast, issued_at=forecast.issued_at + by_s),
    )


def _moved(policy: ScalingPolicy, snapshot: Snapshot, by_s: float) -> Snapshot:
    """Return the snapshot with everything that was seen as fresh as it is; pauses and freezes end when they end."""
    at = snapshot.at + by_s
    answers = {
        name: replace(one, newest_at=one.newest_at + by_s)
        if isinstance(one, Answered) and one.newest_at is not None
        else one
        for name, one in snapshot.answers.get(policy.key, {}).items()
    }
    leadership = replace(snapshot.leadership, until=snapshot.leadership.until + by_s)
    return replace(
        snapshot,
        at=at,
        answers={**snapshot.answers, policy.key: answers},
        workloads={key: replace(one, as_of=one.as_of + by_s) for key, one in snapshot.workloads.items()},
        leadership=leadership,
        freezes=tuple(one for one in snapshot.freezes if one.until > at),
    )


# -- the value at which it would scale ------------------------------------------------------------------------------


def steering(policy: ScalingPolicy, inputs: Inputs) -> str:
    """Return the signal that a threshold is asked of: demand, or use while it is not known what one replica carries."""
    verdict = decide_one(policy, inputs).decision.verdict
    unknown = verdict is None or verdict.proposal.need.capacity <= 0.0
    return policy.objective.utilisation or policy.objective.demand if unknown else policy.objective.demand


def scales_out(policy: ScalingPolicy, inputs: Inputs, *, acts: bool) -> Threshold:
    """Return the least value of the steering signal at which more is wished for, or (acts) is left by the limits.

    People and modes are left aside: it is the policy's rules that are asked.
    """
    policy, inputs = _unhindered(policy, inputs)
    signal = steering(policy, inputs)

    def more(value: float) -> bool:
        return _direction(_at(policy, inputs, signal, value), acts=acts) > 0

    if more(0.0):
        return Threshold(at=0.0)
    high = max(1.0, _value(policy, inputs, signal))
    for _ in range(MOST_DOUBLINGS):
        if more(high):
            return Threshold(at=_edge(0.0, high, more))
        high *= 2.0
    return Threshold(at=None, why=_why(_at(policy, inputs, signal, high)))


def scales_in(policy: ScalingPolicy, inputs: Inputs, *, acts: bool) -> Threshold:
    """Return the greatest value at which less is wished for, or (acts) is left by the limits; see scales_out."""
    policy, inputs = _unhindered(policy, inputs)
    signal = steering(policy, inputs)

    def not_less(value: float) -> bool:
        return _direction(_at(policy, inputs, signal, value), acts=acts) >= 0

    if not_less(0.0):
        return Threshold(at=None, why=_why(_at(policy, inputs, signal, 0.0)))
    high = max(1.0, _value(policy, inputs, signal))
    for _ in range(MOST_DOUBLINGS):
        if not_less(high):
            return Threshold(at=_edge(0.0, high, not_less))
        high *= 2.0
    return Threshold(at=high)


def _edge(low: float, high: float, holds: Callable[[float], bool]) -> float:
    """Return where a condition that does not hold at `low` and holds at `high` begins to hold."""
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _at(policy: ScalingPolicy, inputs: Inputs, signal: str, value: float) -> Decision:
    return decide_one(policy, supposed(policy, inputs, Supposed(signals={signal: value}))).decision


def _value(policy: ScalingPolicy, inputs: Inputs, signal: str) -> float:
    answer = inputs.snapshot.answers.get(policy.key, {}).get(signal)
    value = answer.value if isinstance(answer, Answered) else 0.0
    return value if math.isfinite(value) and value > 0 else 0.0


def _direction(decision: Decision, *, acts: bool) -> int:
    verdict = decision.verdict
    if verdict is None:
        return 0
    change = verdict.change if acts else verdict.proposal.change
    return change.after - change.before


def _why(decision: Decision) -> str:
    """Return what binds a decision, or why it wishes for no change."""
    verdict = decision.verdict
    if verdict is None:
        return decision.story
    bound = verdict.binding
    if bound is not None and isinstance(bound.ruling, Clamp | Wait | Ask | Deny) and verdict.proposal.delta:
        return f"{bound.guard}: {bound.ruling.detail}"
    return verdict.proposal.reason


# -- what is in the way ----------------------------------------------------------------------------------------------


def obstacles(policy: ScalingPolicy, inputs: Inputs) -> list[Obstacle]:
    """Return what is in the way of the change that is wished for now, one behind the other; nothing when it acts.

    Each is taken away in thought, and the decision made again: so what would bind next is told, too.
    """
    found: list[Obstacle] = []
    for _ in range(MOST_STEPS):
        decision = decide_one(policy, inputs).decision
        verdict = decision.verdict
        if verdict is None or not verdict.proposal.delta:
            break
        if verdict.word is VerdictWord.ALLOW:
            if verdict.dry_run:
                found.append(Obstacle(guard="mode", reason=Mode.DRY_RUN.value, detail="dry-run: decided, and not sent"))
            break
        bound = verdict.binding
        if bound is None:
            break
        cleared = _cleared(policy, inputs, bound)
        found.append(_told(bound, cleared))
        if cleared is None:
            break
        policy, inputs = cleared.policy, cleared.inputs
    return found


@dataclass(frozen=True, slots=True)
class _Cleared:
    policy: ScalingPolicy
    inputs: Inputs
    until: Instant | None = None


def _cleared(policy: ScalingPolicy, inputs: Inputs, bound: Ruled) -> _Cleared | None:
    """Return the world without what binds, None when neither time nor anybody's word takes it away."""
    ruling = bound.ruling
    reason = ruling.reason if isinstance(ruling, Clamp | Wait | Ask | Deny) else None
    snapshot = inputs.snapshot
    if reason is Reason.PAUSED:
        unpaused = {key: replace(one, annotations=_unpaused(one)) for key, one in snapshot.workloads.items()}
        shot = replace(snapshot, pauses=(), workloads=unpaused)
        return _Cleared(policy, replace(inputs, snapshot=shot), ruling.until if isinstance(ruling, Wait) else None)
    if reason is Reason.FROZEN:
        until = ruling.until if isinstance(ruling, Wait) else None
        return _Cleared(policy, replace(inputs, snapshot=replace(snapshot, freezes=())), until)
    if reason in PEOPLE or reason in MODES:
        return _Cleared(*_unhindered(policy, inputs))
    ends_s = wait_s(policy, inputs, bound)
    return None if ends_s is None else _Cleared(policy, later(policy, inputs, ends_s), snapshot.at + ends_s)


def _unpaused(workload: Workload) -> dict[str, str]:
    return {key: text for key, text in workload.annotations.items() if key != PAUSE_ANNOTATION}


def _told(bound: Ruled, cleared: _Cleared | None) -> Obstacle:
    ruling = bound.ruling
    reason, detail = ("", "")
    if isinstance(ruling, Clamp | Wait | Ask | Deny):
        reason, detail = ruling.reason.value, ruling.detail
    return Obstacle(guard=bound.guard, reason=reason, detail=detail, until=None if cleared is None else cleared.until)


def wait_s(policy: ScalingPolicy, inputs: Inputs, bound: Ruled) -> float | None:
    """Return after how long what binds would bind no more while all else stays, None when not within a day."""

    def free(ticks: int) -> bool:
        verdict = decide_one(policy, later(policy, inputs, ticks * inputs.tick_s)).decision.verdict
        now = None if verdict is None else verdict.binding
        return now is None or now.guard != bound.guard or verdict is None or verdict.word is VerdictWord.ALLOW

    most, ticks, before = math.ceil(HORIZON_S / inputs.tick_s), 1, 0
    while ticks <= most:
        if free(ticks):
            while ticks - before > 1:
                middle = (ticks + before) // 2
                before, ticks = (before, middle) if free(middle) else (middle, ticks)
            return ticks * inputs.tick_s
        before, ticks = ticks, max(ticks + 1, math.ceil(ticks * 1.5))
    return None


def _unhindered(policy: ScalingPolicy, inputs: Inputs) -> tuple[ScalingPolicy, Inputs]:
    """Return policy and world without modes and people: what its rules alone would do."""
    snapshot = inputs.snapshot
    scope: Scope = replace(
        snapshot.scope, ceiling=Mode.ENFORCE, namespaces=snapshot.scope.namespaces | {policy.target.namespace}
    )
    shot = replace(snapshot, scope=scope, pauses=(), freezes=(), approvals=())
    freed = replace(policy, mode=Mode.ENFORCE, candidate_for="")
    return freed, replace(inputs, snapshot=shot, state=replace(inputs.state, settled=None, question=None))
