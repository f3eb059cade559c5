"""Variants of policies: `--grid path=a,b,c`, several of them multiplied, each compiled by the policy language."""

from __future__ import annotations

import difflib
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aiops.errors import InvalidInput, InvalidPolicy

MOST_VARIANTS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One field of spec and its values."""

    path: tuple[str, ...]
    values: tuple[Any, ...]

    @property
    def name(self) -> str:
        """Return the field as it is written."""
        return ".".join(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One policy to be tried: its document, and what was changed in it ('' for nothing)."""

    document: str
    label: str
    settings: tuple[tuple[str, Any], ...] = ()


def axes(texts: Sequence[str]) -> tuple[Axis, ...]:
    """Return the axes of `path=a,b,c`; raise InvalidInput."""
    import yaml

    found = []
    for text in texts:
        path, equals, values = text.partition("=")
        parts = tuple(path.strip().removeprefix("spec.").split("."))
        if not equals or not all(parts) or not all(one.strip() for one in values.split(",")):
            raise InvalidInput(f"--grid {text}: expected path=value,value, as objective.perReplica=40,50,60")
        try:
            read = tuple(yaml.safe_load(one) for one in values.split(","))
        except yaml.YAMLError as err:
            raise InvalidInput(f"--grid {text}: a value is no YAML scalar") from err
        found.append(Axis(path=parts, values=tuple(dict.fromkeys(read))))
    names = [axis.name for axis in found]
    if len(set(names)) < len(names):
        raise InvalidInput(f"--grid {next(name for name in names if names.count(name) > 1)}: is given twice")
    return tuple(found)


def variants(document: str, grid: Sequence[Axis]) -> list[Variant]:
    """Return the product of the axes on one policy, each checked by the policy language."""
    if not grid:
        return [Variant(document=document, label="")]
    count = 1
    for axis in grid:
        count *= len(axis.values)
    if count > MOST_VARIANTS:
        raise InvalidInput(f"--grid: {count} variants, at most {MOST_VARIANTS}")
    return [_variant(document, grid, values) for values in itertools.product(*(axis.values for axis in grid))]


def _variant(document: str, grid: Sequence[Axis], values: Sequence[Any]) -> Variant:
    from aiops.policy import recompile

    plain = json.loads(document)
    for axis, value in zip(grid, values, strict=True):
        _set(plain["spec"], axis, value)
    label = " ".join(f"{axis.name}={value}" for axis, value in zip(grid, values, strict=True))
    text = json.dumps(plain)
    try:
        compiled = recompile(text)
    except InvalidPolicy as err:
        said = "; ".join(f"{p.field}: {p.message}" if p.field else p.message for p in err.problems)
        raise InvalidInput(f"--grid {label}: {said}") from err
    settings = tuple((axis.name, value) for axis, value in zip(grid, values, strict=True))
    return Variant(document=compiled.document, label=label, settings=settings)


def _set(spec: dict[str, Any], axis: Axis, value: Any) -> None:
    place: Any = spec
    for depth, part in enumerate(axis.path):
        if isinstance(place, list) and part.isdigit() and int(part) < len(place):
            key: Any = int(part)
        elif isinstance(place, dict) and part in place:
            key = part
        else:
            raise InvalidInput(f"--grid {axis.name}: there is no field {part!r}{_near(spec, axis, depth)}")
        if depth == len(axis.path) - 1:
            if isinstance(place[key], dict | list) and not isinstance(value, dict | list):
                inside = ", ".join(path for path in _paths(spec) if path.startswith(axis.name + "."))
                raise InvalidInput(f"--grid {axis.name}: is no single value; it has {inside or 'parts'}")
            place[key] = value
        else:
            place = place[key]


def _near(spec: dict[str, Any], axis: Axis, depth: int) -> str:
    every = list(_paths(spec))
    near = difflib.get_close_matches(axis.name, every, 4, 0.5)
    here = ".".join(axis.path[:depth])
    beside = [path for path in every if path.startswith(here + ".")] if here else sorted(spec)
    shown = near or beside[:8]
    return f" (near: {', '.join(shown)})" if shown else ""


def _paths(plain: Any, before: str = "") -> Iterator[str]:
    members = plain.items() if isinstance(plain, dict) else enumerate(plain) if isinstance(plain, list) else ()
    for key, value in members:
        path = f"{before}.{key}" if before else str(key)
        if isinstance(value, dict | list) and value:
            yield from _paths(value, path)
        else:
            yield path
