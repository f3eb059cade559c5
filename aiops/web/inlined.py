"""What stands in every page itself, so that its first view waits for no second answer: the style and the first script.

The content policy names both by their digest, so that nothing else that is written into a page runs or is drawn.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markupsafe import Markup

STATIC = Path(__file__).parent / "static"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inlined:
    """A text of the package as it stands between two tags. source: as a content policy names it (hash-source)."""

    text: Markup
    source: str


@cache
def first_script() -> Inlined:
    """Return what runs before anything is drawn."""
    return _inlined("first.js")


@cache
def style() -> Inlined:
    """Return how pages and their charts look."""
    return _inlined("style.css", "vendor/uPlot.min.css")


def _inlined(*names: str) -> Inlined:
    text = "".join((STATIC / name).read_text(encoding="utf-8") for name in names)
    digest = b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Inlined(text=Markup(text), source=f"'sha256-{digest}'")  # noqa: S704  # a file of the package
