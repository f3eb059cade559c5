"""Where a page of a list begins: after which row, so that rows which come meanwhile move none.

A cursor is the time and the id of that row. What it says is trusted as far as its form: a row that is not there has
rows after it all the same.
"""

from __future__ import annotations

import re

from aiops.errors import InvalidInput

Place = tuple[float, str]
"""A row's place in a list that is ordered by time and then by name."""

MOST = 1000
"""Rows of a page."""


CURSOR = r"^[0-9]{1,11}(\.[0-9]{1,21})?_[0-9A-Za-z.-]{1,64}$"


def written(place: Place) -> str:
    """Return the cursor of a place.

    >>> written((1772366400.25, "01J")), read("1772366400.25_01J")
    ('1772366400.25_01J', (1772366400.25, '01J'))
    """
    at, name = place
    text = repr(float(at))
    return f"{text if re.fullmatch('[0-9.]+', text) else f'{at:.9f}'}_{name}"


def read(cursor: str | None) -> Place | None:
    """Return the place of a cursor, None for the first page; raise InvalidInput for what is no cursor."""
    if cursor is None:
        return None
    if re.fullmatch(CURSOR, cursor) is None:
        raise InvalidInput("cursor: this is none of ours; leave it out to begin with the first page")
    at, _, name = cursor.partition("_")
    return float(at), name
