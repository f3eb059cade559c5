"""Errors as RFC 9457 problem details."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from aiops.errors import AiopsError, Conflict, InvalidInput, NoPermission, NotFound, PortError

MEDIA_TYPE = "application/problem+json"
_SHOWN, _LONGEST = 20, 500


class Code(StrEnum):
    """What went wrong, for programs; `type` is `urn:aiops:problem:CODE`."""

    BAD_REQUEST = "bad-request"
    NOT_SIGNED_IN = "not-signed-in"
    NOT_ALLOWED = "not-allowed"
    FOREIGN = "foreign-request"
    NOT_FOUND = "not-found"
    WRONG_METHOD = "wrong-method"
    TOO_SLOW = "too-slow"
    CONFLICT = "conflict"
    TOO_LARGE = "too-large"
    WRONG_MEDIA_TYPE = "wrong-media-type"
    INVALID_INPUT = "invalid-input"
    TOO_MANY = "too-many-requests"
    BUG = "bug"
    UNAVAILABLE = "unavailable"


CODES: Mapping[int, Code] = {
    400: Code.BAD_REQUEST,
    401: Code.NOT_SIGNED_IN,
    403: Code.NOT_ALLOWED,
    404: Code.NOT_FOUND,
    405: Code.WRONG_METHOD,
    408: Code.TOO_SLOW,
    409: Code.CONFLICT,
    413: Code.TOO_LARGE,
    415: Code.WRONG_MEDIA_TYPE,
    422: Code.INVALID_INPUT,
    429: Code.TOO_MANY,
    500: Code.BUG,
    503: Code.UNAVAILABLE,
}


class Wrong(BaseModel):
    """One thing that is wrong with a request. at: where, such as `body.scope` or `query.limit`."""

    at: str
    message: str


class Problem(BaseModel):
    """RFC 9457. detail: the sentence for people. code: for programs. errors: each thing that is wrong."""

    type: str
    title: str
    status: int
    detail: str
    code: Code
    errors: list[Wrong] | None = None


def problem(
    status: int,
    detail: str,
    *,
    code: Code | None = None,
    errors: Sequence[Wrong] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return the answer to a request that failed."""
    known = code or CODES.get(status, Code.BAD_REQUEST)
    body: dict[str, Any] = {
        "type": f"urn:aiops:problem:{known.value}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": known.value,
    }
    if errors:
        body["errors"] = [one.model_dump() for one in errors]
    return Response(orjson.dumps(body), status, dict(headers or {}), MEDIA_TYPE)


def status_of(err: AiopsError) -> int:
    """Return the HTTP status of one of our errors."""
    match err:
        case NotFound():
            return 404
        case Conflict():
            return 409
        case InvalidInput():
            return 422
        case NoPermission():
            return 403
        case PortError():
            return 503
        case _:
            return 500


def register(app: FastAPI) -> None:
    """Let every error of an application be told as a problem."""
    app.add_exception_handler(AiopsError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


async def _ours(_: Request, err: Exception) -> Response:
    known = err if isinstance(err, AiopsError) else AiopsError(str(err))
    return problem(status_of(known), _text(str(known)))


async def _invalid(_: Request, err: Exception) -> Response:
    found = err.errors() if isinstance(err, RequestValidationError) else []
    wrong = [Wrong(at=".".join(map(str, one["loc"])), message=_text(str(one["msg"]))) for one in found[:_SHOWN]]
    detail = "; ".join(f"{one.at}: {one.message}" for one in wrong) or "the request is not valid"
    malformed = any(one["type"] == "json_invalid" for one in found)
    return problem(400 if malformed else 422, _text(detail), errors=wrong)


async def _http(_: Request, err: Exception) -> Response:
    if not isinstance(err, HTTPException):
        return problem(500, "this is a bug in aiops")
    return problem(err.status_code, _text(str(err.detail)), headers=err.headers)


def _text(text: str) -> str:
    """Return a text of others, cut, and without what no encoding holds."""
    return text[:_LONGEST].encode("utf-8", "replace").decode()
