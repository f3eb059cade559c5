"""`aiops report weekly`: what a week was like, for people, programs and BI tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aiops.app.output import SESSION
from aiops.app.written import written
from aiops.errors import InvalidInput

Week = Annotated[str | None, typer.Option("--week", help="A week such as 2026-W47, Monday to Sunday in UTC.")]
Days = Annotated[int | None, typer.Option("--days", help="So many days back from the last tick; 7 when left out.")]
Html = Annotated[Path | None, typer.Option("--html", help="Write a page with charts that needs nothing else.")]
Parquet = Annotated[Path | None, typer.Option("--parquet", help="Write the numbers as Parquet, for BI tools.")]


def weekly(week: Week = None, days: Days = None, html: Html = None, parquet: Parquet = None) -> None:
    """Say what a week was like: SLO minutes lost, blind time, holds by reason, money, incidents, plans, models, people.

    Everything comes from the record; no daemon is needed. What was not seen is not known, and never counted as nothing.
    """
    from aiops.app.weekly import tables

    if week is not None and days is not None:
        raise InvalidInput("say --week or --days, not both")
    found = SESSION.answers().weekly({"week": week, "days": days})
    told = []
    if html is not None:
        from aiops.app.weekly.page import page

        told.append(written(html, page(found)))
    if parquet is not None:
        from aiops.app.weekly.parquet import write

        told.append(f"{parquet}: {write(found, parquet)} rows")
    SESSION.show(found, "\n".join(told) if told else tables.text(found))
