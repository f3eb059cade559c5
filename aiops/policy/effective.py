"""A policy as it is in force, with where each of its values came from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from aiops.core.policies import AnyPolicy
from aiops.policy.document import Document, Path, dotted

BUILT_IN = "built-in default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One value. said: who set it; file, line: where, '' and 0 for what is built in."""

    path: Path
    value: Any
    said: str
    file: str = ""
    line: int = 0

    @property
    def comment(self) -> str:
        """Return where it came from, for people."""
        return f"{self.said}, {self.file}:{self.line}" if self.file else self.said


def values(document: Document, policy: AnyPolicy) -> Iterator[Value]:
    """Yield every value of the spec as it is in force. document: as it was merged."""
    whole = json.loads(policy.document)
    for path, value in _leaves(whole["spec"], ("spec",)):
        yield _value(document, path, value)


def as_yaml(document: Document, policy: AnyPolicy) -> str:
    """Return the policy as YAML with a comment behind each value."""
    whole = json.loads(policy.document)
    metadata = {key: value for key, value in whole["metadata"].items() if value}
    head = {"apiVersion": whole["apiVersion"], "kind": whole["kind"], "metadata": metadata}
    rows = [("spec:", "")]
    rows += [(text, comment) for text, comment in _rows(document, whole["spec"], ("spec",), 1)]
    width = min(72, max(len(text) for text, _ in rows))
    lines = (f"{text:<{width}}  # {comment}" if comment else text for text, comment in rows)
    return yaml.safe_dump(head, sort_keys=False, default_flow_style=False) + "\n".join(lines) + "\n"


def _value(document: Document, path: Path, value: Any) -> Value:
    if path not in document.places:
        return Value(path=path, value=value, said=BUILT_IN)
    source = document.sources.get(path)
    file = document.origin if source is None else source.origin
    said = "written" if source is None else source.said
    return Value(path=path, value=value, said=said, file=file, line=document.places[path][0])


def _leaves(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value:
        for key, one in value.items():
            yield from _leaves(one, (*path, key))
    elif isinstance(value, list) and value:
        for number, one in enumerate(value):
            yield from _leaves(one, (*path, number))
    else:
        yield path, value


def _rows(document: Document, value: Any, path: Path, depth: int) -> Iterator[tuple[str, str]]:
    """Yield lines of block YAML, each with the comment that belongs behind it."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in items:
        here = (*path, key)
        lead = "  " * depth + (f"{key}:" if isinstance(value, dict) else "-")
        if isinstance(one, dict | list) and one:
            yield lead, ""
            yield from _rows(document, one, here, depth + 1)
        else:
            yield f"{lead} {_scalar(one)}", _value(document, here, one).comment


def _scalar(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def as_json(document: Document, policy: AnyPolicy) -> dict[str, Any]:
    """Return the policy as data: its document, and where each value came from by dotted path."""
    told = {
        dotted(one.path): {"from": one.said, **({"file": one.file, "line": one.line} if one.file else {})}
        for one in values(document, policy)
    }
    return {"policy": policy.key, "document": json.loads(policy.document), "from": told}
