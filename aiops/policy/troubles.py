"""What trouble is for a RemediationPolicy: its triggers, compiled."""

from __future__ import annotations

from collections.abc import Sequence

from aiops.core.decide.remediation.spec import ConditionName, WhenSpec
from aiops.core.model import FindingKind
from aiops.core.planning.remediation import (
    Foreseen,
    OnAlert,
    OnCondition,
    OnCrashLoop,
    OnExhaustion,
    OnFinding,
    OnIncident,
    OnNode,
    OnRegression,
    OnStuckRollout,
    Trigger,
)
from aiops.policy import cel
from aiops.policy.compile import Envelope, Problems, did_you_mean
from aiops.policy.document import Path
from aiops.policy.lint.trees import facts
from aiops.policy.variables import known_variables

DEFAULT_ALPHA, DEFAULT_WITHIN_S = 0.01, 3600.0


def trigger(
    placed: tuple[int, WhenSpec], envelope: Envelope, names: Sequence[str], problems: Problems
) -> Trigger | None:
    """Return the trigger at a place of `when`, None when problems were noted."""
    number, spec = placed
    path: Path = ("spec", "when", number)
    if spec.alert is not None:
        return OnAlert(name=spec.alert, labels=spec.labels, node_label=spec.node_label)
    if spec.finding is not None:
        _known_kind(spec.finding.kind, (*path, "finding", "kind"), problems)
        watch = "" if spec.finding.watch is None else f"WatchPolicy/{envelope.namespace}/{spec.finding.watch}"
        return OnFinding(
            kind=spec.finding.kind or "", watch=watch, labels=spec.finding.labels, node_label=spec.node_label
        )
    if spec.incident is not None:
        _known_kind(spec.incident.kind, (*path, "incident", "kind"), problems)
        return OnIncident(kind=spec.incident.kind or "", labels=spec.incident.labels, node_label=spec.node_label)
    if spec.cel is not None:
        made = condition(spec.cel, names, (*path, "cel"), problems)
        return None if made is None else OnCondition(condition=made)
    return _seen(spec, names, path, problems)


def _seen(spec: WhenSpec, names: Sequence[str], path: Path, problems: Problems) -> Trigger | None:
    match spec.condition:
        case ConditionName.CRASH_LOOP:
            return OnCrashLoop(pods=spec.pods or 1, restarts=spec.restarts or 3)
        case ConditionName.STUCK_ROLLOUT:
            return OnStuckRollout()
        case ConditionName.NODE_NOT_READY:
            return OnNode()
        case ConditionName.NODE_CONDITION:
            return OnNode(type=spec.type or "", statuses=(spec.status or "True",))
        case ConditionName.ROLLOUT_REGRESSION:
            return OnRegression(
                new_bad="new_bad",
                new_total="new_total",
                old_bad="old_bad",
                old_total="old_total",
                worse_by=spec.worse_by or 1.0,
                alpha=spec.alpha or DEFAULT_ALPHA,
                within_s=spec.within or DEFAULT_WITHIN_S,
                window_s=_window_s(spec),
            )
        case ConditionName.MEMORY_LEAK | ConditionName.DISK_FULL | ConditionName.CERTIFICATE_EXPIRY as foreseen:
            known_signal(spec.signal or "", names, (*path, "signal"), problems)
            return OnExhaustion(
                what=Foreseen(foreseen.value),
                signal=spec.signal or "",
                within_s=spec.within or 0.0,
                limit=spec.limit or 0.0,
            )
        case None:
            return None


def known_signal(name: str, names: Sequence[str], path: Path, problems: Problems) -> None:
    """Note a signal that the policy does not have."""
    if name not in names:
        hint = did_you_mean(name, names) or f"signals are {', '.join(names) or 'none'}"
        problems.add(path, f"there is no signal {name!r}", hint=hint, code="unknown-signal")


def condition(text: str, names: Sequence[str], path: Path, problems: Problems) -> cel.CelCondition | None:
    """Return a compiled condition, None when a problem was noted."""
    try:
        return cel.condition(text, names)
    except cel.InvalidCondition as err:
        hint = ""
        if "undeclared reference" in str(err):
            hint = did_you_mean(str(err).split("'")[1], known_variables(names))
        problems.add_inside(path, (text, err.offset), str(err), hint=hint, code="bad-cel")
        return None


def _known_kind(kind: str | None, path: Path, problems: Problems) -> None:
    known = [one.value for one in FindingKind]
    if kind is not None and kind not in known:
        hint = did_you_mean(kind, known)
        problems.add(path, f"{kind!r} is not one of {', '.join(known)}", hint=hint, code="not-one-of")


def _window_s(spec: WhenSpec) -> float:
    """Return how far both queries of RolloutRegression look back, 0 where they differ or do not say so."""
    try:
        spans = {one.range_s for text in (spec.bad, spec.total) if text for one in facts(text).selectors}
    except ValueError:  # what is no PromQL is told of where the query is read
        return 0.0
    return spans.pop() if len(spans) == 1 else 0.0
