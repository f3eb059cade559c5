"""`aiops report cost`: what was spent and saved, by whom, and how budgets stand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from aiops.app.output import SESSION
from aiops.app.written import written

MOST_NAMED = 20
KINDS = {"team": "teams", "namespace": "namespaces", "policy": "policies"}
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
    asked = {"team": team, "namespace": namespace, "policy": policy}
    if any(asked.values()) and not found["total"]["replica_hours"] and not found["ledger"]:
        typer.echo(_nobody(asked, SESSION.answers().costs({"days": days})), err=True)
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


def _nobody(asked: dict[str, str], whole: dict[str, Any]) -> str:
    """Return who there is, for whoever asked for somebody of whom nothing is known."""
    said = " and ".join(f"{name} {value}" for name, value in asked.items() if value)
    known = [
        f"{KINDS[name]}: {', '.join(sorted(str(one['name']) or '(none)' for one in whole['by'][name])[:MOST_NAMED])}"
        for name, value in asked.items()
        if value and whole["by"][name]
    ]
    return f"nothing is known of {said} in this time; there are {'; '.join(known) or 'no costs at all'}"
