"""What differs between two policies as they are written, field by field, every default filled in. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from aiops.core.decide.quantities import duration_s, ratio
from aiops.policy.kinds import kinds

MISSING = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One field that differs. before, after: None where it is not there; texts as people write them beside."""

    field: str
    before: Any
    after: Any
    before_text: str
    after_text: str


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[Changed]:
    """Return the fields of two canonical documents that differ, without names and labels."""
    kind = kinds().get(str(after.get("kind")))
    model = None if kind is None else kind.model
    found = _differences(before["spec"], after["spec"], ("spec",))
    return [_changed(path, one, other, model) for path, one, other in found]


def _differences(one: Any, other: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    # what is only on one side is told by its fields, too
    kind = type(one if one is not None else other)
    if kind in (dict, list) and None in (one, other):
        one, other = (kind() if side is None else side for side in (one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            yield from _differences(one.get(key), other.get(key), (*path, key))
    elif isinstance(one, list) and isinstance(other, list):
        for place in range(max(len(one), len(other))):
            mine = one[place] if place < len(one) else None
            theirs = other[place] if place < len(other) else None
            yield from _differences(mine, theirs, (*path, str(place)))
    elif one != other:
        yield path, one, other


def _changed(path: tuple[str, ...], one: Any, other: Any, model: type[BaseModel] | None) -> Changed:
    unit = "" if model is None else _unit(model, path[1:])
    return Changed(
        field=".".join(path), before=one, after=other, before_text=_text(one, unit), after_text=_text(other, unit)
    )


def _unit(model: type[BaseModel], path: tuple[str, ...]) -> str:
    """Return what a field's number counts: `s`, `%` or nothing that is known."""
    current: Any = model
    for place, part in enumerate(path):
        fields = {info.alias or name: info for name, info in _models(current)}
        info = fields.get(part)
        if info is None:
            continue  # an index of a list, or a name that people gave
        if place == len(path) - 1:
            readers = {getattr(one, "func", None) for one in _readers(info)}
            if duration_s in readers or part.lower().endswith("seconds"):
                return "s"
            return "%" if ratio in readers else ""
        current = info.annotation
    return ""


def _models(annotation: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from annotation.model_fields.items()
    for inner in getattr(annotation, "__args__", ()):
        yield from _models(inner)


def _readers(info: Any) -> Iterator[Any]:
    yield from info.metadata
    for inner in getattr(info.annotation, "__args__", ()):
        yield from getattr(inner, "__metadata__", ())


def _text(value: Any, unit: str) -> str:
    if value is None:
        return MISSING
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if unit == "s":
        return _duration(value)
    return f"{value * 100:g} %" if unit == "%" else f"{value:g}"


def _duration(seconds: float) -> str:
    """Return a duration to the last second and no shorter than it is.

    >>> _duration(5400.0), _duration(90.0), _duration(0.25), _duration(0.0)
    ('1 h 30 min', '1 min 30 s', '0.25 s', '0 s')
    """
    rest, parts = seconds, []
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if rest >= unit:
            parts.append(f"{int(rest // unit)} {name}")
            rest %= unit
    return " ".join([*parts, f"{rest:g} s"] if rest or not parts else parts)
