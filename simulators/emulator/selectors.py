"""Label selectors as the API server and kubectl write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

_SET = re.compile(r"(?P<key>[^\s!=,()]+)\s+(?P<how>in|notin)\s*\((?P<values>[^()]*)\)")
_EQUAL = re.compile(r"(?P<key>[^\s!=,()]+)\s*(?P<how>==|!=|=)\s*(?P<value>[^\s!=,()]*)")
_THERE = re.compile(r"(?P<no>!?)\s*(?P<key>[^\s!=,()]+)")


class Requirement(NamedTuple):
    """One requirement. values: those of which the label must be one (or none); None: any."""

    key: str
    values: frozenset[str] | None
    wanted: bool

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Return whether labels meet it; a label that is not there is none of any values."""
        value = labels.get(self.key)
        found = value is not None and (self.values is None or value in self.values)
        return found is self.wanted


@dataclass(frozen=True, slots=True)
class Selector:
    """What labels must be. text: as it was written."""

    text: str
    requirements: tuple[Requirement, ...]

    @classmethod
    def parse(cls, text: str) -> Selector:
        """Return the selector of a text; an empty one selects everything. Raise ValueError.

        >>> chosen = Selector.parse("app=checkout,track in (a, b),!old")
        >>> chosen.holds({"app": "checkout", "track": "b"}), chosen.holds({"app": "checkout", "track": "c"})
        (True, False)
        """
        parts = [part.strip() for part in re.split(r",(?![^()]*\))", text) if part.strip()]
        return cls(text, tuple(_requirement(part) for part in parts))

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Return whether labels meet every requirement."""
        return all(one.holds(labels) for one in self.requirements)


def _requirement(text: str) -> Requirement:
    if match := _SET.fullmatch(text):
        values = frozenset(value.strip() for value in match["values"].split(","))
        return Requirement(match["key"], values, match["how"] == "in")
    if match := _EQUAL.fullmatch(text):
        return Requirement(match["key"], frozenset((match["value"],)), match["how"] != "!=")
    if match := _THERE.fullmatch(text):
        return Requirement(match["key"], None, not match["no"])
    raise ValueError(f"{text!r} is no label selector such as app=checkout or track in (a, b)")
