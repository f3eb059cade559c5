"""What must hold whatever happens, checked from outside: the API server's audit log against the daemon's journal.

Every violation is a sentence that begins with the name of its rule and names both records.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from aiops.core.act.set_floor import ATTRIBUTE, RESTORE
from aiops.core.guard.limits import rate_limit
from aiops.core.model import Action, Decision, ScaleEvent, SignalState
from aiops.core.policies import Reaction, ScalingPolicy, SignalSpec
from aiops.policy.crd import GROUP
from tests.e2e.audit import AuditEvent, AuditLog
from tests.e2e.record import Record

HOUR_S = 3600.0
OWN = frozenset(
    {"leases", "events", "selfsubjectaccessreviews", "selfsubjectrulesreviews", "subjectaccessreviews", "tokenreviews"}
)
"""What the daemon writes on its own account; every other write is one to a target."""


def _own(event: AuditEvent) -> bool:
    return event.resource in OWN or (event.group, event.subresource) == (GROUP, "status")


# -- the evidence ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Move:
    """A write that an action asked for, with what the journal says of it."""

    event: AuditEvent
    action: Action
    decision: Decision | None
    policy: ScalingPolicy | None
    releases: bool

    @property
    def after(self) -> int:
        """Return the level that was asked for: by the request, where its body is known."""
        return self.action.change.after if self.event.level is None else self.event.level

    @property
    def bounds(self) -> tuple[int, int]:
        """Return the least and the most of the policy then, and of the HPA that was written."""
        assert self.policy is not None
        low, high, _ = self.policy.bounds.at(self.action.issued_at)
        most = _dig(self.event.response, "spec", "maxReplicas")
        high = min(high, most) if isinstance(most, int) else high
        return min(low, high), high

    @property
    def firm(self) -> bool:
        """Return whether it goes no further than reactive need and the floor, which no budget and no cooldown holds."""
        if self.decision is None or self.decision.verdict is None or self.after <= self.action.change.before:
            return False
        need = self.decision.verdict.proposal.need
        return self.after <= max(need.reactive or 0, self.bounds[0])

    def __str__(self) -> str:
        """Return both records."""
        change, decided = self.action.change, "no decision" if self.decision is None else f"decision {self.decision.id}"
        return f"{self.event} of action {self.action.id} ({change.before} -> {change.after}, {decided})"


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Both records side by side. events: of the daemon's user alone. policies: by key; None takes the journal's own.

    clock_slack_s: how far the daemon's clock may differ from the API server's. expected: what may be denied.
    settled_before: actions begun earlier must have an end.
    """

    events: Sequence[AuditEvent]
    record: Record
    policies: Mapping[str, ScalingPolicy] | None = None
    clock_slack_s: float = 0.0
    expected: Callable[[AuditEvent], bool] = lambda _: False
    settled_before: float = -math.inf

    @cached_property
    def writes(self) -> list[AuditEvent]:
        """Return every write to a target, tried or done, in the order of arrival."""
        mine = (event for event in self.events if event.writes and not _own(event))
        return sorted(mine, key=lambda event: event.at)

    @cached_property
    def moves(self) -> list[Move]:
        """Return the writes of actions that are known."""
        return [self._move(event) for event in self.writes if event.action_id in self.record.actions]

    def _move(self, event: AuditEvent) -> Move:
        action = self.record.actions[event.action_id or ""]
        decision = self.record.decisions.get(action.decision_id)
        notes = _dig(event.request, "metadata", "annotations")
        releases = isinstance(notes, Mapping) and RESTORE in notes and notes[RESTORE] is None
        if self.policies is not None:
            policy = self.policies.get(action.policy)
        else:
            policy = None if decision is None else self.record.policies.get(decision.policy_digest)
        return Move(event, action, decision, policy, releases)

    @cached_property
    def by_object(self) -> dict[str, list[AuditEvent]]:
        """Return the writes that were done, by object and uid, in the order in which the object took them."""
        done: dict[str, list[AuditEvent]] = defaultdict(list)
        for event in self.writes:
            if event.accepted:
                done[f"{event.object}@{_uid(event)}"].append(event)
        for events in done.values():
            versioned = all(event.resource_version is not None for event in events)
            events.sort(key=lambda event: (event.resource_version if versioned else 0, event.ended_at))
        return done

    def epoch_of(self, event: AuditEvent) -> int | None:
        """Return the epoch under which a write was sent."""
        action = self.record.actions.get(event.action_id or "")
        return event.epoch if action is None else action.epoch


def _uid(event: AuditEvent) -> str:
    return str(_dig(event.response, "metadata", "uid") or _dig(event.request, "metadata", "uid") or "")


def _dig(document: object, *keys: str) -> object:
    for key in keys:
        document = document.get(key) if isinstance(document, Mapping) else None
    return document


# -- the rules -------------------------------------------------------------------------------------------


def origin(seen: Evidence) -> Iterator[str]:
    """Every write was intended: its action or its epoch is in the journal, and was there before it (S6)."""
    for event in seen.writes:
        action = seen.record.actions.get(event.action_id or "")
        if event.action_id is None:
            yield from _stamp(event, seen)
        elif action is None:
            yield f"{event} is of an action that is not in the journal"
        else:
            yield from (f"{event} of action {action.id} {what}" for what in _unlike(event, action, seen))


def _stamp(event: AuditEvent, seen: Evidence) -> Iterator[str]:
    if event.epoch is None:
        yield f"{event} names no action and no epoch"
        return
    claim = seen.record.claims.get(event.epoch)
    if claim is None:
        yield f"{event} is of epoch {event.epoch}, which nobody claimed in the journal"
    elif claim.at > event.at + seen.clock_slack_s:
        yield f"{event} came {claim.at - event.at:.3f} s before {claim.holder} claimed epoch {claim.epoch}"


def _unlike(event: AuditEvent, action: Action, seen: Evidence) -> Iterator[str]:
    """Say in what a write differs from its intent."""
    early_s = action.issued_at - event.at - seen.clock_slack_s
    if early_s > 0:
        yield f"came {early_s:.3f} s before its intent"
    if action.dry_run:
        yield "which is a dry run"
    if event.level not in (None, action.change.after):
        yield f"which is to write {action.change.after}"
    objects = {(step.target.namespace, step.target.name, step.subresource) for step in action.steps}
    if objects and (event.namespace, event.name, event.subresource) not in objects:
        yield f"which is to write {sorted(objects)}"
    claims = seen.record.claims
    if claims and action.epoch >= min(claims) and action.epoch not in claims:
        yield f"which is of epoch {action.epoch}, that nobody claimed"


def bounds(seen: Evidence) -> Iterator[str]:
    """No write goes below the policy's least, or grows above its most; a release gives back what was there (S5, S9)."""
    originals: dict[str, int] = {}
    for move in seen.moves:
        key = f"{move.event.object}@{_uid(move.event)}"
        if move.releases:
            original = originals.get(key)
            if original not in (None, move.after):
                yield f"{move} gives back {move.after}, and the record on the object said {original}"
            continue
        if move.event.accepted:
            originals.update(_original(key, move.event))
        if move.policy is None:
            yield f"{move} is of policy {move.action.policy}, which nobody knows"
            continue
        low, high = move.bounds
        if move.after < low:
            yield f"{move} is below {low}"
        if move.after > max(high, move.action.change.before):
            yield f"{move} is above {high}"


def _original(key: str, event: AuditEvent) -> dict[str, int]:
    note = _dig(event.request, "metadata", "annotations", RESTORE)
    return {key: int(json.loads(note)[ATTRIBUTE])} if isinstance(note, str) else {}


def pace(seen: Evidence) -> Iterator[str]:
    """The writes that were done keep to the rates; budget and cooldowns bind all but reactive need (S5)."""
    done: dict[tuple[str, str], list[Move]] = defaultdict(list)
    for move in seen.moves:
        if move.event.accepted and not move.releases and move.policy is not None:
            done[move.action.policy, _uid(move.event)].append(move)
    for moves in done.values():
        moves.sort(key=lambda move: move.action.issued_at)
        for place, move in enumerate(moves):
            yield from _too_fast(move, moves[:place])


def _too_fast(move: Move, before: Sequence[Move]) -> Iterator[str]:
    assert move.policy is not None
    policy, level, at = move.policy, move.action.change.before, move.action.issued_at
    out = move.after > level
    last = f"; the last was {before[-1]}" if before else ""
    # as the loop counts: at the time of the decision, which is before that of the write by the same little each time
    events = tuple(ScaleEvent(at=one.action.issued_at, delta=one.after - one.action.change.before) for one in before)
    allowed = rate_limit(policy.up if out else policy.down, level, events, at, out=out)
    raised = out and move.after <= move.bounds[0]
    if not raised and (move.after > allowed if out else move.after < allowed):
        yield f"{move} is faster than the rate, which allows {allowed}{last}"
    if move.firm:
        return
    recent = sum(1 for event in events if event.at > at - HOUR_S)
    if recent >= policy.limits.changes_per_hour:
        yield f"{move} is change {recent + 1} of {policy.limits.changes_per_hour} in an hour{last}"
    cooldown_s = policy.limits.cooldown_out_s if out else policy.limits.cooldown_in_s
    same = [event.at for event in events if (event.delta > 0) == out]
    if same and same[-1] + cooldown_s > at:
        yield f"{move} is {at - same[-1]:.1f} s after one in its direction, cooldown {cooldown_s:.0f} s{last}"


def once(seen: Evidence) -> Iterator[str]:
    """No action is done twice (S6)."""
    done: dict[tuple[str, str, str], list[Move]] = defaultdict(list)
    for move in seen.moves:
        if move.event.accepted:
            done[move.action.id, move.event.object, move.event.subresource].append(move)
    for (_, _, subresource), moves in done.items():
        event, steps = moves[0].event, moves[0].action.steps
        meant = (event.namespace, event.name, subresource)
        steps_there = [one for one in steps if (one.target.namespace, one.target.name, one.subresource) == meant]
        if len(moves) > max(1, len(steps_there)):
            yield f"{moves[0]} was done again: {moves[-1].event}"


def one_actor(seen: Evidence) -> Iterator[str]:
    """Of each object, the epochs never fall: after a stamp nothing older is done (S6)."""
    for events in seen.by_object.values():
        newest: tuple[int, AuditEvent] | None = None
        for event in events:
            epoch = seen.epoch_of(event)
            if epoch is None:
                continue
            if newest is not None and epoch < newest[0]:
                action = f"action {event.action_id}" if event.action_id else "a stamp"
                yield f"{event} of {action} under epoch {epoch} was done after epoch {newest[0]}: {newest[1]}"
            elif newest is None or epoch > newest[0]:
                newest = (epoch, event)


def sighted(seen: Evidence) -> Iterator[str]:
    """Nothing is lowered while a signal is no value, but for what is handed back (S1, S2)."""
    for move in seen.moves:
        if move.releases or move.after >= move.action.change.before:
            continue
        if move.decision is None:
            yield f"{move} lowers, and what was seen is not in the journal"
            continue
        specs = {} if move.policy is None else move.policy.signals
        demand = None if move.policy is None else move.policy.objective.demand
        for signal in move.decision.signals:
            ignored = signal.name != demand and _ignored(specs.get(signal.name), signal.state)
            if signal.state is not SignalState.VALUE and not ignored:
                yield f"{move} lowers while {signal.name} is {signal.state.value}"


def _ignored(spec: SignalSpec | None, state: SignalState) -> bool:
    if spec is None:
        return False
    reactions = {
        SignalState.ABSENT: spec.on_absent,
        SignalState.EMPTY: spec.on_absent,
        SignalState.NAN: spec.on_nan,
        SignalState.STALE: spec.on_stale,
        SignalState.PARTIAL: spec.on_partial,
    }
    return reactions.get(state) is Reaction.IGNORE


def permitted(seen: Evidence) -> Iterator[str]:
    """Nothing that the daemon asks for is denied: it was granted what it was said to need (S10)."""
    for event in seen.events:
        if event.denied and not seen.expected(event):
            why = event.annotations.get("authorization.k8s.io/reason", "")
            yield f"{event} was denied{f': {why}' if why else ''}"


def ended(seen: Evidence) -> Iterator[str]:
    """Every action has an end (S6)."""
    arrived = {event.action_id: event for event in seen.writes if event.action_id}
    for action in seen.record.actions.values():
        if action.issued_at >= seen.settled_before or action.id in seen.record.outcomes:
            continue
        if seen.record.statuses.get(action.id, "begun") == "begun":
            sent = arrived.get(action.id, "no request of it arrived")
            yield f"action {action.id} of {action.policy} was begun and has no end: {sent}"


RULES: tuple[tuple[str, Callable[[Evidence], Iterable[str]]], ...] = (
    ("origin", origin),
    ("bounds", bounds),
    ("pace", pace),
    ("once", once),
    ("one actor", one_actor),
    ("sighted", sighted),
    ("permitted", permitted),
    ("ended", ended),
)


def violations(seen: Evidence) -> list[str]:
    """Return what does not hold: nothing, if all is well."""
    return [f"{name}: {what}" for name, rule in RULES for what in rule(seen)]


@dataclass(slots=True, kw_only=True)
class Witness:
    """Follows the audit log and the journals of a test, however long it takes; `check` may be called again and again.

    wanted: which of the user's events are of this test. The rest as in Evidence.
    """

    log: AuditLog
    stores: Sequence[str]
    wanted: Callable[[AuditEvent], bool] = lambda _: True
    policies: Mapping[str, ScalingPolicy] | None = None
    clock_slack_s: float = 0.0
    expected: Callable[[AuditEvent], bool] = lambda _: False
    record: Record = field(default_factory=Record)

    def check(self, *, settled_before: float = -math.inf) -> list[str]:
        """Return every violation until now. settled_before: actions begun earlier must have an end; inf: all."""
        # the log first: what is in it by now was intended before, so that it is in the journal by now
        self.log.read()
        self.record.read(*self.stores)
        return violations(
            Evidence(
                events=[event for event in self.log.events if self.wanted(event)],
                record=self.record,
                policies=self.policies,
                clock_slack_s=self.clock_slack_s,
                expected=self.expected,
                settled_before=settled_before,
            )
        )
