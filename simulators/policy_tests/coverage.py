"""What of each policy its tests exercised: guards that bound and passed, guardrails, windows, signals, outcomes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from aiops.core.guard.chain import CHAIN
from aiops.core.guard.ownership import FREE_KINDS
from aiops.core.model import OutcomeKind, Pass, SignalState, Verdict
from aiops.core.policies import Lever, PlanPolicy, ScalingPolicy, Tested, WatchPolicy
from aiops.core.versions import template_key
from aiops.policy.testing import Moment, Run

_STATES = {
    SignalState.VALUE: "value",
    SignalState.ABSENT: "absent",
    SignalState.EMPTY: "absent",
    SignalState.STALE: "stale",
    SignalState.NAN: "nan",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """items: what there is to exercise, by name. hit: what was."""

    policy: str
    items: tuple[str, ...]
    hit: frozenset[str]
    tests: int

    @property
    def missed(self) -> tuple[str, ...]:
        """Return what no test exercised."""
        return tuple(one for one in self.items if one not in self.hit)

    @property
    def ratio(self) -> float:
        """Return the share of what was exercised."""
        return 1.0 if not self.items else 1.0 - len(self.missed) / len(self.items)

    def of(self, group: str) -> tuple[int, int]:
        """Return how many of a group (`guard`, `guardrail`, ...) were exercised, and how many there are."""
        mine = [one for one in self.items if one.split(" ", 1)[0] == group]
        return sum(one in self.hit for one in mine), len(mine)


@dataclass(slots=True)
class Gathered:
    """Gathers from run to run, by policy."""

    hits: dict[str, set[str]] = field(default_factory=dict)
    tests: dict[str, int] = field(default_factory=dict)

    def note(self, run: Run) -> None:
        """Take what a run exercised; of a template it is the same for all of its targets."""
        key = template_key(run.policy.key)
        self.tests[key] = self.tests.get(key, 0) + 1
        hit = self.hits.setdefault(key, set())
        for moment in run.moments:
            hit.update(_exercised(run.policy, moment))

    def coverage(self, policies: Iterable[Tested]) -> tuple[Coverage, ...]:
        """Return the coverage of each policy, tested or not."""
        return tuple(
            Coverage(
                policy=policy.key,
                items=tuple(_items(policy)),
                hit=frozenset(self.hits.get(policy.key, ())),
                tests=self.tests.get(policy.key, 0),
            )
            for policy in policies
        )


def _items(policy: Tested) -> Iterator[str]:
    if isinstance(policy, WatchPolicy):
        yield from ("finding open", "finding none")
        return
    if isinstance(policy, PlanPolicy):
        return  # what a plan may do is as much as its world: there is no list of it
    yield from (f"guard {name} bound" for name, _ in CHAIN if name not in _idle(policy))
    yield from ("direction out", "direction in")
    for rail in policy.guardrails:
        yield f"guardrail {rail.when.text} held"
        yield f"guardrail {rail.when.text} clear"
    for window in policy.bounds.windows:
        yield f"window {window.name} active"
        yield f"window {window.name} inactive"
    for name in policy.signals:
        yield from (f"signal {name} {state}" for state in ("value", "absent", "stale", "nan"))
    yield from ("verify took-effect", "verify missed")
    if policy.forecast is not None:
        yield "forecast led"
    if policy.fallback is not None:
        yield "fallback used"


def _idle(policy: ScalingPolicy) -> Iterator[str]:
    """Yield the guards that can never bind this policy; guardrails are counted one by one.

    Budgets and plans beside a policy are other documents: what they bind is theirs to test. What is written in Git, and
    how many nodes a group may have, no test gives.
    """
    yield from ("guardrails", "ceiling", "arbiter", "declared", "declared-range", "node-group")
    if policy.lever is not Lever.HPA_FLOOR:
        yield "scaling-active"
    if not _may_be_censored(policy):
        yield "censored"
    if policy.upstream is None:
        yield "upstream"
    if policy.limits.cooldown_in_s <= 0 and policy.limits.cooldown_out_s <= 0:
        yield "cooldown"
    allowed = policy.scale_in_allowed
    if allowed or (allowed is None and policy.target.kind in FREE_KINDS):
        yield "scale-in"
    if policy.up.tolerance_ratio <= 0 and policy.down.tolerance_ratio <= 0:
        yield "tolerance"


def _may_be_censored(policy: ScalingPolicy) -> bool:
    """Return whether less may be wished for while served is not offered.

    Under an overload that is only where a floor stands above what runs; full replicas count where no latency is told.
    """
    asked = policy.objective
    overload = asked.slo is not None or asked.refused is not None
    full = asked.utilisation is not None and asked.slo is None and asked.backlog is None
    return full or (overload and policy.lever is not Lever.REPLICAS)


def _exercised(policy: Tested, moment: Moment) -> Iterator[str]:
    if isinstance(policy, WatchPolicy):
        yield "finding open" if moment.findings else "finding none"
        return
    if isinstance(policy, PlanPolicy):
        return
    verdict = None if moment.decision is None else moment.decision.verdict
    if verdict is None or moment.decision is None:
        return
    yield from _by_verdict(policy, verdict)
    for window in policy.bounds.windows:
        yield f"window {window.name} {'inactive' if window.schedule.active_until(moment.at) is None else 'active'}"
    for signal in moment.decision.signals:
        state = _STATES.get(signal.state)
        if state is not None:
            yield f"signal {signal.name} {state}"
    for outcome in moment.outcomes:
        if outcome.kind is OutcomeKind.TOOK_EFFECT:
            yield "verify took-effect"
        elif outcome.kind in (OutcomeKind.FAILED, OutcomeKind.NO_EFFECT):
            yield "verify missed"


def _by_verdict(policy: ScalingPolicy, verdict: Verdict) -> Iterator[str]:
    for ruled in verdict.rulings:
        ruling = ruled.ruling
        if ruled.guard == "guardrails":
            for rail in policy.guardrails:
                if isinstance(ruling, Pass):
                    yield f"guardrail {rail.when.text} clear"
                elif ruling.detail.startswith(f"{rail.when.text}:"):
                    yield f"guardrail {rail.when.text} held"
        elif not isinstance(ruling, Pass):
            yield f"guard {ruled.guard} bound"
    delta = verdict.change.after - verdict.change.before
    if delta:
        yield "direction out" if delta > 0 else "direction in"
    need = verdict.proposal.need
    if need.forecast is not None and need.forecast > (need.reactive or 0):
        yield "forecast led"
    if policy.fallback is not None and "falls back to" in verdict.proposal.reason:
        yield "fallback used"


def shown(coverages: Sequence[Coverage]) -> str:
    """Return coverage as people read it."""
    lines = []
    for one in coverages:
        lines.append(f"{one.policy}  {one.ratio:.0%} of {len(one.items)} rules by {one.tests} tests")
        groups = dict.fromkeys(item.split(" ", 1)[0] for item in one.items)
        lines.append("  " + ", ".join("{} {}/{}".format(group, *one.of(group)) for group in groups))
        lines += [f"  not exercised: {item}" for item in one.missed]
    return "\n".join(lines)
