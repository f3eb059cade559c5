"""Quantities of resources as a scheduler adds them up: whole thousandths, so that sums are exact."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeAlias

Amounts: TypeAlias = Mapping[str, int]
"""Thousandths by resource: of cores, of bytes, of whatever an extended resource counts."""

PODS = "pods"
"""The resource of which every pod takes one."""

_QUANTITY = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(?:[eE]([+-]?\d{1,2})|([numkMGTPE]|[KMGTPE]i))?")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}


class Unreadable(ValueError):
    """What should be a quantity is none: how much it is cannot be guessed."""


def thousandths(value: Any) -> int:
    """Return a quantity in thousandths, rounded up as the API server does; raise Unreadable.

    >>> thousandths("250m"), thousandths("1.5"), thousandths(2), thousandths("1Ki"), thousandths("1u")
    (250, 1500, 2000, 1024000, 1)
    """
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if not isinstance(text, str) or len(text) > 64:
        raise Unreadable(f"{str(value)[:64]!r} is no quantity such as 250m or 2Gi")
    return _read(text)


@lru_cache(maxsize=4096)  # a fleet says the same few sizes of thousands of pods at every turn
def _read(text: str) -> int:
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise Unreadable(f"{text!r} is no quantity such as 250m or 2Gi")
    number, exponent, suffix = match[1], int(match[2] or 0), match[3] or ""
    scale = Fraction(f"1e{exponent + _DECIMAL.get(suffix, 0)}")
    return -int(-(Fraction(number) * scale * (1 << _BINARY.get(suffix, 0)) * 1000) // 1)


def amounts(value: Any) -> dict[str, int]:
    """Return the quantities of a mapping of resources; raise Unreadable."""
    if not isinstance(value, Mapping):
        return {}
    return {str(name): thousandths(one) for name, one in value.items()}


def total(several: Iterable[Amounts]) -> dict[str, int]:
    """Return the sum."""
    made: dict[str, int] = {}
    for one in several:
        for name, value in one.items():
            made[name] = made.get(name, 0) + value
    return made


def most(one: Amounts, other: Amounts) -> dict[str, int]:
    """Return the larger of both, resource by resource."""
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in (*one, *other)}


def short(wanted: Amounts, free: Amounts) -> str:
    """Return the resource of which less is free than wanted, '' where all fits; what is not offered is not there."""
    return next((name for name, value in wanted.items() if value > 0 and value > free.get(name, 0)), "")
