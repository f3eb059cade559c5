"""Long lists in pages, linked by cursors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field

from aiops.web.cursors import CURSOR, MOST, Place, read, written

__all__ = ["Paged", "Place", "after", "link", "page", "read", "written"]

Row = TypeVar("Row")


class Paged(BaseModel):
    """Which page of a list is asked for. cursor: from the `Link` with rel=next. limit: rows of a page, at most."""

    model_config = ConfigDict(extra="forbid")

    cursor: str | None = Field(None, max_length=100, pattern=CURSOR)
    limit: int = Field(50, ge=1, le=MOST)


def page(rows: Sequence[Row], limit: int, place: Callable[[Row], Place], asked: tuple[Request, Response]) -> list[Row]:
    """Return the rows of one page out of limit + 1, and link to the next one when there are more."""
    if len(rows) > limit:
        link(*asked, written(place(rows[limit - 1])))
    return [*rows[:limit]]


def link(request: Request, response: Response, cursor: str) -> None:
    """Say where the next page is (RFC 8288): relative, for a host's name is not ours to trust."""
    asked = [(key, value) for key, value in request.query_params.multi_items() if key != "cursor"]
    response.headers["Link"] = f'<{request.url.path}?{urlencode([*asked, ("cursor", cursor)])}>; rel="next"'


def after(rows: Sequence[Row], begins: Place | None, limit: int, place: Callable[[Row], Any]) -> list[Row]:
    """Return limit + 1 rows of a list in memory, newest first, that come after a place."""
    if begins is None:
        return [*rows[: limit + 1]]
    at, name = begins
    return [one for one in rows if (-place(one)[0], place(one)[1]) > (-at, name)][: limit + 1]
