"""ScalingPolicy: what only several of its fields together can get wrong, and the compiled policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from aiops.core.decide.scaling.behavior_spec import RulesSpec
from aiops.core.decide.scaling.spec import GuardrailSpec, ScalingSpec
from aiops.core.ids import digest
from aiops.core.model import TargetRef
from aiops.core.policies import (
    Backlog,
    Bounds,
    BoundsWindow,
    Fallback,
    ForecastSpec,
    Guardrail,
    Limits,
    Objective,
    ObjectivePrice,
    RatePolicy,
    RateUnit,
    ScalingPolicy,
    ScalingRules,
    Slo,
    Upstream,
    Verification,
)
from aiops.core.selection import EVERYTHING, Member, Selection
from aiops.core.versions import member_key, spec_hash
from aiops.policy import cel, placeholders, schedule
from aiops.policy import freezes as freezes_of
from aiops.policy.compile import Envelope, Kind, Problems, did_you_mean
from aiops.policy.document import Path
from aiops.policy.resource import AGE, COUNT, DECIDING, DECISION, MODE, VALID, VERDICT, WHY, Column, Resource, condition
from aiops.policy.selecting import labels_of
from aiops.policy.signals import Whose, signal
from aiops.policy.structural import Schema
from aiops.policy.variables import known_variables

UP_WINDOW_S, DOWN_WINDOW_S = 0.0, 300.0
UP_RATES = (
    RatePolicy(unit=RateUnit.PERCENT, value=100, period_s=15.0),
    RatePolicy(unit=RateUnit.PODS, value=4, period_s=15.0),
)
DOWN_RATES = (RatePolicy(unit=RateUnit.PERCENT, value=100, period_s=15.0),)
UP_TOLERANCE, DOWN_TOLERANCE = 0.0, 0.1
"""Defaults of autoscaling/v2, but for the tolerance of scale-up: `perReplica` is a limit, not a target."""

SLO_QUANTILE = 0.95
"""What is served by a policy that follows its SLO, until the next minutes have been learnt."""

LEAST_SEASON_S = 7200.0
DAY_S = 86_400.0


def compiled(envelope: Envelope, spec: ScalingSpec, document: str, problems: Problems) -> ScalingPolicy | None:
    """Return the compiled policy, None when problems with errors were noted."""
    names = tuple(spec.signals)
    whose = Whose(envelope.key, envelope.namespace, _meant(envelope, spec))
    signals = {name: signal(whose, name, one, problems) for name, one in spec.signals.items()}
    _known_signal(spec.objective.demand, names, ("spec", "objective", "demand"), problems)
    if spec.objective.slo is not None:
        _known_signal(spec.objective.slo.signal, names, ("spec", "objective", "slo", "signal"), problems)
    if spec.objective.utilisation is not None:
        _known_signal(spec.objective.utilisation, names, ("spec", "objective", "utilisation"), problems)
    if spec.objective.refused is not None:
        _known_signal(spec.objective.refused, names, ("spec", "objective", "refused"), problems)
    _backlog_signals(spec, names, problems)
    _by_slo(spec, problems)
    _scope(envelope, spec, problems)
    _told_apart(envelope, spec, problems)
    upstream = _upstream(spec, names, problems)
    windows = _windows(spec, problems)
    guardrails = tuple(_guardrail(number, one, names, problems) for number, one in enumerate(spec.guardrails))
    freezes = tuple(freezes_of.freeze(number, one, problems) for number, one in enumerate(spec.freezes))
    expect = spec.verify.expect
    expected = None if expect is None else _condition(expect, names, ("spec", "verify", "expect"), problems)
    problems.attempt(("spec", "timeZone"), lambda: schedule.window("0 0 * * *", 60.0, spec.time_zone), "bad-schedule")
    days = _days(spec, problems)
    if problems.fatal:
        return None
    return ScalingPolicy(
        key=envelope.key,
        digest=digest(document),
        document=document,
        origin=problems.document.origin,
        mode=spec.mode,
        target=_target(envelope, spec),
        lever=spec.lever,
        signals={name: one for name, one in signals.items() if one is not None},
        objective=_objective(spec),
        forecast=_forecast(spec, days),
        bounds=Bounds(min_replicas=spec.bounds.min_replicas, max_replicas=spec.bounds.max_replicas, windows=windows),
        up=_rules(spec.behavior.scale_up, UP_WINDOW_S, UP_RATES, UP_TOLERANCE),
        down=_rules(spec.behavior.scale_down, DOWN_WINDOW_S, DOWN_RATES, DOWN_TOLERANCE),
        limits=Limits(
            cooldown_out_s=spec.limits.cooldown.out,
            cooldown_in_s=spec.limits.cooldown.in_,
            changes_per_hour=spec.limits.changes_per_hour,
        ),
        verify=Verification(within_s=spec.verify.within, expect=expected),
        guardrails=tuple(one for one in guardrails if one is not None),
        upstream=upstream,
        freezes=tuple(one for one in freezes if one is not None),
        fallback=_fallback(spec),
        manual_override_s=spec.manual_override,
        step_ratio=spec.behavior.step_percent / 100.0,
        scale_in_allowed=None if spec.scale_in is None else spec.scale_in == "allowed",
        time_zone=spec.time_zone,
        spec_hash=spec_hash(document),
        candidate_for=_candidate_for(envelope, spec),
        selection=None if envelope.member is not None else _selection(envelope, spec),
    )


def _candidate_for(envelope: Envelope, spec: ScalingSpec) -> str:
    if spec.candidate_for is None:
        return ""
    key = f"{envelope.kind}/{envelope.namespace}/{spec.candidate_for}"
    return key if envelope.member is None else member_key(key, envelope.member.name)


def _backlog_signals(spec: ScalingSpec, names: Sequence[str], problems: Problems) -> None:
    backlog, path = spec.objective.backlog, ("spec", "objective", "backlog")
    if backlog is None:
        return
    _known_signal(backlog.signal, names, (*path, "signal"), problems)
    if isinstance(backlog.partitions, str):
        _known_signal(backlog.partitions, names, (*path, "partitions"), problems)


def _upstream(spec: ScalingSpec, names: Sequence[str], problems: Problems) -> Upstream | None:
    said, path = spec.upstream, ("spec", "upstream")
    if said is None:
        return None
    if said.errors is not None:
        _known_signal(said.errors.signal, names, (*path, "errors", "signal"), problems)
    for number, name in enumerate(said.siblings):
        _known_signal(name, names, (*path, "siblings", number), problems)
    return Upstream(
        errors="" if said.errors is None else said.errors.signal,
        above=0.0 if said.errors is None else said.errors.above,
        siblings=said.siblings,
        drop_ratio=said.drop,
        within_s=said.within,
        hold_s=said.hold,
    )


def _by_slo(spec: ScalingSpec, problems: Problems) -> None:
    """Refuse to serve an SLO's quantile without an SLO, and seasons that a forecast of the next hour cannot use."""
    forecast = spec.forecast
    if forecast is None or forecast.quantile != "slo":
        return
    if spec.objective.slo is None:
        message = "quantile: slo needs an objective.slo, whose error budget says how much is served"
        problems.add(("spec", "forecast", "quantile"), message, code="slo-quantile")
    elif spec.objective.slo.target >= 1.0:
        message = "100% leaves no error budget: write 99.9% or a quantile"
        problems.add(("spec", "objective", "slo", "target"), message, code="slo-quantile")
    if forecast.season < LEAST_SEASON_S:
        message = "quantile: slo needs a season of 2h or more"
        problems.add(("spec", "forecast", "season"), message, code="slo-quantile")


def _fallback(spec: ScalingSpec) -> Fallback | None:
    one = spec.fallback
    return None if one is None else Fallback(after_s=one.after, replicas=one.replicas)


def _target(envelope: Envelope, spec: ScalingSpec) -> TargetRef:
    return TargetRef(
        cluster=spec.target.cluster,
        namespace=envelope.namespace,
        api_version=spec.target.api_version,
        kind=spec.target.kind,
        name=_name(envelope, spec),
    )


def _name(envelope: Envelope, spec: ScalingSpec) -> str:
    meant = _meant(envelope, spec)
    return EVERYTHING if meant is None else meant.name


def _meant(envelope: Envelope, spec: ScalingSpec) -> Member | None:
    """Return the one target, by which placeholders are filled; None for a template."""
    return envelope.member if spec.target.name is None else Member(name=spec.target.name)


def _selection(envelope: Envelope, spec: ScalingSpec) -> Selection | None:
    said, most = spec.target.selector, spec.target.max_targets
    if said is None or most is None:
        return None
    growth = spec.target.max_growth
    return Selection(
        kind=_target(envelope, spec),
        labels=labels_of(said),
        max_targets=most,
        max_growth=max(1, most // 4) if growth is None else growth,
    )


def _told_apart(envelope: Envelope, spec: ScalingSpec, problems: Problems) -> None:
    """Refuse a selector whose members would all be scaled by one number."""
    demand = spec.signals.get(spec.objective.demand)
    if spec.target.selector is None or demand is None or placeholders.any_in(demand.query):
        return
    message = "every target of the selector would be scaled by the same number: the query names none of them"
    hint = 'a matcher such as app="$(target.name)"'
    problems.add(("spec", "signals", spec.objective.demand, "query"), message, hint=hint, code="same-for-all")


def _scope(envelope: Envelope, spec: ScalingSpec, problems: Problems) -> None:
    """Refuse a foreign namespace (S3), and a candidate for itself."""
    namespace = spec.target.namespace
    if namespace is not None and namespace != envelope.namespace:
        message = f"a policy targets only its own namespace {envelope.namespace!r}, not {namespace!r}"
        problems.add(("spec", "target", "namespace"), message, code="foreign-namespace")
    if spec.candidate_for == envelope.name:
        message = "a policy is no candidate for itself"
        problems.add(("spec", "candidateFor"), message, hint="give it another name", code="bad-candidate")


def _known_signal(name: str, names: Sequence[str], path: Path, problems: Problems) -> None:
    if name not in names:
        known = f"signals are {', '.join(names)}"
        problems.add(
            path, f"there is no signal {name!r}", hint=did_you_mean(name, names) or known, code="unknown-signal"
        )


def _windows(spec: ScalingSpec, problems: Problems) -> tuple[BoundsWindow, ...]:
    made = []
    for number, one in enumerate(spec.bounds.windows):
        path: Path = ("spec", "bounds", "windows", number, "schedule")
        days = freezes_of.calendar(one.holidays, (*path[:-1], "holidays"), problems)
        make = partial(schedule.window, one.schedule, one.duration, one.time_zone, days, only=one.on_holidays == "only")
        cron = problems.attempt(path, make, "bad-schedule")
        if cron is not None:
            made.append(
                BoundsWindow(
                    name=one.name or one.schedule,
                    schedule=cron,
                    min_replicas=one.min_replicas,
                    max_replicas=one.max_replicas,
                )
            )
    return tuple(made)


def _guardrail(number: int, spec: GuardrailSpec, names: Sequence[str], problems: Problems) -> Guardrail | None:
    when = _condition(spec.when, names, ("spec", "guardrails", number, "when"), problems)
    return None if when is None else Guardrail(when=when, then=spec.then, max_replicas=spec.max_replicas)


def _condition(text: str, names: Sequence[str], path: Path, problems: Problems) -> cel.CelCondition | None:
    try:
        return cel.condition(text, names)
    except cel.InvalidCondition as err:
        hint = ""
        if "undeclared reference" in str(err):
            word = str(err).split("'")[1]
            hint = did_you_mean(word, known_variables(names))
        problems.add_inside(path, (text, err.offset), str(err), hint=hint, code="bad-cel")
        return None


def _objective(spec: ScalingSpec) -> Objective:
    slo, backlog, price = spec.objective.slo, spec.objective.backlog, spec.objective.price
    return Objective(
        demand=spec.objective.demand,
        per_replica=None if spec.objective.per_replica == "learn" else spec.objective.per_replica,
        utilisation=spec.objective.utilisation,
        refused=spec.objective.refused,
        slo=None if slo is None else Slo(signal=slo.signal, at_most=slo.at_most, target_ratio=slo.target),
        backlog=None
        if backlog is None
        else Backlog(
            signal=backlog.signal,
            drain_s=backlog.drain_within,
            partitions=backlog.partitions,
            rebalance_s=backlog.rebalance,
        ),
        price=None
        if price is None
        else ObjectivePrice(
            violated_request=price.violated_request, replica_hour=price.replica_hour, currency=price.currency
        ),
    )


def _days(spec: ScalingSpec, problems: Problems) -> schedule.Days | None:
    """Return the calendar of the forecast; note what of it is not known, and a season of another length."""
    said, path = None if spec.forecast is None else spec.forecast.calendar, ("spec", "forecast", "calendar")
    if said is None or spec.forecast is None:
        return None
    if spec.forecast.season != DAY_S:
        problems.add(path, "holidays are days: a calendar needs a season of 1d", code="bad-calendar")
    days = freezes_of.calendar(said, path, problems)
    zone = problems.attempt((*path, "timeZone"), lambda: schedule.known_zone(said.time_zone), "bad-schedule")
    return None if days is None or zone is None else schedule.Days(days, zone)


def _forecast(spec: ScalingSpec, days: schedule.Days | None) -> ForecastSpec | None:
    one = spec.forecast
    if one is None:
        return None
    return ForecastSpec(
        model=one.model,
        history_s=one.history,
        quantile=SLO_QUANTILE if one.quantile == "slo" else one.quantile,
        lead_s=one.lead_time,
        season_s=one.season,
        by_slo=one.quantile == "slo",
        calendar=days,
        challengers=one.challengers,
        finds_drift=bool(one.kinds),
    )


def _rules(spec: RulesSpec, window_s: float, rates: tuple[RatePolicy, ...], tolerance: float) -> ScalingRules:
    own = spec.policies
    written = spec.stabilization_window_seconds
    return ScalingRules(
        stabilisation_s=window_s if written is None else float(written),
        rates=(
            rates
            if own is None
            else tuple(RatePolicy(unit=r.type, value=r.value, period_s=float(r.period_seconds)) for r in own)
        ),
        select=spec.select_policy,
        tolerance_ratio=tolerance if spec.tolerance is None else spec.tolerance,
        single_step_s=float(spec.single_step_window_seconds),
    )


STATUS: Mapping[str, Schema] = {
    **DECIDING,
    "currentReplicas": {**COUNT, "description": "what the lever stood at"},
    "wantedReplicas": {**COUNT, "description": "what the policy wants, before any guard"},
    "targets": {**COUNT, "description": "of a selector: how many are scaled; replicas are those of all of them"},
}

RESOURCE = Resource(
    kind="ScalingPolicy",
    plural="scalingpolicies",
    short=("scpol",),
    columns=(
        MODE,
        Column(name="Target", path=".spec.target.name"),
        Column(name="Targets", path=".status.targets", kind="integer", about="of a selector", wide=True),
        VALID,
        VERDICT,
        Column(name="Replicas", path=".status.currentReplicas", kind="integer"),
        Column(name="Wanted", path=".status.wantedReplicas", kind="integer"),
        Column(name="Acting", path=condition("Acting"), wide=True),
        Column(name="Why", path=condition("Acting", "reason"), wide=True),
        Column(name="Limit", path=condition("ScalingLimited", "reason"), wide=True),
        DECISION,
        WHY,
        AGE,
    ),
    status=STATUS,
)

KIND = Kind(ScalingSpec, compiled, RESOURCE)
