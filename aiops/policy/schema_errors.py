"""What pydantic finds wrong with a spec, in our words and at its place."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping, Sequence
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from aiops.policy.compile import Problems, did_you_mean
from aiops.policy.document import Document, Path

_REFUSED: Mapping[Path, tuple[str, str]] = {
    ("target", "namespaceSelector"): (
        "a policy selects in its own namespace, and in no other (S3)",
        "one policy for each namespace; what they share goes into PolicyDefaults",
    ),
}
"""What people look for here, and where it is instead."""


def listed(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    """Return the errors, with lists as long as they are written: pydantic counts no items that are wrong themselves."""
    counted = (_counted(one) if one["type"] == "too_short" else one for one in errors)
    return [one for one in counted if one is not None]


def _counted(error: ErrorDetails) -> ErrorDetails | None:
    """Return the error of a list that is too short in words of ours, None where it is long enough."""
    given, least = error["input"], error.get("ctx", {}).get("min_length", 0)
    if not isinstance(given, list | tuple):
        return error
    if len(given) >= least:
        return None
    return {**error, "msg": f"needs at least {least} items, and has {len(given)}"}


def note(error: ErrorDetails, model: type[BaseModel], problems: Problems, root: Path = ("spec",)) -> None:
    """Say pydantic's error in our words, at its place. root: where the model stands in the document."""
    path: Path = (*root, *error["loc"])
    where: Path = tuple(part for part in path if part in _parts(problems.document, path)) or path
    kind = error["type"]
    if kind == "extra_forbidden" and path[-2:] in _REFUSED:
        message, hint = _REFUSED[path[-2:]]
        problems.add(where, message, hint=hint, code="unknown-field")
    elif kind == "extra_forbidden":
        names = _fields(model, error["loc"][:-1])
        hint = did_you_mean(str(path[-1]), names) or f"known fields: {', '.join(names)}"
        problems.add(where, "unknown field", hint=hint, code="unknown-field")
    elif kind == "missing":
        problems.add(where, "this field is required", code="missing-field")
    elif kind in ("enum", "literal_error"):
        expected = str(error.get("ctx", {}).get("expected", ""))
        words = re.findall(r"'([^']*)'", expected)
        hint = did_you_mean(str(error["input"]), words)
        problems.add(where, f"{error['input']!r} is not one of {', '.join(words)}", hint=hint, code="not-one-of")
    else:
        problems.add(where, error["msg"].removeprefix("Value error, "))


def _parts(_: Document, path: Path) -> Path:
    """Return the parts of a location that people wrote: pydantic adds names of types for unions."""
    return tuple(part for part in path if not (isinstance(part, str) and "[" in part))


def _fields(model: type[BaseModel], location: Sequence[str | int]) -> tuple[str, ...]:
    """Return the names that are allowed at a place, by walking the models."""
    current: Any = model
    for part in location:
        if not (isinstance(current, type) and issubclass(current, BaseModel)):
            break
        named = {(info.alias or name): info.annotation for name, info in current.model_fields.items()}
        current = _inner(named.get(str(part)))
        if isinstance(current, dict):
            current = current["values"]
    if isinstance(current, type) and issubclass(current, BaseModel):
        return tuple(info.alias or name for name, info in current.model_fields.items())
    return ()


def _inner(annotation: Any) -> Any:
    """Return the model inside Optional[...], tuple[..., ...] or dict[str, ...]."""
    if get_origin(annotation) in (Union, types.UnionType, tuple, dict, list):
        models = [_inner(one) for one in get_args(annotation)]
        return next((one for one in models if isinstance(one, type) and issubclass(one, BaseModel)), annotation)
    return annotation
