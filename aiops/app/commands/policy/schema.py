"""`aiops policy schema`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from aiops.app.output import SESSION


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(schema)


def schema(
    kind: Annotated[str | None, typer.Option(help="Of one kind: ScalingPolicy, ..., or PolicyTests.")] = None,
    folder: Annotated[Path | None, typer.Option(help="Write the files that editors read into this folder.")] = None,
) -> None:
    """Print the JSON Schema of the language, for editors."""
    from aiops.errors import InvalidInput
    from aiops.policy.json_schema import FILES
    from aiops.policy.json_schema import schema as made

    if folder is None:
        found = made(kind)
        SESSION.show(found, json.dumps(found, indent=2))
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, of in FILES.items():
            (folder / name).write_text(json.dumps(made(of), indent=2) + "\n", encoding="utf-8")
    except OSError as err:
        raise InvalidInput(f"{folder}: cannot be written: {err.strerror}") from err
    SESSION.show({"written": [str(folder / name) for name in FILES]}, "\n".join(str(folder / name) for name in FILES))
