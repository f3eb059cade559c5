"""What a RemediationPolicy does: its rungs, compiled. Texts name typed fields, never labels or metrics (S10)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from aiops.core.decide.quantities import quantity
from aiops.core.decide.remediation.rung_spec import Do, RungSpec
from aiops.core.decide.remediation.spec import RemediationSpec
from aiops.core.model import TargetRef
from aiops.core.planning.remediation import (
    DoCordon,
    DoDeletePods,
    DoJob,
    DoMove,
    DoPage,
    DoRaiseNodeLimits,
    DoRestart,
    DoRollBack,
    DoSetResources,
    DoSuspend,
    DoWebhook,
    Remedy,
    Rung,
    Template,
)
from aiops.policy.compile import Envelope, Problems, did_you_mean
from aiops.policy.document import Path

EVERYWHERE = ("policy.name", "policy.namespace", "rung.do", "rung.number", "plan.id")
OF_TARGET = ("target.kind", "target.name", "target.namespace", "target.cluster")
OF_NODE = ("node.name", "node.cluster")

_FIELD = re.compile(r"\$\(\s*([^()]*?)\s*\)")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def rung(placed: tuple[int, RungSpec], envelope: Envelope, whole: RemediationSpec, problems: Problems) -> Rung | None:
    """Return the rung at a place of the ladder, None when problems were noted."""
    number, spec = placed
    fields = (*EVERYWHERE, *(OF_TARGET if whole.target is not None else OF_NODE))
    remedy = _remedy(spec, envelope, whole, _At(("spec", "ladder", number), fields, problems))
    return Rung(name=spec.do.value, remedy=remedy, within_s=spec.within, asks=spec.asks)


class _At:
    """Where a rung stands, and which fields its texts may name."""

    def __init__(self, path: Path, fields: tuple[str, ...], problems: Problems) -> None:
        self.path = path
        self.fields = fields
        self.problems = problems

    def template(self, text: str, *more: str) -> Template:
        """Return a text with its fields; one that is not there is an error at load, not at night."""
        parts = tuple(_FIELD.split(text))
        for name in parts[1::2]:
            if name not in self.fields:
                hint = did_you_mean(name, self.fields) or f"fields are {', '.join(self.fields)}"
                path: Path = (*self.path, *more)
                self.problems.add(path, f"there is no field $({name})", hint=hint, code="unknown-field")
        return Template(parts)

    def templates(self, texts: Mapping[str, str], where: str) -> tuple[tuple[str, Template], ...]:
        """Return named texts, sorted."""
        return tuple((name, self.template(text, where, name)) for name, text in sorted(texts.items()))


def _remedy(spec: RungSpec, envelope: Envelope, whole: RemediationSpec, at: _At) -> Remedy:
    grace_s = None if spec.grace_period is None else int(spec.grace_period)
    plain: Mapping[Do, Remedy] = {
        Do.RESTART: DoRestart(),
        Do.MOVE: DoMove(grace_s=grace_s),
        Do.DRAIN: DoMove(grace_s=grace_s),
        Do.CORDON: DoCordon(),
        Do.ROLL_BACK: DoRollBack(),
        Do.DELETE_POD: DoDeletePods(most=spec.most or 1),
    }
    return plain[spec.do] if spec.do in plain else _with_names(spec, envelope, whole, at)


def _with_names(spec: RungSpec, envelope: Envelope, whole: RemediationSpec, at: _At) -> Remedy:
    """Return what names an object, a place or a field."""
    match spec.do:
        case Do.SET_RESOURCES:
            _quantities(spec, at)
            return DoSetResources(container=spec.container or "", requests=spec.requests, limits=spec.limits)
        case Do.RAISE_NODE_LIMITS:
            _quantities(spec, at)
            return DoRaiseNodeLimits(pool=_node_pool(whole, spec.node_pool or ""), limits=spec.limits)
        case Do.JOB:
            _variables(spec, at)
            template = _cron_job(envelope, whole, spec.template or "")
            return DoJob(template=template, arguments=at.templates(spec.arguments, "arguments"))
        case Do.SUSPEND:
            return DoSuspend(target=_suspended(spec, envelope, whole, at))
        case Do.WEBHOOK:
            return DoWebhook(endpoint=spec.endpoint or "", fields=at.templates(spec.fields, "fields"))
        case _:
            return DoPage(channel=spec.channel, text=at.template(spec.text, "text"))


def _node_pool(whole: RemediationSpec, name: str) -> TargetRef:
    around = whole.target or whole.nodes
    cluster = "default" if around is None else around.cluster
    return TargetRef(cluster=cluster, namespace="", api_version="karpenter.sh/v1", kind="NodePool", name=name)


def _cron_job(envelope: Envelope, whole: RemediationSpec, name: str) -> TargetRef:
    around = whole.target or whole.nodes
    cluster = "default" if around is None else around.cluster
    return TargetRef(cluster=cluster, namespace=envelope.namespace, api_version="batch/v1", kind="CronJob", name=name)


def _suspended(spec: RungSpec, envelope: Envelope, whole: RemediationSpec, at: _At) -> TargetRef:
    own = whole.target.name if whole.target is not None and whole.target.kind == "CronJob" else ""
    name = spec.cron_job or own
    if not name:
        message = "suspend needs cronJob: the target is none"
        at.problems.add((*at.path, "do"), message, code="missing-field")
    return _cron_job(envelope, whole, name)


def _quantities(spec: RungSpec, at: _At) -> None:
    for part, said in (("requests", spec.requests), ("limits", spec.limits)):
        for name, text in said.items():
            path: Path = (*at.path, part, name)
            if name not in ("cpu", "memory"):
                at.problems.add(path, f"{name} is no resource that is set in place", hint="cpu or memory")
            at.problems.attempt(path, lambda text=text: quantity(text))  # type: ignore[misc]


def _variables(spec: RungSpec, at: _At) -> None:
    for name in spec.arguments:
        if not _VARIABLE.fullmatch(name):
            at.problems.add((*at.path, "arguments", name), f"{name!r} is no name of an environment variable")
