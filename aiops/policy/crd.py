"""The kinds as CustomResourceDefinitions, made from the models that the loader reads with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiops.policy.compile import API_VERSION
from aiops.policy.kinds import kinds
from aiops.policy.structural import Schema, structural

GROUP, _, VERSION = API_VERSION.partition("/")
CATEGORY = "aiops"
CONDITIONS = ("Valid", "AbleToAct", "Acting", "ScalingLimited")
"""The conditions of a status; WatchPolicies, which act on nothing, have the first alone."""

_WORD, _COUNT = {"type": "string"}, {"type": "integer"}
_TIME = {"type": "string", "format": "date-time"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of `kubectl get`. wide: shown by `-o wide` alone."""

    name: str
    path: str
    kind: str = "string"
    about: str = ""
    wide: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What a kind is called in the API, and what is shown of it. status: what its status says beside conditions."""

    kind: str
    plural: str
    short: tuple[str, ...]
    columns: tuple[Column, ...]
    status: Mapping[str, Schema]

    @property
    def name(self) -> str:
        """Return the name of its CustomResourceDefinition, of which its place in the API is made."""
        return f"{self.plural}.{GROUP}"


_EVERY: Mapping[str, Schema] = {
    "observedGeneration": {**_COUNT, "format": "int64", "description": "the generation that all of this is about"},
    "acceptedGeneration": {**_COUNT, "format": "int64", "description": "the generation in force: the last valid one"},
    "specHash": {**_WORD, "description": "of what is in force, without mode, labels and annotations: what is promoted"},
    "digest": {**_WORD, "description": "of the whole document in force"},
}
_SCALING_STATUS: Mapping[str, Schema] = {
    **_EVERY,
    "mode": {**_WORD, "description": "the mode in force: the strictest of spec, settings and promotion"},
    "verdict": {**_WORD, "description": "of the last decision: steady, allow, wait, ask or deny"},
    "currentReplicas": {**_COUNT, "description": "what the lever stood at"},
    "wantedReplicas": {**_COUNT, "description": "what the policy wants, before any guard"},
    "lastDecision": {**_WORD, "description": "the decision since which nothing changed: `aiops explain ID`"},
    "lastDecisionTime": {**_TIME, "description": "when that was decided"},
}
_WATCH_STATUS: Mapping[str, Schema] = {
    **_EVERY,
    "findings": {**_COUNT, "description": "how many series are out of the ordinary now"},
}


def _condition(kind: str, field: str = "status") -> str:
    return f'.status.conditions[?(@.type=="{kind}")].{field}'


_AGE = Column(name="Age", path=".metadata.creationTimestamp", kind="date")
_VALID = Column(name="Valid", path=_condition("Valid"), about="whether the loader took it")
_WHY = Column(
    name="Message", path=_condition("Valid", "message"), about="what is wrong with it, if anything", wide=True
)

RESOURCES: tuple[Resource, ...] = (
    Resource(
        kind="ScalingPolicy",
        plural="scalingpolicies",
        short=("scpol",),
        columns=(
            Column(name="Mode", path=".status.mode", about="the mode in force"),
            Column(name="Target", path=".spec.target.name"),
            _VALID,
            Column(name="Verdict", path=".status.verdict", about="of the last decision"),
            Column(name="Replicas", path=".status.currentReplicas", kind="integer"),
            Column(name="Wanted", path=".status.wantedReplicas", kind="integer"),
            Column(name="Acting", path=_condition("Acting"), wide=True),
            Column(name="Why", path=_condition("Acting", "reason"), wide=True),
            Column(name="Limit", path=_condition("ScalingLimited", "reason"), wide=True),
            Column(name="Decision", path=".status.lastDecision", about="`aiops explain ID`", wide=True),
            _WHY,
            _AGE,
        ),
        status=_SCALING_STATUS,
    ),
    Resource(
        kind="WatchPolicy",
        plural="watchpolicies",
        short=("wpol",),
        columns=(
            Column(name="Detector", path=".spec.detector"),
            _VALID,
            Column(name="Findings", path=".status.findings", kind="integer"),
            Column(name="Query", path=".spec.query", wide=True),
            _WHY,
            _AGE,
        ),
        status=_WATCH_STATUS,
    ),
)


def resource(kind: str) -> Resource:
    """Return what a kind is called in the API; raise KeyError for a kind that is no resource."""
    return {one.kind: one for one in RESOURCES}[kind]


def crds() -> list[dict[str, Any]]:
    """Return the CustomResourceDefinition of every kind."""
    return [crd(one) for one in RESOURCES]


def crd(one: Resource) -> dict[str, Any]:
    """Return a kind's CustomResourceDefinition, a tree that shares no branch with another."""
    made = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": one.name, "labels": {"app.kubernetes.io/part-of": "aiops"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": one.kind,
                "listKind": f"{one.kind}List",
                "plural": one.plural,
                "singular": one.kind.lower(),
                "shortNames": list(one.short),
                "categories": [CATEGORY],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _schema(one)},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(column) for column in one.columns],
                }
            ],
        },
    }
    # YAML would write what is shared once, and refer to it
    whole: dict[str, Any] = json.loads(json.dumps(made))
    return whole


def _schema(one: Resource) -> Schema:
    model = kinds()[one.kind].model
    return {
        "type": "object",
        "description": (model.__doc__ or "").strip(),
        "required": ["spec"],
        "properties": {
            "apiVersion": _WORD,
            "kind": _WORD,
            "metadata": {"type": "object"},
            "spec": structural(model),
            "status": _status(one),
        },
    }


def _status(one: Resource) -> Schema:
    condition = {
        "type": "object",
        "required": ["type", "status", "lastTransitionTime", "reason", "message"],
        "properties": {
            "type": {**_WORD, "maxLength": 316},
            "status": {**_WORD, "enum": ["True", "False", "Unknown"]},
            "observedGeneration": {**_COUNT, "format": "int64", "minimum": 0},
            "lastTransitionTime": _TIME,
            "reason": {
                **_WORD,
                "minLength": 1,
                "maxLength": 1024,
                "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
            },
            "message": {**_WORD, "maxLength": 32768},
        },
    }
    conditions = {
        "type": "array",
        "items": condition,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    }
    return {
        "type": "object",
        "description": "What the daemon that leads makes of it.",
        "properties": {**one.status, "conditions": conditions},
    }


def _column(one: Column) -> dict[str, Any]:
    made: dict[str, Any] = {"name": one.name, "type": one.kind, "jsonPath": one.path}
    if one.about:
        made["description"] = one.about
    return {**made, "priority": 1} if one.wide else made
