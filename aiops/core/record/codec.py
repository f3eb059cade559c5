"""Canonical JSON of the core's values: the same value makes the same text, and the text makes the same value again.

Keys are sorted, there is no white space and nothing but ASCII, floats are written by `repr` (which reads back
exactly), NaN and the infinities as the strings `nan`, `inf` and `-inf`, sets in sorted order, arrays as lists. A
member of a closed union carries its class name under `type`. Unknown keys are ignored and missing ones take their
default, so that a record of an older or a newer version can still be read where its meaning allows it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast, get_args, get_origin

import numpy as np

from aiops.core.model import Answer, Change, Check, Operation, Quote, Ruling, SavingState

if TYPE_CHECKING:
    from cattrs import Converter

T = TypeVar("T")

UNIONS = (Answer, Change, Ruling, Operation, Check, Quote, SavingState)
"""The closed unions of the model; each is stored with a tag."""

TAG = "type"

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def to_text(value: object, as_type: object = None) -> str:
    """Return the canonical JSON of a value of the core; `as_type` says which union or generic it is meant as.

    >>> from aiops.core.model import Scale
    >>> to_text(Scale(before=3, after=5))
    '{"after":5,"before":3}'
    """
    return _encode(to_jsonable(value, as_type))


def to_jsonable(value: object, as_type: object = None) -> Any:
    """Return the value as dicts, lists, strings, finite numbers, booleans and None."""
    return _converter().unstructure(value, unstructure_as=as_type)


def from_text(text: str, as_type: type[T]) -> T:
    """Return the value that `to_text` wrote; raise ValueError when the text is not one of that type.

    >>> from aiops.core.model import Leadership
    >>> from_text('{"epoch":3,"leader":true,"until":"inf"}', Leadership).until
    inf
    """
    try:
        return _converter().structure(json.loads(text), as_type)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as err:
        name = getattr(as_type, "__name__", str(as_type))
        raise ValueError(f"this text is not a {name} that this version can read: {err!r}") from err


@cache
def _converter() -> Converter:
    """Build the converter at first use: importing cattrs costs 60 ms, which `aiops --help` does not owe."""
    from cattrs import Converter
    from cattrs.strategies import configure_tagged_union

    converter = Converter(detailed_validation=False, unstruct_collection_overrides={frozenset: sorted, tuple: list})
    converter.register_unstructure_hook(float, _float_out)
    converter.register_structure_hook(float, _float_in)
    # numpy's scalars look like numbers but are not JSON; they are taken down to Python's own
    converter.register_unstructure_hook(int, int)
    converter.register_unstructure_hook(bool, bool)
    converter.register_unstructure_hook_func(_is_array, _array_out)
    converter.register_structure_hook_func(_is_array, _array_in)
    converter.register_unstructure_hook_func(_is_floats, _floats_out)
    for union in UNIONS:
        configure_tagged_union(union, converter, tag_name=TAG)
    # one that may be missing is a union of its own to cattrs, which would tell its members apart by their fields
    maybe, saving = SavingState | None, cast("Any", SavingState)
    converter.register_structure_hook(maybe, lambda value, _: value and converter.structure(value, saving))
    converter.register_unstructure_hook(maybe, lambda value: value and converter.unstructure(value, saving))
    return converter


def _float_out(value: float) -> float | str:
    return float(value) if math.isfinite(value) else _name(value)


def _name(value: float) -> str:
    if math.isnan(value):
        return "nan"
    return "inf" if value > 0 else "-inf"


def _float_in(value: Any, _: object) -> float:
    if isinstance(value, bool) or value is None:
        raise TypeError(f"{value!r} is not a number")
    return float(value)


def _floats_out(values: tuple[float, ...]) -> list[float | str]:
    # the paths of a forecast: one call for a whole path instead of one for each number
    out = [float(value) for value in values]
    return cast("list[float | str]", out) if math.isfinite(sum(out)) else [_float_out(value) for value in out]


def _is_floats(kind: object) -> bool:
    return get_origin(kind) is tuple and get_args(kind) == (float, ...)


def _is_array(kind: object) -> bool:
    return get_origin(kind) is np.ndarray


def _array_out(array: np.ndarray[Any, Any]) -> list[Any]:
    values = array.tolist()
    return [_float_out(value) for value in values] if array.dtype.kind == "f" else values


def _array_in(values: list[Any], kind: object) -> np.ndarray[Any, Any]:
    scalar = get_args(get_args(kind)[1])[0]
    read: Callable[[Any], Any] = float if issubclass(scalar, np.floating) else lambda value: value
    return np.array([read(value) for value in values], dtype=scalar)
