"""A kind's JSON schema as the structural schema that the API server wants.

The rules: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/
No references; one type for each value, outside of every `anyOf` and `not`; nothing is said to be unknown (the API
server drops what it does not know). Defaults are not carried over: a default that the API server wrote would look like
an author's word, and would win over what is inherited.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from aiops.core.decide.spec import CelRule, SchemaRule, ServerRule, Spec, server_rules
from aiops.policy.document import MAX_BYTES, MAX_NODES

Schema = dict[str, Any]

UNTYPED = "x-kubernetes-preserve-unknown-fields"
INT_OR_STRING = "x-kubernetes-int-or-string"
RULES = "x-kubernetes-validations"

MAX_TIME = 64
"""The longest text of a time: what CEL makes of one costs by its length."""

_SERVER_RULES = "server-rules"
_KEPT = ("description", "pattern", "minLength", "maxLength", "minimum", "maximum", "multipleOf", "enum")
_KEPT_OF_LISTS = ("minItems", "maxItems", "minProperties", "maxProperties")
_SCALARS = frozenset({"string", "integer", "number", "boolean"})


class NotStructural(TypeError):
    """A model that no structural schema can say, and where."""


class _WithRules(GenerateJsonSchema):
    """Keeps the rules of each model beside its schema."""

    def model_schema(self, schema: Any) -> Schema:
        made = super().model_schema(schema)
        rules = server_rules(schema["cls"])
        return {**made, _SERVER_RULES: _said(rules)} if rules else made


def structural(model: type[Spec]) -> Schema:
    """Return the structural schema of a spec; raise NotStructural for what has none."""
    found = model.model_json_schema(by_alias=True, schema_generator=_WithRules)
    return _Reader(found.pop("$defs", {})).schema(found, ("spec",))


class _Reader:
    """Puts definitions where they are referred to, and says each value with one type."""

    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self._definitions = definitions
        self._open: list[str] = []

    def schema(self, one: Schema, path: tuple[str, ...]) -> Schema:
        if "$ref" in one:
            return self._referred(one, path)
        choices = [choice for choice in one.get("anyOf") or one.get("oneOf") or () if choice.get("type") != "null"]
        if choices:
            rest = {key: value for key, value in one.items() if key not in ("anyOf", "oneOf")}
            return self._choice(choices, rest, path)
        if len(one.get("allOf", ())) == 1:
            rest = {key: value for key, value in one.items() if key != "allOf"}
            return self.schema({**one["allOf"][0], **rest}, path)
        return self._typed(one, path)

    def _referred(self, one: Schema, path: tuple[str, ...]) -> Schema:
        name = one["$ref"].rpartition("/")[2]
        if name in self._open:
            raise NotStructural(f"{'.'.join(path)}: {name} holds itself")
        self._open.append(name)
        try:
            return self.schema({**self._definitions[name], **{k: v for k, v in one.items() if k != "$ref"}}, path)
        finally:
            self._open.pop()

    def _choice(self, choices: list[Schema], rest: Schema, path: tuple[str, ...]) -> Schema:
        if len(choices) == 1:
            return self.schema({**choices[0], **rest}, path)
        resolved = [self.schema(choice, path) for choice in choices]
        kinds = {kind for choice in choices for kind in _kinds(choice, self._definitions)}
        if not kinds <= _SCALARS:
            # one of several shapes: what may be in which of them is the loader's to say
            return {**_some(rest, ("description",)), UNTYPED: True}
        return _several(kinds, {**_common(resolved), **_some(rest, _KEPT)})

    def _typed(self, one: Schema, path: tuple[str, ...]) -> Schema:
        kind = one.get("type")
        if isinstance(kind, list):
            return _several({word for word in kind if word != "null"}, _limits(_exemplified(one)))
        if "const" in one:
            return {**_some(one, ("description",)), "type": _kind_of(one["const"], path), "enum": [one["const"]]}
        if kind is None and "enum" in one:
            return _several({_kind_of(value, path) for value in one["enum"]}, _limits(one))
        match kind:
            case "object":
                return self._object(one, path)
            case "array":
                items = self.schema(one.get("items", {}), (*path, "[]"))
                return {"type": "array", "items": items, "maxItems": MAX_NODES, **_some(one, _KEPT + _KEPT_OF_LISTS)}
            case "string" if "enum" not in one:
                longest = MAX_TIME if one.get("format") in ("date-time", "date", "time") else MAX_BYTES
                return {"type": "string", "maxLength": longest, **_limits(one)}
            case "string" | "integer" | "number" | "boolean":
                return {"type": kind, **_limits(one)}
            case None:
                return {**_some(one, ("description",)), UNTYPED: True}
        raise NotStructural(f"{'.'.join(path)}: type {kind!r}")

    def _object(self, one: Schema, path: tuple[str, ...]) -> Schema:
        made: Schema = {"type": "object", **_some(one, ("description", *_KEPT_OF_LISTS))}
        values = one.get("additionalProperties")
        if one.get("properties"):
            made["properties"] = {name: self.schema(of, (*path, name)) for name, of in one["properties"].items()}
            made |= _some(one, ("required",))
        elif isinstance(values, dict):
            made["additionalProperties"] = self.schema(values, (*path, "*"))
            made.setdefault("maxProperties", MAX_NODES)
        elif values is not False:
            made[UNTYPED] = True
        rules: Schema = one.get(_SERVER_RULES, {})
        _can_be_seen(rules, made.get("properties", {}), path)
        return made | rules


def _said(rules: Sequence[ServerRule]) -> Schema:
    cel = [{"rule": one.expr, "message": one.message} for one in rules if isinstance(one, CelRule)]
    made: Schema = {RULES: cel} if cel else {}
    pieces = [one.schema for one in rules if isinstance(one, SchemaRule)]
    if len(pieces) == 1:
        return made | pieces[0]
    return made | {"allOf": pieces} if pieces else made


def _can_be_seen(rules: Schema, properties: Schema, path: tuple[str, ...]) -> None:
    """Raise NotStructural when a rule in CEL looks at a field without a type, of which the API server knows nothing."""
    for rule in rules.get(RULES, ()):
        for name in re.findall(r"\bself\.(\w+)", rule["rule"]):
            if UNTYPED in properties.get(name, {}):
                where = ".".join((*path, name))
                raise NotStructural(f"{where}: a number or a text, at which CEL cannot look: say the rule in_schema")


def _several(kinds: set[str], limits: Schema) -> Schema:
    """Return the schema of a value of one of several scalar types.

    Only whole numbers and texts have a form of their own. What may be a decimal number or a text has no type, and is
    told apart from everything else by what applies to nothing else.
    """
    if len(kinds) == 1:
        return {"type": next(iter(kinds)), **limits}
    if kinds == {"integer", "string"}:
        return {INT_OR_STRING: True, **limits}
    if "enum" in limits:
        return {UNTYPED: True, **limits}
    others: Schema = {"maxProperties": 0, "maxItems": 0}
    if "boolean" not in kinds:
        others["not"] = {"enum": [True, False]}
    return {UNTYPED: True, **others, **limits}


def _exemplified(one: Schema) -> Schema:
    """Return a schema whose description shows what may be written, since it has no type that could."""
    shown = ", ".join(str(example) for example in one.get("examples", ()))
    return {**one, "description": f"{one.get('description', '')} (such as {shown})".strip()} if shown else one


def _kinds(one: Schema, definitions: Mapping[str, Schema]) -> set[str]:
    if "$ref" in one:
        return _kinds(definitions[one["$ref"].rpartition("/")[2]], definitions)
    if "const" in one:
        return {_kind_of(one["const"], ())}
    kind = one.get("type", "any")
    return set(kind) if isinstance(kind, list) else {kind}


def _kind_of(value: Any, path: tuple[str, ...]) -> str:
    match value:
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
    raise NotStructural(f"{'.'.join(path)}: {value!r} is no scalar")


def _common(choices: list[Schema]) -> Schema:
    """Return the limits of all choices together, where none of them has a limit that binds the others' types."""
    made: Schema = {}
    for choice in choices:
        made |= _some(choice, ("pattern", "minLength", "minimum", "maximum", "multipleOf"))
    return made


def _limits(one: Schema) -> Schema:
    """Return what limits a value. Open ends are flags beside the limit, as in OpenAPI v3.0."""
    made = _some(one, _KEPT)
    for end, flag in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if flag in one:
            made[end], made[flag] = one[flag], True
    return made


def _some(one: Schema, names: Iterable[str]) -> Schema:
    return {name: one[name] for name in names if name in one}
