"""Requests and limits of a container in a file: found by their place in the text, so that nothing else changes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aiops.adapters.git.formats import is_of, outside, text_of
from aiops.adapters.git.places import Format, Place, parts
from aiops.adapters.git.yaml_text import HANDS_OFF, Tree, Unusable, at, below, entries, said, tree, word
from aiops.core.objects.quantities import amount

PARTS = ("requests", "limits")
RESOURCES = ("cpu", "memory")
_MARKER = re.compile(r"(?:^|[\s}\]])#\s*aiops:(.*)")
_Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A quantity at text[start:end], without its quotes. low, high: what a comment beside it declares, '' for none."""

    text: str
    start: int
    end: int
    low: str = ""
    high: str = ""


def sizes(data: bytes, place: Place) -> Mapping[str, Quantity]:
    """Return what a file says of a container, by `requests.cpu`, `limits.memory`, ...; raise Unusable.

    What it does not say is not there; a container of which it says nothing at all is none that can be sized.
    """
    text = text_of(data, place)
    try:
        found = _found(text, place)
    except Unusable as err:
        raise Unusable(f"{place.file}: {err}") from None
    if not found:
        raise Unusable(f"{place.file}: it says no requests and no limits of the container {place.container}")
    return found


def resized(data: bytes, place: Place, changes: Mapping[str, str]) -> bytes:
    """Return the file with other quantities: it differs in these alone. Raise Unusable for what it does not say."""
    text, found = data.decode("utf-8"), sizes(data, place)
    for name in sorted(changes, key=lambda one: found[one].start if one in found else -1, reverse=True):
        if name not in found:
            raise Unusable(f"{place.file}: it says no {name} of the container {place.container}")
        one = found[name]
        text = f"{text[: one.start]}{changes[name]}{text[one.end :]}"
    made = text.encode()
    after = sizes(made, place)
    if {name: one.text for name, one in after.items()} != {
        name: changes.get(name, one.text) for name, one in found.items()
    }:
        raise Unusable(f"{place.file}: the sizes of the container {place.container} cannot be written")
    return made


def _found(text: str, place: Place) -> dict[str, Quantity]:
    found = tree(text)
    match place.format:
        case Format.HELM:
            _one_document(found)
            return _quantities(found, found.roots[0], parts(place.path))
        case Format.MANIFEST:
            mine = [root for root in found.roots if is_of(root, place)]
            if len(mine) != 1:
                raise Unusable(f"{len(mine)} documents in it are a {place.kind} {place.name}, and not one")
            return _quantities(found, mine[0], _container(mine[0], place))
        case Format.KUSTOMIZE:
            return _patched(found, place)
        case Format.TFVARS:
            raise Unusable("sizes of containers do not stand in tfvars")


def _patched(found: Tree, place: Place) -> dict[str, Quantity]:
    """Look in inline strategic patches, of which one alone may speak of the container."""
    _one_document(found)
    some = []
    for index, entry in enumerate(entries(below(found.roots[0], "patches"))):
        patch = below(entry, "patch")
        if patch is None or type(patch).__name__ != "ScalarNode":
            continue
        inner = tree(patch.value)
        root = inner.roots[0] if len(inner.roots) == 1 else None
        if root is None or not is_of(root, place):
            continue
        try:
            path = _container(root, place)
        except Unusable:
            continue
        where = f"patches[{index}]"
        shifted = {}
        for name, one in _quantities(inner, root, path).items():
            spot = at(inner, root, (*path, *name.split(".")))
            quotes = one.start - spot.start_mark.index
            start = outside(found.text, patch, spot, where) + quotes
            shifted[name] = Quantity(text=one.text, start=start, end=start + len(one.text), low=one.low, high=one.high)
        if shifted:
            some.append(shifted)
    if len(some) != 1:
        raise Unusable(
            f"{len(some)} inline strategic patches say sizes of the container {place.container}, and not one"
        )
    return some[0]


def _one_document(found: Tree) -> None:
    if len(found.roots) != 1:
        raise Unusable(f"there are {len(found.roots)} documents in it, and not one")


def _container(root: Any, place: Place) -> _Path:
    """Return the path of a container's resources below an object; raise Unusable where it is not there once."""
    path, node = parts(place.path), root
    for step in path:
        node = None if node is None else below(node, str(step))
    mine = [index for index, one in enumerate(entries(node)) if word(one, "name") == place.container]
    if len(mine) != 1:
        raise Unusable(f"{len(mine)} containers of {place.kind} {place.name} are called {place.container}, and not one")
    return (*path, mine[0], "resources")


def _quantities(found: Tree, root: Any, path: _Path) -> dict[str, Quantity]:
    return {f"{path_[-2]}.{path_[-1]}": _quantity(found, root, path_) for path_ in _there(root, path)}


def _there(root: Any, path: _Path) -> Iterator[_Path]:
    """Yield the paths of the quantities that a file says."""
    for part in PARTS:
        for resource in RESOURCES:
            node, whole = root, (*path, part, resource)
            for step in whole:
                if isinstance(step, int):
                    node = entries(node)[step] if step < len(entries(node)) else None
                else:
                    node = _last(node, step)
                if node is None:
                    break
            else:
                yield whole


def _last(node: Any, name: str) -> Any | None:
    """Return a key's node, also where it is there twice: `at` says what is wrong with that."""
    if type(node).__name__ != "MappingNode":
        return None
    return next((value for key, value in node.value if key.value == name), None)


def _quantity(found: Tree, root: Any, path: _Path) -> Quantity:
    node, where = at(found, root, path), said(path)
    if type(node).__name__ != "ScalarNode" or node.style not in (None, '"', "'"):
        raise Unusable(f"{where} is no quantity on one line")
    quotes = 0 if node.style is None else 1
    start, end = node.start_mark.index + quotes, node.end_mark.index - quotes
    text = found.text[start:end]
    try:
        amount(text)
    except ValueError as err:
        raise Unusable(f"{where}: {err}") from None
    low, high = _declared(found.text[node.end_mark.index :].partition("\n")[0].rstrip("\r"), where)
    return Quantity(text=text, start=start, end=end, low=low, high=high)


def _declared(rest: str, where: str) -> tuple[str, str]:
    """Return the range of a comment such as `# aiops: 100m..2`; one that cannot be read forbids everything."""
    marker = _MARKER.search(rest)
    if marker is None:
        return "", ""
    text = marker.group(1).strip()
    if text == HANDS_OFF:
        raise Unusable(f"{where} says `# aiops: off`: hands off")
    low, dots, high = text.partition("..")
    try:
        least, most = (amount(one) if one else None for one in (low, high))
    except ValueError:
        least = most = None
        dots = ""
    if not dots or (least is None and most is None):
        raise Unusable(f"{where} has the comment `# aiops: {text[:40]}`, which is no range such as 100m..2")
    if least is not None and most is not None and least > most:
        raise Unusable(f"{where} has the comment `# aiops: {text}`, a range with nothing in it")
    return low, high
