"""The chart as a PNG, drawn here: a picture of a few curves is not worth a library of its own."""

from __future__ import annotations

import itertools
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from aiops.app.detecting.page import clock
from aiops.app.detecting.plot import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Plot
from aiops.app.detecting.strokes import ADVANCE, strokes
from aiops.core.model import F64

Canvas = NDArray[np.uint8]
Colour = tuple[int, int, int]

_PAPER, _GRID, _TEXT = (255, 255, 255), (221, 226, 233), (93, 107, 125)
_VALUE, _EXPECTED, _BAND = (31, 111, 235), (140, 150, 165), (31, 111, 235)
_CALLED, _SEEN = (198, 40, 57), (194, 87, 12)
_HEAD = 22
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png(plots: Sequence[Plot]) -> bytes:
    """Return the pictures one below the other."""
    canvas = np.full((max(1, len(plots)) * (HEIGHT + _HEAD), WIDTH, 3), _PAPER, np.uint8)
    for number, one in enumerate(plots):
        top = number * (HEIGHT + _HEAD)
        _text(canvas[top : top + _HEAD], (LEFT, 8), one.title[:140], _TEXT)
        _drawn(canvas[top + _HEAD : top + _HEAD + HEIGHT], one)
    return _encoded(canvas)


def _drawn(canvas: Canvas, one: Plot) -> None:
    for at, value in one.ticks_y:
        _line(canvas, (LEFT, at), (WIDTH - RIGHT, at), _GRID)
        label = f"{value:.4g}"
        _text(canvas, (LEFT - 6 - ADVANCE * len(label), at - 3), label, _TEXT)
    for number, (at, when) in enumerate(one.ticks_x):
        label = clock(when)
        shift = 0.0 if number == 0 else 1.0 if number == len(one.ticks_x) - 1 else 0.5
        _text(canvas, (at - shift * ADVANCE * len(label), HEIGHT - BOTTOM + 8), label, _TEXT)
    for begin, end, called in one.findings:
        box = canvas[TOP : HEIGHT - BOTTOM, round(begin) : round(end) + 1]
        _blend(box, _CALLED if called else _SEEN, 0.28)
    _band(canvas, one)
    _curve(canvas, one.x, one.expected, _EXPECTED)
    _curve(canvas, one.x, one.high, _VALUE)
    for at, high, low in zip(one.x.tolist(), one.high.tolist(), one.low.tolist(), strict=True):
        if low - high >= 1.0:
            _line(canvas, (at, high), (at, low), _VALUE)


def _band(canvas: Canvas, one: Plot) -> None:
    """Tint the column of each known band, and those up to the next one."""
    known = np.isfinite(one.lower) & np.isfinite(one.upper)
    for place in np.flatnonzero(known).tolist():
        there = place + 1 < len(one.x) and bool(known[place + 1])
        end = one.x[place + 1] if there else one.x[place] + 1
        rows = slice(round(float(one.upper[place])), round(float(one.lower[place])) + 1)
        _blend(canvas[rows, round(float(one.x[place])) : round(float(end))], _BAND, 0.15)


def _curve(canvas: Canvas, x: F64, y: F64, colour: Colour) -> None:
    points = list(zip(x.tolist(), y.tolist(), strict=True))
    for one, other in itertools.pairwise(points):
        if np.isfinite(one[1]) and np.isfinite(other[1]):
            _line(canvas, one, other, colour)
    for at, height in points:
        if np.isfinite(height):
            _line(canvas, (at, height), (at, height), colour)


def _line(canvas: Canvas, one: tuple[float, float], other: tuple[float, float], colour: Colour) -> None:
    steps = int(max(abs(other[0] - one[0]), abs(other[1] - one[1]))) + 2
    columns = np.rint(np.linspace(one[0], other[0], steps)).astype(np.int64)
    rows = np.rint(np.linspace(one[1], other[1], steps)).astype(np.int64)
    inside = (rows >= 0) & (rows < canvas.shape[0]) & (columns >= 0) & (columns < canvas.shape[1])
    canvas[rows[inside], columns[inside]] = colour


def _text(canvas: Canvas, corner: tuple[float, float], text: str, colour: Colour) -> None:
    for number, letter in enumerate(text):
        left = corner[0] + number * ADVANCE
        for one, other in strokes(letter):
            begin, end = (left + one[0], corner[1] + one[1]), (left + other[0], corner[1] + other[1])
            _line(canvas, begin, end, colour)


def _blend(box: Canvas, colour: Colour, share: float) -> None:
    box[...] = (box * (1.0 - share) + np.array(colour) * share).astype(np.uint8)


def _encoded(canvas: Canvas) -> bytes:
    height, width, _ = canvas.shape
    rows = np.concatenate([np.zeros((height, 1), np.uint8), canvas.reshape(height, width * 3)], axis=1)
    about = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", about), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return _SIGNATURE + b"".join(_chunk(kind, body) for kind, body in parts)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
