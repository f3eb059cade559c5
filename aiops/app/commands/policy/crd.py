"""`aiops policy crd`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aiops.app.output import SESSION


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(crd)


def crd(
    folder: Annotated[Path | None, typer.Option(help="Write a file for each kind into this folder.")] = None,
) -> None:
    """Print the kinds as CustomResourceDefinitions, to apply to a cluster."""
    import yaml

    from aiops.errors import InvalidInput
    from aiops.policy.crd import crds

    made = crds()
    texts = {
        f"{one['metadata']['name']}.yaml": yaml.safe_dump(one, sort_keys=False, width=120, allow_unicode=True)
        for one in made
    }
    if folder is None:
        SESSION.show({"apiVersion": "v1", "kind": "List", "items": made}, "---\n".join(texts.values()))
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as err:
        raise InvalidInput(f"{folder}: cannot be written: {err.strerror}") from err
    SESSION.show({"written": [str(folder / name) for name in texts]}, "\n".join(str(folder / name) for name in texts))
