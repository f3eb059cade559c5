"""Where in a file a character of a field's text stands: texts are quoted, folded and indented in YAML.

Spaces and line ends come and go between a value and how it is written; all else stays, character by character, but for
escapes. So it is enough to count what is no space.
"""

from __future__ import annotations

from collections.abc import Iterator

from aiops.policy.document import Document, Path, Place

_SPACES = "ntrNLP_ 0abefv/"
_WIDTHS = {"x": 2, "u": 4, "U": 8}


def inside(document: Document, path: Path, offset: int, value: str) -> Place | None:
    """Return line and column in the file of `value[offset]`, the text of a field; None where that is not known."""
    source = document.sources.get(path)
    lines = (document.text if source is None else source.text).split("\n")
    line, column = document.values.get(path, (0, 0))
    if not 0 < line <= len(lines):
        return None
    wanted = sum(not one.isspace() for one in value[:offset])
    for number, (place, one) in enumerate(_written(lines, line - 1, column - 1)):
        if number == wanted:
            return place if offset >= len(value) or one == value[offset] else None
    return None


def _written(lines: list[str], row: int, column: int) -> Iterator[tuple[Place, str]]:
    """Yield the characters of a scalar that are no spaces, with their places; what follows the scalar, too."""
    style = lines[row][column : column + 1]
    if style in ("|", ">"):
        row, column = row + 1, 0
    elif style in ("'", '"'):
        column += 1
    for at in range(row, len(lines)):
        start = column if at == row else 0
        yield from (((at + 1, found + 1), one) for found, one in _characters(lines[at], start, style))


def _characters(line: str, start: int, style: str) -> Iterator[tuple[int, str]]:
    at = start
    while at < len(line):
        one, width = line[at], 1
        if style == "'" and line.startswith("''", at):
            width = 2
        elif style == '"' and one == "\\":
            one, width = _escaped(line[at + 1 : at + 10])
        if not one.isspace():
            yield at, one
        at += width


def _escaped(after: str) -> tuple[str, int]:
    """Return the character of an escape and how long the escape is; a backslash alone ends a line."""
    letter = after[:1]
    if letter in _WIDTHS:
        digits = after[1 : 1 + _WIDTHS[letter]]
        return chr(int(digits, 16)), 2 + len(digits)
    return (" " if letter in _SPACES else letter), 2
