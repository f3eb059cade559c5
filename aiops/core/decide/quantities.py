"""Durations, quantities and percentages as Prometheus and Kubernetes write them, in base units."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, WithJsonSchema

LONGEST_S = 36_525 * 86_400.0
"""A hundred years: what is longer is a mistake, and overflows calendars."""

MAX_CHARACTERS = 64

MOST_WHOLE = 2**31 - 1
"""The greatest number of replicas that Kubernetes takes, and more than arithmetic with floating-point numbers needs."""

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0, "y": 31_536_000.0}
_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)(ms|[smhdwy]))")
_SUFFIXES = {
    "m": 1e-3,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
}
_QUANTITY = re.compile(r"([+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(m|k|Ki|[MGT]i?)?")


def duration_s(value: Any) -> float:
    """Return seconds of `90s`, `1h30m`, `14d`, `250ms`, or of a bare number of seconds; raise ValueError.

    >>> duration_s("1h30m"), duration_s("250ms"), duration_s(15)
    (5400.0, 0.25, 15.0)
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= LONGEST_S:
        return float(value)
    text = value.strip() if isinstance(value, str) and len(value) <= MAX_CHARACTERS else ""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{value!r} is no duration such as 90s, 5m, 1h30m or 14d")
    found = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
    if found > LONGEST_S:
        raise ValueError(f"{value!r} is more than a hundred years")
    return found


def quantity(value: Any) -> float:
    """Return the number of a Kubernetes quantity such as `250m`, `1.5k` or `2Gi`, or a number; raise ValueError.

    >>> quantity("250m"), quantity("1.5k"), quantity("2Ki"), quantity(4)
    (0.25, 1500.0, 2048.0, 4.0)
    """
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    match = _QUANTITY.fullmatch(value.strip()) if isinstance(value, str) and len(value) <= MAX_CHARACTERS else None
    found = math.inf if match is None else float(match[1]) * _SUFFIXES.get(match[2], 1.0)
    if not math.isfinite(found):
        raise ValueError(f"{value!r} is no number or quantity such as 50, 250m or 1.5k")
    return found


def level(value: Any) -> float:
    """Return what an SLO compares with: a number, a percentage, or a duration in seconds; raise ValueError.

    `250m` could be a quarter or 250 minutes, and is refused.

    >>> level("250ms"), level("1%"), level(0.25)
    (0.25, 0.01, 0.25)
    """
    if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)?m", value.strip()):
        raise ValueError(f"{value!r} could be thousandths or minutes: write 250ms or 0.25")
    for read in (ratio, duration_s, quantity):
        if isinstance(value, str) and read is ratio and not value.strip().endswith("%"):
            continue
        if not isinstance(value, str) and read is not quantity:
            continue
        try:
            return read(value)
        except ValueError:
            continue
    raise ValueError(f"{value!r} is no number, percentage or duration")


def ratio(value: Any) -> float:
    """Return the share of `99.5%` or of a number from 0 to 1; raise ValueError.

    >>> ratio("99.5%"), ratio(0.2)
    (0.995, 0.2)
    """
    if isinstance(value, str) and value.strip().endswith("%"):
        number = quantity(value.strip()[:-1])
        share = number / 100.0
    else:
        share = quantity(value)
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"{value!r} is no share from 0 to 1, or 0% to 100%")
    return round(share, 12)


def quantity_or_learn(value: Any) -> float | str:
    """Return a quantity above 0, or the word `learn`; raise ValueError.

    >>> quantity_or_learn("1.5k"), quantity_or_learn("learn")
    (1500.0, 'learn')
    """
    if value == "learn":
        return "learn"
    number = quantity(value)
    if number <= 0:
        raise ValueError(f"{value!r} must be greater than 0, or learn")
    return number


def number(value: Any) -> Any:
    """Return what is no text and no truth: `"3"` and true are no numbers to an API server or an editor, either.

    >>> number(3)
    3
    """
    if isinstance(value, str | bytes | bool):
        quoted = isinstance(value, str) and value.replace(".", "", 1).isdigit()
        raise ValueError(f"{value!r} is no number{': write it without quotes' if quoted else ''}")
    return value


def whole(value: Any) -> Any:
    """Return a number that Kubernetes can hold, be it of replicas, of percents or of seconds; raise ValueError.

    >>> whole(3)
    3
    """
    if isinstance(number(value), int | float) and abs(value) > MOST_WHOLE:
        raise ValueError(f"that is more than {MOST_WHOLE}, which is the most that Kubernetes can hold")
    return value


_NUMBER_TEXT = r"[0-9]+(\.[0-9]+)?"
_DURATION_TEXT = rf"({_NUMBER_TEXT}(ms|[smhdwy]))+"
_QUANTITY_TEXT = rf"[+-]?{_NUMBER_TEXT}([eE][+-]?[0-9]+)?(m|k|Ki|[MGT]i?)?"


def _number_or_text(pattern: str, **more: Any) -> WithJsonSchema:
    """Return the schema of what is a number, or a text that a reader above takes. pattern: of the text."""
    return WithJsonSchema({"type": ["string", "number"], "pattern": rf"^\s*({pattern})\s*$", **more})


Whole = Annotated[int, BeforeValidator(whole)]
WholeOrNone = Annotated[int | None, BeforeValidator(whole)]
NumberOrNone = Annotated[float | None, BeforeValidator(number)]
Duration = Annotated[
    float,
    BeforeValidator(duration_s),
    _number_or_text(_DURATION_TEXT, minimum=0, description="90s, 5m, 1h30m, 14d, or seconds", examples=["5m"]),
]


def duration_or(word: str, examples: list[str]) -> tuple[BeforeValidator, WithJsonSchema]:
    """Return what makes a field take a word as it is, and anything else as a duration."""

    def taken(value: object) -> object:
        return value if value == word else duration_s(value)

    schema = {
        "type": ["string", "number"],
        "pattern": rf"^\s*({word}|([0-9]+(\.[0-9]+)?(ms|[smhdwy]))+)\s*$",
        "minimum": 0,
        "examples": examples,
    }
    return BeforeValidator(taken), WithJsonSchema(schema)


Quantity = Annotated[float, BeforeValidator(quantity), _number_or_text(_QUANTITY_TEXT, examples=[50, "250m", "1.5k"])]
Level = Annotated[
    float,
    BeforeValidator(level),
    _number_or_text(rf"{_QUANTITY_TEXT}\s*%|{_DURATION_TEXT}|{_QUANTITY_TEXT}", examples=["250ms", 0.25, "1%"]),
]
Ratio = Annotated[
    float,
    BeforeValidator(ratio),
    _number_or_text(rf"{_QUANTITY_TEXT}\s*%?", minimum=0, maximum=1, examples=["99.5%", 0.995]),
]
QuantityOrLearn = Annotated[
    float | Literal["learn"],
    BeforeValidator(quantity_or_learn),
    _number_or_text(rf"learn|{_QUANTITY_TEXT}", exclusiveMinimum=0, examples=[50, "1.5k", "learn"]),
]
