"""The rules of structural schemas as the API server's documentation says them, checked on their own account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

UNTYPED = "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING = "x-kubernetes-int-or-string"

_TYPES = ("object", "array", "string", "integer", "number", "boolean")
_FORBIDDEN = frozenset(
    {
        *("$ref", "$schema", "$defs", "$id", "definitions", "dependencies", "deprecated", "discriminator", "examples"),
        *("const", "patternProperties", "propertyNames", "prefixItems", "readOnly", "writeOnly", "xml", "default"),
        *("additionalItems", "contains", "if", "then", "else"),
    }
)
_ONLY_OUTSIDE = {"type", "description", "default", "additionalProperties", "nullable", "title", UNTYPED, INT_OR_STRING}


def violations(schema: Schema, path: str = "") -> Iterator[str]:
    """Yield what a structural schema may not hold."""
    yield from (f"{path}: {word} is forbidden" for word in _FORBIDDEN & set(schema))
    yield from _of_type(schema, path)
    yield from _of_form(schema, path)
    for inner in _inside(schema):
        yield from _value_only(inner, schema, f"{path} inside")
    for where, one in _below(schema, path):
        yield from violations(one, where)


def _of_type(schema: Schema, path: str) -> Iterator[str]:
    kind = schema.get("type")
    if kind is None and not schema.get(UNTYPED) and not schema.get(INT_OR_STRING):
        yield f"{path}: no type"
    if kind is not None and kind not in _TYPES:
        yield f"{path}: type {kind!r}"
    if schema.get(INT_OR_STRING) and (kind is not None or schema.get(UNTYPED)):
        yield f"{path}: int-or-string with a type"
    if kind == "array" and not isinstance(schema.get("items"), dict):
        yield f"{path}: a list without items"


def _of_form(schema: Schema, path: str) -> Iterator[str]:
    if schema.get("uniqueItems"):
        yield f"{path}: uniqueItems"
    if schema.get("additionalProperties") is False:
        yield f"{path}: additionalProperties is false"
    if "properties" in schema and "additionalProperties" in schema:
        yield f"{path}: properties beside additionalProperties"
    for flag in ("exclusiveMinimum", "exclusiveMaximum"):
        if not isinstance(schema.get(flag, True), bool):
            yield f"{path}: {flag} is no flag"


def _inside(schema: Schema) -> list[Schema]:
    found = [one for name in ("allOf", "anyOf", "oneOf") for one in schema.get(name, ())]
    return found + ([schema["not"]] if "not" in schema else [])


def _below(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    for name, one in schema.get("properties", {}).items():
        yield f"{path}.{name}", one
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield f"{path}[]", schema[name]


def _value_only(inner: Schema, outside: Schema, path: str) -> Iterator[str]:
    """Yield what may not stand in anyOf and the like: types and descriptions, and fields that are not known outside."""
    yield from (f"{path}: {word}" for word in (_ONLY_OUTSIDE | _FORBIDDEN) & set(inner))
    for name, one in inner.get("properties", {}).items():
        if name not in outside.get("properties", {}):
            yield f"{path}: {name} is not known outside"
        else:
            yield from _value_only(one, outside["properties"][name], f"{path}.{name}")
    for one in _inside(inner):
        yield from _value_only(one, outside, path)


def bounded(schema: Schema, path: str = "") -> Iterator[str]:
    """Yield what may be of any size, of which the API server would have to think that it costs CEL without end."""
    wanted = {"array": "maxItems", "string": "maxLength"}.get(str(schema.get("type")))
    if "additionalProperties" in schema:
        wanted = "maxProperties"
    if wanted and wanted not in schema and "enum" not in schema:
        yield f"{path}: no {wanted}"
    for where, one in _below(schema, path):
        yield from bounded(one, where)
