"""Writing policies: validate, show, schema."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from aiops.app.output import SESSION

app = typer.Typer(no_args_is_help=True, help="Write and check policies.")


@app.command()
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


@app.command()
def show(paths: Annotated[list[Path], typer.Argument(help="Policy files and folders.")]) -> None:
    """Print policies with every default filled in."""
    import yaml

    from aiops.policy import load

    documents = [json.loads(policy.document) for policy in load(paths).every]
    SESSION.show(documents, yaml.safe_dump_all(documents, sort_keys=False))


@app.command()
def schema() -> None:
    """Print the JSON Schema of the language, for editors."""
    from aiops.policy import schema as made

    sys.stdout.write(json.dumps(made(), indent=2) + "\n")
