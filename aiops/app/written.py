"""Files that a report is written to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiops.errors import InvalidInput


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Let a file be written; raise InvalidInput, which names it, when it cannot be."""
    try:
        yield
    except OSError as err:
        raise InvalidInput(f"{path} cannot be written: {err.strerror or err}") from err


def written(path: Path, text: str) -> str:
    """Write a text, and return what is said of that; raise InvalidInput when it cannot be."""
    with writing(path):
        path.write_text(text, encoding="utf-8")
    return f"{path} is written"
