"""Whole numbers in YAML by their place in the text, so that changing one leaves every other byte as it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,8})")
_MARKER = re.compile(r"(?:^|[\s}\]])#\s*aiops:(.*)")
_RANGE = re.compile(r"(?P<low>\d{1,9})?\.\.(?P<high>\d{1,9})?")
_INTEGER = "tag:yaml.org,2002:int"
HANDS_OFF = "off"


class Unusable(Exception):
    """A file, or a value in it, that cannot be read or must not be written; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A whole number at text[start:end]. low, high: the range that a comment beside it declares."""

    value: int
    start: int
    end: int
    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Tree:
    """The documents of a text as nodes, and the anchors that are used again."""

    text: str
    roots: tuple[Any, ...]
    shared: frozenset[str]


@lru_cache(maxsize=64)
def tree(text: str) -> Tree:
    """Return what a text says; raise Unusable when it is no YAML."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        roots = tuple(YAML(typ="rt").compose_all(text))
        aliases = "*" in text and (e for e in YAML(typ="rt").parse(text) if type(e).__name__ == "AliasEvent")
        return Tree(text, roots, frozenset(str(one.anchor) for one in aliases or ()))
    except (YAMLError, ValueError, RecursionError) as err:
        raise Unusable(f"it is no YAML: {_first_line(err)}") from None


def number(found: Tree, root: Any, path: Sequence[str | int]) -> Number:
    """Return the whole number at a path below a node; raise Unusable when there is none that may be changed."""
    node = at(found, root, path)
    where = said(path)
    if not hasattr(node, "style") or isinstance(node.value, list):
        raise Unusable(f"{where} is a list or a mapping, and no number")
    start, end = node.start_mark.index, node.end_mark.index
    return numeral(found.text, (start, end), where, plain=node.tag == _INTEGER and node.style is None)


def numeral(text: str, span: tuple[int, int], where: str, plain: bool = True) -> Number:
    """Return the number that stands in a span of a text, with the range that a comment on its line declares."""
    start, end = span
    word = text[start:end]
    if not plain or not _NUMBER.fullmatch(word):
        raise Unusable(f"{where} is {word[:40]!r}, and no plain whole number")
    rest = text[end:].partition("\n")[0].rstrip("\r")
    low, high = _declared(rest, where)
    return Number(value=int(word), start=start, end=end, low=low, high=high)


def at(found: Tree, root: Any, path: Sequence[str | int]) -> Any:
    """Return the node at a path; raise Unusable when it is not there, there twice, or shared with other places."""
    node = root
    for count, step in enumerate(path, 1):
        node = _below(node, step, path[:count])
        if node.anchor is not None and str(node.anchor) in found.shared:
            raise Unusable(
                f"{said(path[:count])} is used in other places too (*{node.anchor}): they would change with it"
            )
    return node


def below(node: Any, name: str) -> Any | None:
    """Return the node of a key of a mapping, None where there is none."""
    try:
        return _below(node, name, (name,))
    except Unusable:
        return None


def entries(node: Any) -> list[Any]:
    """Return the nodes of a list; none of what is no list."""
    return node.value if type(node).__name__ == "SequenceNode" else []


def word(node: Any, *path: str) -> str:
    """Return the text at a path, '' where there is none."""
    for step in path:
        node = None if node is None else below(node, step)
    return node.value if type(node).__name__ == "ScalarNode" else ""


def said(path: Sequence[str | int]) -> str:
    """Return a path as people write it."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".")


def _below(node: Any, step: str | int, path: Sequence[str | int]) -> Any:
    kind = type(node).__name__
    if isinstance(step, int):
        if kind != "SequenceNode" or step >= len(node.value):
            raise Unusable(f"there is no {said(path)}")
        return node.value[step]
    found = [value for key, value in node.value if key.value == step] if kind == "MappingNode" else []
    if len(found) > 1:
        raise Unusable(f"{said(path)} is there twice")
    if not found:
        raise Unusable(f"there is no {said(path)}")
    return found[0]


def _declared(rest: str, where: str) -> tuple[int | None, int | None]:
    """Return the range of a comment such as `# aiops: 2..12`; one that cannot be read forbids everything."""
    marker = _MARKER.search(rest)
    if marker is None:
        return None, None
    text = marker.group(1).strip()
    if text == HANDS_OFF:
        raise Unusable(f"{where} says `# aiops: off`: hands off")
    spanned = _RANGE.fullmatch(text)
    if spanned is None or text == "..":
        raise Unusable(f"{where} has the comment `# aiops: {text[:40]}`, which is no range such as 2..12")
    low, high = (None if one is None else int(one) for one in spanned.group("low", "high"))
    if low is not None and high is not None and low > high:
        raise Unusable(f"{where} has the comment `# aiops: {text}`, a range with nothing in it")
    return low, high


def _first_line(err: Exception) -> str:
    """Return what is wrong and where, without the text of the file."""
    mark, problem = getattr(err, "problem_mark", None), getattr(err, "problem", None)
    if mark is None or problem is None:
        return type(err).__name__
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"
