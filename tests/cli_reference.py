"""docs/cli.md from the commands themselves: `python -m tests.cli_reference > docs/cli.md`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from enum import Enum
from typing import Any, get_args, get_origin

import typer.main

from aiops.app.cli import app
from aiops.app.commands.panels import POLICY, TOP

HEAD = """\
# Command line

Made from the commands themselves (`python -m tests.cli_reference > docs/cli.md`); `aiops COMMAND --help` says the same.
What they are for is told in [quickstart.md](quickstart.md) and on the page of each subject.

`aiops [GLOBAL OPTIONS] COMMAND [ARGUMENTS]`: options of `aiops` itself come before the command. Without `--server` a
command that looks at the record opens the store of the settings; with it, or with `AIOPS_SERVER`, it asks a daemon.

| exit code | means |
|---|---|
| 0 | well |
| 1 | the answer is no: a test failed, a policy or a file is invalid, a difference was found, there is no such thing |
| 2 | wrong usage: of an option or an argument |
| 3 | the configuration is wrong |
| 4 | something that is needed cannot be reached |
| 5 | a permission is missing |
| 70 | a bug |

Answers go to standard output, everything else to standard error. `-o json` works for every command. Colours obey
`NO_COLOR`.
"""


def commands(at: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each command with its path, groups before what is in them."""
    yield path, at
    for name, one in sorted(getattr(at, "commands", {}).items()):
        yield from commands(one, (*path, name))


def cell(text: str) -> str:
    """Return a text for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\\\|")


COLUMNS = ("| argument or option | takes | default | what it does |", "|---|---|---|---|")
WORDS = {"str": "text", "int": "whole number", "float": "number", "Path": "path"}


def kind(one: Any) -> str:
    """Return what an option or argument takes."""
    if getattr(one, "is_flag", False):
        return ""
    taken = one.type_descriptor.annotation
    many = get_origin(taken) in (list, tuple)
    inner = [each for each in (get_args(taken) or (taken,)) if each is not type(None)]
    if isinstance(inner[0], type) and issubclass(inner[0], Enum):
        return ", ".join(f"`{each.value}`" for each in inner[0])
    name = WORDS[inner[0].__name__]
    return f"{name}, several times" if many and hasattr(one, "is_flag") else name


def default(one: Any) -> str:
    """Return the default as it would be typed, '' where there is none."""
    value = getattr(one.default, "value", one.default)
    if value is None or callable(value) or isinstance(value, bool | tuple | list) or value == "":
        return ""
    return f"`{value}`"


def rows(at: Any) -> Iterator[str]:
    """Yield a row for each argument and option."""
    for one in at.params:
        if "--help" in one.opts or getattr(one, "hidden", False):
            continue
        option = hasattr(one, "is_flag")
        names = [*sorted(one.opts, key=len, reverse=True), *one.secondary_opts] if option else [argument(one)]
        said = cell(getattr(one, "help", None) or "")
        extra = ["needed" if one.required and option else "", f"environment: `{one.envvar}`" if one.envvar else ""]
        about = " ".join((said, *(f"({word})" for word in extra if word)))
        yield f"| {', '.join(f'`{name}`' for name in names)} | {kind(one)} | {default(one)} | {about} |"


def argument(one: Any) -> str:
    """Return an argument as it stands in a usage line."""
    name = str(one.metavar or one.name).upper()
    name = f"{name}..." if one.nargs == -1 else name
    return name if one.required else f"[{name}]"


def by_purpose() -> Iterator[str]:
    """Yield a table of the commands as `--help` shows them: by what one is about to do."""
    yield from ("| to | there are |", "|---|---|")
    for before, panels in (("aiops", TOP), ("aiops policy", POLICY)):
        for panel, names in panels.items():
            links = (f"[`{name}`](#{before.replace(' ', '-')}-{name})" for name in names)
            yield f"| {panel.lower() if before == 'aiops' else f'policy: {panel.lower()}'} | {', '.join(links)} |"
    yield ""


def reference() -> str:
    """Return the page."""
    parts = [HEAD, "\n".join(by_purpose())]
    for path, at in commands(typer.main.get_command(app), ("aiops",)):
        name, group = " ".join(path), hasattr(at, "commands")
        parts.append(f"## {name}\n" if len(path) < 3 else f"### {name}\n")
        about = cell(inspect.cleandoc(at.help or ""))
        if about:
            parts.append(about + "\n")
        arguments = [argument(one) for one in at.params if not hasattr(one, "is_flag")]
        if not group:
            parts.append("```text\n" + " ".join((name, "[OPTIONS]", *arguments)) + "\n```\n")
        table = [*rows(at)]
        if table:
            parts.append(
                "\n".join(("| argument or option | takes | default | what it does |", "|---|---|---|---|", *table))
                + "\n"
            )
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(reference())
