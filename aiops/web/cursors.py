"""Where a page of a list begins: after which row, so that rows which come meanwhile move none.

A cursor is opaque to clients, and nothing that it says is trusted: it is decoded into values of known types.
"""

from __future__ import annotations

import base64
import binascii
import math

import orjson

from aiops.errors import InvalidInput

Place = tuple[float, str]
"""A row's place in a list that is ordered by time and then by name."""

MOST = 1000
"""Rows of a page."""


def written(place: Place) -> str:
    """Return the cursor of a place.

    >>> read(written((1772366400.0, "01J")))
    (1772366400.0, '01J')
    """
    return base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")


def read(cursor: str | None) -> Place | None:
    """Return the place of a cursor, None for the first page; raise InvalidInput for what is no cursor."""
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        at, name = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if isinstance(at, int | float) and math.isfinite(at) and isinstance(name, str) and "\0" not in name:
            return float(at), name
    except (ValueError, TypeError, binascii.Error):
        pass
    raise InvalidInput("cursor: this is none of ours; leave it out to begin with the first page")
