"""`aiops policy convert`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from aiops.app.output import SESSION

if TYPE_CHECKING:
    from aiops.errors import Problem
    from aiops.policy.convert.draft import Draft

SCHEMA = Path("config/schema/policy.v1alpha1.json")


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command()(convert)


def convert(
    source: Annotated[str, typer.Argument(help="hpa, keda or kube-downscaler.")],
    files: Annotated[list[Path], typer.Argument(help="Manifests.")],
    out: Annotated[
        Path | None, typer.Option(help="Write the policies into this file, which must not be there.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="The policy replaces the HPA; else that stays.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 when something was left behind.")] = False,
) -> None:
    """Make policies of the manifests of other autoscalers, and say what was not carried over."""
    from aiops.errors import InvalidContent, InvalidPolicy
    from aiops.policy import parse
    from aiops.policy.convert import Source
    from aiops.policy.convert import convert as converted
    from aiops.policy.files import texts

    if source not in tuple(Source):
        raise typer.BadParameter(f"{source!r} is none of {', '.join(Source)}", param_hint="SOURCE")
    unread: list[Problem] = []
    found = converted(Source(source), texts(files, unread), replace=replace)
    if unread or found.errors:
        raise InvalidPolicy([*unread, *found.errors])
    for one in found.left:
        sys.stderr.write(f"{one} [{one.code}]\n")
    if not found.drafts:
        raise InvalidContent(f"there is nothing to convert in {', '.join(map(str, files))}")
    text = _text(found.drafts, out)
    parse(text, "the converted policy")
    data: dict[str, Any] = {"policies": [one.data for one in found.drafts], "left": [asdict(one) for one in found.left]}
    if out is not None:
        write_new(out, text)
        data["written"] = [str(out)]
    SESSION.show(data, str(out) if out is not None else text)
    if strict and found.left:
        sys.exit(1)


def _text(drafts: Sequence[Draft], out: Path | None) -> str:
    schema = schema_from(Path.cwd() if out is None else out.parent)
    return "---\n".join(one.text(schema) for one in drafts)


def schema_from(folder: Path) -> str:
    """Return where editors find the schema from a folder: in this checkout, or made by `aiops policy schema`."""
    return os.path.relpath(SCHEMA, folder) if SCHEMA.exists() else SCHEMA.name


def write_new(path: Path, text: str, *, force: bool = False) -> None:
    """Write a file; raise InvalidInput where it is there already, unless forced, or cannot be written."""
    from aiops.errors import Conflict, InvalidInput

    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as err:
        raise Conflict(f"{path}: is there already, and is not overwritten") from err
    except OSError as err:
        raise InvalidInput(f"{path}: cannot be written: {err.strerror}") from err
