"""What the compilers of all kinds share: the envelope, the problems of one document, the canonical text."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar

from aiops.core.decide.spec import Spec
from aiops.core.policies import AnyPolicy
from aiops.core.selection import Member
from aiops.core.versions import MEMBER, member_key
from aiops.errors import Problem
from aiops.policy.document import Document, Path
from aiops.policy.places import inside
from aiops.policy.resource import GROUP, VERSION, Resource

API_VERSION = f"{GROUP}/{VERSION}"

MAX_PROBLEMS = 100
"""Said of one document: who sends megabytes of mistakes is told the first hundred."""

MAX_WORD = 64

T = TypeVar("T")
Compiled: TypeAlias = AnyPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """The part of a policy that every kind has. member: of a template, for which this is one; see `members.py`."""

    kind: str
    name: str
    namespace: str
    labels: dict[str, str]
    member: Member | None = None

    @property
    def template_key(self) -> str:
        """Return `Kind/namespace/name`, of a member's template."""
        return f"{self.kind}/{self.namespace}/{self.name}"

    @property
    def key(self) -> str:
        """Return the key of the policy."""
        return self.template_key if self.member is None else member_key(self.template_key, self.member.name)


@dataclass(slots=True)
class Problems:
    """Collects what is wrong with one document, with places."""

    document: Document
    found: list[Problem] = field(default_factory=list)

    def add(
        self, path: Path, message: str, *, hint: str = "", severity: str = "error", code: str = "bad-value"
    ) -> None:
        """Note a problem with a field, up to MAX_PROBLEMS of them."""
        if self.full:
            return
        self.found.append(self.document.problem(path, message, hint=hint, severity=severity, code=code))

    def add_inside(self, path: Path, at: tuple[str, int], message: str, *, hint: str = "", code: str) -> None:
        """Note a problem with one place of a field's text. at: the text, and the offset in it."""
        text, offset = at
        place = inside(self.document, path, offset, text)
        if place is None:
            before = text[:offset]
            line, column = before.count("\n") + 1, offset - before.rfind("\n")
            self.add(path, f"{message} (at {line}:{column} of its text)", hint=hint, code=code)
        elif not self.full:
            problem = self.document.problem(path, message, hint=hint, code=code)
            self.found.append(replace(problem, line=place[0], column=place[1]))

    def attempt(self, path: Path, make: Callable[[], T], code: str = "bad-value") -> T | None:
        """Return what `make` makes, or note the ValueError that it raises."""
        try:
            return make()
        except ValueError as err:
            self.add(path, str(err), code=code)
            return None

    @property
    def full(self) -> bool:
        """Return whether no more is noted."""
        return len(self.found) >= MAX_PROBLEMS

    @property
    def fatal(self) -> bool:
        """Return whether one of them is an error."""
        return any(problem.severity == "error" for problem in self.found)


@dataclass(frozen=True, slots=True)
class Kind:
    """model: what people write. compile: makes a policy of (envelope, spec, canonical document, problems).

    resource: what it is as a custom resource.
    """

    model: type[Spec]
    compile: Callable[[Envelope, Any, str, Problems], Compiled | None]
    resource: Resource


def canonical(envelope: Envelope, spec: Spec) -> str:
    """Return the policy as JSON with every default filled in, from which it can be compiled again."""
    metadata: dict[str, Any] = {"name": envelope.name, "namespace": envelope.namespace, "labels": envelope.labels}
    if envelope.member is not None:
        metadata[MEMBER] = {"name": envelope.member.name, "labels": dict(envelope.member.labels)}
    whole: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": envelope.kind,
        "metadata": metadata,
        "spec": spec.model_dump(mode="json", by_alias=True),
    }
    return json.dumps(whole, sort_keys=True, separators=(",", ":"))


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """Return `did you mean X?`, or nothing when nothing is near."""
    if len(word) > MAX_WORD:
        return ""
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else ""
