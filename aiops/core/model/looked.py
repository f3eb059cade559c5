"""What plans and their policies look at: objects of an API server, one by one or by a selection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiops.core.model.declared import DeclaredSizes
from aiops.core.model.names import FieldOwner, Instant, Reason, TargetRef
from aiops.core.model.swift import swift


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class SeenObject:
    """An object as its cluster's API showed it at `as_of`. body: its JSON, without managed fields.

    owners: who else manages which part of it, from its managed fields.
    """

    ref: TargetRef
    uid: str
    resource_version: str
    as_of: Instant
    body: Mapping[str, Any]
    owners: tuple[FieldOwner, ...] = ()


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Objects of one kind that are looked at together, such as the pods of a node. field: `spec.nodeName=n1`.

    labels: equality only, as in a Service's selector. key: under which the snapshot holds what was found.
    """

    cluster: str
    namespace: str
    api_version: str
    kind: str
    labels: Mapping[str, str] = field(default_factory=dict)
    field: str = ""

    @property
    def key(self) -> str:
        """Return the text under which a snapshot holds what was found."""
        labels = ",".join(f"{name}={value}" for name, value in sorted(self.labels.items()))
        return f"{self.cluster}/{self.namespace}/{self.api_version}/{self.kind}?{labels}&{self.field}"


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What was there to see of plans' objects at one instant.

    objects: by `TargetRef.key`; one that was asked for and is neither here nor in `errors` does not exist.
    selections: by `Selection.key`. errors: by either key, why it is not known. sizes: by `TargetRef.key`, what files in
    Git say of containers, where the settings place them there.
    """

    objects: Mapping[str, SeenObject] = field(default_factory=dict)
    selections: Mapping[str, tuple[SeenObject, ...]] = field(default_factory=dict)
    errors: Mapping[str, tuple[Reason, str]] = field(default_factory=dict)
    sizes: Mapping[str, tuple[DeclaredSizes, ...]] = field(default_factory=dict)


@swift
@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What plans and their policies want to look at."""

    objects: tuple[TargetRef, ...] = ()
    selections: tuple[Selection, ...] = ()
