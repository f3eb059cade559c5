"""Rules over what happens when something is missing: signals, tests, an HPA, traffic."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from aiops.core.model import Mode
from aiops.core.policies import Lever, NoTraffic, Reaction, ScalingPolicy
from aiops.policy.lint.asked import Role, role
from aiops.policy.lint.rule import Remark, Terms
from aiops.policy.lint.trees import facts
from aiops.policy.placeholders import any_in

_BEST_AT_ZERO = (Role.SLO, Role.UTILISATION, Role.BACKLOG)


def no_fallback(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find replicas that nothing and nobody moves while every signal is absent."""
    demand = policy.signals[policy.objective.demand]
    if (
        policy.fallback is None
        and policy.lever is Lever.REPLICAS
        and policy.mode is not Mode.OBSERVE
        and demand.on_absent is Reaction.HOLD
    ):
        message = "while Prometheus is blind nothing adds capacity: signals hold, there is no HPA and no fallback"
        yield Remark(path=("spec",), message=message, hint="fallback: {after: 5m, replicas: what a busy hour needs}")


def enforce_without_tests(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find policies that act and that no test has ever looked at."""
    if terms.tested is not None and _acts(policy) and Path(policy.origin).resolve() not in terms.tested:
        message = f"mode {policy.mode.value}, and no *.test.yaml names this file"
        yield Remark(path=("spec", "mode"), message=message, hint="tests lie beside it or in tests/: aiops policy test")


def enforce_without_hpa(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find enforced replicas with no HPA beneath (S2)."""
    if policy.mode is Mode.ENFORCE and policy.lever is Lever.REPLICAS and not policy.candidate_for:
        message = "mode enforce moves replicas with no HPA beneath: when the daemon is gone, nothing adds capacity"
        yield Remark(path=("spec", "lever"), message=message, hint="prefer lever: hpa-floor")


def single_replica(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find acting policies that allow one replica, or none."""
    least = policy.bounds.min_replicas
    if _acts(policy) and least <= 1:
        what = (
            "one replica: a node that goes away takes all of it"
            if least
            else "no replica: nothing measures demand then"
        )
        yield Remark(path=("spec", "bounds", "minReplicas"), message=f"scale-in may leave {what}", hint="2 or more")


def shared_by_targets(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find latencies, utilisations, backlogs and refusals of a template that are the same for all of its targets."""
    for name, spec in policy.signals.items() if policy.selection is not None else ():
        if role(policy, name) in (*_BEST_AT_ZERO, Role.REFUSED) and not any_in(spec.query.expr):
            message = f"{name} is the same for every target of the selector: one slow target holds all of them"
            hint = 'a matcher such as app="$(target.name)"'
            yield Remark(path=("spec", "signals", name, "query"), message=message, hint=hint)


def zero_is_good_news(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find latencies, utilisations and backlogs whose absence reads as perfect."""
    for name, spec in policy.signals.items():
        if spec.on_absent is Reaction.ZERO and role(policy, name) in _BEST_AT_ZERO:
            message = f"the absence of {name} reads as 0, which is as good as it can be"
            yield Remark(path=("spec", "signals", name, "onAbsent"), message=message, hint="hold")


def presence_says_nothing(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find presence queries that are there exactly when what they vouch for is."""
    for name, spec in policy.signals.items():
        presence = spec.query.presence_expr
        if presence is None:
            continue
        own = {one.text for one in facts(spec.query.expr).selectors}
        if {one.text for one in facts(presence).selectors} == own:
            message = "presence reads what the query reads: when one is absent so is the other, and zero is never taken"
            hint = "something that is there without events, such as the metric without the label of the event"
            yield Remark(path=("spec", "signals", name, "presence"), message=message, hint=hint)


def no_traffic(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find latency promises that nobody can judge at night."""
    slo = policy.objective.slo
    if slo is None or policy.signals[slo.signal].when_no_traffic is not NoTraffic.HOLD:
        return
    if facts(policy.signals[slo.signal].query.expr).quantiles:
        message = f"a quantile of no requests is NaN: whenever there is no traffic, {slo.signal} holds scale-in"
        yield Remark(path=("spec", "signals", slo.signal), message=message, hint="whenNoTraffic: meets-slo")


def unused_signal(policy: ScalingPolicy, terms: Terms) -> Iterator[Remark]:
    """Find signals that are asked for on every turn and used by nothing."""
    objective = policy.objective
    conditions = [one.when.text for one in policy.guardrails]
    conditions += [policy.verify.expect.text] if policy.verify.expect is not None else []
    partitions = objective.backlog.partitions if objective.backlog is not None else None
    for name in policy.signals:
        spoken = any(f"signals.{name}" in text for text in conditions)
        if role(policy, name) is Role.OTHER and not spoken and name != partitions:
            message = f"nothing uses {name}, and while it is absent it holds scale-in all the same"
            yield Remark(path=("spec", "signals", name), message=message, hint="use it, or take it out")


def _acts(policy: ScalingPolicy) -> bool:
    return policy.reach in (Mode.APPROVE, Mode.ENFORCE)
