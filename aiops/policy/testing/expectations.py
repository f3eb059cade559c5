"""Whether a recorded run is what a test expects, and what to say where it is not. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aiops.core.model import Change, Reason, Scale, SetFloor
from aiops.policy.testing import plans
from aiops.policy.testing.recorded import Moment, Run, story_of
from aiops.policy.testing.spec import ActionWord, ExpectSpec, NeverSpec, Pattern, Way
from aiops.policy.testing.times import told


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One expectation that was not met. got: what there was instead; nearest: the nearest decision that would do."""

    expected: str
    got: str
    nearest: str
    story: str
    path: tuple[str | int, ...] = ()


def failures(run: Run, expect: Sequence[ExpectSpec], never: Sequence[NeverSpec], start: datetime) -> list[Failure]:
    """Return what of a run is not as expected, in the order in which it is written."""
    found = [_unmet(run, one, start, ("expect", number)) for number, one in enumerate(expect)]
    found += [_happened(run, one, start, ("never", number)) for number, one in enumerate(never)]
    found.append(_bug(run, expect))
    return [one for one in found if one is not None]


def _bug(run: Run, expect: Sequence[ExpectSpec]) -> Failure | None:
    """Return that deciding broke, which no other expectation would tell; unless a bug is what is expected."""
    if any(one.reason is Reason.BUG for one in expect):
        return None
    broken = next((one for one in run.moments if one.decision is not None and one.decision.bug), None)
    if broken is None:
        return None
    got = f"at {_offset(run, broken)}: {described(broken)}"
    return Failure(expected="no bug in deciding", got=got, nearest="", story=story_of(run, broken))


def last_moment_s(expect: Sequence[ExpectSpec], never: Sequence[NeverSpec], start: datetime) -> float:
    """Return the latest offset that is named."""
    named = [moment for one in expect for moment in (one.at, one.by, one.from_, one.to)]
    named += [moment for one in never for moment in (one.from_, one.to)]
    return max((moment.after(start) for moment in named if moment is not None), default=0.0)


def is_open_ended(expect: Sequence[ExpectSpec], never: Sequence[NeverSpec]) -> bool:
    """Return whether something is said of the whole rest of a run, so that its end may still decide."""
    return any(one.to is None for one in never) or any(one.from_ is not None and one.to is None for one in expect)


# -- one expectation -------------------------------------------------------------------------------


def _unmet(run: Run, one: ExpectSpec, start: datetime, path: tuple[str | int, ...]) -> Failure | None:
    looked = _looked_at(run, one, start)
    if any(matches(one, moment) for moment in looked):
        return None
    shown = _closest(one, looked) if looked else run.moments[-1]
    got = f"{_offset(run, shown)}: {described(shown)}"
    if len(looked) > 1:
        got = f"none of {len(looked)} decisions; the closest at {got}"
    return Failure(
        expected=f"{_time(one)}: {_written(one)}",
        got=got if one.at is None else f"at {got}",
        nearest=_nearest(run, one, looked),
        story=story_of(run, shown),
        path=path,
    )


def _happened(run: Run, one: NeverSpec, start: datetime, path: tuple[str | int, ...]) -> Failure | None:
    begin = 0.0 if one.from_ is None else one.from_.after(start)
    end = run.moments[-1].at - run.start if one.to is None else one.to.after(start)
    found = [moment for moment in run.between(begin, end) if matches(one, moment)]
    if not found:
        return None
    first = found[0]
    often = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return Failure(
        expected=f"never from {told(begin)} to {told(end)}: {_written(one)}",
        got=f"at {_offset(run, first)}: {described(first)}{often}",
        nearest="",
        story=story_of(run, first),
        path=path,
    )


def _looked_at(run: Run, one: ExpectSpec, start: datetime) -> Sequence[Moment]:
    if one.at is not None:
        return (run.standing(one.at.after(start)),)
    if one.by is not None:
        return run.between(0.0, one.by.after(start))
    begin = 0.0 if one.from_ is None else one.from_.after(start)
    return run.between(begin, run.moments[-1].at - run.start if one.to is None else one.to.after(start))


def _time(one: ExpectSpec) -> str:
    if one.at is not None:
        return f"at {one.at}"
    if one.by is not None:
        return f"by {one.by}"
    begin = "" if one.from_ is None else f"from {one.from_} "
    return f"once {begin}{'' if one.to is None else f'to {one.to}'}".rstrip()


def _closest(one: Pattern, looked: Sequence[Moment]) -> Moment:
    """Return the moment that fits best; of several the last."""
    return max(reversed(looked), key=lambda moment: sum(_CHECKS[name](one, moment) for name in one.asks))


def _nearest(run: Run, one: Pattern, looked: Sequence[Moment]) -> str:
    """Return the decision nearest in time that would have matched, or that there is none in the whole run."""
    fitting = [moment for moment in run.moments if matches(one, moment)]
    if not fitting:
        return "no decision of the whole run matches"
    near = looked[-1].at if looked else run.moments[-1].at
    best = min(fitting, key=lambda moment: abs(moment.at - near))
    return f"at {_offset(run, best)}: {described(best)}"


def _offset(run: Run, moment: Moment) -> str:
    return told(moment.at - run.start)


# -- matching --------------------------------------------------------------------------------------


def matches(one: Pattern, moment: Moment) -> bool:
    """Return whether everything that is written of a decision is so."""
    return all(_CHECKS[name](one, moment) for name in one.asks)


def _change(moment: Moment) -> Change | None:
    verdict = None if moment.decision is None else moment.decision.verdict
    return None if verdict is None else verdict.change


def _action(one: Pattern, moment: Moment) -> bool:
    match one.action:
        case None:
            return True
        case ActionWord.NONE:
            return moment.action is None
        case ActionWord.SCALE:
            return moment.action is not None and isinstance(moment.action.change, Scale | SetFloor)
        case ActionWord.SET_FLOOR:
            return moment.action is not None and isinstance(moment.action.change, SetFloor)


def _replicas(one: Pattern, moment: Moment) -> bool:
    change = _change(moment)
    return one.replicas is not None and change is not None and one.replicas.holds(change.after)


def _direction(one: Pattern, moment: Moment) -> bool:
    change = _change(moment)
    if change is None or change.after == change.before:
        return False
    return (change.after > change.before) is (one.direction is Way.OUT)


def _from_to(one: Pattern, moment: Moment) -> bool:
    change, wanted = _change(moment), one.change
    if change is None or wanted is None:
        return False
    return wanted.from_ in (None, change.before) and wanted.to in (None, change.after)


def _verdict(one: Pattern, moment: Moment) -> bool:
    decision = moment.decision
    if decision is not None and decision.judgement is not None:
        return decision.judgement.word is one.verdict
    return decision is not None and decision.verdict is not None and decision.verdict.word is one.verdict


def _reason(one: Pattern, moment: Moment) -> bool:
    if moment.decision is not None and moment.decision.bug:
        return one.reason is Reason.BUG
    # a query that answers nothing is empty once it has answered: for who writes a test, both are absent
    if one.reason is Reason.ABSENT_SIGNAL and moment.reason is Reason.EMPTY_SIGNAL:
        return True
    return moment.reason is one.reason


def _guard(one: Pattern, moment: Moment) -> bool:
    return moment.bound is not None and moment.bound.guard == one.guard


def _wants(one: Pattern, moment: Moment) -> bool:
    verdict = None if moment.decision is None else moment.decision.verdict
    return verdict is not None and one.wants is not None and one.wants.holds(verdict.proposal.change.after)


def _ready(one: Pattern, moment: Moment) -> bool:
    return moment.workload is not None and one.ready is not None and one.ready.holds(moment.workload.ready)


def _running(one: Pattern, moment: Moment) -> bool:
    return moment.workload is not None and one.running is not None and one.running.holds(moment.workload.replicas)


def _story(one: Pattern, moment: Moment) -> bool:
    return moment.decision is not None and one.story is not None and one.story in moment.decision.story


def _outcome(one: Pattern, moment: Moment) -> bool:
    return any(outcome.kind is one.outcome for outcome in moment.outcomes)


def _finding(one: Pattern, moment: Moment) -> bool:
    return any(finding.kind is one.finding for finding in moment.findings)


def _members(one: Pattern, moment: Moment) -> bool:
    return moment.members is not None and one.members is not None and set(moment.members) == set(one.members)


_CHECKS: Mapping[str, Callable[[Pattern, Moment], bool]] = {
    "action": _action,
    "replicas": _replicas,
    "direction": _direction,
    "change": _from_to,
    "verdict": _verdict,
    "reason": _reason,
    "guard": _guard,
    "wants": _wants,
    "ready": _ready,
    "running": _running,
    "story": _story,
    "outcome": _outcome,
    "finding": _finding,
    "members": _members,
    **plans.CHECKS,
}


# -- in words --------------------------------------------------------------------------------------


def _written(one: Pattern) -> str:
    parts = []
    for name in one.asks:
        value = getattr(one, name)
        if name == "change":
            start, end = ("?" if end is None else end for end in (value.from_, value.to))
            value = f"{start} -> {end}"
        elif name == "object":
            value = plans.written(value)
        elif name == "members":
            value = ", ".join(value) or "none"
        parts.append(f"{name} {getattr(value, 'value', value)}")
    return ", ".join(parts)


def described(moment: Moment) -> str:
    """Return a tick in the words of expectations."""
    if moment.members is None:
        return _of_decision(moment)
    selected = f"members {', '.join(moment.members) or 'none'}"
    return selected if moment.decision is None else f"{selected}; {_of_decision(moment)}"


def _of_decision(moment: Moment) -> str:
    if moment.decision is None:
        return "findings " + (", ".join(one.kind.value for one in moment.findings) or "none")
    verdict = moment.decision.verdict
    if moment.decision.judgement is not None:
        return plans.described(moment)
    if verdict is None:
        return f"a bug: {moment.decision.story}"
    action = "none" if moment.action is None else type(moment.action.change).__name__
    change = verdict.change
    moved = f"{change.before} -> {change.after}" if change.after != change.before else f"stays {change.before}"
    parts = [f"verdict {verdict.word.value}", f"action {action}", moved, f"wants {verdict.proposal.change.after}"]
    if moment.bound is not None and moment.reason is not None:
        parts.append(f"bound by {moment.bound.guard} ({moment.reason.value})")
    if moment.workload is not None:
        parts.append(f"{moment.workload.ready} of {moment.workload.replicas} ready")
    parts += [f"outcome {one.kind.value}" for one in moment.outcomes]
    return ", ".join(parts)
