"""The kinds as CustomResourceDefinitions, made from the models that the loader reads with."""

from __future__ import annotations

import json
from typing import Any

from aiops.policy.kinds import kinds
from aiops.policy.resource import COUNT, GROUP, TIME, VERSION, WORD, Column, Resource
from aiops.policy.structural import Schema, structural

CATEGORY = "aiops"
CONDITIONS = ("Valid", "AbleToAct", "Acting", "ScalingLimited")
"""The conditions of a status; WatchPolicies, which act on nothing, have the first alone."""

RESOURCES: tuple[Resource, ...] = tuple(one.resource for one in kinds().values())


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
            "apiVersion": WORD,
            "kind": WORD,
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
            "type": {**WORD, "maxLength": 316},
            "status": {**WORD, "enum": ["True", "False", "Unknown"]},
            "observedGeneration": {**COUNT, "format": "int64", "minimum": 0},
            "lastTransitionTime": TIME,
            "reason": {
                **WORD,
                "minLength": 1,
                "maxLength": 1024,
                "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
            },
            "message": {**WORD, "maxLength": 32768},
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
