"""RemediationPolicy: what only several of its fields together can get wrong, and the compiled policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from aiops.core.decide.remediation.rung_spec import OVER_NODES, OVER_TARGET, Do
from aiops.core.decide.remediation.spec import ConditionName, NodesSpec, RemediationSpec, VerifySpec
from aiops.core.decide.scaling.spec import SignalSpec as SignalAsWritten
from aiops.core.ids import digest
from aiops.core.model import Mode, Selection, TargetRef, Wanted
from aiops.core.planning.remediation import (
    NEW,
    OLD,
    BackOff,
    Breaker,
    DoJob,
    DoRaiseNodeLimits,
    DoSuspend,
    Nodes,
    OnCondition,
    OnRegression,
    RemediationPolicy,
    Rung,
    Trigger,
    Verify,
)
from aiops.core.policies import Reaction, SignalSpec
from aiops.core.selection import Member
from aiops.core.versions import spec_hash
from aiops.policy import freezes as freezes_of
from aiops.policy import ladders, promql, troubles
from aiops.policy.compile import Envelope, Kind, Problems
from aiops.policy.document import Path
from aiops.policy.resource import AGE, DECIDING, DECISION, MODE, VALID, VERDICT, WHY, Column, Resource
from aiops.policy.selecting import labels_of
from aiops.policy.signals import Whose, signal

REVISION = "$(revision)"
"""What stands in a query of RolloutRegression for the hash of a revision's pod template."""

_SENTINEL = "aiops0revision0x"

_CUSTOM_RESOURCE = "crd:"
"""How the origin of a policy begins that was not read from an admin's files."""

_OVER_TARGET_ALONE = (
    ConditionName.CRASH_LOOP,
    ConditionName.STUCK_ROLLOUT,
    ConditionName.ROLLOUT_REGRESSION,
)


def compiled(envelope: Envelope, spec: RemediationSpec, document: str, problems: Problems) -> RemediationPolicy | None:
    """Return the compiled policy, None when problems with errors were noted."""
    _scope(envelope, spec, problems)
    names = tuple(spec.signals)
    whose = Whose(envelope.key, envelope.namespace, None if spec.target is None else Member(name=spec.target.name))
    signals = {name: signal(whose, name, one, problems) for name, one in spec.signals.items()}
    signals.update(_of_revisions(whose, spec, problems))
    triggers = tuple(troubles.trigger((number, one), envelope, names, problems) for number, one in enumerate(spec.when))
    rungs = tuple(ladders.rung((number, one), envelope, spec, problems) for number, one in enumerate(spec.ladder))
    _fits(spec, problems)
    verify = None if spec.verify is None else _verify(spec.verify, names, problems)
    freezes = [freezes_of.freeze(number, one, problems) for number, one in enumerate(spec.freezes)]
    if problems.fatal:
        return None
    known = tuple(one for one in triggers if one is not None)
    ladder = tuple(one for one in rungs if one is not None)
    return RemediationPolicy(
        key=envelope.key,
        digest=digest(document),
        document=document,
        origin=problems.document.origin,
        mode=spec.mode,
        target=_target(envelope, spec),
        signals={name: one for name, one in signals.items() if one is not None},
        freezes=tuple(one for one in freezes if one is not None),
        approvers=spec.approvers,
        ask_for_s=spec.ask_for,
        wanted=_wanted(envelope, spec, known, ladder),
        conditions={one.condition.text: one.condition for one in known if isinstance(one, OnCondition)},
        spec_hash=spec_hash(document),
        nodes=None if spec.nodes is None else _nodes(spec.nodes),
        triggers=known,
        ladder=ladder,
        for_s=spec.for_at_least,
        verify=verify,
        back_off=BackOff(first_s=spec.backoff.first, factor=spec.backoff.factor, most_s=spec.backoff.most),
        breaker=Breaker(after=spec.breaker.after, for_s=spec.breaker.for_),
    )


# -- values --------------------------------------------------------------------------------------------


def _target(envelope: Envelope, spec: RemediationSpec) -> TargetRef:
    """Return what is remedied; nodes are many, and have no one name."""
    if spec.target is None:
        cluster = "default" if spec.nodes is None else spec.nodes.cluster
        return TargetRef(cluster=cluster, namespace="", api_version="v1", kind="Node", name="")
    group = "batch/v1" if spec.target.kind == "CronJob" else "apps/v1"
    return TargetRef(
        cluster=spec.target.cluster,
        namespace=envelope.namespace,
        api_version=group,
        kind=spec.target.kind,
        name=spec.target.name,
    )


def _nodes(spec: NodesSpec) -> Nodes:
    share = isinstance(spec.min_healthy, str)
    return Nodes(
        cluster=spec.cluster,
        labels=None if spec.selector is None else labels_of(spec.selector),
        least=0 if share else int(spec.min_healthy),
        least_ratio=float(str(spec.min_healthy).rstrip("%")) / 100.0 if share else 0.0,
        exit_s=spec.storm_exit_delay,
        healthy_s=float("inf") if spec.healthy_delay == "manual" else float(spec.healthy_delay),
    )


def _wanted(envelope: Envelope, spec: RemediationSpec, triggers: Sequence[Trigger], rungs: Sequence[Rung]) -> Wanted:
    """Return what is looked at whatever happens; the pods of a target are looked at once its labels are known.

    What a rung touches is seen before it is asked for: whether it may be touched is said by its namespace, or by
    itself where it has none (S3).
    """
    named = [one.remedy.template for one in rungs if isinstance(one.remedy, DoJob)]
    named += [one.remedy.target for one in rungs if isinstance(one.remedy, DoSuspend)]
    named += [one.remedy.pool for one in rungs if isinstance(one.remedy, DoRaiseNodeLimits)]
    if spec.nodes is not None:
        return Wanted(objects=tuple(named), selections=(_nodes(spec.nodes).selection,))
    target = _target(envelope, spec)
    revisions = any(isinstance(one, OnRegression) for one in triggers) or any(
        one.do is Do.ROLL_BACK for one in spec.ladder
    )
    rolls = any(one.do in (Do.ROLL_BACK, Do.RESTART) for one in spec.ladder)
    # budgets are seen before the plan that needs them, so that it begins a turn sooner
    kinds = [("apps/v1", "ReplicaSet")] * revisions + [("policy/v1", "PodDisruptionBudget")] * rolls
    around = tuple(
        Selection(cluster=target.cluster, namespace=target.namespace, api_version=api_version, kind=kind)
        for api_version, kind in kinds
    )
    return Wanted(objects=(target, *named), selections=around)


def _verify(spec: VerifySpec, names: Sequence[str], problems: Problems) -> Verify:
    for name, field in ((spec.signal, "signal"), (spec.load, "load")):
        if name is not None:
            troubles.known_signal(name, names, ("spec", "verify", field), problems)
    return Verify(
        signal=spec.signal,
        within_s=spec.within,
        at_least=-float("inf") if spec.at_least is None else spec.at_least,
        at_most=float("inf") if spec.at_most is None else spec.at_most,
        load=spec.load or "",
    )


# -- queries of revisions ------------------------------------------------------------------------------


def _of_revisions(whose: Whose, spec: RemediationSpec, problems: Problems) -> Mapping[str, SignalSpec]:
    """Return what is asked of the new and of the old revision, by the trigger's own names."""
    found: dict[str, SignalSpec] = {}
    for number, one in enumerate(spec.when):
        if one.condition is not ConditionName.ROLLOUT_REGRESSION or one.bad is None or one.total is None:
            continue
        for part, text in (("bad", one.bad), ("total", one.total)):
            path: Path = ("spec", "when", number, part)
            made = _revision_query(whose, f"{part}_of_revision", text, (path, problems))
            if made is not None:
                found[f"new_{part}"] = _named(made, f"new_{part}", NEW)
                found[f"old_{part}"] = _named(made, f"old_{part}", OLD)
    return found


def _revision_query(whose: Whose, name: str, text: str, at: tuple[Path, Problems]) -> SignalSpec | None:
    path, problems = at
    if REVISION not in text:
        hint = 'a matcher such as pod_template_hash="$(revision)"'
        problems.add(path, "the query names no revision: both would get one answer", hint=hint, code="same-for-all")
        return None
    marked = text.replace(REVISION, _SENTINEL)
    if problems.attempt(path, lambda: promql.checked(marked), "bad-promql") is None:
        return None
    inside = [one for one in promql.matchers(marked) if _SENTINEL in one.value]
    if len(inside) != text.count(REVISION) or any(one.regular for one in inside):
        message = 'the revision stands inside the value of a label matcher: pod_template_hash="$(revision)"'
        problems.add(path, message, code="bad-placeholder")
        return None
    if problems.attempt(path, lambda: whose.query(marked), "bad-placeholder") is None:
        return None
    return signal(whose, name, SignalAsWritten(query=marked, unit="1/s"), problems)


def _named(spec: SignalSpec, name: str, mark: str) -> SignalSpec:
    def said(text: str) -> str:
        return text.replace(_SENTINEL, mark)

    query = spec.query
    query = replace(
        query,
        name=name,
        expr=said(query.expr),
        age_exprs=tuple(map(said, query.age_exprs)),
        coverage_exprs=tuple(map(said, query.coverage_exprs)),
        up_exprs=tuple(map(said, query.up_exprs)),
    )
    # pods of a revision come and go while it is rolled out: how many tell of it says nothing
    return replace(spec, query=query, on_partial=Reaction.IGNORE)


# -- what several fields get wrong together ------------------------------------------------------------


def _scope(envelope: Envelope, spec: RemediationSpec, problems: Problems) -> None:
    """Refuse a foreign namespace, and nodes from whom only has a namespace (S3)."""
    namespace = None if spec.target is None else spec.target.namespace
    if namespace is not None and namespace != envelope.namespace:
        message = f"a policy targets only its own namespace {envelope.namespace!r}, not {namespace!r}"
        problems.add(("spec", "target", "namespace"), message, code="foreign-namespace")
    if not problems.document.origin.startswith(_CUSTOM_RESOURCE):
        return
    if spec.nodes is not None:
        message = "nodes belong to no namespace: such a policy is read from an admin's files alone (S3)"
        problems.add(("spec", "nodes"), message, code="foreign-namespace")
    for number, one in enumerate(spec.ladder):
        if one.do in (Do.MOVE, Do.RAISE_NODE_LIMITS):
            what = "move cordons a node" if one.do is Do.MOVE else "raise-node-limits changes a NodePool"
            message = f"{what}, which belongs to no namespace: from an admin's files alone (S3)"
            problems.add(("spec", "ladder", number, "do"), message, code="foreign-namespace")


def _fits(spec: RemediationSpec, problems: Problems) -> None:
    """Refuse what makes no sense for the target, and what nothing can take back where nobody is asked."""
    allowed = OVER_TARGET if spec.nodes is None else OVER_NODES
    what = "a target" if spec.nodes is None else "nodes"
    for number, one in enumerate(spec.ladder):
        path: Path = ("spec", "ladder", number, "do")
        if one.do not in allowed:
            problems.add(path, f"{one.do} is not for {what}", hint=f"one of {', '.join(allowed)}", code="bad-rung")
        elif not _kind_fits(one.do, spec):
            kind = "" if spec.target is None else spec.target.kind
            problems.add(path, f"{one.do} is not for a {kind}", code="bad-rung")
        if one.do in (Do.JOB, Do.WEBHOOK) and spec.mode is Mode.ENFORCE and not one.asks:
            message = f"nothing can take {one.do} back, and in mode enforce nobody is asked"
            hint = "asks: true: a person says yes to this rung; or mode: approve"
            problems.add(path, message, hint=hint, code="no-undo")
    if spec.nodes is not None:
        for number, trouble in enumerate(spec.when):
            if trouble.condition in _OVER_TARGET_ALONE:
                message = f"{trouble.condition} is a workload's, not a node's"
                problems.add(("spec", "when", number, "condition"), message, code="bad-trigger")


def _kind_fits(do: Do, spec: RemediationSpec) -> bool:
    kind = "" if spec.target is None else spec.target.kind
    match do:
        case Do.ROLL_BACK:
            return kind == "Deployment"
        case Do.RESTART | Do.SET_RESOURCES | Do.DELETE_POD:
            return kind in ("Deployment", "StatefulSet", "DaemonSet")
        case _:
            return True


RESOURCE = Resource(
    kind="RemediationPolicy",
    plural="remediationpolicies",
    short=("repol",),
    columns=(
        MODE,
        Column(name="Target", path=".spec.target.name"),
        VALID,
        VERDICT,
        DECISION,
        WHY,
        AGE,
    ),
    status=DECIDING,
)

KIND = Kind(RemediationSpec, compiled, RESOURCE)
