"""Reports over what was done: how effective the plans of each policy were."""

from __future__ import annotations

from collections import Counter
from typing import Any

import typer

from aiops.app.commands.report_cost import cost
from aiops.app.commands.report_weekly import weekly
from aiops.app.output import SESSION, table

report = typer.Typer(help="What was done, and what came of it.", no_args_is_help=True)
report.command()(cost)
report.command()(weekly)

_WORDS = ("helped", "no-effect", "harmed", "inconclusive")


@report.command()
def effectiveness() -> None:
    """Say for each policy how its plans ended and whether they helped, against what would have been without (S7)."""
    rows = _by_policy(SESSION.answers().plans({"policy": "", "standing": False}))
    heads = ("policy", "kind", "plans", "done", "rolled_back", "failed", *_WORDS, "not_judged")
    shown = tuple(one.upper().replace("_", " ") for one in heads)
    text = table(shown, [tuple(row[one] for one in heads) for row in rows])
    SESSION.show(rows, text if rows else "no plans were begun")


def _by_policy(plans: list[dict[str, Any]]) -> list[dict[str, Any]]:
    begun = [one for one in plans if one["status"] not in ("proposed", "refused", "rehearsed")]
    found = []
    for policy, kind in sorted({(one["policy"], one["kind"]) for one in begun}):
        own = [one for one in begun if (one["policy"], one["kind"]) == (policy, kind)]
        ended, judged = Counter(one["status"] for one in own), Counter(one["effectiveness"] for one in own)
        found.append(
            {
                "policy": policy,
                "kind": kind,
                "plans": len(own),
                "done": ended["done"],
                "rolled_back": ended["rolled-back"],
                "failed": ended["failed"],
                **{word: judged[word] for word in _WORDS},
                "not_judged": judged[None],
            }
        )
    return found
