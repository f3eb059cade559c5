"""`aiops report cost`: what was spent and saved, by whom, and how budgets stand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aiops.app.output import SESSION
from aiops.app.written import written

Days = Annotated[float, typer.Option("--days", help="How many days back.", min=0.01, max=800.0)]
Team = Annotated[str, typer.Option("--team", help="Only what policies of a team spend: their label team.")]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Only what policies of a namespace spend.")]
Policy = Annotated[str, typer.Option("--policy", help="Only what one policy's targets spend: NAME or a key.")]
Csv = Annotated[Path | None, typer.Option("--csv", help="Write the sums as CSV; - is standard output.")]
Html = Annotated[Path | None, typer.Option("--html", help="Write a page with charts that needs nothing else.")]
Currency = Annotated[str, typer.Option(help="Say amounts in this one: its rate is in the settings, prices.rates.")]
Parquet = Annotated[Path | None, typer.Option("--parquet", help="Write the sums as Parquet, for BI tools.")]


def cost(
    days: Days = 30.0,
    team: Team = "",
    namespace: Namespace = "",
    policy: Policy = "",
    csv: Csv = None,
    html: Html = None,
    parquet: Parquet = None,
    currency: Currency = "USD",
) -> None:
    """Say what was spent and saved: by team, namespace, policy and week, realised beside promised; budgets; the ledger.

    Amounts are USD, or another currency by the rate that the settings have. What has no price, or was not watched, is
    not known, and never counted as nothing.
    """
    from aiops.app.costing import tables
    from aiops.app.costing.exchanged import exchanged

    found = SESSION.answers().costs({"days": days, "team": team, "namespace": namespace, "policy": policy})
    found = exchanged(found, currency, {} if currency == "USD" else SESSION.settings().prices.rates)
    if csv is not None and str(csv) == "-":
        typer.echo(tables.as_csv(found), nl=False)
        return
    told = []
    if csv is not None:
        told.append(written(csv, tables.as_csv(found)))
    if html is not None:
        from aiops.app.costing.page import page

        told.append(written(html, page(found)))
    if parquet is not None:
        from aiops.app.costing.parquet import write

        told.append(f"{parquet}: {write(found, parquet)} rows")
    SESSION.show(found, "\n".join(told) if told else tables.text(found))
