"""YAML text as plain data with the place of every field, so that an error can say where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.reader import ReaderError

from aiops.errors import Problem

MAX_BYTES = 1_000_000
MAX_NODES = 20_000
"""Of one document."""

MAX_DEPTH = 40
MAX_DOCUMENTS = 2_000
MAX_DIGITS = 40
MAX_SHOWN = 400
"""Characters of a message and of a key in it: what is wrong with a text of a megabyte is said without it."""

TOO_MUCH = "too many or too deeply nested values"

_SHAPES: Mapping[type[yaml.Node], str] = {
    yaml.MappingNode: "tag:yaml.org,2002:map",
    yaml.SequenceNode: "tag:yaml.org,2002:seq",
}
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")

Path = tuple[str | int, ...]
Place = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a value comes from that the document took over: the file, and what it is. text: of the whole file."""

    origin: str
    said: str
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One YAML document. places: line and column (from 1) of each field's key, or of a list's item.

    sources: of the values that are not its own, whose places are in other files. text: of the whole file.
    """

    origin: str
    data: Any
    places: Mapping[Path, Place]
    values: Mapping[Path, Place]
    sources: Mapping[Path, Source] = field(default_factory=dict)
    text: str = field(default="", repr=False, compare=False)

    def problem(
        self, path: Path, message: str, *, hint: str = "", severity: str = "error", code: str = "bad-value"
    ) -> Problem:
        """Return a problem at the place of a field, or of the nearest field around it that is there."""
        at = path
        while at and at not in self.places:
            at = at[:-1]
        line, column = self.places.get(at, (1, 1))
        return Problem(
            file=self.sources[at].origin if at in self.sources else self.origin,
            line=line,
            column=column,
            field=dotted(path),
            message=shown(message),
            hint=shown(hint),
            severity=severity,
            code=code,
        )


def dotted(path: Path) -> str:
    """Return a path as people write it.

    >>> dotted(("spec", "guardrails", 0, "when"))
    'spec.guardrails[0].when'
    """
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{shown(part)}" if text else shown(part)
    return text


def shown(text: str) -> str:
    """Return a text as it may be shown on one line: no control characters, and not longer than MAX_SHOWN."""
    text = text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class _Unusable(Exception):
    """The text of one document cannot be used; the problem says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def documents(text: str, origin: str, *, fast: bool = yaml.__with_libyaml__) -> tuple[list[Document], list[Problem]]:
    """Return the documents of a text and what is wrong with it; an empty document is none. fast: by libyaml."""
    if len(text) > MAX_BYTES:
        return [], [_at(origin, None, f"the file is larger than {MAX_BYTES} characters", code="too-large")]
    found: list[Document] = []
    try:
        for node, loader in _nodes(text, fast):
            found.append(_document(node, origin, loader, text))
    except _TooMuch as err:
        return found, [_at(origin, err.mark, str(err), code="too-large")]
    except _Unusable as err:
        return found, [err.problem]
    except yaml.MarkedYAMLError as err:
        reason = " ".join(part for part in (err.context, err.problem) if part)
        return found, [_at(origin, err.problem_mark or err.context_mark, f"this is no YAML: {shown(reason)}")]
    except ReaderError as err:
        before = text[: err.position].split("\n")
        mark = yaml.Mark(origin, 0, len(before) - 1, len(before[-1]), "", 0)
        return found, [_at(origin, mark, f"this is no YAML: a character that is no text, #x{err.character:04x}")]
    except (yaml.YAMLError, ValueError, ArithmeticError, RecursionError) as err:
        return found, [_at(origin, None, f"this is no YAML: {shown(str(err))}")]
    return found, []


def _nodes(text: str, fast: bool) -> Iterator[tuple[yaml.Node, Any]]:
    """Yield the root of each document that is not empty, and who constructs its values."""
    loader = _loader(text) if fast else _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is not None and not _is_null(node):
                yield node, loader
    finally:
        loader.dispose()


class _TooMuch(Exception):
    """A text holds more than is read."""

    def __init__(self, message: str, mark: yaml.Mark) -> None:
        super().__init__(message)
        self.mark = mark


class _Loader(yaml.SafeLoader):
    """The loader in Python: it stops at the limits before nodes fill the memory, and says well what is wrong."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._nodes = self._depth = self._documents = 0

    def compose_document(self) -> yaml.Node | None:
        self._documents += 1
        self._nodes = 0
        self._stop(self._documents > MAX_DOCUMENTS, f"more than {MAX_DOCUMENTS} documents")
        return super().compose_document()

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self._nodes += 1
        self._depth += 1
        self._stop(self._nodes > MAX_NODES or self._depth > MAX_DEPTH + 1, TOO_MUCH)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def _stop(self, stop: bool, message: str) -> None:
        if stop:
            raise _TooMuch(message, self.peek_event().start_mark)  # type: ignore[no-untyped-call]  # types-pyyaml


def _loader(text: str) -> Any:
    """Return who reads a text: libyaml, ten times as fast, for what is within the limits and no mistake.

    libyaml composes by calling itself, without a limit to the depth; its events are counted before.
    """
    depth = nodes = found = 0
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            nodes = 0 if isinstance(event, yaml.DocumentStartEvent) else nodes + isinstance(event, yaml.NodeEvent)
            found += isinstance(event, yaml.DocumentStartEvent)
            if depth > MAX_DEPTH or nodes > MAX_NODES or found > MAX_DOCUMENTS:
                return _Loader(text)
    except (yaml.YAMLError, ValueError):
        return _Loader(text)
    return yaml.CSafeLoader(text)


def _document(node: yaml.Node, origin: str, loader: Any, text: str) -> Document:
    places: dict[Path, Place] = {(): _place(node)}
    values: dict[Path, Place] = {(): _place(node)}
    budget = _Budget(origin, places, values, loader)
    data = budget.plain(node, ())
    return Document(origin=origin, data=data, places=places, values=values, text=text)


class _Budget:
    """Turns nodes into data, within limits: aliases must not blow a small file up."""

    def __init__(self, origin: str, places: dict[Path, Place], values: dict[Path, Place], loader: Any) -> None:
        self._origin = origin
        self._places = places
        self._values = values
        self._loader = loader
        self._left = MAX_NODES

    def plain(self, node: yaml.Node, path: Path) -> Any:
        self._left -= 1
        if self._left < 0 or len(path) > MAX_DEPTH:
            raise _Unusable(_at(self._origin, node.start_mark, TOO_MUCH, code="too-large"))
        self._values[path] = _place(node)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if node.tag != _SHAPES[type(node)]:
            raise self._unsupported(node, f"the tag {node.tag} is not supported", path)
        if isinstance(node, yaml.MappingNode):
            return dict(self._members(node, path))
        for number, item in enumerate(node.value):
            self._places[(*path, number)] = _place(item)
        return [self.plain(item, (*path, number)) for number, item in enumerate(node.value)]

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        if node.tag in _NUMBERS and len(node.value) > MAX_DIGITS:
            # 1:1:1:... is a number to base 60, and takes minutes; no policy needs 40 digits
            raise self._unsupported(node, f"a number of {len(node.value)} characters", path)
        try:
            value = self._loader.construct_object(node)
        except (ValueError, ArithmeticError, LookupError, AttributeError, TypeError) as err:
            raise self._unsupported(node, f"{node.value!r} is no {node.tag.rpartition(':')[2]}", path) from err
        if isinstance(value, str) and not _is_text(value):
            raise self._unsupported(node, "half of a character (a lone surrogate)", path)
        return value

    def _unsupported(self, node: yaml.Node, message: str, path: Path) -> _Unusable:
        return _Unusable(_at(self._origin, node.start_mark, shown(message), path, code="unsupported-yaml"))

    def _members(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[str, Any]]:
        seen: set[str] = set()
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                raise self._unsupported(key_node, "merge keys (<<) are not supported", path)
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None or not _is_text(key):
                raise self._unsupported(key_node, "a key must be a plain word", path)
            if key in seen:
                message = shown(f"duplicate key {key!r}")
                raise _Unusable(_at(self._origin, key_node.start_mark, message, (*path, key), code="duplicate-key"))
            seen.add(key)
            self._places[(*path, key)] = _place(key_node)
            yield key, self.plain(value_node, (*path, key))


def _is_text(text: str) -> bool:
    """Return whether a text can be written as UTF-8."""
    return text.isascii() or not any("\ud800" <= one <= "\udfff" for one in text)


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _place(node: yaml.Node) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _at(origin: str, mark: yaml.Mark | None, message: str, path: Path = (), *, code: str = "not-yaml") -> Problem:
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    return Problem(file=origin, line=line, column=column, field=dotted(path), message=message, code=code)
