"""What a /metrics tells, read by prometheus-client's parsers: the text format 0.0.4, and OpenMetrics."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

OPENMETRICS = "application/openmetrics-text"
ACCEPT = f"text/plain;version=0.0.4;q=1,{OPENMETRICS};version=1.0.0;q=0.5,*/*;q=0.1"

LONGEST = 65_536
"""A line has at most so many characters: the parsers take the square of the labels of one, or longer."""

_NAME = re.compile(r'\s*([^\s{"]+)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sample. at_ms: when it was taken, None for when it is scraped."""

    name: str
    labels: dict[str, str]
    value: float
    at_ms: int | None = None


def samples(body: bytes, content_type: str, wanted: re.Pattern[str] | None = None) -> Iterator[Sample]:
    """Yield the samples of an answer, of names that `wanted` matches; raise ValueError when it is malformed."""
    text = body.decode("utf-8").replace("\r\n", "\n")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "text/html":
        raise ValueError("a page of HTML: is that a metrics endpoint?")
    yield from _openmetrics(text, wanted) if kind == OPENMETRICS else _text(_lines(text), wanted)


def _lines(text: str) -> Iterator[str]:
    """Yield the lines. What else ends a line in Unicode may stand in the value of a label."""
    for line in io.StringIO(text, newline="\n"):
        if len(line) > LONGEST:
            raise ValueError(f"a line of more than {LONGEST} characters")
        yield line


def _text(lines: Iterable[str], wanted: re.Pattern[str] | None) -> Iterator[Sample]:
    """Read the text format. Comments are left out: with a TYPE the parser would rename counters."""
    from prometheus_client.parser import text_fd_to_metric_families

    kept = (line for line in lines if not line.lstrip().startswith("#") and _kept(line, wanted))
    for family in text_fd_to_metric_families(kept):  # type: ignore[arg-type]  # any lines do
        for one in family.samples:
            yield _sample(one)


def _openmetrics(text: str, wanted: re.Pattern[str] | None) -> Iterator[Sample]:
    from prometheus_client.openmetrics.parser import text_fd_to_metric_families

    for family in text_fd_to_metric_families(_lines(text)):  # type: ignore[no-untyped-call]
        for one in family.samples:
            if wanted is None or wanted.fullmatch(one.name):
                yield _sample(one)


def _sample(one: Any) -> Sample:
    at_ms = None
    if one.timestamp is not None:
        at_s = float(one.timestamp)
        if not math.isfinite(at_s):
            raise ValueError(f"the time {at_s} of {one.name[:100]}")
        at_ms = round(at_s * 1000)
    return Sample(name=one.name, labels=one.labels, value=float(one.value), at_ms=at_ms)


def _kept(line: str, wanted: re.Pattern[str] | None) -> bool:
    if wanted is None:
        return True
    name = _NAME.match(line)
    # a line whose name stands in quotes is looked at by the parser, and kept
    return name is None or wanted.fullmatch(name[1]) is not None


def names(patterns: Iterable[str]) -> re.Pattern[str] | None:
    """Return what matches any of the patterns; None for none, which is all."""
    some = tuple(patterns)
    return re.compile("|".join(f"(?:{one})" for one in some), re.ASCII) if some else None
