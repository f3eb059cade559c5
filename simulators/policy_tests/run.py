"""One test: the very ControlLoop on virtual time, in the world that the test gives it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from aiops.core.model import Action, LoopState, Outcome, PlanStatus, Question, Scope, TargetState, Tick
from aiops.core.policies import PlanPolicy, PolicySet, ScalingPolicy, Tested, WatchPolicy
from aiops.loop import ControlLoop, DryRunCluster, Ports, Setup
from aiops.loop.lookout import Lookout, Seen
from aiops.policy.testing import Case, Failure, Moment, Run, failures
from aiops.policy.testing.expectations import is_open_ended, last_moment_s
from simulators.policy_tests.budgets import GivenBooks, given_budgets
from simulators.policy_tests.cluster import TestCluster, Watched
from simulators.policy_tests.faults import Faults
from simulators.policy_tests.objects import Objects
from simulators.policy_tests.observed import TestSource
from simulators.policy_tests.people import Standing, TestControls, TestJournal, TestLease, TestPrices
from simulators.policy_tests.percepts import bank_for
from simulators.policy_tests.selected import Selected
from simulators.ports import FixedPolicies, NoTelemetry, StillClock

_FRESH = TargetState()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a test. decisions: turns that were run; run: what happened in them, None of another process."""

    case: Case
    failures: tuple[Failure, ...]
    decisions: int
    elapsed_s: float = 0.0
    run: Run | None = None

    @property
    def passed(self) -> bool:
        """Return whether all was as expected."""
        return not self.failures


class _Unheard(Lookout):
    """Tells nobody of the time to come: nobody asks a test."""

    def look(self, seen: Seen) -> None:
        """Publish nothing."""


def run_case(case: Case, *, whole: bool = False) -> Result:
    """Return what becomes of a test; where it passes, nothing is run after the last time that it names.

    whole: run to the end all the same, for coverage. A test that fails is run to the end, for the nearest decision.
    """
    spec = case.spec
    needed = case.ticks if whole else _needed(case)
    run = record(case, needed)
    found = failures(run, spec.expect, spec.never, case.start)
    if found and needed < case.ticks:
        run = record(case, case.ticks)
        found = failures(run, spec.expect, spec.never, case.start)
    return Result(case=case, failures=tuple(found), decisions=len(run.moments), run=run)


def _needed(case: Case) -> int:
    """Return how many ticks decide a test."""
    expect, never = case.spec.expect, case.spec.never
    if is_open_ended(expect, never):
        return case.ticks
    return min(case.ticks, int((last_moment_s(expect, never, case.start) + 1e-6) // case.step_s) + 1)


def record(case: Case, ticks: int) -> Run:
    """Return what happens in the first ticks of a test."""
    policy = given_policy(case)
    policies = _set(policy, case)
    journal = TestJournal()
    selected = None if case.template is None else Selected(case, case.template, policies)
    loop = _loop(case, policies, journal, selected)
    objects = loop.ports.cluster if isinstance(loop.ports.cluster, Objects) else None
    begun = case.start.timestamp()
    moments = []
    for number in range(ticks):
        at = begun + number * case.step_s
        if selected is not None:
            selected.look(at)
        if objects is not None:
            objects.turn(at)
        said = loop.run_once(at)
        if loop.held or loop.last is None:
            raise RuntimeError(f"the loop did not turn at {number} of {case.spec.name!r}: {said}")
        moment = _moment(loop, loop.last, policy, journal.ended())
        if objects is not None:
            stands = tuple(one for _, one in sorted(loop.state.plans.items()))
            moment = replace(moment, plans=stands, objects=objects.bodies())
        moments.append(moment if selected is None else replace(moment, members=selected.members))
    return Run(policy=policy, start=begun, step_s=case.step_s, moments=moments)


def given_policy(case: Case) -> Tested:
    """Return the policy with the mode and the capacity that the test gives."""
    policy, given = case.policy, case.spec.given
    if isinstance(policy, WatchPolicy):
        return policy
    if given.mode is not None and given.mode is not policy.mode:
        policy = replace(policy, mode=given.mode)
    if isinstance(policy, PlanPolicy):
        return policy
    if given.per_replica is not None and policy.objective.per_replica is not None:
        policy = replace(policy, objective=replace(policy.objective, per_replica=given.per_replica))
    return policy


def _set(policy: Tested, case: Case) -> PolicySet:
    if isinstance(policy, ScalingPolicy):
        budgets = given_budgets(case, policy)
        return PolicySet(digest=policy.digest, scaling=(policy,), budgets=budgets, step_s=case.step_s)
    if isinstance(policy, PlanPolicy):
        return PolicySet(digest=policy.digest, plans=(policy,), step_s=case.step_s)
    return PolicySet(digest=policy.digest, watches=(policy,), step_s=case.step_s)


def _loop(case: Case, policies: PolicySet, journal: TestJournal, selected: Selected | None) -> ControlLoop:
    (policy,) = policies.tested
    faults = Faults(case)
    cluster = _cluster(case, policy, faults)
    key = policy.target.key if isinstance(policy, ScalingPolicy) else ""
    scope = case.spec.given.scope

    def question() -> Question | None:
        if isinstance(policy, PlanPolicy):
            return _asked(loop.state)
        return loop.state.targets.get(policy.key, _FRESH).question

    standing = Standing(question) if selected is None else Standing(question, lambda: selected.held)
    ports = Ports(
        policies=FixedPolicies(policies) if selected is None else selected,
        source=TestSource(case, faults),
        cluster=cluster,
        dry=DryRunCluster(cluster),
        journal=journal,
        lease=TestLease(key, faults),
        controls=TestControls(case, faults, standing),
        prices=TestPrices(case, "" if isinstance(policy, WatchPolicy) else policy.target.cluster),
        telemetry=NoTelemetry(),
        clock=StillClock(),
        books=GivenBooks(case, policy),
    )
    protected = frozenset({key}) if scope.protected else frozenset()
    setup = Setup(scope=Scope(ceiling=scope.ceiling, protected_targets=protected), keep_inputs=False)
    loop = ControlLoop(ports, bank_for(case, policies), setup)
    loop.lookout = _Unheard()
    return loop


def _cluster(case: Case, policy: Tested, faults: Faults) -> TestCluster | Watched | Objects:
    match policy:
        case ScalingPolicy():
            return TestCluster(case, policy, faults)
        case WatchPolicy():
            return Watched(case, policy, faults)
        case _:
            return Objects(case, policy, faults)


def _asked(state: LoopState) -> Question | None:
    """Return the oldest proposal that waits for a person, as a question."""
    waiting = sorted(key for key, one in state.plans.items() if one.status is PlanStatus.PROPOSED)
    if not waiting:
        return None
    plan = state.plans[waiting[0]]
    return Question(id=plan.id, after=0, expires_at=plan.expires_at)


def _moment(loop: ControlLoop, tick: Tick, policy: Tested, ended: tuple[Outcome, ...]) -> Moment:
    decision = tick.decisions[0] if tick.decisions else None
    inputs = loop.seen.get(policy.key)
    actions: dict[str, Action] = {one.id: one for one in tick.actions}
    # without a decision something is handed back, or nothing is done
    handed_back = next(iter(tick.actions), None)
    return Moment(
        at=tick.at,
        decision=decision,
        action=actions.get(decision.action_id or "") if decision is not None else handed_back,
        outcomes=(*tick.outcomes, *ended),
        findings=tick.findings,
        workload=None if inputs is None else next(iter(inputs.snapshot.workloads.values()), None),
        forecast=None if inputs is None else inputs.forecast,
    )
