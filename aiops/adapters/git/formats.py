"""How a value is found in each kind of file, and how it is written: its digits, and not one byte more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from aiops.adapters.git import json_text
from aiops.adapters.git.places import Format, Place, parts
from aiops.adapters.git.yaml_text import Number, Tree, Unusable, at, below, entries, number, numeral, said, tree, word

MOST_BYTES = 250_000
"""Of a file that is read: its parser takes up to a minute for so many, and nothing is pushed meanwhile."""


def text_of(data: bytes, place: Place) -> str:
    """Return what a file says; raise Unusable when it is too large or no text."""
    if len(data) > MOST_BYTES:
        raise Unusable(f"{place.file} has {len(data)} bytes, more than {MOST_BYTES}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise Unusable(f"{place.file} is no UTF-8 text") from None


def located(data: bytes, place: Place) -> Number:
    """Return where the value stands, with the range in which it may be; raise Unusable when it cannot be told."""
    text = text_of(data, place)
    try:
        found = FORMATS[place.format](text, place)
    except Unusable as err:
        raise Unusable(f"{place.file}: {err}") from None
    low = max((one for one in (found.low, place.low) if one is not None), default=None)
    high = min((one for one in (found.high, place.high) if one is not None), default=None)
    if low is not None and high is not None and low > high:
        raise Unusable(f"{place.file}: {place.path} may be nothing at all, by its comment and by the settings")
    return Number(value=found.value, start=found.start, end=found.end, low=low, high=high)


def written(data: bytes, place: Place, value: int) -> bytes:
    """Return the file with another value: it differs in the digits of that value alone."""
    text, found = data.decode("utf-8"), located(data, place)
    changed = f"{text[: found.start]}{value}{text[found.end :]}".encode()
    if located(changed, place).value != value:
        raise Unusable(f"{place.file}: {place.path} cannot be written")
    return changed


def _helm(text: str, place: Place) -> Number:
    found = tree(text)
    if len(found.roots) != 1:
        raise Unusable(f"there are {len(found.roots)} documents in it, and not one")
    return number(found, found.roots[0], parts(place.path))


def _manifest(text: str, place: Place) -> Number:
    found = tree(text)
    mine = [root for root in found.roots if is_of(root, place)]
    if len(mine) != 1:
        raise Unusable(f"{len(mine)} documents in it are a {place.kind} {place.name}, and not one")
    return number(found, mine[0], parts(place.path))


def _kustomize(text: str, place: Place) -> Number:
    """Look in `replicas`, then in inline `patches`, strategic ones and those of JSON (RFC 6902)."""
    found = tree(text)
    if len(found.roots) != 1:
        raise Unusable(f"there are {len(found.roots)} documents in it, and not one")
    numbers = [*_replicas(found, place), *_patched(found, place)]
    if not numbers:
        raise Unusable(
            f"neither replicas nor an inline patch says {said(parts(place.path))} of {place.kind} {place.name}"
            f" (add `replicas: [{{name: {place.name}, count: N}}]`)"
        )
    if len(numbers) > 1:
        raise Unusable(f"{place.path} of {place.kind} {place.name} is said {len(numbers)} times")
    return numbers[0]


def _replicas(found: Tree, place: Place) -> Iterator[Number]:
    if place.path != "spec.replicas":
        return
    for index, entry in enumerate(entries(below(found.roots[0], "replicas"))):
        if word(entry, "name") == place.name:
            yield number(found, found.roots[0], ("replicas", index, "count"))


def _patched(found: Tree, place: Place) -> Iterator[Number]:
    for index, entry in enumerate(entries(below(found.roots[0], "patches"))):
        patch = below(entry, "patch")
        if patch is None or type(patch).__name__ != "ScalarNode":
            continue
        inner = tree(patch.value)
        path = _within(inner, entry, place)
        if path is None:
            continue
        spot = at(inner, inner.roots[0], path)
        yield _outside(found.text, patch, spot, f"patches[{index}] {said(path)}")


def _within(inner: Tree, entry: Any, place: Place) -> tuple[str | int, ...] | None:
    """Return the path of the value in a patch, None where it says nothing of it."""
    root, path = inner.roots[0] if len(inner.roots) == 1 else None, parts(place.path)
    aimed = (word(entry, "target", "kind") or place.kind, word(entry, "target", "name"))
    pointer = "".join(f"/{str(one).replace('~', '~0').replace('/', '~1')}" for one in path)
    for index, operation in enumerate(entries(root)):
        sets = word(operation, "op") in ("replace", "add") and word(operation, "path") == pointer
        if sets and aimed == (place.kind, place.name):
            return index, "value"
    if root is None or not is_of(root, place):
        return None
    node = root
    for step in path:
        node = below(node, str(step))
        if node is None:
            return None
    return path


def _outside(text: str, patch: Any, spot: Any, where: str) -> Number:
    """Return a number of a patch that is a block of text (`|`) by its place in the file around it."""
    start = outside(text, patch, spot, where)
    return numeral(text, (start, start + spot.end_mark.index - spot.start_mark.index), where, plain=spot.style is None)


def outside(text: str, patch: Any, spot: Any, where: str) -> int:
    """Return where in a file a node of a patch in it begins; raise Unusable for a patch that is no block of text."""
    if patch.style != "|":
        raise Unusable(f"{where}: the patch is no block of text (write it as `patch: |-`)")
    lines = text.split("\n")
    first = patch.start_mark.line + 1
    filled = next((line for line in lines[first:] if line.strip()), "")
    indent = len(filled) - len(filled.lstrip(" "))
    line = first + spot.start_mark.line
    return sum(len(one) + 1 for one in lines[:line]) + indent + int(spot.start_mark.column)


def _tfvars(text: str, place: Place) -> Number:
    return json_text.number(text, parts(place.path))


def is_of(root: Any, place: Place) -> bool:
    """Return whether a document is the object of a place."""
    return (word(root, "kind"), word(root, "metadata", "name")) == (place.kind, place.name)


FORMATS: Mapping[Format, Callable[[str, Place], Number]] = {
    Format.KUSTOMIZE: _kustomize,
    Format.HELM: _helm,
    Format.MANIFEST: _manifest,
    Format.TFVARS: _tfvars,
}
