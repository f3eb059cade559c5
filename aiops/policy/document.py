"""YAML text as plain data with the place of every field, so that an error can say where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from aiops.errors import Problem

MAX_BYTES = 1_000_000
MAX_NODES = 20_000
MAX_DEPTH = 40

Path = tuple[str | int, ...]
Place = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One YAML document. places: line and column (from 1) of each field's key, or of a list's item."""

    origin: str
    data: Any
    places: Mapping[Path, Place]
    values: Mapping[Path, Place]

    def problem(
        self, path: Path, message: str, *, hint: str = "", severity: str = "error", code: str = "bad-value"
    ) -> Problem:
        """Return a problem at the place of a field, or of the nearest field around it that is there."""
        at = path
        while at and at not in self.places:
            at = at[:-1]
        line, column = self.places.get(at, (1, 1))
        return Problem(
            file=self.origin,
            line=line,
            column=column,
            field=dotted(path),
            message=message,
            hint=hint,
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
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


class _Unusable(Exception):
    """The text of one document cannot be used; the problem says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def documents(text: str, origin: str) -> tuple[list[Document], list[Problem]]:
    """Return the documents of a text and what is wrong with it; an empty document is none."""
    if len(text) > MAX_BYTES:
        return [], [_at(origin, None, f"the file is larger than {MAX_BYTES} characters", code="too-large")]
    found: list[Document] = []
    try:
        loader = yaml.SafeLoader(text)
        try:
            while loader.check_node():
                node = loader.get_node()
                if node is not None and not _is_null(node):
                    found.append(_document(node, origin, loader))
        finally:
            loader.dispose()
    except _Unusable as err:
        return found, [err.problem]
    except yaml.MarkedYAMLError as err:
        reason = " ".join(part for part in (err.context, err.problem) if part)
        return found, [_at(origin, err.problem_mark or err.context_mark, f"this is no YAML: {reason}")]
    except (yaml.YAMLError, ValueError, RecursionError) as err:
        return found, [_at(origin, None, f"this is no YAML: {str(err).splitlines()[0]}")]
    return found, []


def _document(node: yaml.Node, origin: str, loader: yaml.SafeLoader) -> Document:
    places: dict[Path, Place] = {(): _place(node)}
    values: dict[Path, Place] = {(): _place(node)}
    budget = _Budget(origin, places, values, loader)
    data = budget.plain(node, ())
    return Document(origin=origin, data=data, places=places, values=values)


class _Budget:
    """Turns nodes into data, within limits: aliases must not blow a small file up."""

    def __init__(
        self, origin: str, places: dict[Path, Place], values: dict[Path, Place], loader: yaml.SafeLoader
    ) -> None:
        self._origin = origin
        self._places = places
        self._values = values
        self._loader = loader
        self._left = MAX_NODES

    def plain(self, node: yaml.Node, path: Path) -> Any:
        self._left -= 1
        if self._left < 0 or len(path) > MAX_DEPTH:
            message = "too many or too deeply nested values"
            raise _Unusable(_at(self._origin, node.start_mark, message, code="too-large"))
        self._values[path] = _place(node)
        if isinstance(node, yaml.MappingNode):
            return dict(self._members(node, path))
        if isinstance(node, yaml.SequenceNode):
            for number, item in enumerate(node.value):
                self._places[(*path, number)] = _place(item)
            return [self.plain(item, (*path, number)) for number, item in enumerate(node.value)]
        return self._loader.construct_object(node)

    def _members(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[str, Any]]:
        seen: set[str] = set()
        for key_node, value_node in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                message = "merge keys (<<) are not supported"
                raise _Unusable(_at(self._origin, key_node.start_mark, message, code="unsupported-yaml"))
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None:
                message = "a key must be a plain word"
                raise _Unusable(_at(self._origin, key_node.start_mark, message, code="unsupported-yaml"))
            if key in seen:
                message = f"duplicate key {key!r}"
                raise _Unusable(_at(self._origin, key_node.start_mark, message, (*path, key), code="duplicate-key"))
            seen.add(key)
            self._places[(*path, key)] = _place(key_node)
            yield key, self.plain(value_node, (*path, key))


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _place(node: yaml.Node) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _at(origin: str, mark: yaml.Mark | None, message: str, path: Path = (), *, code: str = "not-yaml") -> Problem:
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    return Problem(file=origin, line=line, column=column, field=dotted(path), message=message, code=code)
