"""The report of a scenario that many seeds were rehearsed of: one HTML file that needs nothing else, JSON beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedsReport:
    """What is told of a scenario. rows: one a rule. data: what `-o json` prints, with an episode a rule and seed."""

    name: str
    lines: tuple[str, ...]
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    data: dict[str, Any]


def write(path: Path, report: SeedsReport) -> Path:
    """Write the report and its data, and return the report's path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").write_text(json.dumps(report.data, indent=1), encoding="utf-8")
    path.write_text(page(report), encoding="utf-8")
    return path


def page(report: SeedsReport) -> str:
    """Return the HTML: every rule over all seeds, then each episode."""
    from jinja2 import Environment, PackageLoader, select_autoescape

    loader = PackageLoader("simulators", "templates")
    template = Environment(loader=loader, autoescape=select_autoescape(default=True)).get_template("seeds.html")
    episodes = report.data["episodes"]
    heads = tuple(episodes[0]) if episodes else ()
    every = [tuple(_said(one[name]) for name in heads) for one in episodes]
    tables = [
        {"title": "Rules", "heads": report.columns, "rows": report.rows},
        {"title": "Episodes", "heads": [name.replace("_", " ") for name in heads], "rows": every},
    ]
    return template.render(name=report.name, lines=report.lines, tables=tables)


def _said(value: Any) -> str:
    match value:
        case None:
            return "never"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:,.1f}"
        case _:
            return str(value)
