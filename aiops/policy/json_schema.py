"""The JSON Schema of the language, for editors: strict, with a sentence for every field.

What is committed in config/schema/ is made here: `aiops policy schema --folder config/schema`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from aiops.core.decide.spec import Spec
from aiops.errors import InvalidInput
from aiops.policy.compile import API_VERSION, did_you_mean
from aiops.policy.defaults import KIND as DEFAULTS
from aiops.policy.defaults import OWN, DefaultsSpec
from aiops.policy.kinds import kinds

Schema = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
TESTS = "PolicyTests"
"""What *.test.yaml holds; no kind of policy, and yet with a schema."""

TARGET = "Target"
"""The model that is always a policy's own, and never inherited."""

VERSION = API_VERSION.rpartition("/")[2]
FILES: Mapping[str, str | None] = {f"policy.{VERSION}.json": None, f"policy-tests.{VERSION}.json": TESTS}
"""The published files, and the kind that each is of; None is every kind of policy."""

_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
_NO_ZERO = {"not": {"const": "zero"}}
_NEVER = {"type": "null"}

_VALIDATORS: Mapping[str, Schema] = {
    # validators of models, said once more for editors; a test compares them with the loader
    "WindowSpec": {"anyOf": [{"required": ["minReplicas"]}, {"required": ["maxReplicas"]}]},
    "GuardrailSpec": {
        "if": {"properties": {"then": {"const": "cap"}}},
        "then": {"required": ["maxReplicas"]},
        "else": {"properties": {"maxReplicas": _NEVER}},
    },
    "SignalSpec": {"properties": {"onStale": _NO_ZERO, "onPartial": _NO_ZERO}},
}

_INHERITED = ("required", "minProperties")
"""What a policy may leave to PolicyDefaults, field by field; lists are taken over as a whole."""


class _ForEditors(GenerateJsonSchema):
    """Without titles made of names, which editors show in place of descriptions; with what validators ask."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def model_schema(self, schema: Any) -> Schema:
        made = super().model_schema(schema)
        made.pop("title", None)
        asked = [_VALIDATORS[name] for name in (schema["cls"].__name__,) if name in _VALIDATORS]
        return {**made, "allOf": asked} if asked else made


def schema(kind: str | None = None) -> Schema:
    """Return the schema of a kind, or one that accepts a policy of any kind; raise InvalidInput for none."""
    if kind == TESTS:
        return _of_tests()
    known = (*kinds(), DEFAULTS)
    if kind is not None and kind not in known:
        names = (*known, TESTS)
        raise InvalidInput(f"unknown kind {kind!r} ({did_you_mean(kind, names) or ', '.join(names)})")
    wanted = known if kind is None else (kind,)
    definitions: Schema = {}
    for name in wanted:
        definitions |= _of_defaults() if name == DEFAULTS else _of_policy(name)
    refs = [{"$ref": f"#/$defs/{name}"} for name in wanted]
    choice = refs[0] if len(refs) == 1 else {"oneOf": refs}
    title = f"{kind or 'policies'} of {API_VERSION}"
    return _finished({"$schema": DRAFT, "title": title, **choice, "$defs": definitions})


def _of_policy(kind: str) -> Schema:
    """Return the definitions of a kind: its envelope, its spec, the parts of that."""
    parts = _definitions(kind, kinds()[kind].model)
    parts[f"{kind}.spec"] = _inheriting(parts[f"{kind}.spec"], parts, set())
    return {**parts, kind: _envelope(kind, {"$ref": f"#/$defs/{kind}.spec"}, parts[f"{kind}.spec"]["description"])}


def _of_defaults() -> Schema:
    found = _definitions(DEFAULTS, DefaultsSpec)
    for kind in kinds():
        found |= _of_policy(kind)
    spec = found[f"{DEFAULTS}.spec"]
    spec["properties"]["defaults"] |= {
        "properties": {
            kind: {
                "description": f"what every {kind} takes over",
                "allOf": [{"$ref": f"#/$defs/{kind}.spec"}, {"properties": dict.fromkeys(OWN, False)}],
            }
            for kind in kinds()
        },
        "additionalProperties": False,
    }
    return {**found, DEFAULTS: _envelope(DEFAULTS, {"$ref": f"#/$defs/{DEFAULTS}.spec"}, spec["description"])}


def _definitions(kind: str, model: type[Spec]) -> Schema:
    spec = model.model_json_schema(
        by_alias=True, ref_template=f"#/$defs/{kind}.{{model}}", schema_generator=_ForEditors
    )
    parts = {f"{kind}.{part}": one for part, one in spec.pop("$defs", {}).items()}
    return {**parts, f"{kind}.spec": spec}


def _inheriting(one: Any, parts: Schema, seen: set[str]) -> Any:
    """Take away what a policy may leave to PolicyDefaults, from a schema and from what it refers to, but for lists."""
    if not isinstance(one, dict):
        return one
    name = one.get("$ref", "").rpartition("/")[2]
    if name and name not in seen and not name.endswith(f".{TARGET}"):
        seen.add(name)
        parts[name] = _inheriting(parts[name], parts, seen)
    made = {key: value for key, value in one.items() if key not in _INHERITED}
    if "properties" in one:
        made["properties"] = {key: _inheriting(value, parts, seen) for key, value in one["properties"].items()}
    if "anyOf" in one:
        made["anyOf"] = [_inheriting(value, parts, seen) for value in one["anyOf"]]
    if "additionalProperties" in one:
        made["additionalProperties"] = _inheriting(one["additionalProperties"], parts, seen)
    return made


def _of_tests() -> Schema:
    from aiops.policy.testing.spec import TestFileSpec

    made = TestFileSpec.model_json_schema(by_alias=True, schema_generator=_ForEditors)
    return _finished({"$schema": DRAFT, "title": "unit tests of policies", **made})


def _finished(made: Schema) -> Schema:
    found = _bounded(made)
    _describe(found, found["$defs"])
    return dict(found)


def _describe(one: Any, definitions: Schema) -> None:
    """Give a field without a sentence the one of what it holds."""
    if isinstance(one, list):
        for item in one:
            _describe(item, definitions)
    elif isinstance(one, dict):
        for field in one.get("properties", {}).values():
            referred = {} if field is False else definitions.get(_referred(field).rpartition("/")[2], {})
            if "description" in referred and "description" not in field:
                field["description"] = referred["description"]
        for part in one.values():
            _describe(part, definitions)


def _referred(field: Schema) -> str:
    parts = [field, field.get("items", {}), *field.get("anyOf", ())]
    return next((str(part["$ref"]) for part in parts if "$ref" in part), "")


def _bounded(one: Any) -> Any:
    """Return a schema with JSON Schema's names for the bounds that pydantic leaves under its own."""
    if isinstance(one, dict):
        return {_name(key, value): _bounded(value) for key, value in one.items()}
    return [_bounded(item) for item in one] if isinstance(one, list) else one


def _name(key: str, value: Any) -> str:
    return _BOUNDS.get(key, key) if isinstance(value, int | float) else key


def _envelope(kind: str, spec: Schema, description: str) -> Schema:
    name = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", "maxLength": 253}
    texts = {"type": ["object", "null"], "additionalProperties": {"type": "string"}}
    metadata = {
        "type": "object",
        "description": "its name, and what else is known of it",
        "properties": {
            "name": {**name, "description": "one in its kind and namespace"},
            "namespace": {**name, "default": "default", "description": "of the policy and of its target (S3)"},
            "labels": {**texts, "description": "for pauses and reports: team: payments"},
            "annotations": {**texts, "description": "policy.aiops/lint-ignore: RULE, and lint-reason: why"},
        },
        "required": ["name"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {
            "apiVersion": {"const": API_VERSION, "description": "the version of the language"},
            "kind": {"const": kind, "description": description},
            "metadata": metadata,
            "spec": {**spec, "description": description},
        },
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
    }
