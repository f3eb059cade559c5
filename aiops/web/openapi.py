"""The OpenAPI document, with what the locks add to every door: who may, and how it is said that something is wrong."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

import aiops
from aiops.web.locks.access import ACCESS
from aiops.web.problems import CODES, MEDIA_TYPE, Problem

_ALWAYS = (400, 401, 403, 404, 405, 429, 500, 503)
_WITH_BODY = (408, 413, 415)
_REF = "#/components/schemas/Problem"
_DESCRIPTION = (
    "What a daemon knows, and what people can say to it. Within v1 fields are added and none is taken away. Times are "
    "seconds since 1970 unless they are text. A list is one page; the next one is linked (`Link`, rel=next). Reads "
    "carry an `ETag`. Errors are problem details (RFC 9457)."
)


def describe(app: FastAPI) -> None:
    """Let an application describe itself, locks and all."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(title="aiops", version=aiops.__version__, description=_DESCRIPTION, routes=app.routes)
            app.openapi_schema = _locked(made)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _locked(document: dict[str, Any]) -> dict[str, Any]:
    components = document.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = _problem()
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    components["responses"] = {CODES[status].value: _response(status) for status in CODES}
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "Of `aiops tokens create`, OIDC or Kubernetes."}
    }
    for path, verbs in document["paths"].items():
        for verb, operation in verbs.items():
            role = ACCESS.get((verb.upper(), path))
            operation["security"] = [{"bearer": []}]
            operation["x-aiops-role"] = None if role is None else role.value
            _say_answers(operation, verb)
    return document


def _say_answers(operation: dict[str, Any], verb: str) -> None:
    answers = operation.setdefault("responses", {})
    takes = bool(operation.get("parameters")) or "requestBody" in operation
    for status in (*_ALWAYS, *((409, 422) if takes else ()), *(_WITH_BODY if "requestBody" in operation else ())):
        answers[str(status)] = {"$ref": f"#/components/responses/{CODES[status].value}"}
    if verb == "get":
        answers["304"] = {"description": "It has not changed since the ETag of If-None-Match."}
        answers.get("200", {}).setdefault("headers", {})["ETag"] = {"schema": {"type": "string"}}


def _response(status: int) -> dict[str, Any]:
    content = {MEDIA_TYPE: {"schema": {"$ref": _REF}}}
    answer: dict[str, Any] = {"description": CODES[status].value.replace("-", " "), "content": content}
    if status == 401:
        answer["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}, "required": True}}
    if status == 429:
        answer["headers"] = {"Retry-After": {"schema": {"type": "string", "pattern": "^[0-9]+$"}, "required": True}}
    return answer


def _problem() -> dict[str, Any]:
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    inner = schema.pop("$defs", {})
    return dict(_inlined(schema, inner))


def _inlined(schema: Any, inner: dict[str, Any]) -> Any:
    """Return a schema without references to its own definitions."""
    if isinstance(schema, dict):
        ref = str(schema.get("$ref", ""))
        if ref:
            return _inlined(inner[ref.rpartition("/")[2]], inner)
        return {key: _inlined(value, inner) for key, value in schema.items()}
    return [_inlined(one, inner) for one in schema] if isinstance(schema, list) else schema
