"""Kubernetes' quantities as exact numbers."""

from __future__ import annotations

import re
from fractions import Fraction

_QUANTITY = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(?:[eE]([+-]?\d{1,2})|([numkMGTPE]|[KMGTPE]i))?")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
MOST = 64
"""Characters of a quantity."""


def amount(text: str) -> Fraction:
    """Return the exact number of a quantity of Kubernetes' resources; raise ValueError.

    >>> amount("0.5") == amount("500m"), amount("1Gi") == amount("1073741824"), amount("1e3") == amount("1k")
    (True, True, True)
    """
    match = _QUANTITY.fullmatch(text) if len(text) <= MOST else None
    if match is None:
        raise ValueError(f"{text[:MOST]!r} is no quantity such as 250m or 2Gi")
    number, exponent, suffix = match[1], int(match[2] or 0), match[3] or ""
    scale = Fraction(f"1e{exponent + _DECIMAL.get(suffix, 0)}")
    return Fraction(number) * scale * (1 << _BINARY.get(suffix, 0))


def alike(one: str, other: str) -> bool:
    """Return whether two quantities are the same amount: the API writes 0.5 as 500m."""
    if one == other or not one or not other:
        return one == other
    try:
        return amount(one) == amount(other)
    except ValueError:
        return False
