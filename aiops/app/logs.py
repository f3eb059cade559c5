"""Logs: constant events with key-values, as JSON or for a terminal; one INFO line per tick."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable, MutableMapping
from typing import Any

from aiops.app.redaction import RedactingFormatter
from aiops.app.settings import LogSettings


def configure(settings: LogSettings, secrets: Callable[[], Iterable[str]] = tuple) -> None:
    """Send everything that is logged through structlog to standard error, without secrets."""
    import structlog

    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if console:
        renderer: list[structlog.typing.Processor] = [_sentences, structlog.dev.ConsoleRenderer(colors=_colours())]
    else:
        renderer = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactingFormatter(formatter, secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("aiops").setLevel(settings.level.upper())


def _colours() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")


def _sentences(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Show a tick on a terminal as its sentence, and nothing else."""
    if event.get("event") == "tick" and "sentence" in event:
        sentence = str(event["sentence"])
        event.clear()
        event["event"] = sentence
    return event
