"""promtool's notation of series: `0+10x20 _x3 stale`, a sample for each step.

Semantics of Prometheus' "Unit Testing for Rules": `a+bxn` and `a-bxn` give n + 1 samples, `axn` n + 1 times a, `_` a
missing sample, `_xn` n of them, `stale` a stale one. `stalexn` is ours: n stale ones, as with `_xn`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

MAX_SAMPLES = 20_000
MAX_TEXT = 100_000


@dataclass(frozen=True, slots=True)
class Missing:
    """No sample: the query answers nothing."""


@dataclass(frozen=True, slots=True)
class Stale:
    """The last value again, older than the signal's maxAge."""


MISSING: Final = Missing()
STALE: Final = Stale()
Entry: TypeAlias = float | Missing | Stale

_NUMBER = r"(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[iI][nN][fF]|[nN][aA][nN])"
_ITEM = re.compile(rf"([+-]?{_NUMBER})([+-]{_NUMBER})?(?:x([0-9]+))?")
_SPECIAL = re.compile(r"(_|stale)(?:x([0-9]+))?")
_WORD = re.compile(r"\S+")


class InvalidNotation(ValueError):
    """A series that cannot be read. column: from 1, inside the text."""

    def __init__(self, message: str, column: int) -> None:
        super().__init__(message)
        self.column = column


def series(text: str) -> tuple[Entry, ...]:
    """Return the samples of a series; raise InvalidNotation with the place.

    >>> series("1-2x3 _x2")
    (1.0, -1.0, -3.0, -5.0, Missing(), Missing())
    """
    if len(text) > MAX_TEXT:
        raise InvalidNotation(f"a series is at most {MAX_TEXT} characters", 1)
    out: list[Entry] = []
    for word in _WORD.finditer(text):
        out += _entries(word[0], word.start() + 1, MAX_SAMPLES - len(out))
    if not out:
        raise InvalidNotation("a series has at least one sample, such as 5 or 0+10x20", 1)
    return tuple(out)


def _entries(word: str, column: int, room: int) -> Iterator[Entry]:
    special = _SPECIAL.fullmatch(word)
    if special is not None:
        times = _times(special[2] or "1", column, room)
        return iter([MISSING if special[1] == "_" else STALE] * times)
    item = _ITEM.fullmatch(word)
    if item is None:
        raise _unreadable(word, column)
    if item[2] is not None and item[3] is None:
        raise InvalidNotation(f"{word!r} lacks how often: {word}x10", column + len(word))
    times = _times(item[3] or "0", column, room - 1) + 1
    return _steps(float(item[1]), float(item[2] or 0.0), times)


def _steps(value: float, step: float, times: int) -> Iterator[Entry]:
    # summed up sample by sample, as promtool does, so that both round alike
    for _ in range(times):
        yield value
        value += step


def _times(text: str, column: int, room: int) -> int:
    # a number of a million digits is not worth reading
    times = int(text) if len(text) <= 9 else MAX_SAMPLES + 1
    if times > room:
        raise InvalidNotation(f"more than {MAX_SAMPLES} samples", column)
    return times


def _unreadable(word: str, column: int) -> InvalidNotation:
    if word.startswith("{{"):
        return InvalidNotation("histograms are no values of a signal: write what the query answers", column)
    fits = (max((m.end() for m in (one.match(word),) if m), default=0) for one in (_ITEM, _SPECIAL))
    good = max(fits)
    rest = word[good : good + 20]
    return InvalidNotation(f"{rest!r} is no sample; write 5, 1x5, 0+10x20, 9-1x3, _, _x3, stale or NaN", column + good)
