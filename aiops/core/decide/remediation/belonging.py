"""Fields that belong to some values of another field: refused here, and said as a schema for the API server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from pydantic.alias_generators import to_camel

from aiops.core.decide.spec import Spec

Belongs = Mapping[str, Sequence[StrEnum]]
"""Which values of the deciding field each field belongs to, by its name here."""


def as_schema(decides: str, belongs: Belongs, needed: Sequence[str]) -> dict[str, Any]:
    """Return the value validations that say the same as `refused`."""
    rules: list[dict[str, Any]] = []
    for name, values in belongs.items():
        key, among = to_camel(name), {"enum": [str(one) for one in values]}
        with_it = {"properties": {decides: among}, "required": [decides]}
        rules.append({"anyOf": [{"not": {"required": [key]}}, with_it]})
        if name in needed:
            rules.append({"anyOf": [{"not": with_it}, {"required": [key]}]})
    return {"allOf": rules}


def refused(spec: Spec, decides: str, belongs: Belongs, needed: Sequence[str]) -> str:
    """Return what is wrong: a field that belongs to another value, or one that is missing; '' where nothing is."""
    value = getattr(spec, decides)
    for name, values in belongs.items():
        said = getattr(spec, name) not in (None, "", {})
        if said and value not in values:
            return f"{to_camel(name)} belongs to {', '.join(values)}"
        if not said and name in needed and value in values:
            return f"{value} needs {to_camel(name)}"
    return ""
