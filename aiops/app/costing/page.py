"""The report as one HTML file that needs nothing else: charts and tables."""

from __future__ import annotations

from typing import Any

from aiops.app.costing.charts import burning, by_day
from aiops.app.costing.tables import tables


def page(costs: dict[str, Any]) -> str:
    """Return the HTML; every text of others is escaped."""
    from jinja2 import Environment, PackageLoader, select_autoescape

    loader = PackageLoader("simulators", "templates")
    template = Environment(loader=loader, autoescape=select_autoescape(default=True)).get_template("costs.html")
    head, *rest = tables(costs)
    charts = [{"title": "Spent by day", "svg": by_day(costs["days"], costs["currency"])}] if costs["days"] else []
    charts += [
        {"title": f"Budget {one['namespace']}/{one['name']}, this {one['period']}", "svg": burning(one)}
        for one in costs["budgets"]
        if one["amount"] > 0.0
    ]
    return template.render(head=head, charts=charts, tables=rest)
