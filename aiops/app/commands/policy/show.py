"""`aiops policy show`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from aiops.app.output import SESSION


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(show)


def show(
    paths: Annotated[list[Path], typer.Argument(help="Policy files and folders.")],
    effective: Annotated[bool, typer.Option("--effective", help="Say where each value came from.")] = False,
    policy: Annotated[str | None, typer.Option(help="Only the policy of this name, or `Kind/namespace/name`.")] = None,
) -> None:
    """Print policies with every default filled in."""
    import yaml

    from aiops.errors import InvalidPolicy, NotFound
    from aiops.policy import check
    from aiops.policy.effective import as_json, as_yaml

    found = check(paths)
    if found.policies is None:
        raise InvalidPolicy(found.errors)
    made = [(document, one) for document, one in found.made if policy in (None, one.key, one.key.rpartition("/")[2])]
    if not made:
        raise NotFound(f"there is no policy {policy!r}; there are {', '.join(one.key for _, one in found.made)}")
    if effective:
        texts = [as_yaml(document, one) for document, one in made]
        SESSION.show([as_json(document, one) for document, one in made], "---\n".join(texts))
        return
    documents = [json.loads(one.document) for _, one in made]
    SESSION.show(documents, yaml.safe_dump_all(documents, sort_keys=False))
