"""Whole numbers in JSON by their place in the text: `*.auto.tfvars.json` of Terraform."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from json.decoder import scanstring  # type: ignore[attr-defined]

from aiops.adapters.git.yaml_text import Number, Unusable, numeral, said

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


def number(text: str, path: Sequence[str | int]) -> Number:
    """Return the whole number at a path; raise Unusable when there is none, or when a key is there twice."""
    try:
        json.loads(text)
    except (ValueError, RecursionError) as err:
        where = (
            f"line {err.lineno}, column {err.colno}: {err.msg}" if isinstance(err, json.JSONDecodeError) else "too deep"
        )
        raise Unusable(f"it is no JSON: {where}") from None
    at = _skipped(text, 0)
    for count, step in enumerate(path, 1):
        at = _entry(text, at, step, said(path[:count]))
    _, end = _DECODER.raw_decode(text, at)
    return numeral(text, (at, end), said(path))


def _entry(text: str, at: int, step: str | int, where: str) -> int:
    """Return where the value of a key, or the entry of a list, begins."""
    opening, closing = ("[", "]") if isinstance(step, int) else ("{", "}")
    if text[at] != opening:
        raise Unusable(f"there is no {where}")
    found, index = [], 0
    at = _skipped(text, at + 1)
    while text[at] != closing:
        name: str | int = index
        if opening == "{":
            name, at = scanstring(text, at + 1)
            at = _skipped(text, _skipped(text, at) + 1)
        if name == step:
            found.append(at)
        _, at = _DECODER.raw_decode(text, at)
        at = _skipped(text, at)
        if text[at] == ",":
            at = _skipped(text, at + 1)
        index += 1
    if len(found) != 1:
        raise Unusable(f"{where} is there twice" if found else f"there is no {where}")
    return found[0]


def _skipped(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return at if space is None else space.end()
