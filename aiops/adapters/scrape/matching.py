"""Labels of series, and what selects them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values in the order of the names; a label without a value is one that is not there."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """One matcher of a selector. op: =, !=, =~ or !~."""

    name: str
    op: str
    value: str


def labels_of(pairs: Mapping[str, str]) -> Labels:
    """Return labels in their order, without those that are empty."""
    return tuple(sorted((name, value) for name, value in pairs.items() if value))


def matching(matchers: tuple[Matcher, ...], labels: Labels) -> bool:
    """Return whether a series is selected."""
    known = dict(labels)
    return all(_matches(one, known.get(one.name, "")) for one in matchers)


@lru_cache(maxsize=256)
def whole(pattern: str) -> re.Pattern[str]:
    """Return a regular expression that is anchored at both ends, in which a dot is any character."""
    return re.compile(rf"(?:{pattern})\Z", re.ASCII | re.DOTALL)


def _matches(one: Matcher, value: str) -> bool:
    match one.op:
        case "=":
            return value == one.value
        case "!=":
            return value != one.value
        case "=~":
            return whole(one.value).match(value) is not None
        case _:
            return whole(one.value).match(value) is None
