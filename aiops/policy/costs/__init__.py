"""What all actions of a CostPolicy are compiled with; each action has its file beside this one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from aiops.core.decide.cost.spec import CostSpec
from aiops.core.decide.cost.targets_spec import TargetsSpec
from aiops.core.ids import digest
from aiops.core.model import TargetRef, Wanted
from aiops.core.planning.saving import API_VERSIONS, SavingPolicy, Targets
from aiops.core.versions import spec_hash
from aiops.policy import freezes as freezes_of
from aiops.policy.compile import Envelope, Problems
from aiops.policy.selecting import labels_of
from aiops.policy.signals import Whose, signal

P = TypeVar("P", bound=SavingPolicy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A CostPolicy that is being compiled."""

    envelope: Envelope
    spec: CostSpec
    document: str
    problems: Problems


def made(kind: type[P], asked: Asked, **more: Any) -> P | None:
    """Return the compiled policy of a kind with what it has of its own, None when problems with errors were noted."""
    envelope, spec, problems = asked.envelope, asked.spec, asked.problems
    targets = None if spec.target is None else _targets(envelope, spec.target, problems)
    whose = Whose(envelope.key, envelope.namespace, None)
    signals = {name: signal(whose, name, one, problems) for name, one in spec.signals.items()}
    freezes = [freezes_of.freeze(number, one, problems) for number, one in enumerate(spec.freezes)]
    if problems.fatal:
        return None
    wanted: Wanted = more.pop("wanted", None) or (Wanted() if targets is None else targets.wanted)
    return kind(
        key=envelope.key,
        digest=digest(asked.document),
        document=asked.document,
        origin=problems.document.origin,
        mode=spec.mode,
        target=more.pop("target", None) or _told_of(envelope, spec.target),
        signals={name: one for name, one in signals.items() if one is not None},
        freezes=tuple(one for one in freezes if one is not None),
        approvers=spec.approvers,
        ask_for_s=spec.ask_for,
        spec_hash=spec_hash(asked.document),
        targets=targets,
        wanted=wanted,
        **more,
    )


def _targets(envelope: Envelope, spec: TargetsSpec, problems: Problems) -> Targets:
    if spec.namespace is not None and spec.namespace != envelope.namespace:
        message = f"a policy targets only its own namespace {envelope.namespace!r}, not {spec.namespace!r}"
        problems.add(("spec", "target", "namespace"), message, code="foreign-namespace")
    return Targets(
        cluster=spec.cluster,
        namespace=envelope.namespace,
        kinds=tuple(one.value for one in spec.kinds),
        name=spec.name or "",
        labels=None if spec.selector is None else labels_of(spec.selector),
        exclude=frozenset(spec.exclude),
        most=spec.max_targets or 1,
    )


def _told_of(envelope: Envelope, spec: TargetsSpec | None) -> TargetRef:
    """Return what decisions are told of: the workload, or the namespace of many."""
    if spec is not None and spec.name is not None:
        kind = spec.kinds[0].value
        return TargetRef(
            cluster=spec.cluster,
            namespace=envelope.namespace,
            api_version=API_VERSIONS[kind],
            kind=kind,
            name=spec.name,
        )
    cluster = "default" if spec is None else spec.cluster
    return TargetRef(cluster=cluster, namespace="", api_version="v1", kind="Namespace", name=envelope.namespace)
