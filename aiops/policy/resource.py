"""What a kind is as a custom resource: its names in the API, what `kubectl get` shows, what its status says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiops.policy.structural import Schema

GROUP, VERSION = "policy.aiops", "v1alpha1"

WORD, COUNT = {"type": "string"}, {"type": "integer"}
TIME = {"type": "string", "format": "date-time"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of `kubectl get`. wide: shown by `-o wide` alone."""

    name: str
    path: str
    kind: str = "string"
    about: str = ""
    wide: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """What a kind is called in the API, and what is shown of it. status: what its status says beside conditions."""

    kind: str
    plural: str
    short: tuple[str, ...]
    columns: tuple[Column, ...]
    status: Mapping[str, Schema]

    @property
    def name(self) -> str:
        """Return the name of its CustomResourceDefinition, of which its place in the API is made."""
        return f"{self.plural}.{GROUP}"


EVERY: Mapping[str, Schema] = {
    "observedGeneration": {**COUNT, "format": "int64", "description": "the generation that all of this is about"},
    "acceptedGeneration": {**COUNT, "format": "int64", "description": "the generation in force: the last valid one"},
    "specHash": {**WORD, "description": "of what is in force, without mode, labels and annotations: what is promoted"},
    "digest": {**WORD, "description": "of the whole document in force"},
}

DECIDING: Mapping[str, Schema] = {
    **EVERY,
    "mode": {**WORD, "description": "the mode in force: the strictest of spec, settings and promotion"},
    "verdict": {**WORD, "description": "of the last decision: steady, allow, wait, ask or deny"},
    "lastDecision": {**WORD, "description": "the decision since which nothing changed: `aiops explain ID`"},
    "lastDecisionTime": {**TIME, "description": "when that was decided"},
}
"""Of a kind that decides: what every one of its policies says of its newest decision."""


def condition(kind: str, field: str = "status") -> str:
    """Return the path of a field of a condition."""
    return f'.status.conditions[?(@.type=="{kind}")].{field}'


AGE = Column(name="Age", path=".metadata.creationTimestamp", kind="date")
VALID = Column(name="Valid", path=condition("Valid"), about="whether the loader took it")
WHY = Column(name="Message", path=condition("Valid", "message"), about="what is wrong with it, if anything", wide=True)
MODE = Column(name="Mode", path=".status.mode", about="the mode in force")
VERDICT = Column(name="Verdict", path=".status.verdict", about="of the last decision")
DECISION = Column(name="Decision", path=".status.lastDecision", about="`aiops explain ID`", wide=True)
