"""Kubernetes manifests as people keep them: several documents, lists of objects, each field with its place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiops.core.decide.quantities import quantity
from aiops.errors import Problem
from aiops.policy.document import Document, Path, documents

TEMPLATE = "{{"
DEFAULT_NAMESPACE = "default"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_LONGEST = 253


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One object of a file. root: where in its document it is, for an item of a List."""

    document: Document
    root: Path
    data: Mapping[str, Any]

    @property
    def api_version(self) -> str:
        """Return apiVersion, empty where there is none."""
        return _text(self.data.get("apiVersion"))

    @property
    def kind(self) -> str:
        """Return kind, empty where there is none."""
        return _text(self.data.get("kind"))

    @property
    def name(self) -> str:
        """Return metadata.name, empty where there is none."""
        return _text(self._metadata.get("name"))

    @property
    def namespace(self) -> str:
        """Return metadata.namespace, or the default one."""
        return _text(self._metadata.get("namespace")) or DEFAULT_NAMESPACE

    @property
    def has_namespace(self) -> bool:
        """Return whether a namespace is written."""
        return bool(_text(self._metadata.get("namespace")))

    @property
    def annotations(self) -> Mapping[str, Any]:
        """Return metadata.annotations."""
        return _mapping(self._metadata.get("annotations"))

    @property
    def _metadata(self) -> Mapping[str, Any]:
        return _mapping(self.data.get("metadata"))


@dataclass(slots=True)
class Log:
    """What is to be said of what was read. errors: no policy can be made. left: not carried over, or to be checked."""

    errors: list[Problem] = field(default_factory=list)
    left: list[Problem] = field(default_factory=list)

    def wrong(self, manifest: Manifest, path: Path, message: str, hint: str = "") -> None:
        """Note a mistake of the manifest."""
        at = (*manifest.root, *path)
        self.errors.append(manifest.document.problem(at, message, hint=hint, code="bad-manifest"))

    def named(self, manifest: Manifest) -> None:
        """Note a name that Kubernetes would not take, or none."""
        name = manifest.name
        if not name:
            self.wrong(manifest, ("metadata", "name"), "it is missing")
        elif len(name) > _LONGEST or not _NAME.fullmatch(name):
            self.wrong(manifest, ("metadata", "name"), f"{name!r} is no name that Kubernetes accepts")

    def leave(self, manifest: Manifest, path: Path, message: str, hint: str = "") -> None:
        """Note what a policy does not do."""
        at = (*manifest.root, *path)
        found = manifest.document.problem(at, message, hint=hint, severity="warning", code="left-behind")
        self.left.append(found)

    def look(self, manifest: Manifest, path: Path, message: str, hint: str = "") -> None:
        """Note what was carried over by a guess that people must check."""
        at = (*manifest.root, *path)
        found = manifest.document.problem(at, message, hint=hint, severity="warning", code="to-check")
        self.left.append(found)


@dataclass(frozen=True, slots=True)
class Fields:
    """Reads the fields of one mapping of a manifest; what is wrong is noted, and read as if it were not there."""

    manifest: Manifest
    path: Path
    log: Log

    def at(self, key: str) -> Any:
        """Return a value as it is written, None where there is none."""
        return self._all().get(key)

    def within(self, *keys: str) -> Fields:
        """Return who reads a mapping further down; one that is not there is empty."""
        found = self
        for key in keys:
            value = found.at(key)
            if value is not None and not isinstance(value, dict):
                self.log.wrong(self.manifest, (*found.path, key), f"a mapping is needed, not {_shape(value)}")
            found = Fields(self.manifest, (*found.path, key), self.log)
        return found

    def items(self, key: str) -> list[Fields]:
        """Return who reads each mapping of a list."""
        value = self.at(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.log.wrong(self.manifest, (*self.path, key), f"a list is needed, not {_shape(value)}")
            return []
        found = []
        for number, item in enumerate(value):
            if isinstance(item, dict):
                found.append(Fields(self.manifest, (*self.path, key, number), self.log))
            else:
                path = (*self.path, key, number)
                self.log.wrong(self.manifest, path, f"a mapping is needed, not {_shape(item)}")
        return found

    def text(self, key: str, *, needed: bool = False) -> str:
        """Return a text, empty where there is none."""
        value = self.at(key)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        if value not in (None, "") or needed:
            said = "it is missing" if value in (None, "") else f"a text is needed, not {_shape(value)}"
            self.log.wrong(self.manifest, (*self.path, key), said)
        return ""

    def number(self, key: str, *, needed: bool = False, least: float = 0.0) -> float | None:
        """Return a number or a quantity (`500m`, `"3"`), None where there is none or it is less than `least`."""
        value = self.at(key)
        if value is None:
            if needed:
                self.log.wrong(self.manifest, (*self.path, key), "it is missing")
            return None
        try:
            found = quantity(value)
        except ValueError as err:
            self.log.wrong(self.manifest, (*self.path, key), str(err))
            return None
        if found < least:
            self.log.wrong(self.manifest, (*self.path, key), f"{value!r} is less than {least:g}")
            return None
        return found

    def whole(self, key: str, *, needed: bool = False, least: int = 0) -> int | None:
        """Return a whole number, None where there is none."""
        found = self.number(key, needed=needed, least=least)
        if found is not None and found != int(found):
            self.log.wrong(self.manifest, (*self.path, key), f"{self.at(key)!r} is no whole number")
            return None
        return None if found is None else int(found)

    def labels(self, key: str) -> dict[str, str]:
        """Return the matchLabels of a selector."""
        found = self.within(key)
        if found.at("matchExpressions"):
            found.log.leave(found.manifest, (*found.path, "matchExpressions"), "only matchLabels are carried over")
        labels = found.within("matchLabels")
        return {name: labels.text(name) for name in labels.names()}

    def names(self) -> tuple[str, ...]:
        """Return the keys that are written."""
        return tuple(self._all())

    def unknown(self, known: Iterable[str]) -> None:
        """Say which fields are not carried over because nobody here knows them."""
        for key in self._all():
            if key not in known:
                self.log.leave(self.manifest, (*self.path, key), "this field has no counterpart and is left out")

    def _all(self) -> Mapping[str, Any]:
        value: Any = self.manifest.data
        for part in self.path:
            value = _mapping(value).get(part) if isinstance(part, str) else value[part]
        return _mapping(value)


def manifests(texts: Iterable[tuple[str, str]], log: Log) -> list[Manifest]:
    """Return the objects of (origin, text) pairs, those in Lists too."""
    found: list[Manifest] = []
    for origin, text in texts:
        template = _template(origin, text)
        if template is not None:
            log.errors.append(template)
            continue
        read, problems = documents(text, origin)
        log.errors += problems
        for document in read:
            found += _objects(document, (), document.data, log)
    return found


def _objects(document: Document, root: Path, data: Any, log: Log) -> Iterator[Manifest]:
    if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
        log.errors.append(
            document.problem(root, "this is no Kubernetes object: it has no kind", code="bad-manifest"),
        )
        return
    if data["kind"].endswith("List") and isinstance(data.get("items"), list):
        for number, item in enumerate(data["items"]):
            yield from _objects(document, (*root, "items", number), item, log)
        return
    yield Manifest(document=document, root=root, data=data)


def _template(origin: str, text: str) -> Problem | None:
    """Return the complaint about a template that was not rendered."""
    for number, line in enumerate(text.split("\n"), start=1):
        at = line.find(TEMPLATE)
        if at >= 0 and not line.lstrip().startswith("#"):
            return Problem(
                file=origin,
                line=number,
                column=at + 1,
                field="",
                message="this is a template, and no manifest yet",
                hint="render it first: helm template RELEASE CHART > FILE",
                code="template",
            )
    return None


def of_kind(found: Sequence[Manifest], kind: str, log: Log) -> list[Manifest]:
    """Return the manifests of a kind; that there is none is noted, unless something worse was."""
    wanted = [one for one in found if one.kind == kind]
    if not wanted and not log.errors:
        for one in found[:1]:
            log.wrong(one, (), f"there is no {kind} in this file, but {kinds_of(found)}")
    return wanted


def kinds_of(found: Sequence[Manifest]) -> str:
    """Return which kinds there are, for a sentence."""
    return ", ".join(dict.fromkeys(one.kind for one in found)) or "nothing"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _shape(value: Any) -> str:
    shapes = {dict: "a mapping", list: "a list", str: "a text", bool: "true or false", int: "a number"}
    return shapes.get(type(value), type(value).__name__)
