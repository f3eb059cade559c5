"""docs/cli.md is what the commands say of themselves, and they say something of everything."""

from __future__ import annotations

import typer.main

from aiops.app.cli import app
from tests.cli_reference import commands, reference
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


def test_the_reference_knows_arguments_options_choices_defaults_and_what_is_needed():
    text = reference()
    assert "### aiops policy validate\n" in text
    assert "aiops record [OPTIONS] POLICIES...\n" in text
    assert "| `--output`, `-o` | path |  | The Parquet file to write. (needed) |" in text
    assert "| `--baselines`, `--no-baselines` |  |  |" in text
    assert "| `--limit` | whole number | `20` | So many at most. |" in text
    assert "| `--output`, `-o` | `text`, `json`, `yaml` | `text` | How answers are written. |" in text
