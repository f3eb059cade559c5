"""How commands speak: text for people, JSON and YAML for programs, errors to standard error, exit codes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from aiops.app.settings import Settings
    from aiops.web.contract import Answers

DEFAULT_CONFIG = Path("config/default.yaml")
_BUG = 70


class Format(StrEnum):
    """How the answer is written."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"


@dataclass(slots=True)
class Session:
    """What the global options say."""

    server: str | None = None
    token: str = ""
    config: Path | None = None
    format: Format = Format.TEXT
    verbose: bool = False

    def settings(self, flags: dict[str, Any] | None = None) -> Settings:
        """Return the settings of `--config`, or of the default file when it is there."""
        from aiops.app.settings import load_settings

        file = self.config
        if file is None and DEFAULT_CONFIG.exists():
            file = DEFAULT_CONFIG
        return load_settings(file, flags)

    def answers(self) -> Answers:
        """Return who answers: the daemon at `--server`, or the store of the configuration."""
        if self.server is not None:
            from aiops.app.remote import RemoteService

            return RemoteService(self.server, self.token)
        from aiops.adapters.store import Store
        from aiops.app.service import Service
        from aiops.app.versions import Terms

        settings = self.settings()
        terms = Terms(step_s=settings.step, needed_s=settings.promotion.evidence_for)
        return Service(Store.existing(settings.store.url), terms)

    def show(self, data: Any, text: str) -> None:
        """Write an answer in the wanted format."""
        match self.format:
            case Format.TEXT:
                sys.stdout.write(text.rstrip("\n") + "\n")
            case Format.JSON:
                sys.stdout.write(json.dumps(data, indent=2, default=str) + "\n")
            case Format.YAML:
                import yaml

                plain = json.loads(json.dumps(data, default=str))
                sys.stdout.write(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True))


SESSION = Session()
"""The one session of this process, set by the global options before a command runs."""


def console(*, errors: bool = False) -> Console:
    """Return a console that obeys NO_COLOR and is plain when it is no terminal."""
    from rich.console import Console

    return Console(stderr=errors, no_color=bool(os.environ.get("NO_COLOR")), highlight=False, soft_wrap=True)


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return aligned columns, the last one as long as it is."""
    cells = [[*map(str, columns)], *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(columns))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells)
    return "\n".join(lines)


def printable(text: str) -> str:
    """Return a text of others without what a terminal would obey; lines stay lines."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "\ufffd" for letter in text)


def guarded(run: Any) -> int:
    """Run the command line and return its exit code; an error is one message, a bug its traceback."""
    from aiops.errors import AiopsError

    try:
        run()
    except AiopsError as err:
        sys.stderr.write(f"{err}\n")
        return err.exit_code
    except SystemExit as err:
        return err.code if isinstance(err.code, int) else int(err.code is not None)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception:
        import traceback

        traceback.print_exc()
        sys.stderr.write("this is a bug in aiops; please report it with the lines above\n")
        return _BUG
    return 0
