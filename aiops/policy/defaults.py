"""`PolicyDefaults`: what policies take over where they say nothing: of cluster, namespace, workload; the nearer wins.

Mappings are taken over field by field, everything else as a whole. What an author wrote always wins, `null` included,
which takes a default away. Only change freezes add up: a nearer scope cannot end what a wider one froze.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field, ValidationError, model_validator

from aiops.core.decide.scaling.spec import FreezeSpec
from aiops.core.decide.spec import Spec
from aiops.core.model import Mode
from aiops.policy.compile import Envelope, Problems, did_you_mean
from aiops.policy.document import Document, Path, Source
from aiops.policy.kinds import kinds
from aiops.policy.schema_errors import note

KIND = "PolicyDefaults"
OWN = ("target", "candidateFor", "freezes")
"""Fields that a policy has for itself; freezes have a place of their own."""

_QUIET = (Mode.OBSERVE, Mode.DRY_RUN)
"""Modes that may be a default. Nothing acts because somebody else's file says so (S6)."""


class Level(StrEnum):
    """How far defaults reach."""

    CLUSTER = "cluster"
    NAMESPACE = "namespace"
    WORKLOAD = "workload"


_RANK = {level: rank for rank, level in enumerate(Level)}


class WorkloadRef(Spec):
    """A workload in the defaults' namespace."""

    api_version: str = Field("apps/v1", description="group and version of the workload")
    kind: str = Field("Deployment", description="its kind")
    name: str = Field(min_length=1, description="its name")
    cluster: str = Field("default", description="a cluster's name in the settings")


class DefaultsSpec(Spec):
    """The spec of PolicyDefaults."""

    scope: Level = Field(Level.NAMESPACE, description="cluster: for every policy; namespace: for those of its own")
    target: WorkloadRef | None = Field(None, description="with scope: workload, the one whose policies take over")
    defaults: dict[str, dict[str, Any]] = Field({}, description="by kind of policy: any part of its spec")
    freezes: tuple[FreezeSpec, ...] = Field((), description="change freezes of every policy in the scope")

    @model_validator(mode="after")
    def target_goes_with_workload(self) -> DefaultsSpec:
        """Tie the target to the scope."""
        if (self.scope is Level.WORKLOAD) != (self.target is not None):
            raise ValueError("target belongs to scope: workload, which needs it")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """Defaults that were read. parts: by kind, the data as it is written."""

    name: str
    level: Level
    namespace: str
    target: WorkloadRef | None
    document: Document = field(repr=False)
    parts: Mapping[str, Mapping[str, Any]]
    freezes: Sequence[Any]

    @property
    def scope(self) -> tuple[object, ...]:
        """Return what no two may share."""
        return (self.level, "" if self.level is Level.CLUSTER else self.namespace, self.target)

    def reaches(self, envelope: Envelope, spec: Mapping[str, Any]) -> bool:
        """Return whether a policy takes over from these."""
        if self.level is Level.CLUSTER:
            return True
        if envelope.namespace != self.namespace:
            return False
        return self.level is Level.NAMESPACE or self._meant(spec.get("target"))

    def _meant(self, target: object) -> bool:
        if not isinstance(target, dict) or self.target is None:
            return False
        try:
            wanted = {key: value for key, value in target.items() if key != "namespace"}
            return WorkloadRef.model_validate(wanted) == self.target
        except ValidationError:
            return False  # said where the policy is read


def read(envelope: Envelope, document: Document, problems: Problems) -> Defaults | None:
    """Return the defaults of a document, None when problems with errors were noted."""
    spec = _spec(document, problems)
    if spec is None:
        return None
    for kind, part in spec.defaults.items():
        _part(kind, part, problems)
    if problems.fatal:
        return None
    return Defaults(
        name=envelope.name,
        level=spec.scope,
        namespace=envelope.namespace,
        target=spec.target,
        document=document,
        parts=spec.defaults,
        freezes=document.data["spec"].get("freezes") or (),
    )


def once(found: Iterable[Defaults]) -> Iterable[tuple[Defaults, str]]:
    """Yield defaults of one scope, each with what is wrong with it: nobody could say which of them counts."""
    by_scope: dict[tuple[object, ...], list[Defaults]] = {}
    for one in found:
        by_scope.setdefault(one.scope, []).append(one)
    for some in by_scope.values():
        for one in some if len(some) > 1 else ():
            other = some[1] if one is some[0] else some[0]
            more = f", and {len(some) - 2} more" if len(some) > 2 else ""
            line, _ = other.document.places[()]
            where = f"{other.document.origin}:{line}"
            yield one, f"these are defaults of the same scope as {other.name} in {where}{more}"


def inherited(document: Document, envelope: Envelope, known: Sequence[Defaults]) -> Document:
    """Return the document with what it takes over, each value at the place where it was written."""
    own = document.data.get("spec")
    if not known or not isinstance(own, dict):
        return document
    reaching = [one for one in known if one.reaches(envelope, own)]
    if not reaching:
        return document
    made = _Merge(document)
    for one in sorted(reaching, key=lambda one: -_RANK[one.level]):
        part = one.parts.get(envelope.kind)
        if part:
            made.fill(made.spec, part, (("spec",), ("spec", "defaults", envelope.kind)), one)
        if "freezes" in kinds()[envelope.kind].model.model_fields:
            made.append_freezes(one)
    return made.document()


class _Merge:
    """A document that grows by what it takes over."""

    def __init__(self, document: Document) -> None:
        self._of = document
        self.spec: dict[str, Any] = _copied(document.data["spec"])
        self._places, self._values = dict(document.places), dict(document.values)
        self._sources: dict[Path, Source] = dict(document.sources)

    def document(self) -> Document:
        data = {**self._of.data, "spec": self.spec}
        return Document(
            origin=self._of.origin,
            data=data,
            places=self._places,
            values=self._values,
            sources=self._sources,
            text=self._of.text,
        )

    def fill(self, into: dict[str, Any], part: Mapping[str, Any], paths: tuple[Path, Path], one: Defaults) -> None:
        """Take over the fields that are not there. paths: of `into` here, of `part` in the defaults."""
        here, there = paths
        for key, value in part.items():
            if key not in into:
                into[key] = _copied(value)
                self._adopt((*here, key), (*there, key), one)
            elif isinstance(into[key], dict) and isinstance(value, Mapping):
                self.fill(into[key], value, ((*here, key), (*there, key)), one)

    def append_freezes(self, one: Defaults) -> None:
        if not one.freezes or not isinstance(self.spec.get("freezes", []), list):
            return
        mine = self.spec.setdefault("freezes", [])
        for number, freeze in enumerate(one.freezes):
            self._adopt(("spec", "freezes", len(mine)), ("spec", "freezes", number), one)
            mine.append(_copied(freeze))

    def _adopt(self, here: Path, there: Path, one: Defaults) -> None:
        """Keep the places of everything under a field of the defaults."""
        said = f"{one.level.value} defaults {one.name}"
        source = Source(origin=one.document.origin, said=said, text=one.document.text)
        for places, mine in ((one.document.places, self._places), (one.document.values, self._values)):
            for path, place in places.items():
                if path[: len(there)] == there:
                    mine[(*here, *path[len(there) :])] = place
                    self._sources[(*here, *path[len(there) :])] = source


def _spec(document: Document, problems: Problems) -> DefaultsSpec | None:
    data = document.data.get("spec")
    if not isinstance(data, dict):
        problems.add(("spec",), "spec is missing, or no mapping", code="bad-envelope")
        return None
    try:
        return DefaultsSpec.model_validate(data)
    except ValidationError as err:
        for one in err.errors(include_url=False):
            note(one, DefaultsSpec, problems)
        return None


def _part(kind: str, part: Mapping[str, Any], problems: Problems) -> None:
    """Note what is wrong with a part of a spec, whatever is missing from it."""
    path: Path = ("spec", "defaults", kind)
    known = kinds().get(kind)
    if known is None:
        hint = did_you_mean(kind, tuple(kinds())) or f"known kinds: {', '.join(kinds())}"
        problems.add(path, f"unknown kind {kind!r}", hint=hint, code="unknown-kind")
        return
    for name in OWN:
        if name in part:
            hint = "write it under spec.freezes" if name == "freezes" else ""
            problems.add((*path, name), f"{name} is a policy's own, and no default", hint=hint, code="not-a-default")
    if part.get("mode") in [one for one in Mode if one not in _QUIET]:
        message = f"mode: {part['mode']} is a policy's own, and no default"
        hint = f"of defaults, mode may be {' or '.join(_QUIET)}: a policy acts by its own word"
        problems.add((*path, "mode"), message, hint=hint, code="not-a-default")
    for error in _errors(known.model, part):
        if error["type"] != "missing":
            note(error, known.model, problems, path)


def _errors(model: type[BaseModel], part: Mapping[str, Any]) -> Sequence[Any]:
    try:
        model.model_validate(dict(part))
    except ValidationError as err:
        return err.errors(include_url=False)
    return ()


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(one) for key, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list) else value
