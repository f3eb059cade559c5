"""`aiops policy validate`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from aiops.app.output import SESSION


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(validate)


def validate(
    paths: Annotated[list[Path], typer.Argument(help="Policy files and folders.")],
    strict: Annotated[bool, typer.Option(help="Warnings are errors.")] = False,
) -> None:
    """Check policies, and say what they will ask of Prometheus each tick."""
    from aiops.policy import check, queries_per_tick

    found = check(paths)
    for problem in found.problems:
        sys.stderr.write(f"{'warning: ' if problem.severity == 'warning' else ''}{problem}\n")
    policies = () if found.policies is None else found.policies.every
    costs = {policy.key: queries_per_tick(policy) for policy in policies}
    failed = found.policies is None or (strict and bool(found.problems))
    lines = [f"{policy.key}  well, {len(costs[policy.key])} queries a tick  ({policy.origin})" for policy in policies]
    total = len({query for queries in costs.values() for query in queries})
    summary = f"{len(found.errors)} errors" if failed else f"{len(costs)} policies, {total} queries a tick in all"
    data = {
        "valid": not failed,
        "problems": [asdict(problem) for problem in found.problems],
        "queries": {key: list(queries) for key, queries in costs.items()},
    }
    SESSION.show(data, "\n".join([*lines, summary]))
    if failed:
        sys.exit(1)
