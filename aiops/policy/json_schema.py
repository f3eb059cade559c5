"""The JSON Schema of the language, for editors and for the API server's validation."""

from __future__ import annotations

from typing import Any

from aiops.policy.compile import API_VERSION
from aiops.policy.kinds import kinds

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """Return one schema that accepts a policy of any kind."""
    definitions: dict[str, Any] = {}
    refs = []
    for kind, one in kinds().items():
        spec = one.model.model_json_schema(by_alias=True, ref_template=f"#/$defs/{kind}.{{model}}")
        definitions |= {f"{kind}.{name}": one for name, one in spec.pop("$defs", {}).items()}
        definitions[kind] = _envelope(kind, spec)
        refs.append({"$ref": f"#/$defs/{kind}"})
    return {"$schema": DRAFT, "title": f"policies of {API_VERSION}", "oneOf": refs, "$defs": definitions}


def _envelope(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    text = {"type": "string"}
    metadata = {
        "type": "object",
        "properties": {
            "name": text,
            "namespace": text,
            "labels": {"type": "object", "additionalProperties": text},
            "annotations": {"type": "object", "additionalProperties": text},
        },
        "required": ["name"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"const": kind},
            "metadata": metadata,
            "spec": spec,
        },
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
    }
