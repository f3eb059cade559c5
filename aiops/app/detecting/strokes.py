"""Letters as strokes on a grid of five by seven pixels, for the few words on a picture; small letters are capitals."""

from __future__ import annotations

import itertools
from functools import lru_cache

ADVANCE = 6
"""Pixels from one letter to the next."""

_UNKNOWN = "00 40 46 06 00"
_STROKES = {
    "0": "00 40 46 06 00|14 32",
    "1": "11 20 26|16 36",
    "2": "00 40 43 03 06 46",
    "3": "00 40 46 06|13 43",
    "4": "00 03 43|40 46",
    "5": "40 00 03 43 46 06",
    "6": "40 00 06 46 43 03",
    "7": "00 40 26",
    "8": "00 40 46 06 00|03 43",
    "9": "43 03 00 40 46 06",
    "A": "06 02 20 42 46|04 44",
    "B": "00 30 41 42 33 44 45 36 06 00|03 33",
    "C": "41 30 10 01 05 16 36 45",
    "D": "00 30 42 44 36 06 00",
    "E": "40 00 06 46|03 33",
    "F": "40 00 06|03 33",
    "G": "41 30 10 01 05 16 36 45 43 23",
    "H": "00 06|40 46|03 43",
    "I": "10 30|20 26|16 36",
    "J": "40 45 36 16 05",
    "K": "00 06|40 03 46",
    "L": "00 06 46",
    "M": "06 00 23 40 46",
    "N": "06 00 46 40",
    "O": "10 30 41 45 36 16 05 01 10",
    "P": "06 00 30 41 42 33 03",
    "Q": "10 30 41 45 36 16 05 01 10|24 46",
    "R": "06 00 30 41 42 33 03|23 46",
    "S": "41 30 10 01 02 13 33 44 45 36 16 05",
    "T": "00 40|20 26",
    "U": "00 05 16 36 45 40",
    "V": "00 26 40",
    "W": "00 16 23 36 40",
    "X": "00 46|40 06",
    "Y": "00 23 40|23 26",
    "Z": "00 40 06 46",
    " ": "",
    ".": "25 26",
    ",": "25 16",
    ":": "21 22|24 25",
    ";": "21 22|24 16",
    "-": "13 33",
    "+": "03 43|21 25",
    "=": "02 42|04 44",
    "_": "06 46",
    "/": "06 40",
    "{": "30 21 22 13 24 25 36",
    "}": "10 21 22 33 24 25 16",
    "(": "30 21 25 36",
    ")": "10 21 25 16",
    "[": "30 10 16 36",
    "]": "10 30 36 16",
    '"': "10 11|30 31",
    "'": "20 21",
    "%": "06 40|00 01|45 46",
    "~": "03 12 34 43",
    "*": "11 35|31 15",
    "|": "20 26",
}

Point = tuple[int, int]


@lru_cache(maxsize=256)
def strokes(letter: str) -> tuple[tuple[Point, Point], ...]:
    """Return the strokes of a letter in pixels from its upper left corner; what is not known is a box.

    >>> strokes("l")
    (((0, 0), (0, 6)), ((0, 6), (4, 6)))
    """
    out: list[tuple[Point, Point]] = []
    for piece in _STROKES.get(letter.upper(), _UNKNOWN).split("|"):
        points = [(int(place[0]), int(place[1])) for place in piece.split()]
        out += itertools.pairwise(points)
    return tuple(out)
