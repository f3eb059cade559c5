"""What is new in answers that look back over a window: neighbouring ones tell of the same requests.

A rate over a range counts everything between its ends. What is new in it is what it counts beyond the pieces that are
known of its window; a piece is taken as spread evenly over its time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from aiops.core.model import Piece
from aiops.core.model.swift import making

_piece = making(Piece)


def since(pieces: Iterable[Piece], start: float) -> list[Piece]:
    """Return the parts of pieces that lie after `start`."""
    found = []
    for one in pieces:
        length_s = one.end - start
        if 0.0 < one.length_s <= length_s:
            found.append(one)
        elif 0.0 < length_s < one.length_s:
            part = length_s / one.length_s
            found.append(_piece(end=one.end, length_s=length_s, failed=one.failed * part, asked=one.asked * part))
    return found


def at_most(pieces: Sequence[Piece], failed_in: float, asked_in: float) -> list[Piece]:
    """Return the pieces of a window that counted so much: it is the truth, what was thought of it must not say more."""
    asked, failed = sum(one.asked for one in pieces), sum(one.failed for one in pieces)
    less_asked = min(1.0, asked_in / asked) if asked > 0.0 else 1.0
    less_failed = min(1.0, failed_in / failed) if failed > 0.0 else 1.0
    return scaled(pieces, less_failed, less_asked)


def scaled(pieces: Sequence[Piece], failed: float, asked: float) -> list[Piece]:
    """Return the pieces with such parts of what failed in each, and of what was asked."""
    if failed == asked == 1.0:
        return list(pieces)
    return [
        _piece(end=one.end, length_s=one.length_s, failed=one.failed * failed, asked=one.asked * asked)
        for one in pieces
    ]


def newest(pieces: Sequence[Piece], window: Piece) -> Piece:
    """Return what a window counts beyond the pieces that are known of it, in the time since the last of them.

    window: all that is counted in it, up to its end.
    """
    known = at_most(since(pieces, window.end - window.length_s), window.failed, window.asked)
    length_s = min(window.length_s, window.end - pieces[-1].end) if pieces else window.length_s
    asked = max(0.0, window.asked - sum(one.asked for one in known))
    failed = min(asked, max(0.0, window.failed - sum(one.failed for one in known)))
    return Piece(end=window.end, length_s=length_s, failed=failed, asked=asked)
