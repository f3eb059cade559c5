"""Instant vectors straight to arrays, as they come: labels that were in the answer before are not decoded again.

In an answer of many series nearly every byte is a label, and the labels are those of the last answer. So an answer is
cut into its samples and what stands around them; where the latter is byte for byte what it was, the series are known.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np
import orjson

from aiops.core.model import F64

_HEAD = re.compile(
    rb'\{"status":"success",(?:"isPartial":(?:true|false),)?"data":\{"resultType":"vector","result":\[(?=[{\]])'
)
_HEAD_MOST = 200
"""Whoever writes answers as Prometheus does has written the head by then."""

_SAMPLE = re.compile(rb'"value":\[[^,\]"]*,"([^"\\]*)"\]\}')
"""No label can look like this: a quote within a JSON string has a backslash before it."""

_AHEAD = 4
"""How far ahead, in lengths of a piece, known labels are looked for once series have come or gone."""

_PARTIAL = "the answer is partial: something behind the source did not answer"
NO_NUMBERS = "some series are no numbers, such as native histograms: wrap the query in a function that makes numbers"

_NOTHING = b'"value":0}'

Labels = Mapping[str, str]


class Unfit(Exception):
    """An answer that is well written, and of no use; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """Series and their values, float64[n]. metrics: the same object as in the answer before where nothing changed."""

    metrics: tuple[Labels, ...]
    values: F64


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What stood around the samples of an answer, and which series that is. ends: where the text of each ends."""

    text: bytes = b""
    ends: tuple[int, ...] = ()
    metrics: tuple[Labels, ...] = ()


@dataclass(slots=True)
class _Shaping:
    """Follows a known shape piece by piece; what differs is decoded."""

    known: Shape
    offset: int = 0
    row: int = 0
    pieces: list[bytes] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    metrics: list[Labels] = field(default_factory=list)
    same: bool = True

    def take(self, texts: Sequence[bytes]) -> None:
        """Take what stands before each of some samples."""
        text, known = b"".join(texts), self.known
        if self.same and known.text.startswith(text, self.offset):
            self.offset, self.row = self.offset + len(text), self.row + len(texts)
            return
        if self.same:
            self._differ()
        found = self._found(text, len(texts))
        if found < 0:
            self.metrics += _decoded(texts)
        else:
            self.metrics += known.metrics[found : found + len(texts)]
            self.offset, self.row = known.ends[found + len(texts) - 1], found + len(texts)
        self.pieces.append(text)
        self.lengths += map(len, texts)

    def shape(self) -> Shape:
        """Return what the answer looked like, the known shape where it looked like that."""
        if self.same and self.row == len(self.known.metrics):
            return self.known
        if self.same:
            self._differ()
        text = b"".join(self.pieces)
        return Shape(text=text, ends=tuple(accumulate(self.lengths)), metrics=tuple(self.metrics))

    def _differ(self) -> None:
        """Take over what has been the same so far."""
        known = self.known
        self.same = False
        self.pieces = [known.text[: self.offset]]
        ends = known.ends[: self.row]
        self.lengths = [end - start for start, end in zip((0, *ends), ends, strict=False)]
        self.metrics = list(known.metrics[: self.row])

    def _found(self, text: bytes, count: int) -> int:
        """Return the row from which the known text goes on like this, -1 when it does not soon."""
        known = self.known
        place = known.text.find(text, self.offset, self.offset + _AHEAD * len(text))
        if place < 0:
            return -1
        row = bisect_right(known.ends, place)
        fits = row + count <= len(known.ends) and known.ends[row + count - 1] == place + len(text)
        return row if fits and (place == 0 or known.ends[row - 1] == place) else -1


class VectorSink:
    """Takes one answer part by part. shape: what the next answer to the same query is to be compared with.

    It raises Unfit as soon as there are more than `most` series, and where some are no numbers; ValueError
    at the end of an answer that is cut off or no JSON.
    """

    def __init__(self, known: Shape, most: int) -> None:
        self.shape, self._most = known, most
        self.vector = Vector(metrics=(), values=np.empty(0))
        self.begin()

    def begin(self) -> None:
        """Expect an answer from its beginning."""
        self._shaping = _Shaping(self.shape)
        self._head, self._rest = b"", b""
        self._whole: list[bytes] = []
        self._values: list[F64] = []
        self._count = 0

    def feed(self, part: bytes) -> None:
        """Take the next part."""
        if self._whole:
            self._whole.append(part)
            return
        text = self._rest + part
        if not self._head:
            head = _HEAD.match(text)
            if head is None:
                self._rest = text
                if len(text) > _HEAD_MOST:  # written otherwise: all the same, but slower
                    self._whole, self._rest = [text], b""
                return
            self._head, text = head.group(), text[head.end() :]
        *pieces, self._rest = _SAMPLE.split(text)
        if pieces:
            self._count += len(pieces) // 2
            self._bounded(self._count)
            self._values.append(_numbers(pieces[1::2]))
            self._shaping.take(pieces[::2])

    def end(self) -> tuple[str, ...]:
        """Make the vector of what has come, and return the source's warnings."""
        if not self._head:
            return self._plainly(orjson.loads(b"".join(self._whole) or self._rest))
        # what is left stands in the list of results: nothing, where each had its sample
        document = orjson.loads(self._head + self._rest.removeprefix(b","))
        if document["data"]["result"]:
            raise Unfit(NO_NUMBERS)
        self.shape = self._shaping.shape()
        self.vector = Vector(metrics=self.shape.metrics, values=_joined(self._values))
        return notes(document)

    def _plainly(self, document: Any) -> tuple[str, ...]:
        if not isinstance(document, dict) or document.get("status") != "success":
            raise Unfit(f"refuses the query: {str(document)[:200]}")
        data = document.get("data")
        result = data.get("result") if isinstance(data, dict) else None
        if not isinstance(result, list) or not all(isinstance(one, dict) and "metric" in one for one in result):
            raise Unfit("answers JSON, but not Prometheus' format")
        self._bounded(len(result))
        if not all("value" in one for one in result):
            raise Unfit(NO_NUMBERS)
        metrics = tuple(one["metric"] for one in result)
        if metrics != self.shape.metrics:
            self.shape = Shape(metrics=metrics)
        values = np.array([float(one["value"][1]) for one in result], np.float64)
        self.vector = Vector(metrics=self.shape.metrics, values=values)
        return notes(document)

    def _bounded(self, count: int) -> None:
        if count > self._most:
            raise Unfit(f"{count} series or more, at most {self._most} (max_series)")


def notes(document: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the warnings of an answer; that it is partial is one (VictoriaMetrics says it in a field of its own)."""
    partial = (_PARTIAL,) if document.get("isPartial") is True else ()
    return (*partial, *(str(one) for one in document.get("warnings") or ()))


def _numbers(texts: Sequence[bytes]) -> F64:
    """Return float64[n]; NaN and infinities are no JSON, and taken one by one."""
    try:
        return np.array(orjson.loads(b"[%b]" % b",".join(texts)), np.float64)
    except orjson.JSONDecodeError:
        return np.array([float(text) for text in texts], np.float64)


def _decoded(texts: Sequence[bytes]) -> list[Labels]:
    """Return the labels of series of which the samples were cut out."""
    text = b"".join(b"%b%b" % (text, _NOTHING) for text in texts)
    series = orjson.loads(b"[%b]" % text.removeprefix(b","))
    if len(series) != len(texts):
        raise Unfit(NO_NUMBERS)
    return [one["metric"] for one in series]


def _joined(parts: Sequence[F64]) -> F64:
    return np.concatenate(parts) if parts else np.empty(0)
