"""docs/cli.md is what the commands say of themselves, and they say something of everything."""

from __future__ import annotations

import pytest
import typer.main

from aiops.app.cli import app
from aiops.app.commands.panels import POLICY, TOP
from tests.cli_reference import commands, reference
from tests.commands import aiops
from tests.manual import DOCS


def test_what_is_committed_is_what_the_commands_say():
    """`python -m tests.cli_reference > docs/cli.md` writes it anew."""
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == reference()


def test_every_command_argument_and_option_says_what_it_is_for():
    found = [*commands(typer.main.get_command(app), ("aiops",))]
    assert len(found) > 60
    for path, at in found:
        assert at.help, path
        for one in at.params:
            assert getattr(one, "help", None), (path, one.name)


@pytest.mark.parametrize(("path", "panels"), [((), TOP), (("policy",), POLICY)])
def test_every_command_stands_under_one_purpose_and_help_shows_it_there(path, panels):
    at = typer.main.get_command(app)
    for name in path:
        at = at.commands[name]
    named = [name for names in panels.values() for name in names]
    assert sorted(named) == sorted(at.commands)
    said = aiops(*path, "--help").stdout
    places = [said.index(f"─ {panel} ") for panel in panels]
    assert places == sorted(places)
    for (panel, names), start, end in zip(panels.items(), places, [*places[1:], len(said)], strict=True):
        shown = [line.split()[1] for line in said[start:end].splitlines() if line[:2] == "│ " and line[2] != " "]
        assert tuple(shown) == names, panel


def test_the_reference_knows_arguments_options_choices_defaults_and_what_is_needed():
    text = reference()
    assert "### aiops policy validate\n" in text
    assert "aiops record [OPTIONS] POLICIES...\n" in text
    assert "| `--output`, `-o` | path |  | The Parquet file to write. (needed) |" in text
    assert "| `--baselines`, `--no-baselines` |  |  |" in text
    assert "| `--limit` | whole number | `20` | So many at most. |" in text
    assert "| `--output`, `-o` | `text`, `json`, `yaml` | `text` | How answers are written. |" in text
