"""Times and comparisons as tests write them: `13m` after the start or `'12:13'` o'clock; `>= 8`, `8` or `8..10`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from aiops.core.decide.quantities import duration_s

DAY_S = 86_400.0
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")
_COMPARED = re.compile(r"(>=|<=|==|!=|>|<)?\s*(\d{1,9})")
_BETWEEN = re.compile(r"(\d{1,9})\s*\.\.\s*(\d{1,9})")
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True, slots=True)
class When:
    """A moment of a test. seconds: after the start, or of the day when `is_clock`."""

    text: str
    seconds: float
    is_clock: bool = False

    def after(self, start: datetime) -> float:
        """Return the seconds after the start; a clock time is the next one that the start's time zone shows."""
        if not self.is_clock:
            return self.seconds
        begun = start.hour * 3600.0 + start.minute * 60.0 + start.second
        return (self.seconds - begun) % DAY_S

    def __str__(self) -> str:
        """Return what was written."""
        return self.text


@dataclass(frozen=True, slots=True)
class Comparison:
    """A number that is compared. low, high: of a range, both included; else `operator` with `low`."""

    text: str
    operator: str
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Return whether a value fits."""
        if self.operator == "..":
            return self.low <= value <= self.high
        return _OPERATORS[self.operator](value, self.low)

    def __str__(self) -> str:
        """Return what was written."""
        return self.text


def when(value: Any) -> When:
    """Return the moment of `13m` or `'12:13'`; raise ValueError."""
    if isinstance(value, When):
        return value
    clock = _CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
    if clock is not None:
        return When(value.strip(), int(clock[1]) * 3600.0 + int(clock[2]) * 60.0 + int(clock[3] or 0), is_clock=True)
    if isinstance(value, bool) or (isinstance(value, int | float) and value != 0):
        # YAML 1.1 reads 12:13 without quotes as the number 733
        raise ValueError(f"{value!r} has no unit: write 13m after the start, or a clock time in quotes: '12:13'")
    return When(str(value).strip(), duration_s(value))


def comparison(value: Any) -> Comparison:
    """Return the comparison of `8`, `'>= 8'` or `'8..10'`; raise ValueError."""
    if isinstance(value, Comparison):
        return value
    text = str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else ""
    between = _BETWEEN.fullmatch(text)
    if between is not None:
        low, high = float(between[1]), float(between[2])
        if low > high:
            raise ValueError(f"{text!r} is empty: the first number is the smaller one")
        return Comparison(text, "..", low, high)
    compared = _COMPARED.fullmatch(text)
    if compared is None:
        raise ValueError(f"{value!r} is no comparison such as 8, '>= 8' or '8..10'")
    return Comparison(text, compared[1] or "==", float(compared[2]), float(compared[2]))


def begun(value: Any) -> datetime:
    """Return the start of `2026-03-02T12:00:00+01:00`; UTC where no zone is written; raise ValueError."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{value!r} is no time such as 2026-03-02T12:00:00+01:00") from None
    if not isinstance(value, datetime):
        raise ValueError(f"{value!r} is no time such as 2026-03-02T12:00:00+01:00")
    if not 1971 <= value.year <= 2999:
        raise ValueError(f"the year {value.year} is not between 1971 and 2999")
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def notation(value: Any) -> Any:
    """Return the text of a series, which YAML may have read as a number; `off` is its word for false."""
    if value is False:
        return "off"
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def told(seconds: float) -> str:
    """Return an offset as people write it.

    >>> told(0.0), told(795.0), told(7200.0)
    ('0s', '13m15s', '2h')
    """
    left = round(seconds)
    parts = [(left // 3600, "h"), (left // 60 % 60, "m"), (left % 60, "s")]
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


_AS_TEXT = PlainSerializer(str, return_type=str)
Moment = Annotated[
    When,
    BeforeValidator(when),
    _AS_TEXT,
    WithJsonSchema({"type": "string", "description": "13m after the start, or a clock time '12:13'"}),
]
Compared = Annotated[
    Comparison,
    BeforeValidator(comparison),
    _AS_TEXT,
    WithJsonSchema({"type": ["string", "integer"], "examples": [8, ">= 8", "8..10"]}),
]
Notation = Annotated[
    str,
    BeforeValidator(notation),
    WithJsonSchema({"type": ["string", "number"], "examples": ["0+10x20 _x3 stale"]}),
]
Start = Annotated[
    datetime, BeforeValidator(begun), WithJsonSchema({"type": "string", "examples": ["2026-03-02T12:00:00+01:00"]})
]
